"""Labelled examples from tables: CSV, TSV, and JSONL (one JSON object a line), plain or `.gz`.

Each row gives a text and a label.  What is wrong with a row is said with its number: row 1 is the
header, as in a spreadsheet, and the first line of a JSONL file.

CSV has rules for quotes, TSV has two customs.  Spreadsheets and pandas write `"a ""quoted"" text"`;
many published sets write the text as it is, and a row may begin with a single quote mark that
opens nothing.  See `_tsv_rows` for how the two are told apart.
"""

import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from minillm.data.textfile import check_text_file, read_lines
from minillm.foreign_files import shortened
from minillm.strict_json import parse_row
from minillm.text.byte_alphabet import encodable

CSV_SUFFIXES = {".csv": ",", ".tsv": "\t"}
JSON_LINES_SUFFIXES = (".jsonl", ".ndjson")
_LONGEST_FIELD = 2**31 - 1


class Example(NamedTuple):
    """One labelled text; `where` names its place for error messages."""

    where: str
    text: str
    label: str
    group: str | None = None


class _Row(NamedTuple):
    where: str
    fields: list[str]


def read_json_lines(
    path: Path, text_field: str, label_field: str, group_field: str | None, errors: str = "strict"
) -> Iterator[Example]:
    """Yield the examples of a JSONL file.  A label may be a text, a whole number, or true/false.

    Raises ValueError, naming the row, for what is no JSON object or lacks a field, for a text that
    is no str, for lone surrogates (unless `errors` is "replace"), and for other labels.
    """
    check_text_file(path, errors)
    for number, line in read_lines(path, errors):
        if not line.strip():
            continue
        where = f"row {number} of {str(path)!r}"
        try:
            row = parse_row(line)
        except ValueError as error:
            raise ValueError(
                f"{where} is not JSON ({error}): each line must be one JSON object, such as "
                f'{{"{text_field}": "...", "{label_field}": "..."}}'
            ) from None
        if not isinstance(row, dict):
            raise ValueError(f"{where} is a {type(row).__name__}, a JSON object was expected")
        fields = [text_field, label_field] + ([] if group_field is None else [group_field])
        for field in fields:
            if field not in row:
                raise _no_column(where, field, list(row))
        text, label = row[text_field], row[label_field]
        if not isinstance(text, str):
            raise ValueError(
                f"{where}: field {text_field!r} is {type(text).__name__}, a text was expected"
            )
        if not isinstance(label, (str, int)):
            raise ValueError(
                f"{where}: label {json.dumps(label):.80} in field {label_field!r}, a text or a "
                "whole number was expected"
            )
        text = encodable(text, errors, where)
        label = encodable(label if isinstance(label, str) else json.dumps(label), errors, where)
        group = None if group_field is None else json.dumps(row[group_field])
        yield Example(where, text, label, group)


def read_table(
    path: Path,
    delimiter: str,
    text_field: str,
    label_field: str,
    group_field: str | None,
    label_names: list[str] | None,
    errors: str = "strict",
) -> Iterator[Example]:
    """Yield the examples of a CSV (delimiter ",") or TSV ("\\t") file.

    The first row names the columns.  A table of two columns without such a row is understood too,
    where `text_field` and `label_field` are "text" and "label": see `_label_column`.
    Raises ValueError for a column that isn't there, and a row that is longer or shorter than the
    first.
    """
    check_text_file(path, errors)
    if delimiter == "\t":
        rows = _tsv_rows(path, errors)
    else:
        rows = list(_csv_rows(path, delimiter, errors))
    if not rows:
        raise ValueError(f"{str(path)!r} holds nothing but blank lines: there is no example in it")
    header = [name.strip() for name in rows[0].fields]
    for where, fields in rows:
        if len(fields) != len(header):
            mend = "each row goes on one line, with no tab inside a text"
            if delimiter == ",":
                mend = 'a text with a comma or a line end inside goes between quotes: "a, b"'
            raise ValueError(
                f"{where} has {len(fields)} columns, the first row has {len(header)}: {mend}"
            )
    wanted = [text_field, label_field] + ([] if group_field is None else [group_field])
    missing = [name for name in wanted if name not in header]
    if not missing:
        text, label, *group = (header.index(name) for name in wanted)
        rows = rows[1:]
    else:
        guess = None if wanted != ["text", "label"] else _label_column(rows, label_names)
        if len(missing) < len(wanted) or guess is None:
            raise _no_column(repr(str(path)), missing[0], header)
        text, label, group = 1 - guess, guess, []
    rows.reverse()
    while rows:  # each is let go of when it has become an example
        where, fields = rows.pop()
        yield Example(where, fields[text], fields[label], fields[group[0]] if group else None)


def _label_column(rows: list[_Row], label_names: list[str] | None) -> int | None:
    """Which of two columns holds the labels, in a table whose first row is an example already.

    Labels repeat: it is the column with fewer distinct values, which all come twice on average,
    and the value in the first row comes again (or is in `label_names`).  The name of a column
    doesn't: then, or if the columns can't be told apart, the first row is no example: None.
    """
    if len(rows[0].fields) != 2:
        return None
    columns = [[row.fields[i] for row in rows] for i in range(2)]
    distinct = [len(set(column)) for column in columns]
    label = 0 if distinct[0] < distinct[1] else 1
    first, *others = columns[label]
    repeats = first in others or first.strip() in (label_names or [])
    if distinct[0] == distinct[1] or 2 * distinct[label] > len(rows) or not repeats:
        return None
    return label


def _tsv_rows(path: Path, errors: str) -> list[_Row]:
    """The rows of a TSV file, whether or not its writer used quotes.

    If each line has as many tabs as the first, each line is a row: a quote mark can't swallow the
    next rows.  Quotes are then taken off only if each field with a quote mark in it is quoted as a
    CSV writer does it; otherwise quote marks are part of the text.
    If the lines differ, tabs or line ends may stand inside quotes: it is read by CSV's rules, and
    if these don't lead to rows of equal length either, it is left as lines.
    """
    lines = [
        _Row(f"row {number} of {str(path)!r}", line.split("\t"))
        for number, line in read_lines(path, errors)
        if line
    ]
    if _equally_long(lines):
        fields = [field for row in lines for field in row.fields if '"' in field]
        if fields and all(_is_quoted(field) for field in fields):
            return [_Row(row.where, [_unquote(field) for field in row.fields]) for row in lines]
        return lines
    try:
        rows = list(_csv_rows(path, "\t", errors))
    except ValueError:
        return lines
    return rows if _equally_long(rows) else lines


def _csv_rows(path: Path, delimiter: str, errors: str) -> Iterator[_Row]:
    lines = 0

    def counted() -> Iterable[str]:
        nonlocal lines
        for lines, line in read_lines(path, errors):  # noqa: B007
            yield line + "\n"

    # The limit (of a field's length, 131,072 as it stands) is one for the whole program: a long
    # text must not fail, so it is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_FIELD))
    reader = csv.reader(counted(), delimiter=delimiter, strict=True)
    number, begin = 0, 1
    while True:
        number, begin = number + 1, lines + 1
        where = f"row {number}{'' if begin == number else f' (line {begin})'} of {str(path)!r}"
        try:
            fields = next(reader, None)
        except csv.Error as error:
            raise ValueError(
                f"{where} breaks the rules of quotes ({error}): a text with quotes or line ends "
                'inside goes between quotes, and a quote inside is written twice: "a ""b"" c"'
            ) from None
        if fields is None:
            return
        if fields:
            yield _Row(where, fields)


def _equally_long(rows: list[_Row]) -> bool:
    return all(len(row.fields) == len(rows[0].fields) for row in rows)


def _is_quoted(field: str) -> bool:
    if len(field) < 2 or not (field[0] == field[-1] == '"'):
        return False
    return '"' not in field[1:-1].replace('""', "")


def _unquote(field: str) -> str:
    return field[1:-1].replace('""', '"') if _is_quoted(field) else field


def _no_column(where: str, name: str, columns: list[str]) -> ValueError:
    short = [column if len(column) <= 40 else f"{column[:40]}..." for column in columns]
    listed = shortened(", ".join(map(repr, short)) or "none")
    return ValueError(
        f"{where} has no column {name!r}, it has {listed}: say "
        "which column holds what with text_field= and label_field="
    )
