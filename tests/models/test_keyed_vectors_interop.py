"""gensim opens our files, we open gensim's, and both give the same answers."""

import numpy as np
import pytest

from minillm.models import KeyedVectors

gensim_vectors = pytest.importorskip("gensim.models.keyedvectors")
pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def both():
    """The same 200 words with random vectors, for both libraries."""
    generator = np.random.default_rng(0)
    words = [f"wörd{i}" for i in range(198)] + ["好", "don't"]
    vectors = generator.normal(size=(200, 20)).astype(np.float32) * 10.0 ** generator.integers(
        -8, 8, (200, 1)
    )
    vectors = vectors.astype(np.float32)
    theirs = gensim_vectors.KeyedVectors(20)
    theirs.add_vectors(words, vectors)
    return KeyedVectors(words, vectors), theirs


FORMATS = [(True, True), (False, True), (False, False)]  # binary, header


@pytest.mark.parametrize(("binary", "header"), FORMATS)
def test_gensim_opens_our_files(both, tmp_path, binary, header):
    ours, _ = both
    ours.save_word2vec_format(tmp_path / "v", binary=binary, write_header=header)
    theirs = gensim_vectors.KeyedVectors.load_word2vec_format(
        str(tmp_path / "v"), binary=binary, no_header=not header
    )
    assert theirs.index_to_key == ours.index_to_key
    assert theirs.vectors.tobytes() == ours.vectors.tobytes()


@pytest.mark.parametrize(("binary", "header"), FORMATS)
def test_we_open_gensims_files(both, tmp_path, binary, header):
    ours, theirs = both
    theirs.save_word2vec_format(str(tmp_path / "v"), binary=binary, write_header=header)
    back = KeyedVectors.load_word2vec_format(tmp_path / "v", binary=binary, no_header=not header)
    assert back.index_to_key == ours.index_to_key
    assert back.vectors.tobytes() == ours.vectors.tobytes()


@pytest.mark.parametrize(
    ("positive", "negative"),
    [("wörd3", None), (["wörd3", "好"], ["don't"]), (["wörd3"], ["wörd4", "wörd5"])],
)
def test_the_same_neighbours(both, positive, negative):
    ours, theirs = both
    found = ours.most_similar(positive, negative, topn=7)
    expected = theirs.most_similar(positive, negative, topn=7)
    assert [word for word, _ in found] == [word for word, _ in expected]
    assert [c for _, c in found] == pytest.approx([c for _, c in expected], abs=1e-5)
    restricted = ours.most_similar(positive, negative, topn=7, restrict_vocab=50)
    expected = theirs.most_similar(positive, negative, topn=7, restrict_vocab=50)
    assert [word for word, _ in restricted] == [word for word, _ in expected]
    assert ours.similarity("wörd1", "好") == pytest.approx(
        theirs.similarity("wörd1", "好"), abs=1e-6
    )
