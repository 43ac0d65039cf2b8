"""The points of the curves, and what happens at thresholds of p(ischemia)."""

import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_curve, roc_curve

from ecg.evaluation.names import COMPARISON_TITLES
from ecg.model.comparisons import select_comparison

POINTS = 1000  # of a curve, at most: more show the same
THRESHOLDS = np.arange(1, 51) / 100  # of net benefit: above 50% a false alarm would weigh more than a miss
BINS = (np.arange(41) / 40) ** 2  # of p(ischemia), equally wide on a square root axis


def curves(test: pd.DataFrame) -> tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame]]:
    """Return by comparison the points of the ROC and of the precision-recall curve, from where nobody is called on.

    No points where the test records do not answer it. Without those that lie on a straight line between others, and
    those where only precision falls; of very many points every so many, both ends among them.
    """
    roc, precision_recall = {}, {}
    for comparison in COMPARISON_TITLES:
        positive, score, _ = select_comparison(test, comparison)
        fpr = tpr = above = recall = precision = threshold = np.array([])
        if 0 < positive.sum() < len(positive):
            fpr, tpr, above = roc_curve(positive, score)
            precision, recall, threshold = precision_recall_curve(positive, score, drop_intermediate=True)
            threshold = np.append(threshold, 1)
        # The first threshold is infinite: nobody is called.
        roc[comparison] = pd.DataFrame({"fpr": fpr, "tpr": tpr, "threshold": above.clip(max=1)})
        points = pd.DataFrame({"recall": recall, "precision": precision, "threshold": threshold})
        precision_recall[comparison] = points[::-1]
        for lines in (roc, precision_recall):
            n = len(lines[comparison])
            lines[comparison] = lines[comparison].iloc[np.linspace(0, n - 1, min(n, POINTS)).astype(int)]
    return roc, precision_recall


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
