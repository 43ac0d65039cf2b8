"""A model fitted to another hospital: its calibration and threshold anew, its weights as they are."""

import hashlib
from copy import deepcopy

import numpy as np
import pandas as pd

from ecg.evaluation.questions import scored_table
from ecg.evaluation.reference import reference_numbers
from ecg.evaluation.subgroups import MIN_EACH
from ecg.network.decision import fit_line, ischemia_log_odds, threshold_for
from ecg.network.description import Description, Recordings
from ecg.network.device import outputs
from ecg.network.ensemble import Ensemble, probabilities
from ecg.network.recipe import remember
from ecg.stage.script import UsageError

STRATA = ["other", "normal", "ischemia"]  # a patient is of the last one that a recording has


def halves(labels: pd.Series, patients: pd.Series, seed: int) -> np.ndarray:
    """Return "fitted" or "checked" for each record: patients kept apart, classes spread evenly.

    UsageError where a half has too few patients with ischemia, or without.
    """
    names, code = np.unique(patients, return_inverse=True)
    stratum = np.zeros(len(names), dtype=int)
    np.maximum.at(stratum, code, labels.map(STRATA.index).to_numpy())
    ischemic = stratum == STRATA.index("ischemia")
    for name, n in (("with", ischemic.sum()), ("without", (~ischemic).sum())):
        if n < 2 * MIN_EACH:
            raise UsageError(f"too few patients {name} ischemia to recalibrate: {n}, at least {2 * MIN_EACH}")
    shuffled = np.random.default_rng(seed).permutation(len(names))
    dealt = shuffled[np.argsort(stratum[shuffled], kind="stable")]
    half = np.empty(len(names), dtype=object)
    half[dealt[::2]], half[dealt[1::2]] = "fitted", "checked"
    return half[code]


def fit_to(model: Ensemble, specificity: float, beats: np.ndarray, positive: np.ndarray) -> tuple[Ensemble, float]:
    """Return a copy of the model with p(ischemia) calibrated on n beats (n x leads x samples, mV), and its threshold.

    Logistic recalibration (Cox 1958; Steyerberg 2019): slope and intercept of the outcome, `positive`, on the log odds.
    """
    log_odds = ischemia_log_odds(outputs(model, beats).double().numpy(), model.ischemia)
    slope, intercept = fit_line(log_odds, positive)
    fitted = deepcopy(model)
    fitted.slope.mul_(slope)
    fitted.intercept.mul_(slope).add_(intercept)
    return fitted, threshold_for(specificity, probabilities(fitted, beats)[~positive, model.ischemia])


def recordings_of(rows: pd.DataFrame) -> Recordings:
    digest = hashlib.sha256("\n".join(sorted(rows.sha256)).encode()).hexdigest()
    return Recordings(sources=sorted(set(rows.source)), recordings=len(rows), sha256=digest)


def recalibrate(
    model: Ensemble, description: Description, beats: np.ndarray, rows: pd.DataFrame, half: np.ndarray
) -> tuple[Ensemble, Description]:
    """Return the model fitted to one half of labelled records, and its description: the reference is the other half."""
    fitted, checked = half == "fitted", half == "checked"
    positive = (rows.label == "ischemia").to_numpy()
    new, threshold = fit_to(model, description.specificity, beats[fitted], positive[fitted])
    scored = scored_table(rows[checked], description.classes, probabilities(new, beats[checked]))
    remember(new, rows.sha256[fitted])
    changes = {
        "threshold": threshold,
        "reference": reference_numbers(scored, threshold),
        "recordings": len(new.hashes),
        "recalibrated": {"fitted": recordings_of(rows[fitted]), "checked": recordings_of(rows[checked])},
    }
    return new, description.model_copy(update=changes)
