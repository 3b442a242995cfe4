"""How probable is a given text?"""

import numpy as np

from minillm.backend import get_device
from minillm.generation.prompts import as_ids, check_text
from minillm.generation.reading import next_logits, window_start
from minillm.generation.sampling import log_softmax


def score(model, prompt_ids, continuation_ids) -> np.ndarray | list[np.ndarray]:
    """ln p of each token of a continuation, given the prompt and the tokens before it.

        ln p(c_1 ... c_n | prompt) = sum_t ln p(c_t | prompt, c_1 ... c_{t-1})

    prompt_ids (P,), continuation_ids (n,) -> (n,) float64; or (B, P) and (B, n), or lists of lists
    of any lengths, -> a list of arrays.  All tokens are scored in one pass, without generating.
    A text longer than the context is read as `generate` reads it, by a window.
    Raises ValueError for an empty prompt or continuation, IndexError for ids outside the
    vocabulary, TypeError for ids that are not integers.
    """
    if _holds_texts(prompt_ids) != _holds_texts(continuation_ids):
        raise ValueError(
            "prompt_ids and continuation_ids: give both of one text or both of several"
        )
    if _holds_texts(prompt_ids):
        if len(prompt_ids) != len(continuation_ids):
            raise ValueError(
                f"score: {len(prompt_ids)} prompts and {len(continuation_ids)} continuations: "
                "each prompt needs one"
            )
        pairs = zip(prompt_ids, continuation_ids, strict=True)
        return [_score_one(model, prompt, continuation) for prompt, continuation in pairs]
    return _score_one(model, prompt_ids, continuation_ids)


def _score_one(model, prompt_ids, continuation_ids) -> np.ndarray:
    prompt = as_ids(prompt_ids, "prompt_ids")
    continuation = as_ids(continuation_ids, "continuation_ids")
    check_text(model.config, prompt, "the prompt")
    check_text(model.config, continuation, "the continuation")
    device = get_device(next(iter(model.parameters())).device)
    ids = np.concatenate([prompt, continuation])
    lengths = np.arange(len(prompt), len(ids))  # the tokens before each scored one
    starts = window_start(lengths, model.config.max_positions)
    result = np.empty(len(continuation))
    for start in np.unique(starts):  # tokens that see the same window are scored together
        (these,) = np.nonzero(starts == start)
        seen = ids[start : lengths[these[-1]]]
        logits = next_logits(model, device.from_numpy(seen[None]))[0, lengths[these] - start - 1]
        result[these] = log_softmax(logits)[np.arange(len(these)), continuation[these]]
    return result


def _holds_texts(ids) -> bool:
    """Whether it is a batch or list of texts, not one text."""
    if hasattr(ids, "ndim"):
        return ids.ndim > 1
    return len(ids) > 0 and hasattr(ids[0], "__len__")
