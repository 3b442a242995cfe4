"""A classifier's quality as a text: a line a class, then the averages."""

import numpy as np

from minillm.evaluation.classification import accuracy_score, precision_recall_fscore_support
from minillm.evaluation.inputs import class_list, label_arrays, shown


def classification_report(
    y_true, y_pred, *, labels=None, target_names=None, digits: int = 2, zero_division: float = 0.0
) -> str:
    """Precision, recall, F1 and support of each class and their averages, as scikit-learn prints.

                      precision    recall  f1-score   support

            negative       1.00      0.50      0.67         2
            positive       0.67      1.00      0.80         2

            accuracy                           0.75         4
           macro avg       0.83      0.75      0.73         4
        weighted avg       0.83      0.75      0.73         4

    y_true, y_pred: (N,) labels.  labels: the classes and their order, by default all that occur,
    sorted; if some that occur are missing, the micro average takes the place of the accuracy.
    target_names: what to call them, one a label.  Raises ValueError if the numbers of labels and
    names differ, and what `precision_recall_fscore_support` raises.
    Source: sklearn.metrics.classification_report.
    """
    y_true, y_pred = label_arrays(y_true, y_pred)
    present = np.unique(np.concatenate([y_true, y_pred]))
    classes = present if labels is None else class_list(labels, y_true)
    names = [str(c) for c in classes] if target_names is None else [str(c) for c in target_names]
    if len(names) != len(classes):
        raise ValueError(
            f"{len(names)} target_names for the {len(classes)} labels {shown(classes)}: expected "
            "as many (give labels if not all of the classes occur)"
        )

    def scores(average):
        return precision_recall_fscore_support(
            y_true, y_pred, labels=classes, average=average, zero_division=zero_division
        )

    width = max(*map(len, names), len("weighted avg"), digits)

    def line(name, *cells):
        return f"{name:>{width}s} " + "".join(f" {cell:>9}" for cell in cells) + "\n"

    def row(name, *values, support):
        return line(name, *(f"{value:.{digits}f}" for value in values), support)

    *of_classes, support = scores(None)
    if not (y_true == y_pred).any():
        support = support.astype(np.float64)  # where nothing is right, scikit-learn prints "3.0"
    total = support.sum()
    text = line("", "precision", "recall", "f1-score", "support") + "\n"
    for name, *values, count in zip(names, *of_classes, support, strict=True):
        text += row(name, *values, support=count)
    text += "\n"
    if np.isin(present, classes).all():
        text += line("accuracy", "", "", f"{accuracy_score(y_true, y_pred):.{digits}f}", total)
    else:
        text += row("micro avg", *scores("micro")[:3], support=total)
    text += row("macro avg", *scores("macro")[:3], support=total)
    text += row("weighted avg", *scores("weighted")[:3], support=total)
    return text
