"""A model fitted to another hospital: its temperature, class shares and threshold anew, its weights as they are."""

import hashlib
from copy import deepcopy

import numpy as np
import pandas as pd
import torch
from scipy.special import log_softmax

from ecg.evaluation.decision import threshold_for
from ecg.evaluation.home import home_numbers
from ecg.evaluation.questions import scored_table, select_question
from ecg.evaluation.subgroups import MIN_EACH
from ecg.network.description import Description, Recordings
from ecg.network.ensemble import Ensemble, logits, probabilities
from ecg.network.novelty import first_bytes
from ecg.stage.script import UsageError

USUAL_CHANGE = 0.5  # of the log of the temperature, from one hospital to another
STRATA = ["other", "normal", "ischemia"]  # a patient is of the last one that a recording has


def halves(labels: pd.Series, patients: pd.Series, seed: int) -> np.ndarray:
    """Return "fitted" or "checked" for each record: patients kept apart, classes spread evenly.

    UsageError where a half has too few patients with ischemia or normal.
    """
    names, code = np.unique(patients, return_inverse=True)
    stratum = np.zeros(len(names), dtype=int)
    np.maximum.at(stratum, code, labels.map(STRATA.index).to_numpy())
    for number, name in enumerate(STRATA[1:], start=1):
        n = int((stratum == number).sum())
        if n < 2 * MIN_EACH:
            raise UsageError(f"too few patients with {name} to recalibrate: {n}, at least {2 * MIN_EACH}")
    shuffled = np.random.default_rng(seed).permutation(len(names))
    dealt = shuffled[np.argsort(stratum[shuffled], kind="stable")]
    half = np.empty(len(names), dtype=object)
    half[dealt[::2]], half[dealt[1::2]] = "fitted", "checked"
    return half[code]


def cross_entropy(logits: np.ndarray, offsets: np.ndarray, target: np.ndarray) -> float:
    """Return the sum over records; one more of each class, of which the logits say nothing, keeps offsets finite."""
    fitted = log_softmax(logits + offsets, axis=1)[np.arange(len(target)), target]
    return -(fitted.sum() + log_softmax(offsets).sum())


def fit_offsets(logits: np.ndarray, target: np.ndarray, pair: list[int]) -> tuple[float, np.ndarray]:
    """Return the temperature and the offsets (logs of shares) at which logits have the lowest cross-entropy.

    Logits are n x classes, at the model's own temperature, `target` class numbers. First of the records of the `pair`
    that the score tells apart: the temperature, which few records keep near 1, and how far the two offsets are apart.
    Then of all records: the offset of the third class.
    """
    from scipy.optimize import minimize

    offsets, rows = np.zeros(logits.shape[1]), np.isin(target, pair)
    two, of_pair = logits[rows][:, pair], (target[rows] == pair[1]).astype(int)

    def loss_of_pair(values):
        strayed = (values[0] / USUAL_CHANGE) ** 2 / 2
        return strayed + cross_entropy(two / np.exp(values[0]), np.array([0, values[1]]), of_pair)

    exponent, offsets[pair[1]] = minimize(loss_of_pair, [0.0, 0.0]).x
    third = [number for number in range(len(offsets)) if number not in pair]

    def with_third(value):
        changed = offsets.copy()
        changed[third] = value[0]
        return changed

    if third:
        cooled = logits / np.exp(exponent)
        offsets = with_third(minimize(lambda value: cross_entropy(cooled, with_third(value), target), [0.0]).x)
    return float(np.exp(exponent)), log_softmax(offsets)


def fit_calibration(
    model: Ensemble, description: Description, beats: np.ndarray, rows: pd.DataFrame
) -> tuple[Ensemble, float]:
    """Return a copy of the model with temperature and class shares of these beats and labels, and its threshold.

    The order of the scores against normal is that of before.
    """
    classes = description.classes
    known = rows.label.isin(classes).to_numpy()
    target = rows.label[known].map(classes.index).to_numpy()
    pair = [classes.index("normal"), classes.index("ischemia")]
    of_equal_shares = (logits(model, beats[known]).double() - model.log_shares.cpu()).numpy()
    temperature, offsets = fit_offsets(of_equal_shares, target, pair)
    fitted = deepcopy(model)
    fitted.temperature.mul_(temperature)
    fitted.log_shares.copy_(torch.from_numpy(offsets))
    positive, score, _ = select_question(scored_table(rows, classes, probabilities(fitted, beats)), "roc_auc")
    return fitted, threshold_for(description.specificity, score[~positive])


def recordings_of(rows: pd.DataFrame) -> Recordings:
    digest = hashlib.sha256("\n".join(sorted(rows.sha256)).encode()).hexdigest()
    return Recordings(sources=sorted(set(rows.source)), recordings=len(rows), sha256=digest)


def recalibrate(
    model: Ensemble, description: Description, beats: np.ndarray, rows: pd.DataFrame, half: np.ndarray
) -> tuple[Ensemble, Description]:
    """Return the model fitted to one half of labelled records, and its description; home is then the other half."""
    fitted, checked = half == "fitted", half == "checked"
    new, threshold = fit_calibration(model, description, beats[fitted], rows[fitted])
    scored = scored_table(rows[checked], description.classes, probabilities(new, beats[checked]))
    hashes = np.union1d(model.hashes.cpu().numpy(), first_bytes(rows.sha256[fitted]))
    new.hashes = torch.nn.Buffer(torch.from_numpy(hashes))
    changes = {
        "threshold": threshold,
        "home": home_numbers(scored, threshold),
        "recordings": len(hashes),
        "recalibrated": {"fitted": recordings_of(rows[fitted]), "checked": recordings_of(rows[checked])},
    }
    return new, description.model_copy(update=changes)
