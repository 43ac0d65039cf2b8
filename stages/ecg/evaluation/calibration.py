"""How far a probability means what it says. Arrays in, numbers out."""

import numpy as np
import pandas as pd
from scipy.special import expit, logit, ndtri


def calibration_line(positive: np.ndarray, probability: np.ndarray) -> tuple[float, float]:
    """Return calibration slope and intercept, ideally 1 and 0 (Cox 1958; Van Calster et al. 2019).

    The slope is that of a logistic regression on the log odds, the intercept that of one whose slope is held at 1. NaN
    where positives and negatives do not overlap: no line fits.
    """
    from scipy.optimize import brentq, minimize

    odds = logit(np.clip(probability, 1e-12, 1 - 1e-12))
    intercept = brentq(lambda shift: (expit(odds + shift) - positive).sum(), -100, 100)
    if odds[positive].min() >= odds[~positive].max() or odds[positive].max() <= odds[~positive].min():
        return float("nan"), float(intercept)

    def loss(line: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the mean cross-entropy of a slope and an intercept, and its gradient."""
        log_odds = line[0] * odds + line[1]
        error = expit(log_odds) - positive
        return (np.logaddexp(0, log_odds) - positive * log_odds).mean(), np.array([(error * odds).mean(), error.mean()])

    return float(minimize(loss, (1, intercept), jac=True, options={"gtol": 1e-9}).x[0]), float(intercept)


def reliability(positive: np.ndarray, probability: np.ndarray, bins: int = 10) -> pd.DataFrame:
    """Return n, mean probability and share of positives in each of the equally wide bins that hold a record."""
    number = np.minimum((probability * bins).astype(int), bins - 1)
    groups = pd.DataFrame({"bin": number, "positive": positive, "probability": probability}).groupby("bin")
    table = groups.agg(n=("positive", "size"), probability=("probability", "mean"), observed=("positive", "mean"))
    return table.reset_index()


def wilson(bins: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `reliability` with the 95% Wilson interval (low, high) of each share (Wilson 1927)."""
    share, z2_n = bins.observed, ndtri(0.975) ** 2 / bins.n
    centre = (share + z2_n / 2) / (1 + z2_n)
    half = np.sqrt(share * (1 - share) * z2_n + z2_n**2 / 4) / (1 + z2_n)
    # Rounding can put an edge of the interval a hair on the wrong side of the share.
    return bins.assign(low=np.minimum(centre - half, share), high=np.maximum(centre + half, share))


def expected_calibration_error(table: pd.DataFrame) -> float:
    """Return the mean distance of probability and share over the rows of `reliability` (Guo et al. 2017)."""
    return float(((table.probability - table.observed).abs() * table.n).sum() / table.n.sum())


def calibration_rows(positive: np.ndarray, score: np.ndarray) -> list[dict]:
    """Return calibration slope, intercept and expected calibration error of the score against normal."""
    slope, intercept = calibration_line(positive, score)
    error = expected_calibration_error(reliability(positive, score))
    values = {"calibration_slope": slope, "calibration_intercept": intercept, "expected_calibration_error": error}
    n = {"n_ischemia": positive.sum(), "n_others": (~positive).sum()}
    rows = [{"measure": measure, "value": value} | n for measure, value in values.items()]
    if np.isnan(slope):
        rows[0]["reason"] = "the scores of the two classes do not overlap"
    return rows
