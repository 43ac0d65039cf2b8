"""How good a score is, and how far to believe it: ROC AUC, rates, calibration, intervals. Arrays in, numbers out.

scipy.optimize and scipy.stats, half a second to import, are imported where they are used: predict needs neither.
"""

import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.special import expit, log_softmax, logit

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


def resample_patients(strata: np.ndarray, patient: np.ndarray, rng: np.random.Generator, n: int) -> np.ndarray:
    """Return n x records multiplicities: the patients of each stratum drawn with replacement.

    A patient is of the highest stratum (number or truth value) among the records: ischemic when one of them is.
    """
    names, code = np.unique(patient, return_inverse=True)
    stratum = np.zeros(len(names), dtype=int)
    np.maximum.at(stratum, code, strata.astype(int))
    drawn = np.zeros((n, len(names)), dtype=np.float32)
    for number in np.unique(stratum):
        members = np.flatnonzero(stratum == number)
        drawn[:, members] = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), size=n)
    return drawn[:, code]


def bootstrap_intervals(
    statistic: Callable[[np.ndarray], np.ndarray], strata: np.ndarray, patient: np.ndarray, *, n: int, seed: int
) -> np.ndarray:
    """Return the 95% intervals (k x 2) of k numbers: percentiles over resamples of patients (Efron & Tibshirani 1993).

    `statistic` takes multiplicities (resamples x records) and returns resamples x k; NaN where one has no answer.
    """
    rng = np.random.default_rng(seed)
    block = max(1, 4_000_000 // len(strata))
    sizes = [min(block, n - start) for start in range(0, n, block)]
    values = np.concatenate([statistic(resample_patients(strata, patient, rng, size)) for size in sizes])
    with warnings.catch_warnings():
        # That no resample has an answer: the interval is NaN then.
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanpercentile(values, [2.5, 97.5], axis=0).T


def auc_interval(
    positive: np.ndarray, score: np.ndarray, patient: np.ndarray, *, n: int, seed: int
) -> tuple[float, float]:
    """Return the 95% interval of the ROC AUC over patients."""

    def statistic(weights):
        return roc_auc(positive, score, weights)[:, None]

    low, high = bootstrap_intervals(statistic, positive, patient, n=n, seed=seed)[0]
    return float(low), float(high)


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


def threshold_for(specificity: float, negative_scores: np.ndarray) -> float:
    """Return the lowest threshold, to 9 decimals, below which lies at least this share of the negatives' scores."""
    ordered = np.sort(negative_scores)
    # Rounded first: 0.55 * 100 is a little more than 55.
    last = ordered[int(np.ceil(round(specificity * len(ordered), 9))) - 1]
    return float((np.floor(last * 1e9) + 1) / 1e9)


def predictive_values(
    sensitivity: np.ndarray, specificity: np.ndarray, prevalence: float | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the positive and negative predictive values at a prevalence (Bayes); NaN where nobody is called so."""
    with np.errstate(invalid="ignore"):
        true, false = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
        clear, missed = specificity * (1 - prevalence), (1 - sensitivity) * prevalence
        return true / (true + false), clear / (clear + missed)


def fit_temperature(logits: np.ndarray, log_shares: np.ndarray, target: np.ndarray) -> float:
    """Return the temperature whose logits / temperature + log_shares have the lowest cross-entropy (Guo et al. 2017).

    Logits are n x classes and take the classes as equally frequent; log_shares are the logs of their shares.
    Between 0.25 and 20: where the classes are told apart without a fault, ever colder would be ever better.
    """

    from scipy.optimize import minimize_scalar

    def loss(exponent):
        return -log_softmax(logits / np.exp(exponent) + log_shares, axis=1)[np.arange(len(target)), target].mean()

    return float(np.exp(minimize_scalar(loss, bounds=np.log([0.25, 20]), method="bounded").x))


def calibration_line(positive: np.ndarray, probability: np.ndarray) -> tuple[float, float]:
    """Return calibration slope and intercept, ideally 1 and 0 (Cox 1958; Van Calster et al. 2019).

    The slope is that of a logistic regression on the log odds, the intercept that of one whose slope is held at 1. NaN
    where positives and negatives do not overlap: no line fits.
    """
    from scipy.optimize import brentq

    odds = logit(np.clip(probability, 1e-12, 1 - 1e-12))
    intercept = brentq(lambda shift: (expit(odds + shift) - positive).sum(), -100, 100)
    if odds[positive].min() >= odds[~positive].max() or odds[positive].max() <= odds[~positive].min():
        return float("nan"), float(intercept)
    from sklearn.linear_model import LogisticRegression

    line = LogisticRegression(C=np.inf, max_iter=1000).fit(odds[:, None], positive)
    return float(line.coef_[0, 0]), float(intercept)


def reliability(positive: np.ndarray, probability: np.ndarray, bins: int = 10) -> pd.DataFrame:
    """Return n, mean probability and share of positives in each of the equally wide bins that hold a record."""
    number = np.minimum((probability * bins).astype(int), bins - 1)
    groups = pd.DataFrame({"bin": number, "positive": positive, "probability": probability}).groupby("bin")
    table = groups.agg(n=("positive", "size"), probability=("probability", "mean"), observed=("positive", "mean"))
    return table.reset_index()


def wilson(bins: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `reliability` with the 95% Wilson interval (low, high) of each share (Wilson 1927)."""
    from scipy.stats import binomtest

    hits = (bins.observed * bins.n).round().astype(int)
    ranges = [binomtest(k, n).proportion_ci(method="wilson") for k, n in zip(hits, bins.n, strict=True)]
    # Rounding can put an edge of the interval a hair on the wrong side of the share.
    low, high = np.minimum([r.low for r in ranges], bins.observed), np.maximum([r.high for r in ranges], bins.observed)
    return bins.assign(low=low, high=high)


def kept_epochs(history: pd.DataFrame) -> pd.DataFrame:
    """Return of each network the row of data/history.csv that was kept, with the number of epochs."""
    best = history.sort_values(["val_roc_auc", "val_loss"], ascending=[False, True]).groupby("member").head(1)
    return best.sort_values("member").assign(epochs=history.groupby("member").epoch.max().to_numpy())


def expected_calibration_error(table: pd.DataFrame) -> float:
    """Return the mean distance of probability and share over the rows of `reliability` (Guo et al. 2017)."""
    return float(((table.probability - table.observed).abs() * table.n).sum() / table.n.sum())
