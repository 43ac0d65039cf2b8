"""The calibration of the probabilities, and the threshold of the decision. Arrays in, numbers out."""

from typing import NamedTuple

import numpy as np
from scipy.special import expit, log_softmax, logsumexp

USUAL_CHANGE = 0.5  # of the log of a calibration slope: keeps it finite where the classes do not overlap


class Calibration(NamedTuple):
    """What turns logits of classes taken as equally frequent into probabilities.

    Logits / temperature + log_prior (a class each) give first probabilities; the log odds of ischemia are then
    multiplied by slope, plus intercept, and the other classes keep their ratios.
    """

    temperature: float
    log_prior: np.ndarray
    slope: float = 1.0
    intercept: float = 0.0


def fit_temperature(logits: np.ndarray, log_prior: np.ndarray, target: np.ndarray) -> float:
    """Return the temperature whose logits / temperature + log_prior have the lowest cross-entropy (Guo et al. 2017).

    Logits are n x classes. Between 0.25 and 20: where classes do not overlap, ever colder would be ever better.
    """
    from scipy.optimize import minimize_scalar

    def loss(exponent):
        return -log_softmax(logits / np.exp(exponent) + log_prior, axis=1)[np.arange(len(target)), target].mean()

    return float(np.exp(minimize_scalar(loss, bounds=np.log([0.25, 20]), method="bounded").x))


def fit_line(log_odds: np.ndarray, positive: np.ndarray) -> tuple[float, float]:
    """Return slope and intercept of a logistic regression of an outcome on log odds (Cox 1958; Platt 1999).

    The prior of the slope is 1, as wide as `USUAL_CHANGE`: it counts where positives are few.
    """
    from scipy.optimize import minimize

    def loss(values):
        slope = np.exp(values[0])
        line = slope * log_odds + values[1]
        error = expit(line) - positive
        gradient = np.array([(error * log_odds).sum() * slope + values[0] / USUAL_CHANGE**2, error.sum()])
        return (np.logaddexp(0, line) - positive * line).sum() + (values[0] / USUAL_CHANGE) ** 2 / 2, gradient

    exponent, intercept = minimize(loss, [0.0, 0.0], jac=True).x
    return float(np.exp(exponent)), float(intercept)


def ischemia_log_odds(logits: np.ndarray, ischemia: int) -> np.ndarray:
    """Return the log odds of ischemia against all other classes, of n x classes logits."""
    return logits[:, ischemia] - logsumexp(np.delete(logits, ischemia, axis=1), axis=1)


def fit_calibration(logits: np.ndarray, target: np.ndarray, shares: np.ndarray, ischemia: int) -> Calibration:
    """Return the calibration of n x classes logits of recordings that the weights were not fitted to.

    `target` are class numbers; `shares` of the classes are those of the data that the weights are fitted to.
    """
    log_prior = np.log(shares)
    temperature = fit_temperature(logits, log_prior, target)
    line = fit_line(ischemia_log_odds(logits / temperature + log_prior, ischemia), target == ischemia)
    return Calibration(temperature, log_prior, *line)


def calibrated(logits: np.ndarray, calibration: Calibration, ischemia: int) -> np.ndarray:
    """Return n x classes probabilities of n x classes logits."""
    first = logits / calibration.temperature + calibration.log_prior
    p_ischemia = expit(calibration.slope * ischemia_log_odds(first, ischemia) + calibration.intercept)
    first[:, ischemia] = -np.inf
    found = (1 - p_ischemia)[:, None] * np.exp(log_softmax(first, axis=1))
    found[:, ischemia] = p_ischemia
    return found


def threshold_for(specificity: float, negative_scores: np.ndarray) -> float:
    """Return the lowest threshold, to 9 decimals, below which lies at least this share of the negatives' scores."""
    ordered = np.sort(negative_scores)
    # Rounded first: 0.55 * 100 is a little more than 55.
    last = ordered[int(np.ceil(round(specificity * len(ordered), 9))) - 1]
    return float((np.floor(last * 1e9) + 1) / 1e9)
