"""What is fitted on val: the temperature of the probabilities, and the threshold of the decision."""

import numpy as np
from scipy.special import log_softmax


def fit_temperature(logits: np.ndarray, log_shares: np.ndarray, target: np.ndarray) -> float:
    """Return the temperature whose logits / temperature + log_shares have the lowest cross-entropy (Guo et al. 2017).

    Logits are n x classes and take the classes as equally frequent; log_shares are the logs of their shares.
    Between 0.25 and 20: where the classes are told apart without a fault, ever colder would be ever better.
    """
    from scipy.optimize import minimize_scalar

    def loss(exponent):
        return -log_softmax(logits / np.exp(exponent) + log_shares, axis=1)[np.arange(len(target)), target].mean()

    return float(np.exp(minimize_scalar(loss, bounds=np.log([0.25, 20]), method="bounded").x))


def threshold_for(specificity: float, negative_scores: np.ndarray) -> float:
    """Return the lowest threshold, to 9 decimals, below which lies at least this share of the negatives' scores."""
    ordered = np.sort(negative_scores)
    # Rounded first: 0.55 * 100 is a little more than 55.
    last = ordered[int(np.ceil(round(specificity * len(ordered), 9))) - 1]
    return float((np.floor(last * 1e9) + 1) / 1e9)
