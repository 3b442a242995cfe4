"""Against SciPy's correlations and gensim's evaluation on the same vectors and files."""

import numpy as np
import pytest

from minillm.evaluation import evaluate_word_analogies, evaluate_word_pairs, spearman
from minillm.evaluation.word_vectors import pearson
from minillm.models import KeyedVectors

stats = pytest.importorskip("scipy.stats")
pytestmark = pytest.mark.interop


@pytest.mark.parametrize("seed", range(5))
def test_correlations_are_scipys(seed):
    generator = np.random.default_rng(seed)
    x, y = generator.integers(0, 12, (2, 30)), generator.normal(size=30)
    assert spearman(x[0], y) == pytest.approx(stats.spearmanr(x[0], y)[0])
    assert spearman(x[0], x[1]) == pytest.approx(stats.spearmanr(x[0], x[1])[0])
    assert pearson(x[0], y) == pytest.approx(stats.pearsonr(x[0], y)[0])


@pytest.fixture
def both(tmp_path):
    gensim_vectors = pytest.importorskip("gensim.models.keyedvectors")
    generator = np.random.default_rng(0)
    pairs = [(f"{stem}a", f"{stem.upper()}b") for stem in "cdefghijkl"]
    words = [word for pair in pairs for word in pair]
    stems = generator.normal(size=(10, 1, 8)).repeat(2, axis=1)
    stems[:, 1] += generator.normal(size=8)  # what makes b of a
    vectors = (stems + 0.6 * generator.normal(size=stems.shape)).reshape(20, 8)
    theirs = gensim_vectors.KeyedVectors(8)
    theirs.add_vectors(words, vectors.astype(np.float32))
    return KeyedVectors(words, vectors), theirs, pairs


def test_word_pairs_are_gensims(both, tmp_path):
    ours, theirs, _ = both
    words = [*ours.index_to_key, "unknown"]
    generator = np.random.default_rng(1)
    lines = [f"{a}\t{b}\t{generator.integers(0, 10)}" for a, b in generator.choice(words, (60, 2))]
    (tmp_path / "pairs.tsv").write_text("# a comment\n" + "\n".join(lines) + "\n")
    found = evaluate_word_pairs(ours, tmp_path / "pairs.tsv")
    (r, _), rho, missing = theirs.evaluate_word_pairs(str(tmp_path / "pairs.tsv"))
    assert found.pearson == pytest.approx(r)
    assert found.spearman == pytest.approx(rho[0])
    assert 100 * found.missing / (found.missing + found.pairs) == pytest.approx(missing)


@pytest.mark.parametrize("restrict_vocab", [300_000, 12])
def test_analogies_are_gensims(both, tmp_path, restrict_vocab):
    ours, theirs, pairs = both
    lines = [": first"]
    for i, (a, b) in enumerate(pairs):
        lines += [f"{a} {b} {c} {d}" for c, d in pairs if c != a]
        if i == 4:
            lines += [": second", "ca cb unknown cd"]
    (tmp_path / "questions.txt").write_text("\n".join(lines) + "\n")
    found = evaluate_word_analogies(ours, tmp_path / "questions.txt", restrict_vocab)
    score, sections = theirs.evaluate_word_analogies(
        str(tmp_path / "questions.txt"), restrict_vocab
    )
    for section in sections[:-1]:
        group = found[section["section"]]
        assert group.correct == len(section["correct"])
        assert group.total == len(section["correct"]) + len(section["incorrect"])
    assert found["total"].accuracy == pytest.approx(score)
    assert 0 < found["total"].correct < found["total"].total
