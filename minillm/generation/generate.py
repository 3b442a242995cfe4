"""Writing: choose a token, append it, ask the model again (greedy search and sampling)."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from minillm.generation.beam import beam_search
from minillm.generation.endings import Endings
from minillm.generation.prompts import read_prompts
from minillm.generation.reading import Reader
from minillm.generation.sampling import draw, log_softmax
from minillm.generation.settings import Settings


class GenerateOutput(NamedTuple):
    """sequences (B, P + n): the prompts and the new tokens, int64 NumPy array; a text that ended
    before the others is filled up with the padding token.

    log_probabilities (B, n), if wished: ln p of each new token under the model itself, before any
    filter; 0 where a text had ended.  A row's sum is the log-probability of what was written.
    """

    sequences: np.ndarray
    log_probabilities: np.ndarray | None = None


class Step(NamedTuple):
    """A token for each row (B,), the model's logits before the choice (B, V), and which rows were
    still being written (B,)."""

    tokens: np.ndarray
    logits: np.ndarray
    running: np.ndarray


def generate(
    model,
    input_ids,
    attention_mask=None,
    *,
    max_new_tokens: int = 20,
    do_sample: bool = False,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    repetition_penalty: float = 1.0,
    num_beams: int = 1,
    length_penalty: float = 1.0,
    early_stopping: bool | str = False,
    eos_token_id: int | Sequence[int] | None = None,
    pad_token_id: int | None = None,
    stop_strings: str | Sequence[str] | None = None,
    tokenizer: Any = None,
    seed: int | None = None,
    use_cache: bool = True,
    return_log_probabilities: bool = False,
) -> GenerateOutput:
    """Continue prompts with a causal language model.  The words are those of Hugging Face.

    model: GPTForCausalLM, LlamaForCausalLM, or any Module with their `forward` and `config`.
    input_ids: (B, P) ids, or a list of lists of any lengths.  attention_mask: (B, P), 0 where there
    is padding, wherever it stands; see `minillm.generation.prompts.read_prompts`.

    do_sample=False: always the most probable token (greedy).  True: draw from the distribution that
    `temperature`, `top_k`, `top_p` and `min_p` leave (see `minillm.generation.sampling`), with
    random numbers from `seed`: the same seed, the same text.
    num_beams > 1: keep that many unfinished texts and find a probable one as a whole, by score
    ln p / length^length_penalty; see `minillm.generation.beam` for this and early_stopping.
    A text ends after max_new_tokens, after an eos_token_id (None: the config's; [] for none) or
    after the token that completes one of stop_strings.
    use_cache=False computes everything anew for every token: the same text, slower.

    A prompt may fill the context, and its text may outgrow it: then the model sees the last part
    of it only (see `minillm.generation.reading`).
    Raises ValueError, IndexError or TypeError for bad prompts and settings, before any work.
    """
    settings = Settings(
        *(max_new_tokens, do_sample, temperature, top_k, top_p, min_p, repetition_penalty),
        *(num_beams, length_penalty, early_stopping, eos_token_id, pad_token_id, stop_strings),
        *(tokenizer, seed, use_cache),
    )
    end_ids, pad_id = settings.end_ids(model.config), settings.pad_id(model.config)
    prompts = read_prompts(model.config, input_ids, attention_mask, pad_id, end_ids)
    reader = Reader(model, prompts.rows, max_new_tokens, use_cache)
    endings = Endings(end_ids, settings.stops, tokenizer, len(prompts.rows))
    if num_beams > 1:
        texts, scores = beam_search(reader, settings, endings)
    else:
        texts, scores = _collect(write(reader, settings, endings), return_log_probabilities)
    if pad_id is None:
        pad_id = end_ids[0] if end_ids else 0
    longest = max(map(len, texts))
    new = np.full((len(texts), longest), pad_id, np.int64)
    log_probabilities = np.zeros((len(texts), longest))
    for row, text in enumerate(texts):
        new[row, : len(text)] = text
        if return_log_probabilities:
            log_probabilities[row, : len(text)] = scores[row]
    sequences = np.concatenate([prompts.ids, new], axis=1)
    return GenerateOutput(sequences, log_probabilities if return_log_probabilities else None)


def write(reader: Reader, settings: Settings, endings: Endings) -> Iterator[Step]:
    """Token by token, until every row has ended."""
    running = np.ones(len(reader.tokens), bool)
    generators = settings.generators(len(running)) if settings.do_sample else []
    for number in range(settings.max_new_tokens):
        logits = reader.logits()  # (B, V)
        texts = reader.texts() if settings.repetition_penalty != 1 else []
        shaped = settings.filtered(logits, texts)
        if settings.do_sample:
            tokens = draw(shaped, np.array([generator.random() for generator in generators]))
        else:
            tokens = shaped.argmax(axis=-1)
        yield Step(tokens, logits, running)
        running = running & ~endings.reached(tokens)
        if not running.any() or number + 1 == settings.max_new_tokens:
            return
        reader.append(np.where(running, tokens, 0))  # what an ended row reads doesn't matter


def _collect(steps: Iterator[Step], with_scores: bool) -> tuple[list, list]:
    """Each row's new tokens, and the log-probabilities of those."""
    texts: list[list[int]] = []
    scores: list[list[float]] = []
    for tokens, logits, running in steps:
        if not texts:
            texts, scores = [[] for _ in tokens], [[] for _ in tokens]
        log_p = log_softmax(logits) if with_scores else None
        for row in np.flatnonzero(running):
            texts[row].append(int(tokens[row]))
            if log_p is not None:
                scores[row].append(log_p[row, tokens[row]])
    return texts, scores
