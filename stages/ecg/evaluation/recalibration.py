"""A model fitted to another hospital: its temperature, class shares and threshold anew, its weights as they are."""

import hashlib
from copy import deepcopy

import numpy as np
import pandas as pd
import torch

from ecg.evaluation.decision import fit_temperature, threshold_for
from ecg.evaluation.home import home_numbers
from ecg.evaluation.questions import scored_table, select_question
from ecg.evaluation.subgroups import MIN_EACH
from ecg.network.description import Description, Recordings
from ecg.network.ensemble import Ensemble, logits, probabilities
from ecg.network.novelty import first_bytes
from ecg.stage.script import UsageError

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


def fit_calibration(
    model: Ensemble, description: Description, beats: np.ndarray, rows: pd.DataFrame
) -> tuple[Ensemble, float]:
    """Return a copy of the model with temperature and class shares of these beats and labels, and its threshold.

    Each class counts once more than there are, so that none is impossible. The order of the scores against normal is
    that of before.
    """
    classes = description.classes
    known = rows.label.isin(classes).to_numpy()
    target = rows.label[known].map(classes.index).to_numpy()
    counts = np.bincount(target, minlength=len(classes)) + 1
    log_shares = torch.from_numpy(np.log(counts / counts.sum()))
    device = model.temperature.device
    of_equal_shares = (logits(model, beats[known]).double() - model.log_shares.cpu()) * model.temperature.cpu()
    fitted = deepcopy(model)
    fitted.temperature.fill_(fit_temperature(of_equal_shares.numpy(), log_shares.numpy(), target))
    fitted.log_shares.copy_(log_shares.to(device))
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
