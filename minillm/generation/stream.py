"""Text as it is written: a piece for each token, of whole characters only."""

from collections.abc import Iterator

from minillm.generation.endings import Endings, GrowingText
from minillm.generation.generate import write
from minillm.generation.prompts import read_prompts
from minillm.generation.reading import Reader
from minillm.generation.settings import Settings


def stream(model, tokenizer, prompt, **settings) -> Iterator[str]:
    """The continuation of `prompt` in pieces, each as soon as it is certain.

        for piece in stream(model, tokenizer, "Once upon", max_new_tokens=50, do_sample=True):
            print(piece, end="", flush=True)

    prompt: a text, or its ids (P).  settings: those of `generate`, which are checked at the call,
    before the first piece.  The pieces together are the text that `generate` writes with the same
    settings and seed.  A token that ends within a character gives no piece; the character comes
    with its last byte.  Raises what `generate` raises, and ValueError for num_beams > 1: beam
    search knows no word of its text before the end.
    """
    checked = Settings(**settings | {"tokenizer": tokenizer})
    if checked.num_beams > 1:
        raise ValueError(
            f"num_beams={checked.num_beams}: beam search can't be streamed, its first word may "
            "change until the end; use generate"
        )
    ids = tokenizer.encode_ids(prompt) if isinstance(prompt, str) else prompt
    end_ids = checked.end_ids(model.config)
    rows = read_prompts(model.config, [ids], None, None, end_ids, name="prompt").rows
    reader = Reader(model, rows, checked.max_new_tokens, checked.use_cache)
    return _pieces(reader, checked, Endings(end_ids, checked.stops, tokenizer, 1))


def _pieces(reader: Reader, settings: Settings, endings: Endings) -> Iterator[str]:
    text = GrowingText(settings.tokenizer)
    for step in write(reader, settings, endings):
        piece = text.push(int(step.tokens[0]))
        if piece:
            yield piece
    rest = text.finish()
    if rest:
        yield rest
