"""The pictures hold what they were given: read back from SVG, where text stays text."""

import re

import numpy as np
import pytest

from minillm.evaluation import (
    accuracy_score,
    bootstrap_interval,
    confusion_matrix,
    expected_calibration_error,
    roc_auc_score,
)
from minillm.evaluation.classification_pictures import (
    plot_calibration,
    plot_confusion_matrix,
    plot_fitting,
    plot_learning_curves,
    plot_roc,
)

matplotlib = pytest.importorskip("matplotlib")


@pytest.fixture
def read(tmp_path):
    """draw(function, *arguments) -> the texts of the picture."""

    def draw(function, *arguments, **options):
        path = tmp_path / "picture.svg"
        with matplotlib.rc_context({"svg.fonttype": "none"}):
            function(*arguments, path, **options)
        return re.findall(r"<text[^>]*>([^<]*)</text>", path.read_text(encoding="utf-8"))

    return draw


def test_confusion_matrix(read):
    matrix = confusion_matrix([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 0, 1])
    texts = read(plot_confusion_matrix, matrix, ["bad", "middling", "good"])
    for name in ("bad", "middling", "good", "true", "predicted"):
        assert name in texts
    assert texts.count("66.7%") == 1 and texts.count("33.3%") == 1  # the row of 0
    assert texts.count("50.0%") == 2  # of 1
    assert texts.count("100.0%") == 1  # of 2
    with pytest.raises(ValueError, match=r"shape \(3, 3\) for 2 names"):
        read(plot_confusion_matrix, matrix, ["bad", "good"])


def test_a_class_without_rows_is_an_empty_row(read):
    assert read(plot_confusion_matrix, [[0, 0], [1, 3]], ["never", "often"]).count("0.0%") == 2


def test_roc(read):
    rng = np.random.default_rng(0)
    y_true = np.array(["no", "yes"])[np.arange(40) % 2]
    good, bad = (y_true == "yes") + rng.normal(size=40), rng.normal(size=40)
    texts = read(plot_roc, y_true, {"good": good, "bad": bad}, pos_label="yes")
    for name, scores in (("good", good), ("bad", bad)):
        assert f"{name}: AUC {roc_auc_score(y_true, scores):.3f}" in texts
    # Of the other label the same scores are as bad as they were good.
    texts = read(plot_roc, y_true, {"good": good}, pos_label="no")
    (area,) = (float(text[-5:]) for text in texts if text.startswith("good: AUC "))
    assert area == pytest.approx(1 - roc_auc_score(y_true, good), abs=0.001)
    with pytest.raises(ValueError, match="needs two classes"):
        read(plot_roc, [1, 1], {"good": [0.1, 0.2]})
    with pytest.raises(ValueError, match="nothing to draw"):
        read(plot_roc, [0, 1], {})


def test_calibration(read):
    rng = np.random.default_rng(0)
    y_true = rng.integers(0, 3, 60)
    p = rng.dirichlet([1, 1, 1], 60)
    texts = read(plot_calibration, y_true, {"three classes": p, "sure": np.eye(3)[y_true]})
    assert f"three classes: ECE {expected_calibration_error(y_true, p):.3f}" in texts
    assert "sure: ECE 0.000" in texts
    with pytest.raises(ValueError, match=r"\[0, 1\] is nan"):
        read(plot_calibration, [0], {"broken": [[0.5, np.nan]]})


def test_learning_curves(read):
    y_true, y_pred = np.arange(30) % 2, (np.arange(30) % 3 == 0).astype(int)
    interval = bootstrap_interval(accuracy_score, y_true, y_pred, 100)
    point = (1000, accuracy_score(y_true, y_pred), *interval)
    texts = read(
        plot_learning_curves, {"pretrained": [(100, 0.8, 0.7, 0.85), point], "scratch": [point]}
    )
    for text in ("pretrained", "scratch", "100", "1,000", "labelled examples", "accuracy"):
        assert text in texts
    for points, message in (
        ([(100, 0.8, 0.85, 0.9)], "low <= mean <= high"),
        ([(0, 0.8, 0.7, 0.9)], "examples >= 1"),
        ([(100, np.nan, 0.7, 0.9)], r"\[0, 1\] is nan"),
        ([(100, 0.8)], "examples, mean, low, high"),
        ([], "is empty"),
    ):
        with pytest.raises(ValueError, match=message):
            read(plot_learning_curves, {"model": points})


def test_fitting(read):
    training = [(1, 0.6), (2, 0.3), (3, 0.1)]
    validation = [(1, 0.65), (2, 0.5), (3, 0.7)]
    lines = {"training": training, "validation": validation}
    texts = read(plot_fitting, {"plain": lines, "with dropout": lines}, ylabel="log loss")
    for text in ("plain", "with dropout", "training", "validation", "epoch", "log loss"):
        assert text in texts
    assert texts.count("training") == 2
    with pytest.raises(ValueError, match=r"runs\['plain'\]\['training'\]\[1, 1\] is nan"):
        read(plot_fitting, {"plain": {"training": [(1, 0.6), (2, np.nan)]}})
    with pytest.raises(ValueError, match=r"a list of \(x, y\)"):
        read(plot_fitting, {"plain": {"training": [0.6, 0.3]}})
    with pytest.raises(ValueError, match="best='max'"):
        read(plot_fitting, {"plain": lines}, best="max")


def test_the_dotted_line_of_fitting_stands_at_the_best_epoch(tmp_path):
    """The line is the only dotted one; its place is read back from the path that is drawn."""
    places = {}
    for epoch in (1, 2, 3):
        validation = [(x, 0.9 if x == epoch else 0.5) for x in (1, 2, 3)]
        upside_down = [(x, -y) for x, y in validation]
        for best, line in (("highest", validation), ("lowest", upside_down)):
            path = tmp_path / "picture.svg"
            plot_fitting({"run": {"validation": line}}, path, best=best)
            (x,) = re.findall(r'd="M ([\d.]+) [^"]*"[^>]*stroke-dasharray', path.read_text())
            places[epoch, best] = float(x)
    for best in ("highest", "lowest"):
        assert places[1, best] < places[2, best] < places[3, best]


def test_no_figure_stays_open_and_png_works(tmp_path):
    plot_fitting({"plain": {"training": [(1, 0.6), (2, 0.3)]}}, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    assert matplotlib.pyplot.get_fignums() == []
