"""How good a score is: ROC AUC and its interval over patients, and the threshold. Arrays in, numbers out."""

import numpy as np
import pandas as pd

# The three questions: which classes ischemia is told from.
QUESTIONS = {
    "roc_auc": ("normal",),
    "roc_auc_vs_rest": ("normal", "other"),
    "roc_auc_vs_other": ("other",),
}


def ischemia_score(probabilities: dict[str, np.ndarray], question: str) -> np.ndarray:
    """Return the score of ischemia that answers a question, from one probability a class.

    Against normal it is p(ischemia) / (p(ischemia) + p(normal)), so that the third class does not matter; against all
    others and against other it is p(ischemia).
    """
    ischemia = probabilities["ischemia"].astype(np.float64)
    return ischemia / (ischemia + probabilities["normal"]) if question == "roc_auc" else ischemia


def ask(table: pd.DataFrame, question: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return whether ischemic, score and patient of the records of predictions.csv that a question is about."""
    asked = table[table.label.isin(["ischemia", *QUESTIONS[question]])]
    by_class = {column[2:]: asked[column].to_numpy() for column in asked if column.startswith("p_")}
    return (asked.label == "ischemia").to_numpy(), ischemia_score(by_class, question), asked.patient.to_numpy()


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


def resample_patients(positive: np.ndarray, patient: np.ndarray, rng: np.random.Generator, n: int) -> np.ndarray:
    """Return n x records multiplicities: patients with a positive and those without, each drawn with replacement."""
    names, code = np.unique(patient, return_inverse=True)
    has_positive = np.bincount(code, weights=positive, minlength=len(names)) > 0
    drawn = np.zeros((n, len(names)), dtype=np.float32)
    for stratum in (np.flatnonzero(has_positive), np.flatnonzero(~has_positive)):
        if len(stratum):
            drawn[:, stratum] = rng.multinomial(len(stratum), np.full(len(stratum), 1 / len(stratum)), size=n)
    return drawn[:, code]


def bootstrap_interval(
    positive: np.ndarray, score: np.ndarray, patient: np.ndarray, *, n: int, seed: int
) -> tuple[float, float]:
    """Return the 95% interval of the ROC AUC: percentiles over `n` resamples of patients (Efron & Tibshirani 1993)."""
    rng = np.random.default_rng(seed)
    block = max(1, 4_000_000 // len(score))
    sizes = [min(block, n - start) for start in range(0, n, block)]
    aucs = np.concatenate([roc_auc(positive, score, resample_patients(positive, patient, rng, k)) for k in sizes])
    low, high = np.nanpercentile(aucs, [2.5, 97.5])
    return float(low), float(high)


def threshold_for(specificity: float, negative_scores: np.ndarray) -> float:
    """Return the lowest threshold, to 9 decimals, below which lies at least this share of the negatives' scores."""
    ordered = np.sort(negative_scores)
    # Rounded first: 0.55 * 100 is a little more than 55.
    last = ordered[int(np.ceil(round(specificity * len(ordered), 9))) - 1]
    return float((np.floor(last * 1e9) + 1) / 1e9)
