"""N-grams and their logistic regression against scikit-learn's."""

import numpy as np
import pytest

from minillm.models.naive_bayes import fit_logistic_regression, inverse_lengths, log_count_ratio
from minillm.models.ngrams import NGramVocabulary

text = pytest.importorskip("sklearn.feature_extraction.text")
linear_model = pytest.importorskip("sklearn.linear_model")
pytestmark = pytest.mark.interop

WORDS = "the a film was good bad not very waste joy".split()


def random_texts(n=120):
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 2
    texts = []
    for label in labels:
        tilt = np.linspace(1, 3, len(WORDS)) if label else np.linspace(3, 1, len(WORDS))
        texts.append(" ".join(rng.choice(WORDS, rng.integers(1, 15), p=tilt / tilt.sum())))
    return texts, labels


@pytest.mark.parametrize("n, min_count", [(1, 1), (2, 3), (3, 2)])
def test_count_vectorizer_finds_the_same(n, min_count):
    texts, _ = random_texts()
    theirs = text.CountVectorizer(
        ngram_range=(1, n), min_df=min_count, binary=True, token_pattern=r"\S+"
    )
    expected = theirs.fit_transform(texts).toarray()
    vocabulary = NGramVocabulary.fit(texts, n, min_count)
    assert set(vocabulary.ngrams) == set(theirs.vocabulary_)
    X = vocabulary.transform(texts)
    ours = np.zeros(X.shape, int)
    ours[np.repeat(np.arange(len(texts)), np.diff(X.indptr)), X.indices] = 1
    columns = [theirs.vocabulary_[ngram] for ngram in vocabulary.ngrams]
    np.testing.assert_array_equal(ours, expected[:, columns])


@pytest.mark.parametrize("l2", [0.01, 0.5, 10])
def test_logistic_regression_has_the_same_coefficients(l2):
    texts, labels = random_texts()
    vocabulary = NGramVocabulary.fit(texts, 2, 2)
    X, positive = vocabulary.transform(texts), labels == 1
    r = log_count_ratio(X, positive)
    w, b, minimum = fit_logistic_regression(X, positive, r, l2, tolerance=1e-9, max_iterations=5000)
    features = np.zeros(X.shape)
    features[np.repeat(np.arange(len(texts)), np.diff(X.indptr)), X.indices] = 1
    features *= r * inverse_lengths(X, r)[:, None]
    theirs = linear_model.LogisticRegression(C=1 / l2, tol=1e-10, max_iter=10_000)
    theirs.fit(features, labels)
    np.testing.assert_allclose(w, theirs.coef_[0], atol=1e-4)
    np.testing.assert_allclose(b, theirs.intercept_[0], atol=1e-4)
