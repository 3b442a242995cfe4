"""The report is laid out to the letter as scikit-learn's users know it."""

import pytest

from minillm.evaluation import classification_report

NUMBERS = """\
              precision    recall  f1-score   support

           0       0.67      0.67      0.67         3
           1       0.33      0.50      0.40         2
          10       0.00      0.00      0.00         1

    accuracy                           0.50         6
   macro avg       0.33      0.39      0.36         6
weighted avg       0.44      0.50      0.47         6
"""
CHOSEN = """\
                      precision    recall  f1-score   support

          unheard of     0.0000    0.0000    0.0000         0
a rather long answer     0.6667    0.6667    0.6667         3

           micro avg     0.6667    0.6667    0.6667         3
           macro avg     0.3333    0.3333    0.3333         3
        weighted avg     0.6667    0.6667    0.6667         3
"""
NOTHING_RIGHT = """\
              precision    recall  f1-score   support

          no          0         0         0       1.0
         yes          0         0         0       2.0

    accuracy                              0       3.0
   macro avg          0         0         0       3.0
weighted avg          0         0         0       3.0
"""


def test_numbers():
    assert classification_report([0, 0, 0, 1, 1, 10], [0, 0, 1, 1, 0, 1]) == NUMBERS


def test_chosen_labels_with_names():
    """A class is missing: no accuracy, but the micro average of those chosen."""
    report = classification_report(
        ["a", "a", "a", "b", "b", "c"],
        ["a", "a", "b", "b", "a", "b"],
        labels=["z", "a"],
        target_names=["unheard of", "a rather long answer"],
        digits=4,
    )
    assert report == CHOSEN


def test_nothing_right():
    report = classification_report(["no", "yes", "yes"], ["yes", "no", "no"], digits=0)
    assert report == NOTHING_RIGHT


def test_all_labels_and_one_more():
    """Nothing is left out: the accuracy stands there, as without `labels`."""
    y_true, y_pred = [0, 0, 0, 1, 1, 10], [0, 0, 1, 1, 0, 1]
    report = classification_report(y_true, y_pred, labels=[0, 1, 10, 2])
    for line in NUMBERS.splitlines()[:7]:  # the averages are over one class more
        assert line in report.splitlines()


def test_many_digits_widen_the_first_column():
    report = classification_report([0, 1], [0, 1], digits=20)
    assert (
        report.splitlines()[2] == " " * 19 + "0  " + "1.00000000000000000000 " * 3 + " " * 8 + "1"
    )


def test_zero_division():
    report = classification_report([0, 0], [0, 1], zero_division=float("nan"))
    assert "           1       0.00       nan      0.00         0\n" in report


def test_names_that_do_not_fit():
    with pytest.raises(ValueError, match=r"3 target_names for the 2 labels \[0, 1\].*give labels"):
        classification_report([0, 1], [1, 1], target_names=["a", "b", "c"])
