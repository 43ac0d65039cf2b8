"""The calibration of the probabilities, and the threshold of the decision."""

from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_softmax, logsumexp
from torch.nn import functional

USUAL_CHANGE = 0.5  # prior SD of the log of a calibration slope: a finite slope where the classes do not overlap


class Calibration(NamedTuple):
    """The map from logits, which take the classes as equally frequent, to probabilities.

    The softmax of logits / temperature + log_prior (one value per class) gives first probabilities. The log odds of
    ischemia are then multiplied by slope, plus intercept; the other classes keep their ratios.
    """

    temperature: torch.Tensor
    log_prior: torch.Tensor
    slope: torch.Tensor
    intercept: torch.Tensor


def fit_temperature(logits: np.ndarray, log_prior: np.ndarray, target: np.ndarray) -> float:
    """Return the temperature of the lowest cross-entropy of logits / temperature + log_prior (Guo et al. 2017).

    It is limited to 0.25 - 20, since the cross-entropy has no minimum where the classes do not overlap.
    """

    def loss(exponent):
        return -log_softmax(logits / np.exp(exponent) + log_prior, axis=1)[np.arange(len(target)), target].mean()

    return float(np.exp(minimize_scalar(loss, bounds=np.log([0.25, 20]), method="bounded").x))


def fit_line(log_odds: np.ndarray, positive: np.ndarray) -> tuple[float, float]:
    """Return slope and intercept of a logistic regression of an outcome on log odds (Cox 1958; Platt 1999).

    The log of the slope has a normal prior around 0 with standard deviation `USUAL_CHANGE`.
    """

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
    """Return the calibration of logits (n x classes) of unseen recordings; `shares` of the classes in training."""
    log_prior = np.log(shares)
    temperature = fit_temperature(logits, log_prior, target)
    line = fit_line(ischemia_log_odds(logits / temperature + log_prior, ischemia), target == ischemia)
    return Calibration(*(torch.tensor(value, dtype=torch.float64) for value in (temperature, log_prior, *line)))


def calibrated(logits: torch.Tensor, calibration: Calibration, ischemia: int) -> torch.Tensor:
    """Return the log probabilities (n x classes) of logits (n x classes)."""
    first = logits / calibration.temperature + calibration.log_prior
    is_ischemia = torch.arange(first.shape[1], device=first.device) == ischemia
    others = first.masked_fill(is_ischemia, -torch.inf)
    log_odds = calibration.slope * (first[:, ischemia] - others.logsumexp(dim=1)) + calibration.intercept
    yes, no = functional.logsigmoid(log_odds)[:, None], functional.logsigmoid(-log_odds)[:, None]
    return torch.where(is_ischemia, yes, no + others.log_softmax(dim=1))


def threshold_for(specificity: float, negative_scores: np.ndarray) -> float:
    """Return the lowest threshold, to 9 decimals, above at least the share `specificity` of negative scores."""
    ordered = np.sort(negative_scores)
    # Rounded first: 0.55 * 100 is a little more than 55.
    last = ordered[int(np.ceil(round(specificity * len(ordered), 9))) - 1]
    return float((np.floor(last * 1e9) + 1) / 1e9)
