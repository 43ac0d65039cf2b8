"""The points of the curves, and what happens at thresholds of p(ischemia)."""

import numpy as np
import pandas as pd

from ecg.evaluation.names import QUESTION_TITLES
from ecg.evaluation.questions import select_question

POINTS = 1000  # of a curve, at most: more show the same
THRESHOLDS = np.arange(1, 51) / 100  # of net benefit: above 50% a false alarm would weigh more than a miss
BINS = (np.arange(41) / 40) ** 2  # of p(ischemia), equally wide on a square root axis


def thinned(table: pd.DataFrame) -> pd.DataFrame:
    """Return the points of a curve, of very many some, evenly, both ends among them."""
    return table.iloc[np.linspace(0, len(table) - 1, min(len(table), POINTS)).astype(int)]


def curves(test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the points of the ROC and the precision-recall curve of each question that the test records answer.

    Without the points that lie on a straight line between others, and those where only precision falls.
    """
    from sklearn.metrics import precision_recall_curve, roc_curve

    empty = np.array([])
    roc = [pd.DataFrame({"question": "", "fpr": empty, "tpr": empty, "threshold": empty})]
    precision_recall = [pd.DataFrame({"question": "", "recall": empty, "precision": empty, "threshold": empty})]
    for question, title in QUESTION_TITLES.items():
        positive, score, _ = select_question(test, question)
        if not 0 < positive.sum() < len(positive):
            continue
        fpr, tpr, threshold = roc_curve(positive, score)
        # The first threshold is infinite: nobody is called.
        points = {"fpr": fpr, "tpr": tpr, "threshold": threshold.clip(max=1)}
        roc.append(thinned(pd.DataFrame({"question": title} | points)))
        precision, recall, threshold = precision_recall_curve(positive, score, drop_intermediate=True)
        points = {"recall": recall, "precision": precision, "threshold": np.append(threshold, 1)}
        precision_recall.append(thinned(pd.DataFrame({"question": title} | points)))
    return pd.concat(roc).round(6), pd.concat(precision_recall).round(6)


def confusion(test: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """Return for each label how many test records are called ischemic, and how many are not."""
    called = (test.p_ischemia >= threshold).groupby(test.label).agg(["sum", "size"])
    return pd.DataFrame({"called": called["sum"], "not_called": called["size"] - called["sum"]}).reset_index()


def net_benefit(positive: np.ndarray, p: np.ndarray) -> pd.DataFrame:
    """Return the net benefit of the model, of calling all and of calling none, at each of `THRESHOLDS`.

    True positives a record, less false positives weighted by the odds of the threshold (Vickers & Elkin 2006).
    """

    def benefit(called: np.ndarray) -> np.ndarray:
        return (called & positive).mean(axis=1) - (called & ~positive).mean(axis=1) * THRESHOLDS / (1 - THRESHOLDS)

    called = p >= THRESHOLDS[:, None]
    everyone = benefit(np.ones_like(called))
    return pd.DataFrame({"threshold": THRESHOLDS, "model": benefit(called), "all": everyone, "none": 0.0})


def distribution(test: pd.DataFrame) -> pd.DataFrame:
    """Return how many test records of each label have p(ischemia) in each of `BINS`."""
    bins = {"bin_low": BINS[:-1], "bin_high": BINS[1:]}
    groups = test.groupby("label").p_ischemia
    return pd.concat([pd.DataFrame({"label": name} | bins | {"n": np.histogram(p, BINS)[0]}) for name, p in groups])
