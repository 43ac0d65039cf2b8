"""How far a probability means what it says. Arrays in, numbers out."""

import numpy as np
import pandas as pd
from scipy.special import expit, logit

# Most recordings have a low probability. Bins of equal width would hold nearly all of them in one.
EDGES = np.array([0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1])


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


def reliability(positive: np.ndarray, probability: np.ndarray) -> pd.DataFrame:
    """Return bin_low, bin_high, n, mean probability and share of positives (observed) of each bin that holds a record.

    low and high are the 95% interval of the share (Wilson 1927).
    """
    from scipy.stats import binomtest

    number = np.digitize(probability, EDGES[1:-1])
    groups = pd.DataFrame({"bin": number, "positive": positive, "probability": probability}).groupby("bin")
    table = groups.agg(n=("positive", "size"), probability=("probability", "mean"), observed=("positive", "mean"))
    tests = [binomtest(k, n) for k, n in zip(groups.positive.sum(), table.n, strict=True)]
    table[["low", "high"]] = [test.proportion_ci(method="wilson") for test in tests]
    table.insert(0, "bin_low", EDGES[table.index])
    table.insert(1, "bin_high", EDGES[table.index + 1])
    return table.reset_index(drop=True)


def expected_calibration_error(table: pd.DataFrame) -> float:
    """Return the mean distance of probability and share over the rows of `reliability` (Guo et al. 2017)."""
    return float(((table.probability - table.observed).abs() * table.n).sum() / table.n.sum())


def calibration_rows(positive: np.ndarray, score: np.ndarray) -> list[dict]:
    """Return calibration slope, intercept and expected calibration error of the probability of being positive."""
    both = 0 < positive.sum() < len(positive)
    slope, intercept = calibration_line(positive, score) if both else (np.nan, np.nan)
    error = expected_calibration_error(reliability(positive, score))
    values = {"calibration_slope": slope, "calibration_intercept": intercept, "expected_calibration_error": error}
    n = {"n_ischemia": positive.sum(), "n_others": (~positive).sum()}
    rows: list[dict] = [{"measure": measure, "value": value} | n for measure, value in values.items()]
    reason = "the scores of the two classes do not overlap" if both else "no such recording"
    return [row | {"reason": reason} if np.isnan(row["value"]) else row for row in rows]
