"""Word vectors: neighbours by hand, files that come back bit by bit, files that are damaged."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.models import KeyedVectors

COMPASS = KeyedVectors(
    ["north", "east", "south", "northeast", "zero"],
    [[0, 2], [3, 0], [0, -1], [1, 1], [0, 0]],
)


def test_looking_up():
    assert COMPASS["east"].tolist() == [3, 0]
    assert COMPASS[["south", "north"]].tolist() == [[0, -1], [0, 2]]
    assert COMPASS.vectors.dtype == np.float32
    assert "east" in COMPASS and "up" not in COMPASS
    assert len(COMPASS) == 5 and COMPASS.vector_size == 2
    with pytest.raises(KeyError, match="'up' has no vector"):
        COMPASS["up"]


def test_similarity_is_the_cosine():
    assert COMPASS.similarity("north", "northeast") == pytest.approx(np.sqrt(0.5))
    assert COMPASS.similarity("north", "south") == pytest.approx(-1)
    assert COMPASS.similarity("north", "zero") == 0


def test_neighbours_by_hand():
    found = COMPASS.most_similar("north", topn=3)
    assert [word for word, _ in found] == ["northeast", "east", "zero"]
    assert found[0][1] == pytest.approx(np.sqrt(0.5))
    assert len(COMPASS.most_similar("north")) == 4  # all but itself
    assert COMPASS.most_similar(COMPASS["north"], topn=1)[0][0] == "north"  # a vector is no word
    assert COMPASS.most_similar(["north"], topn=5, restrict_vocab=3)[-1][0] == "south"


def test_an_analogy_by_hand():
    """north + east - south points to between north and northeast; lengths don't count."""
    (best, cosine), *_ = COMPASS.most_similar(["north", "east"], ["south"])
    assert best == "northeast"
    assert cosine == pytest.approx(3 / np.sqrt(10))


def test_what_is_asked_in_vain():
    with pytest.raises(ValueError, match="at least one word"):
        COMPASS.most_similar()
    with pytest.raises(ValueError, match="topn is 0"):
        COMPASS.most_similar("north", topn=0)
    with pytest.raises(ValueError, match="vector of 2 numbers"):
        COMPASS.most_similar(np.zeros(3))
    with pytest.raises(KeyError, match="'up' has no vector"):
        COMPASS.most_similar(["north"], ["up"])
    with pytest.raises(ValueError, match=r"\(2, d\)"):
        KeyedVectors(["a", "b"], [[1.0]])
    with pytest.raises(ValueError, match="'a' is listed twice"):
        KeyedVectors(["a", "a"], [[1.0], [2.0]])


FORMATS = [{"binary": True}, {"binary": False}, {"no_header": True}]


def save(vectors, path, binary=False, no_header=False):
    vectors.save_word2vec_format(path, binary=binary, write_header=not no_header)


NUMBERS = st.floats(width=32, allow_nan=False, allow_infinity=False)
WORDS = st.text(min_size=1).filter(
    lambda w: not any(c in w for c in " \t\n\r\v\f") and w.isprintable()
)


@pytest.mark.parametrize("how", FORMATS)
@given(
    words=st.lists(WORDS, min_size=1, max_size=5, unique=True),
    d=st.integers(2, 4),
    draw=st.data(),
)
def test_files_come_back_bit_by_bit(tmp_path_factory, how, words, d, draw):
    n = len(words) * d
    numbers = draw.draw(st.lists(NUMBERS, min_size=n, max_size=n))
    vectors = np.array(numbers, dtype=np.float32).reshape(-1, d)
    path = tmp_path_factory.mktemp("vectors") / "file"
    save(KeyedVectors(words, vectors), path, **how)
    back = KeyedVectors.load_word2vec_format(path, **how)
    assert back.index_to_key == words
    assert back.vectors.tobytes() == vectors.tobytes()


def test_the_text_format_to_the_letter(tmp_path):
    COMPASS.save_word2vec_format(tmp_path / "v.txt")
    lines = (tmp_path / "v.txt").read_text("utf-8").splitlines()
    assert lines[:3] == ["5 2", "north 0.0 2.0", "east 3.0 0.0"]
    COMPASS.save_word2vec_format(tmp_path / "v.txt", write_header=False)
    assert (tmp_path / "v.txt").read_text("utf-8").splitlines() == lines[1:]


def test_the_binary_format_to_the_letter(tmp_path):
    KeyedVectors(["é", "b"], [[1.0], [-2.0]]).save_word2vec_format(tmp_path / "v", binary=True)
    expected = b"2 1\n\xc3\xa9 \x00\x00\x80\x3f\nb \x00\x00\x00\xc0\n"
    assert (tmp_path / "v").read_bytes() == expected
    (tmp_path / "v").write_bytes(b"2 1\n\xc3\xa9 \x00\x00\x80\x3fb \x00\x00\x00\xc0")  # gensim's
    back = KeyedVectors.load_word2vec_format(tmp_path / "v", binary=True)
    assert back.index_to_key == ["é", "b"] and back.vectors.tolist() == [[1], [-2]]


@pytest.mark.parametrize("how", FORMATS)
def test_only_the_first_words(tmp_path, how):
    save(COMPASS, tmp_path / "v", **how)
    some = KeyedVectors.load_word2vec_format(tmp_path / "v", limit=2, **how)
    assert some.index_to_key == ["north", "east"]
    assert (some.vectors == COMPASS.vectors[:2]).all()


def test_words_of_gloves_largest_file_contain_spaces(tmp_path):
    (tmp_path / "v").write_text("the 1 2\n. . . 3 4\nat name@domain.com 5 6\n")
    vectors = KeyedVectors.load_word2vec_format(tmp_path / "v", no_header=True)
    assert vectors.index_to_key == ["the", ". . .", "at name@domain.com"]


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("word", ["two words", "", "line\nfeed", "tab\t"])
def test_words_that_no_reader_would_get_back_are_not_written(tmp_path, word, binary):
    (tmp_path / "v").write_text("stands")
    with pytest.raises(ValueError, match="white space"):
        KeyedVectors(["a", word], np.ones((2, 2))).save_word2vec_format(tmp_path / "v", binary)
    with pytest.raises(ValueError, match="'b' isn't finite"):
        KeyedVectors(["a", "b"], [[1], [np.nan]]).save_word2vec_format(tmp_path / "v", binary)
    assert [p.name for p in tmp_path.iterdir()] == ["v"]
    assert (tmp_path / "v").read_text() == "stands"


def test_binary_needs_its_header(tmp_path):
    with pytest.raises(ValueError, match="header"):
        COMPASS.save_word2vec_format(tmp_path / "v", binary=True, write_header=False)
    with pytest.raises(ValueError, match="header"):
        KeyedVectors.load_word2vec_format(tmp_path / "v", binary=True, no_header=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "line 1: expected the number of words"),
        (b"the 1 2\n", "no_header=True"),
        (b"0 3\n", "at least 1"),
        (b"-2 3\na 1 2 3\n", "line 1"),
        (b"2 2\na 1 2\n", "too short"),
        (b"2 1\na 1\nb \n", "line 3: expected a word and 1 numbers"),
        (b"999999999 300\na 1\n", "promises 999999999 words of 300"),
        (b"999999999999999 999999999\na 1\n", "promises"),
        (b"1 2\na 1.00\n\n\n", "line 2: expected a word and 2 numbers, got"),
        (b"1 2\n 1 2\n", "line 2: expected a word and 2 numbers"),
        (b"2 2\na 1 2\nb 1 x\n", "line 3: could not convert"),
        (b"2 2\na 1 2\nb 1 nan\n", "line 3: a number is infinite or none"),
        (b"2 2\na 1 2\nb 1 1e99\n", "line 3: a number is infinite or none"),
        (b"1 2\na 1 2\nb 1 2\n", "promises 1 words in line 1, but has more"),
        (b"2 2\na 1.0000 2\n\n", "ends after 1"),
        (b"1 2\n\xff\xfe 1 2\n", "line 2: .* not UTF-8"),
        (b"1 2\na \x00\x01\x02 \x03\x04", "line 2.*binary=True"),
        (b"\x1f\x8b\x08 gzip", "unpack it first"),
    ],
)
def test_damaged_text(tmp_path, content, message):
    (tmp_path / "v.txt").write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        KeyedVectors.load_word2vec_format(tmp_path / "v.txt")
    assert "v.txt" in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no vectors"),
        (b"5 2\na 1 2\n", "word2vec's format"),
        (b"a\n", "line 1"),
        (b"a 1 2\nb 1\n", "line 2: expected a word and 2 numbers"),
    ],
)
def test_damaged_glove(tmp_path, content, message):
    (tmp_path / "v.txt").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        KeyedVectors.load_word2vec_format(tmp_path / "v.txt", no_header=True)


ONE = np.float32(1).tobytes()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "line 1"),
        (b"2 1\na " + ONE + b"\nb ", "too short"),
        (b"2 1\na " + ONE + b"\nbbb" + ONE, "ends after 1"),
        (b"2 1\naaaaaa " + ONE + b"\nb " + ONE[:2], "ends after 1"),
        (b"1 1\na " + ONE + b"\nmore", "4 bytes follow"),
        (b"1 1\n " + ONE + b"..", "word is empty"),
        (b"1 1\na " + np.float32(np.inf).tobytes(), "'a' isn't finite"),
        (b"1 1\n\xff " + ONE, "word 1: .* not UTF-8"),
        (b"100000000 1000000\na " + ONE, "promises 100000000 words"),
        (b"\x1f\x8b\x08", "unpack it first"),
    ],
)
def test_damaged_binary(tmp_path, content, message):
    (tmp_path / "v.bin").write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        KeyedVectors.load_word2vec_format(tmp_path / "v.bin", binary=True)
    assert "v.bin" in str(error.value)


@pytest.mark.parametrize("binary", [False, True])
def test_a_file_cut_off_anywhere_is_noticed(tmp_path, binary):
    """Except within its last number, in text: what is left may be a number, too."""
    vectors = KeyedVectors(["ab", "cd", "ef"], np.full((3, 2), 0.125))
    vectors.save_word2vec_format(tmp_path / "whole", binary)
    whole = (tmp_path / "whole").read_bytes()
    last = len("\n") if binary else len("0.125\n")
    for length in range(len(whole) - last):
        (tmp_path / "part").write_bytes(whole[:length])
        with pytest.raises(ValueError, match="part"):
            KeyedVectors.load_word2vec_format(tmp_path / "part", binary)


def test_old_files_with_words_that_are_not_utf8(tmp_path):
    (tmp_path / "v").write_bytes(b"1 1\nab\xc3 1\n")
    vectors = KeyedVectors.load_word2vec_format(tmp_path / "v", unicode_errors="replace")
    assert vectors.index_to_key == ["ab\ufffd"]


def test_of_a_word_that_comes_twice_the_first_counts(tmp_path):
    (tmp_path / "v").write_text("3 1\na 1\nb 2\na 3\n")
    with pytest.warns(UserWarning, match="'a'"):
        vectors = KeyedVectors.load_word2vec_format(tmp_path / "v")
    assert vectors.index_to_key == ["a", "b"] and vectors.vectors.tolist() == [[1], [2]]


def test_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        KeyedVectors.load_word2vec_format(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="no folder"):
        COMPASS.save_word2vec_format(tmp_path / "none" / "v")
