"""ROC AUC, and the difference of two. Arrays in, numbers out.

scipy.stats, half a second to import, is imported where it is used: predict does not need it.
"""

import numpy as np


def roc_auc(positive: np.ndarray, score: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Return the ROC AUC: how often a positive scores above a negative, ties counting half (Hanley & McNeil 1982).

    `weights` (... x records) gives each record a multiplicity, one AUC a row; NaN where a class is absent.
    ValueError where a score is not finite.
    """
    if not np.isfinite(score).all():
        raise ValueError("a score is not finite")
    order = np.argsort(score, kind="stable")
    weights = np.ones((1, len(score))) if weights is None else np.atleast_2d(weights)
    first = np.flatnonzero(np.diff(score[order], prepend=np.nan) != 0)
    positives = np.add.reduceat(weights[:, order] * positive[order], first, axis=1, dtype=np.float64)
    negatives = np.add.reduceat(weights[:, order] * ~positive[order], first, axis=1, dtype=np.float64)
    below = np.cumsum(negatives, axis=1) - negatives / 2
    pairs = positives.sum(axis=1) * negatives.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return (positives * below).sum(axis=1) / pairs


def delong(positive: np.ndarray, score: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Return the difference of two scores' ROC AUCs on the same records, and its two-sided p (DeLong et al. 1988).

    By midranks, O(n log n) (Sun & Xu 2014). Takes records as independent: with several a patient, p is too small.
    p is NaN where the two scores rank alike, or fewer than two records are of a class.
    """
    from scipy.stats import norm, rankdata

    m, n = int(positive.sum()), int((~positive).sum())
    v10, v01, aucs = [], [], []
    for values in (score, other):
        ranks = rankdata(values)
        above = (ranks[positive] - rankdata(values[positive])) / n
        below = 1 - (ranks[~positive] - rankdata(values[~positive])) / m
        v10.append(above)
        v01.append(below)
        aucs.append(above.mean())
    difference = float(aucs[0] - aucs[1])
    if min(m, n) < 2:
        return difference, float("nan")
    variance = np.subtract(*v10).var(ddof=1) / m + np.subtract(*v01).var(ddof=1) / n
    return difference, float(2 * norm.sf(abs(difference) / np.sqrt(variance))) if variance > 0 else float("nan")
