"""Labelled texts: what a classifier learns from and is judged by.

    data = open_labelled("reviews.csv")          # or .tsv, .jsonl, or a folder for each class
    data.texts[0], data.labels[0]                # "A fine film.", 1
    data.label_names                             # ["negative", "positive"]

A label is a number, the place of its name in `label_names`.  A model keeps these names (`id2label`
in its config.json); further data for it are opened with `label_names=` so that number 1 means the
same everywhere.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from minillm.data.class_folders import read_class_folders
from minillm.data.split import document_key
from minillm.data.tables import (
    CSV_SUFFIXES,
    JSON_LINES_SUFFIXES,
    Example,
    read_json_lines,
    read_table,
)
from minillm.data.textfile import check_errors


class LabelledTexts:
    """Texts, and for each the number of its class.

    texts: list of N str.  labels: (N,) int64, each the place of a name in `label_names`.
    groups: (N,) int64 or None: which texts belong together, such as the reviews of one film.
    Iterating gives (text, label).

    Raises ValueError for lengths that differ, a label without a name, or names that aren't
    distinct; TypeError for what is no text or no whole number.
    """

    def __init__(
        self,
        texts: Iterable[str],
        labels: Sequence[int] | np.ndarray,
        label_names: Sequence[str],
        name: str = "labelled texts",
        groups: Sequence[int] | np.ndarray | None = None,
    ):
        self.texts = list(texts)
        self.labels = _whole_numbers("labels", labels, len(self.texts))
        self.label_names = _checked_names(label_names)
        self.name = name
        self.groups = None if groups is None else _whole_numbers("groups", groups, len(self.texts))
        for i, text in enumerate(self.texts):
            if not isinstance(text, str):
                raise TypeError(f"text {i} is {type(text).__name__}, str was expected")
        outside = np.flatnonzero((self.labels < 0) | (self.labels >= len(self.label_names)))
        if len(outside):
            raise ValueError(
                f"label {self.labels[outside[0]]} of text {outside[0]} has no name: the labels of "
                f"{self.label_names} are 0 to {len(self.label_names) - 1}"
            )
        self._keys: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def __iter__(self) -> Iterator[tuple[str, int]]:
        return zip(self.texts, self.labels.tolist(), strict=True)

    def __repr__(self) -> str:
        counts = ", ".join(
            f"{count} {name}" for count, name in zip(self.counts(), self.label_names, strict=True)
        )
        return f"LabelledTexts({self.name!r}: {counts})"

    def counts(self) -> np.ndarray:
        """How many examples each class has: (C,) int64."""
        return np.bincount(self.labels, minlength=len(self.label_names))

    def subset(self, indices, name: str | None = None) -> "LabelledTexts":
        """The examples at `indices` (whole numbers, or a mask of N booleans), in that order."""
        rows = np.asarray(indices)
        if rows.dtype == bool and rows.shape != (len(self),):
            raise ValueError(f"a mask of shape {rows.shape} for {len(self)} texts")
        rows = np.arange(len(self))[rows.astype(np.int64) if rows.size == 0 else rows]
        part = LabelledTexts(
            [self.texts[i] for i in rows],
            self.labels[rows],
            self.label_names,
            self.name if name is None else name,
            None if self.groups is None else self.groups[rows],
        )
        part._keys = None if self._keys is None else self._keys[rows]
        return part

    def keys(self) -> np.ndarray:
        """`document_key` of each text, (N,) uint64: equal texts have equal keys.

        Case, accents, markup, punctuation and white space don't count.
        """
        if self._keys is None:
            self._keys = np.array([document_key(text) for text in self.texts], dtype=np.uint64)
        return self._keys

    def text_groups(self) -> np.ndarray:
        """(N,) int64: equal texts (see `keys`) have equal numbers.  For `groups=` of a split."""
        return np.unique(self.keys(), return_inverse=True)[1].reshape(-1).astype(np.int64)

    def fingerprint(self) -> str:
        """A short text that changes with the texts, their labels, their order, or the names."""
        digest = hashlib.sha256(repr(self.label_names).encode("utf-8", "surrogatepass"))
        digest.update(self.labels.astype("<i8").tobytes())
        for text in self.texts:  # the length first: ["ab"] isn't ["a", "b"]
            content = text.encode("utf-8", "surrogatepass")
            digest.update(len(content).to_bytes(8, "little") + content)
        return f"labelled:{digest.hexdigest()}"


def open_labelled(
    path: str | os.PathLike,
    text_field: str = "text",
    label_field: str = "label",
    label_names: Sequence[str] | None = None,
    group_field: str | None = None,
    errors: str = "strict",
) -> LabelledTexts:
    """Open a user's own labelled texts, by what `path` is:

    - .csv, .tsv: a table whose first row names the columns; or two columns without such a row;
    - .jsonl: one JSON object a line (all three also with .gz behind);
    - a folder: each subfolder is a class, each text file in it an example, in the order of names.
      aclImdb/train is read so, without `unsup`; given aclImdb itself, its `train` is read.

    text_field, label_field: the names of the columns.
    label_names: the classes in the order of their numbers; a label outside it is an error, and so
    is a class without examples.  Not given, it is made of the labels that come up, sorted (whole
    numbers by size).  To give labels like "0" and "1" better names afterwards:
    `LabelledTexts(data.texts, data.labels, ["negative", "positive"])`.
    group_field: a column that says which rows belong together; becomes `groups`.  In aclImdb the
    groups are the films.
    errors: as for `open_corpus`: "replace" reads what isn't UTF-8 as U+FFFD.

    Raises FileNotFoundError; ValueError, naming file and row, for a column that isn't there, a row
    with too few columns, a label that isn't in the list or is empty, an empty text, bytes that
    aren't UTF-8, an empty file, a class without examples, or fewer than two classes.
    """
    path = Path(path)
    check_errors(errors)
    names = None if label_names is None else _checked_names(label_names)
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    suffix = suffixes[-1] if suffixes else ""
    if path.is_dir():
        examples = read_class_folders(path, errors)
    elif suffix in CSV_SUFFIXES:
        delimiter = CSV_SUFFIXES[suffix]
        examples = read_table(path, delimiter, text_field, label_field, group_field, names, errors)
    elif suffix in JSON_LINES_SUFFIXES:
        examples = read_json_lines(path, text_field, label_field, group_field, errors)
    elif not path.exists():
        raise FileNotFoundError(
            f"there is no file or folder {str(path)!r} (looked from {str(Path.cwd())!r}): "
            "check the spelling, or give the full path"
        )
    else:
        raise ValueError(
            f"{str(path)!r}: labelled texts come as .csv, .tsv or .jsonl (also with .gz behind), "
            "or as a folder with a subfolder for each class"
        )
    return _collect(list(examples), names, path)


def _collect(examples: list[Example], names: list[str] | None, path: Path) -> LabelledTexts:
    if not examples:
        raise ValueError(f"there is no example in {str(path)!r}, only the names of columns")
    for example in examples:
        if not example.text.strip():
            raise ValueError(f"the text in {example.where} is empty: fill it in or leave it out")
        label = example.label.strip()
        if not label:
            raise ValueError(f"the label in {example.where} is empty")
        if names is not None and label not in names:
            raise ValueError(
                f"label {label!r:.80} in {example.where} is not in label_names, "
                f"{', '.join(map(repr, names))} were expected"
            )
    labels = [example.label.strip() for example in examples]
    there = set(labels)
    if names is None:
        whole = all(re.fullmatch(r"-?[0-9]{1,18}", label) for label in there)
        names = sorted(there, key=lambda label: (int(label) if whole else 0, label))
    for name in names:
        if name not in there:
            raise ValueError(
                f"class {name!r} has no example in {str(path)!r}: the labels there are "
                f"{', '.join(map(repr, sorted(there)))}"
            )
    if len(names) < 2:
        raise ValueError(
            f"all {len(labels)} examples in {str(path)!r} have the label {names[0]!r}: at least "
            "two classes are needed to tell them apart"
        )
    number = {name: i for i, name in enumerate(names)}
    groups = None
    if any(example.group is not None for example in examples):
        # an example without a group is one of its own
        values = [example.group or f" {i}" for i, example in enumerate(examples)]
        groups = np.unique(values, return_inverse=True)[1].reshape(-1)
    return LabelledTexts(
        [example.text for example in examples],
        [number[label] for label in labels],
        names,
        path.resolve().name,
        groups,
    )


def _checked_names(label_names: Sequence[str]) -> list[str]:
    if isinstance(label_names, str):
        raise TypeError(f"label_names={label_names!r}: a list of names was expected")
    names = list(label_names)
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ValueError(f"label_names={names}: names (str) of the classes were expected")
    if len(set(names)) < len(names):
        raise ValueError(f"label_names={names}: each name may come once")
    return names


def _whole_numbers(name: str, values, length: int) -> np.ndarray:
    array = np.asarray(values)
    if array.shape != (length,):
        raise ValueError(f"{name} of shape {array.shape} for {length} texts, ({length},) expected")
    if array.size and array.dtype.kind not in "iub":
        raise TypeError(f"{name} are {array.dtype}, whole numbers were expected")
    return array.astype(np.int64)
