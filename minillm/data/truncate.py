"""What to do with a text that is longer than the model reads.

Sun et al. 2019 ("How to Fine-Tune BERT for Text Classification?", section 5.3.1) compared on IMDB,
with 510 tokens besides [CLS] and [SEP]: the first 510 (5.63 % errors), the last 510 (5.44 %), the
first 128 and the last 382 (5.42 %).  A review says what it is about at the beginning and what it
concludes at the end.
"""

import numpy as np

WAYS = ("head", "tail", "head_tail")


def truncate(ids, max_length: int, how: str = "head"):
    """At most `max_length` of the ids (a list or 1-d array; put special tokens around afterwards).

    how: "head", the first ones; "tail", the last ones; "head_tail", the first quarter (128 of 510)
    and the last three.  What is short enough stays as it is.
    Raises ValueError for another `how`, and a max_length below 1.
    """
    if how not in WAYS:
        raise ValueError(f"how={how!r}: one of {', '.join(map(repr, WAYS))} was expected")
    _check_positive("max_length", max_length)
    if len(ids) <= max_length:
        return ids
    if how == "head":
        return ids[:max_length]
    if how == "tail":
        return ids[len(ids) - max_length :]
    head = max_length * 128 // 510
    first, last = ids[:head], ids[len(ids) - (max_length - head) :]
    return first + last if isinstance(ids, list) else np.concatenate([first, last])


def windows(ids, max_length: int, stride: int) -> list:
    """Pieces of at most `max_length` ids, each `stride` further on, which together hold all.

    windows([1, 2, 3, 4, 5], max_length=3, stride=2) -> [[1, 2, 3], [3, 4, 5]]

    Neighbours share max_length - stride ids.  The last piece may be shorter.
    Raises ValueError unless 1 <= stride <= max_length.
    """
    _check_positive("max_length", max_length)
    _check_positive("stride", stride)
    if stride > max_length:
        raise ValueError(
            f"stride={stride} is more than max_length={max_length}: ids between would be lost"
        )
    # The next piece begins only where the last one doesn't reach the end.
    starts = range(0, max(len(ids) - max_length + stride, 1), stride)
    return [ids[start : start + max_length] for start in starts]


def _check_positive(name: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"{name}={value}: 1 or more was expected")
