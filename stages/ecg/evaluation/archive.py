"""Labelled recordings of archives, as median beats, and a model fitted to those of another hospital.

Its calibration and threshold are fitted anew, its weights stay as they are.
"""

import hashlib
from copy import deepcopy

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from ecg.beats.median import MedianBeat, median_beat
from ecg.beats.plausibility import compare_heart_rates
from ecg.evaluation.bootstrap import stratify_patients
from ecg.evaluation.measures import MIN_EACH
from ecg.model.comparisons import reference_numbers, scored_table
from ecg.model.decision import fit_line, ischemia_log_odds, threshold_for
from ecg.model.description import Description, Recordings
from ecg.model.fcn import outputs
from ecg.model.model import Model, probabilities
from ecg.model.recipe import remember
from ecg.params import Extract, Labels
from ecg.recordings.index import index_of, read_recording
from ecg.recordings.sources import RecordingFile, from_folders
from ecg.run.parallel import in_parallel
from ecg.run.script import UsageError

BATCH = 20  # recordings
ABOUT = ["record", "source", "patient", "label", "dx", "age", "sex", "fold", "sha256"]


def read_batch(batch: list[RecordingFile], extract: Extract, labels: Labels) -> list[tuple[dict, MedianBeat]]:
    """Return each recording's row of the index and its median beat, either with the reason where there is none."""
    found = []
    # As in extract: sums must not depend on how many threads there are.
    with threadpool_limits(limits=1):
        for recording in batch:
            row, samples = read_recording(recording, labels, verify_checksums=True)
            rate = float(row["sampling_rate"] or 0)
            beat = MedianBeat(None) if samples is None else median_beat(samples, rate, extract)
            stated = float(row["heart_rate"] or 0)
            found.append((row, beat._replace(flags=(*beat.flags, *compare_heart_rates(beat.heart_rate, stated)))))
    return found


def read_archives(folders: list[str], extract: Extract, labels: Labels) -> tuple[pd.DataFrame, np.ndarray]:
    """Return a row for every recording found, and the beats of those that have no reason against them."""
    recordings = from_folders(folders, "ARCHIVE")
    calls = [(recordings[i : i + BATCH], extract, labels) for i in range(0, len(recordings), BATCH)]
    found: list[tuple[dict, MedianBeat]] = []
    with tqdm(total=len(recordings), desc="recordings", disable=None) as progress:
        for batch in in_parallel(read_batch, calls):
            found += batch
            progress.update(len(batch))
    index, beats = index_of([row for row, _ in found]), [beat for _, beat in found]
    table = index[ABOUT].assign(**{key: pd.to_numeric(index[key], errors="coerce") for key in ("age", "fold")})
    for name in ("n_used", "heart_rate", "noise_uv"):
        table[name] = np.array([getattr(beat, name) for beat in beats], dtype=float)
    flags = zip(index["flags"], beats, strict=True)
    table["flags"] = ["; ".join(filter(None, [text, *beat.flags])) for text, beat in flags]
    table["reason"] = index.reason.where(index.reason != "", [beat.reason for beat in beats])
    return table, np.array([beat.beat for beat in beats if beat.beat is not None])


STRATA = ["other", "normal", "ischemia"]  # a patient is of the last one that a recording has


def halves(labels: pd.Series, patients: pd.Series, seed: int) -> np.ndarray:
    """Return "fitted" or "checked" for each record: patients kept apart, classes spread evenly.

    UsageError where a half has too few patients with ischemia, or without.
    """
    stratum, code = stratify_patients(labels.map(STRATA.index).to_numpy(), patients.to_numpy())
    ischemic = stratum == STRATA.index("ischemia")
    for name, n in (("with", ischemic.sum()), ("without", (~ischemic).sum())):
        if n < 2 * MIN_EACH:
            raise UsageError(f"too few patients {name} ischemia to recalibrate: {n}, at least {2 * MIN_EACH}")
    shuffled = np.random.default_rng(seed).permutation(len(stratum))
    dealt = shuffled[np.argsort(stratum[shuffled], kind="stable")]
    half = np.empty(len(stratum), dtype=object)
    half[dealt[::2]], half[dealt[1::2]] = "fitted", "checked"
    return half[code]


def fit_to(model: Model, specificity: float, beats: np.ndarray, positive: np.ndarray) -> tuple[Model, float]:
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
    model: Model, description: Description, beats: np.ndarray, rows: pd.DataFrame, half: np.ndarray
) -> tuple[Model, Description]:
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
