"""The points of the curves, and the classes that are confused."""

import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_curve, roc_curve

from ecg.evaluation.names import QUESTION_TITLES
from ecg.evaluation.questions import select_question

POINTS = 1000  # of a curve, at most: more show the same


def thinned(points: dict[str, np.ndarray]) -> pd.DataFrame:
    """Return the points of a curve, of very many some, evenly, both ends among them."""
    table = pd.DataFrame(points)
    return table.iloc[np.linspace(0, len(table) - 1, min(len(table), POINTS)).astype(int)]


def curves(test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the points of the ROC and the precision-recall curve of each question that the test split answers."""
    roc, precision_recall = [], []
    for question, title in QUESTION_TITLES.items():
        positive, score, _ = select_question(test, question)
        if positive.all():
            continue
        false, true, threshold = roc_curve(positive, score)
        # The first point's threshold is infinite: no score is above it.
        points = {"fpr": false, "tpr": true, "threshold": np.where(np.isinf(threshold), 1, threshold)}
        roc.append(thinned({"question": title} | points))
        precision, recall, threshold = precision_recall_curve(positive, score, drop_intermediate=True)
        points = {"recall": recall, "precision": precision, "threshold": np.append(threshold, 1)}
        precision_recall.append(thinned({"question": title} | points))
    return pd.concat(roc).round(6), pd.concat(precision_recall).round(6)


def confusion(test: pd.DataFrame) -> pd.DataFrame:
    """Return the actual and the most probable class of each test record."""
    columns = [column for column in test if column.startswith("p_")]
    predicted = np.array([column[2:] for column in columns])[test[columns].to_numpy().argmax(axis=1)]
    return pd.DataFrame({"actual": test.label.to_numpy(), "predicted": predicted})
