"""ROC AUC. Arrays in, numbers out."""

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
