"""The three comparisons: classes, score and ROC AUC; counts, rates and the numbers of a model's reference."""

import numpy as np
import pandas as pd

COMPARISONS = {"roc_auc": ("normal",), "roc_auc_vs_rest": ("normal", "other"), "roc_auc_vs_other": ("other",)}
FEW = 10  # minimum number of recordings of a class: with fewer, a bootstrap interval is too narrow


def scored_table(rows: pd.DataFrame, classes: list[str], probabilities: np.ndarray) -> pd.DataFrame:
    """Return the rows with a probability column p_CLASS for each class, from records x classes."""
    return rows.assign(**{f"p_{name}": column for name, column in zip(classes, probabilities.T, strict=True)})


def select_comparison(table: pd.DataFrame, comparison: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return whether ischemic, score and patient of the records of predictions.csv that belong to a comparison.

    The score against normal is p(ischemia) / (p(ischemia) + p(normal)), so that the third class does not matter; else
    it is p(ischemia). With two classes all others are normal, and "against all others" has no records.
    """
    others = COMPARISONS[comparison]
    if not all(f"p_{name}" in table or (table.label == name).any() for name in others):
        others = ()
    chosen = table[table.label.isin(["ischemia", *others])]
    score = chosen.p_ischemia.to_numpy(np.float64)
    if comparison == "roc_auc":
        score = score / (score + chosen.p_normal.to_numpy())
    return (chosen.label == "ischemia").to_numpy(), score, chosen.patient.to_numpy()


def roc_auc(positive: np.ndarray, score: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Return the ROC AUC: how often a positive scores above a negative, ties counting half (Hanley & McNeil 1982).

    `weights` (... x records) gives each record a multiplicity, for one AUC per row; NaN where a class is absent.
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


def counts_and_aucs(test: pd.DataFrame) -> dict:
    """Return counts and the ROC AUC of each comparison; None where a class is absent."""
    row: dict = {f"n_{label}": int((test.label == label).sum()) for label in ("ischemia", "normal", "other")}
    for comparison in COMPARISONS:
        positive, score, _ = select_comparison(test, comparison)
        row[comparison] = float(roc_auc(positive, score)[0]) if 0 < positive.sum() < len(positive) else None
    return row


def rates(called: np.ndarray, labels: np.ndarray) -> dict[str, float | None]:
    """Return sensitivity, specificity against all others, against normal and against other; None without records."""
    positive = labels == "ischemia"
    groups = {"": ~positive, "_normal": labels == "normal", "_other": labels == "other"}
    found = {"sensitivity": float(called[positive].mean()) if positive.any() else None}
    for name, group in groups.items():
        found[f"specificity{name}"] = 1 - float(called[group].mean()) if group.any() else None
    return found


def reference_numbers(scored: pd.DataFrame, threshold: float) -> dict[str, float]:
    """Return counts, ROC AUCs, rates at the threshold and Brier score of p(ischemia) of scored records."""
    p, labels = scored.p_ischemia.to_numpy(), scored.label.to_numpy()
    numbers = counts_and_aucs(scored) | rates(p >= threshold, labels)
    numbers |= {"brier": float(((p - (labels == "ischemia")) ** 2).mean())}
    return {name: value for name, value in numbers.items() if value is not None}
