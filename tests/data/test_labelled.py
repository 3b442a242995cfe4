"""Labelled texts come as they were written; what is wrong with a file is said with its place."""

import csv
import gzip
import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.data import LabelledTexts, document_key, open_labelled

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1).filter(
    lambda text: text.strip()
)
LABELS = ["bad", "fine", "good"]
ROWS = st.lists(st.tuples(TEXT, st.sampled_from(LABELS)), min_size=2).filter(
    lambda rows: len({label for _, label in rows}) > 1
)


@pytest.fixture
def write(tmp_path):
    """A function: name of a file, its content -> its path."""

    def write_file(name: str, content: str | bytes):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return path

    return write_file


def examples(data: LabelledTexts) -> list[tuple[str, str]]:
    return [(text, data.label_names[label]) for text, label in data]


# ------------------------------------------------------------------------------------------ files


@given(rows=ROWS, delimiter=st.sampled_from([",", "\t"]), quoting=st.sampled_from([0, 1]))
def test_what_a_csv_writer_wrote_is_read(tmp_path_factory, rows, delimiter, quoting):
    """Commas, tabs, quotes and line ends inside a text; every field quoted, or where it must be."""
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter, quoting=quoting, lineterminator="\r\n")
    writer.writerow(["id", "text", "label"])
    writer.writerows([i, text, label] for i, (text, label) in enumerate(rows))
    path = tmp_path_factory.mktemp("table") / ("a.csv" if delimiter == "," else "a.tsv")
    path.write_text(file.getvalue(), encoding="utf-8", newline="")
    assert examples(open_labelled(path)) == rows


@given(rows=ROWS)
def test_a_tsv_without_quoting_is_read_as_it_stands(tmp_path_factory, rows):
    """Quote marks are text, wherever they stand, so long as one field shows it."""
    rows = [(text.replace("\t", " ").replace("\n", " "), label) for text, label in rows]
    rows = [(text, label) for text, label in rows if text.strip()]
    rows += [('"to begin with', "bad"), ("a fine ending", "good")]
    lines = ["text\tlabel"] + [f"{text}\t{label}" for text, label in rows]
    path = tmp_path_factory.mktemp("table") / "a.tsv"
    path.write_text("\n".join(lines), encoding="utf-8", newline="")
    assert examples(open_labelled(path)) == rows


@given(rows=ROWS, compressed=st.booleans(), ascii=st.booleans())
def test_json_lines_are_read(tmp_path_factory, rows, compressed, ascii):
    lines = [json.dumps({"label": label, "text": text}, ensure_ascii=ascii) for text, label in rows]
    content = "\n\n".join(lines).encode("utf-8")
    path = tmp_path_factory.mktemp("lines") / ("a.jsonl.gz" if compressed else "a.jsonl")
    path.write_bytes(gzip.compress(content) if compressed else content)
    assert examples(open_labelled(path)) == rows


def test_a_compressed_table_is_read(write):
    path = write("a.csv.gz", gzip.compress(b"label,text\nno,dull\nyes,bright\n"))
    assert examples(open_labelled(path)) == [("dull", "no"), ("bright", "yes")]


def test_the_columns_are_found_by_name_in_any_order(write):
    path = write("a.csv", "stars, sentence ,n,verdict\n1,dull,7,no\n9,bright,8,yes\n")
    data = open_labelled(path, text_field="sentence", label_field="verdict")
    assert examples(data) == [("dull", "no"), ("bright", "yes")]


def test_two_columns_without_a_header_are_understood_in_either_order(write):
    rows = [("很好", "positive"), ('"很差', "negative"), ('最"好"', "positive"), ("差", "negative")]
    text_first = write("a.tsv", "".join(f"{text}\t{label}\n" for text, label in rows))
    label_first = write("b.tsv", "".join(f"{label}\t{text}\n" for text, label in rows))
    assert examples(open_labelled(text_first)) == rows
    assert examples(open_labelled(label_first)) == rows


def test_a_header_that_is_not_understood_is_no_example(write):
    path = write("a.csv", "review,sentiment\ndull,no\nbright,yes\nclear,yes\ndark,no\n")
    message = r"a\.csv' has no column 'text', it has 'review', 'sentiment': .*text_field="
    with pytest.raises(ValueError, match=message):
        open_labelled(path)
    with pytest.raises(ValueError, match="no column 'label'"):
        open_labelled(path, text_field="review")


def test_a_quote_mark_does_not_swallow_the_rows_behind_it(write):
    """Rows 2 and 4 begin and end with a quote mark: read as quotes, they would be one row."""
    lines = ["text\tlabel", '"dull\tno', "bright\tyes", 'dark"\tno', "light\tyes"]
    path = write("a.tsv", "\n".join(lines))
    assert [text for text, _ in open_labelled(path)] == ['"dull', "bright", 'dark"', "light"]


def test_a_very_long_text_is_read(write):
    text = "word " * 100_000
    path = write("a.csv", f"text,label\n{text},yes\nshort,no\n")
    assert open_labelled(path).texts[0] == text


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl"])
def test_each_kind_of_file_gives_the_same(write, ending):
    rows = [("a, b", "x"), ("好", "y"), ("c\u2028d", "x")]
    if ending == "jsonl":
        content = "".join(json.dumps({"text": t, "label": y}) + "\n" for t, y in rows)
    else:
        delimiter = "," if ending == "csv" else "\t"
        content = f"text{delimiter}label\n"
        content += "".join(f'"{text}"{delimiter}{label}\n' for text, label in rows)
    assert examples(open_labelled(write(f"a.{ending}", content))) == rows


# ---------------------------------------------------------------------------------------- folders


@pytest.fixture
def acl_imdb(write, tmp_path):
    """A small aclImdb: two classes of three reviews, two films."""
    for part in ("train", "test"):
        for name in ("neg", "pos"):
            for i in range(3):
                write(f"aclImdb/{part}/{name}/{i}_{i + 1}.txt", f"{part} {name} {i}<br />end")
            films = "http://film/1/usercomments\n" * 2 + "http://film/2/usercomments\n"
            write(f"aclImdb/{part}/urls_{name}.txt", films)
    write("aclImdb/train/unsup/0_0.txt", "no label")
    write("aclImdb/train/labeledBow.feat", "9 0:9 1:1")
    write("aclImdb/README", "Large Movie Review Dataset")
    return tmp_path / "aclImdb"


@pytest.mark.parametrize("inside", [".", "train"])
def test_acl_imdb_is_its_training_part_without_unlabelled_reviews(acl_imdb, inside):
    data = open_labelled(acl_imdb / inside)
    assert data.label_names == ["neg", "pos"]
    assert data.texts == [f"train {y} {i}<br />end" for y in ("neg", "pos") for i in range(3)]
    assert data.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.name == ("train" if inside == "train" else "aclImdb")


def test_the_films_of_acl_imdb_are_groups(acl_imdb):
    groups = open_labelled(acl_imdb / "test").groups
    assert (groups == groups[0]).tolist() == [True, True, False, True, True, False]
    assert groups[2] == groups[5]


def test_the_order_of_classes_can_be_given(acl_imdb):
    data = open_labelled(acl_imdb / "train", label_names=["pos", "neg"])
    assert data.label_names == ["pos", "neg"]
    assert data.labels.tolist() == [1, 1, 1, 0, 0, 0]
    with pytest.raises(ValueError, match=r"label 'neg' in '.*0_1\.txt' is not in label_names"):
        open_labelled(acl_imdb / "train", label_names=["pos", "negative"])


def test_classes_named_train_are_classes(write, tmp_path):
    write("vehicles/train/1.txt", "on rails")
    write("vehicles/car/1.txt", "on the road")
    assert open_labelled(tmp_path / "vehicles").label_names == ["car", "train"]


def test_folders_that_hold_no_classes_are_refused(write, tmp_path):
    write("flat/1.txt", "a text")
    with pytest.raises(ValueError, match=r"flat' has no subfolders: a subfolder for each class"):
        open_labelled(tmp_path / "flat")
    write("some/yes/1.txt", "a text")
    write("some/no/picture.png", b"\0")
    with pytest.raises(ValueError, match=r"no text file in '.*some/no'"):
        open_labelled(tmp_path / "some")


def test_a_bad_file_in_a_class_is_named(write, tmp_path):
    write("some/yes/1.txt", "a text")
    write("some/no/7.txt", b"caf\xe9")
    with pytest.raises(ValueError, match=r"no/7\.txt' is not UTF-8: byte 0xe9.*line 1"):
        open_labelled(tmp_path / "some")
    write("some/no/7.txt", "")
    with pytest.raises(ValueError, match=r"no/7\.txt' is empty"):
        open_labelled(tmp_path / "some")


# ----------------------------------------------------------------------------------------- labels


@pytest.mark.parametrize(
    "labels, names",
    [
        (["1", "0"], ["0", "1"]),
        (["10", "9", "-1"], ["-1", "9", "10"]),  # by size, not as text
        (["10", "9", "x"], ["10", "9", "x"]),
        (["pos", "neg"], ["neg", "pos"]),
    ],
)
def test_label_names_are_sorted_whole_numbers_by_size(write, labels, names):
    lines = "".join(f"text {i},{label}\n" for i, label in enumerate(labels))
    data = open_labelled(write("a.csv", "text,label\n" + lines))
    assert data.label_names == names
    assert [data.label_names[label] for label in data.labels] == labels


def test_json_labels_may_be_numbers_or_truth_values(write):
    lines = '{"text": "a", "label": 1}\n{"text": "b", "label": "0"}\n{"text": "c", "label": true}'
    assert [label for _, label in examples(open_labelled(write("a.jsonl", lines)))] == [
        *("1", "0", "true")
    ]


def test_given_label_names_fix_the_numbers(write):
    path = write("a.csv", "text,label\na,1\nb, 0 \n")
    assert open_labelled(path, label_names=["1", "0"]).labels.tolist() == [0, 1]
    message = r"label '1' in row 2 of .*a\.csv' is not in label_names, 'no', 'yes' were expected"
    with pytest.raises(ValueError, match=message):
        open_labelled(path, label_names=["no", "yes"])
    with pytest.raises(ValueError, match="class '2' has no example in .*labels there are '0', '1'"):
        open_labelled(path, label_names=["0", "1", "2"])
    with pytest.raises(TypeError, match="label_names='01': a list"):
        open_labelled(path, label_names="01")
    with pytest.raises(ValueError, match="each name may come once"):
        open_labelled(path, label_names=["0", "0"])


def test_a_group_column_says_what_belongs_together(write):
    path = write("a.csv", "film,text,label\nM,a,1\nK,b,0\nM,c,0\n,d,1\n,e,0\n")
    groups = open_labelled(path, group_field="film").groups
    assert groups[0] == groups[2]
    assert len(set(groups.tolist())) == 4  # rows without a film are each by themselves
    assert open_labelled(path).groups is None
    with pytest.raises(ValueError, match="no column 'actor'"):
        open_labelled(path, group_field="actor")
    lines = write("a.jsonl", '{"text":"a","label":1,"film":3}\n{"text":"b","label":0,"film":3}')
    assert open_labelled(lines, group_field="film").groups.tolist() == [0, 0]


# ----------------------------------------------------------------------------------------- errors

BAD_FILES = {
    "an empty file": ("a.csv", "", r"a\.csv' is empty"),
    "blank lines only": ("a.tsv", "\n\n", "nothing but blank lines"),
    "a header only": ("a.csv", "text,label\n", "no example in .*only the names of columns"),
    "blank JSON lines": ("a.jsonl", "\n \n", "no example in"),
    "no such column": ("a.csv", "text,mark\na,1\n", "no column 'label', it has 'text', 'mark'"),
    "no such field": ("a.jsonl", '{"text": "a", "mark": 1}', r"row 1 of .*'label', it has 'text'"),
    "a row too short": (
        "a.csv",
        "text,label\na,1\nb\n",
        r"row 3 of .*1 columns, the first row .*2",
    ),
    "a row too long": ("a.csv", "text,label\na,1\nb, c,0\n", "row 3 of .*3 columns.*comma"),
    "a TSV row too short": ("a.tsv", "text\tlabel\na\t1\nb 0\n", "row 3 of .*has 1 columns"),
    "an open quote": ("a.csv", 'text,label\na,1\n"b,0\nc,1\n', "row 3 of .*rules of quotes"),
    "after many lines": ("a.csv", 'text,label\n"a\n\nb",1\nc\n', r"row 3 \(line 5\) of"),
    "an empty text": ("a.csv", "text,label\na,1\n  ,0\n", r"text in row 3 of .*a\.csv' is empty"),
    "an empty JSON text": ("a.jsonl", '{"text":"","label":1}', "text in row 1 of .* is empty"),
    "an empty label": ("a.csv", "text,label\na,1\nb,\n", "label in row 3 of .* is empty"),
    "one class": ("a.csv", "text,label\na,1\nb,1\n", "all 2 examples .* label '1'.*two classes"),
    "no JSON": ("a.jsonl", '{"text":"a","label":1}\n{"text', "row 2 of .* is not JSON"),
    "no object": ("a.jsonl", "[1, 2]", "row 1 of .* is a list, a JSON object"),
    "a number for a text": ("a.jsonl", '{"text":5,"label":1}', "row 1 .*'text' is int, a text"),
    "a null label": ("a.jsonl", '{"text":"a","label":null}', "row 1 of .*label null"),
    "a fraction for a label": ("a.jsonl", '{"text":"a","label":0.5}', "label 0.5 .*whole number"),
    "UTF-16": ("a.csv", "text,label".encode("utf-16"), "UTF-16.*iconv"),
    "another kind of file": ("a.parquet", "PAR1", r"a\.parquet': labelled texts come as \.csv"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_gets_one_line_that_names_the_place(write, case):
    name, content, message = BAD_FILES[case]
    with pytest.raises(ValueError, match=message) as caught:
        open_labelled(write(name, content))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl"])
def test_broken_utf8_in_row_17_is_named(write, ending):
    if ending == "jsonl":
        lines = [b'{"text": "fine", "label": %d}' % (i % 2) for i in range(20)]
    else:
        delimiter = b"," if ending == "csv" else b"\t"
        lines = [b"text%slabel" % delimiter]
        lines += [b"fine%s%d" % (delimiter, i % 2) for i in range(20)]
    lines[16] = lines[16].replace(b"fine", b"caf\xe9")
    with pytest.raises(ValueError, match=rf"a\.{ending}' is not UTF-8: byte 0xe9 .*line 17"):
        open_labelled(write(f"a.{ending}", b"\n".join(lines)))


def test_a_missing_file_is_no_unknown_kind_of_file(tmp_path):
    for name in ("a.csv", "a.jsonl", "folder"):
        with pytest.raises(FileNotFoundError, match=f"no file or folder .*{name}"):
            open_labelled(tmp_path / name)


# ------------------------------------------------------------------------------- in memory


@given(st.lists(st.tuples(TEXT, st.integers(0, 2))), st.data())
def test_a_subset_is_the_rows_asked_for(rows, draw):
    data = LabelledTexts([text for text, _ in rows], [y for _, y in rows], LABELS, groups=None)
    assert list(data) == rows
    assert data.counts().tolist() == [sum(y == c for _, y in rows) for c in range(3)]
    indices = draw.draw(st.lists(st.integers(0, len(rows) - 1)) if rows else st.just([]))
    assert list(data.subset(indices)) == [rows[i] for i in indices]
    mask = np.array([i in indices for i in range(len(rows))], dtype=bool)
    assert list(data.subset(mask)) == [rows[i] for i in sorted(set(indices))]


def test_keys_groups_and_names_come_along_into_a_subset():
    data = LabelledTexts(
        ["A film.", "b", "a film", "c"], [0, 1, 0, 1], ["x", "y"], "d", [5, 6, 7, 6]
    )
    assert data.keys().tolist() == [document_key(text) for text in data.texts]
    assert data.text_groups()[0] == data.text_groups()[2]
    assert len(set(data.text_groups().tolist())) == 3
    part = data.subset([3, 2, 0])
    assert (part.label_names, part.name) == (["x", "y"], "d")
    assert part.groups.tolist() == [6, 7, 5]
    assert part.keys().tolist() == [document_key(text) for text in ("c", "a film", "A film.")]


def test_a_fingerprint_changes_with_everything():
    variants = [
        LabelledTexts(["ab", "c"], [0, 1], ["x", "y"]),
        LabelledTexts(["a", "bc"], [0, 1], ["x", "y"]),
        LabelledTexts(["c", "ab"], [0, 1], ["x", "y"]),
        LabelledTexts(["ab", "c"], [1, 0], ["x", "y"]),
        LabelledTexts(["ab", "c"], [0, 1], ["x", "z"]),
    ]
    assert len({data.fingerprint() for data in variants}) == len(variants)
    again = LabelledTexts(["ab", "c"], np.array([0, 1], dtype=np.int8), ["x", "y"], "name")
    assert again.fingerprint() == variants[0].fingerprint()


def test_what_does_not_fit_together_is_refused():
    with pytest.raises(ValueError, match=r"labels of shape \(1,\) for 2 texts"):
        LabelledTexts(["a", "b"], [0], ["x", "y"])
    with pytest.raises(ValueError, match=r"label 2 of text 1 has no name: .* are 0 to 1"):
        LabelledTexts(["a", "b"], [0, 2], ["x", "y"])
    with pytest.raises(TypeError, match="labels are float64"):
        LabelledTexts(["a", "b"], [0.0, 1.0], ["x", "y"])
    with pytest.raises(TypeError, match="text 1 is NoneType"):
        LabelledTexts(["a", None], [0, 1], ["x", "y"])
    with pytest.raises(ValueError, match="groups of shape"):
        LabelledTexts(["a", "b"], [0, 1], ["x", "y"], groups=[1])
    with pytest.raises(ValueError, match=r"mask of shape \(1,\) for 2 texts"):
        LabelledTexts(["a", "b"], [0, 1], ["x", "y"]).subset(np.array([True]))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b"text,label\nCaf\xe9,yes\nb,no\n"),
        ("a.tsv", b"text\tlabel\nCaf\xe9\tyes\nb\tno\n"),
        ("a.jsonl", b'{"text": "Caf\xe9", "label": "yes"}\n{"text": "b", "label": "no"}\n'),
        ("a.jsonl", b'{"text": "Caf\\ud83d", "label": "yes"}\n{"text": "b", "label": "no"}\n'),
        (
            "a.jsonl",
            b'{"text": "Caf\xef\xbf\xbd", "label": "yes"}\n{"text": "b", "label": "\\ud83d"}',
        ),
        ("folder/yes/1.txt", b"Caf\xe9"),
    ],
)
def test_what_cannot_be_written_in_utf8_is_an_error_or_replaced(write, name, content):
    path = write(name, content)
    if name.startswith("folder"):
        write("folder/no/1.txt", "b")
        path = path.parents[1]
    with pytest.raises(ValueError, match=r"0xe9|lone surrogate, U\+D83D, at character"):
        open_labelled(path)
    labelled = open_labelled(path, errors="replace")
    assert sorted(labelled.texts) == ["Caf\ufffd", "b"]
    with pytest.raises(ValueError, match="errors='ignore'"):
        open_labelled(path, errors="ignore")
