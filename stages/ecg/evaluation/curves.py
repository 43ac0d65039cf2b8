"""The points of the curves, and the classes that are confused."""

import numpy as np
import pandas as pd

from ecg.evaluation.names import QUESTION_TITLES
from ecg.evaluation.questions import select_question

POINTS = 1000  # of a curve, at most: more show the same


def thinned(table: pd.DataFrame) -> pd.DataFrame:
    """Return the points of a curve, of very many some, evenly, both ends among them."""
    return table.iloc[np.linspace(0, len(table) - 1, min(len(table), POINTS)).astype(int)]


def counts_above(positive: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return how many positives and negatives score at least as high as each threshold, and the thresholds.

    These are 1, for which the counts are 0, and each score once, from the highest.
    """
    order = np.argsort(-score, kind="stable")
    last = np.flatnonzero(np.diff(score[order], append=np.nan))
    positives = np.cumsum(positive[order])[last]
    counts = np.pad(positives, (1, 0)), np.pad(last + 1 - positives, (1, 0))
    return *counts, np.append(1, score[order][last])


def curves(test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the points of the ROC and the precision-recall curve of each question that the test split answers."""
    roc, precision_recall = [], []
    for question, title in QUESTION_TITLES.items():
        positive, score, _ = select_question(test, question)
        if positive.all():
            continue
        true, false, threshold = counts_above(positive, score)
        # No point on a straight line between its neighbours.
        bends = np.pad((np.diff(true, 2) != 0) | (np.diff(false, 2) != 0), 1, constant_values=True)
        rates = {"fpr": false / false[-1], "tpr": true / true[-1]}
        roc.append(thinned(pd.DataFrame({"question": title} | rates | {"threshold": threshold})[bends]))
        # While no positive is added precision only falls: the two ends of that show it. Of no record at all it is 1.
        added = np.diff(true) != 0
        ends = np.pad(added[:-1] | added[1:], 1, constant_values=True)
        rates = {"recall": true / true[-1], "precision": np.append(1, true[1:] / (true + false)[1:])}
        points = pd.DataFrame({"question": title} | rates | {"threshold": threshold})[ends]
        precision_recall.append(thinned(points[::-1]))
    return pd.concat(roc).round(6), pd.concat(precision_recall).round(6)


def confusion(test: pd.DataFrame) -> pd.DataFrame:
    """Return the actual and the most probable class of each test record."""
    columns = [column for column in test if column.startswith("p_")]
    predicted = np.array([column[2:] for column in columns])[test[columns].to_numpy().argmax(axis=1)]
    return pd.DataFrame({"actual": test.label.to_numpy(), "predicted": predicted})
