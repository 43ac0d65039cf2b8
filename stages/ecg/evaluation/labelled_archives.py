"""Labelled recordings of archives as median beats, and the recalibration of a model on those of another hospital."""

import hashlib
from copy import deepcopy

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from ecg.beats.median import MedianBeat, median_beat
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
STRATA = ["other", "normal", "ischemia"]  # a patient belongs to the last one of any recording
ABOUT = ["record", "source", "patient", "label", "dx", "age", "sex", "fold", "sha256"]


def read_labelled(batch: list[RecordingFile], extract: Extract, labels: Labels) -> list[tuple[dict, MedianBeat]]:
    """Return each recording's row of the index and its median beat; the one that failed has the reason."""
    found = []
    # Sums must not depend on the number of threads.
    with threadpool_limits(limits=1):
        for recording in batch:
            row, samples = read_recording(recording, labels, verify_checksums=True)
            beat = MedianBeat(None)
            if samples is not None:
                beat = median_beat(samples, row["sampling_rate"], extract, row["heart_rate"] or None)
            found.append((row, beat))
    return found


def read_archives(folders: list[str], extract: Extract, labels: Labels) -> tuple[pd.DataFrame, np.ndarray]:
    """Return a row for every recording found, and the median beats of those not refused."""
    recordings = from_folders(folders, "ARCHIVE")
    calls = [(recordings[i : i + BATCH], extract, labels) for i in range(0, len(recordings), BATCH)]
    progress = tqdm(in_parallel(read_labelled, calls), desc="recordings", total=len(calls), disable=None)
    found = [pair for batch in progress for pair in batch]
    index, beats = index_of([row for row, _ in found]), [beat for _, beat in found]
    table = index[ABOUT].assign(**{key: pd.to_numeric(index[key], errors="coerce") for key in ("age", "fold")})
    for name in ("n_used", "heart_rate", "noise_uv"):
        table[name] = np.array([getattr(beat, name) for beat in beats], dtype=float)
    flags = zip(index["flags"], beats, strict=True)
    table["flags"] = ["; ".join(filter(None, [text, *beat.flags])) for text, beat in flags]
    table["reason"] = index.reason.where(index.reason != "", [beat.reason for beat in beats])
    return table, np.array([beat.beat for beat in beats if beat.beat is not None])


def halves(labels: pd.Series, patients: pd.Series, seed: int) -> np.ndarray:
    """Return "fitted" or "checked" for each record; patients stay together, classes are spread evenly.

    UsageError where a half would have too few patients with ischemia, or without.
    """
    stratum, code = stratify_patients(labels.map(STRATA.index).to_numpy(), patients.to_numpy())
    ischemic = stratum == STRATA.index("ischemia")
    for name, n in (("with", ischemic.sum()), ("without", (~ischemic).sum())):
        if n < 2 * MIN_EACH:
            raise UsageError(f"recalibration needs {2 * MIN_EACH} patients {name} ischemia, found {n}; add recordings")
    shuffled = np.random.default_rng(seed).permutation(len(stratum))
    dealt = shuffled[np.argsort(stratum[shuffled], kind="stable")]
    half = np.full(len(stratum), "checked", dtype=object)
    half[dealt[::2]] = "fitted"
    return half[code]


def recordings_of(rows: pd.DataFrame) -> Recordings:
    digest = hashlib.sha256("\n".join(sorted(rows.sha256)).encode()).hexdigest()
    return Recordings(sources=sorted(set(rows.source)), recordings=len(rows), sha256=digest)


def recalibrate(
    model: Model, description: Description, beats: np.ndarray, rows: pd.DataFrame, half: np.ndarray
) -> tuple[Model, Description]:
    """Return the model recalibrated on one half of labelled records; the reference in its description is the other.

    Logistic recalibration (Cox 1958; Steyerberg 2019): slope and intercept of the outcome on the log odds. `beats` are
    n x 12 x samples (mV).
    """
    parts = {name: rows[half == name] for name in ("fitted", "checked")}
    fitted, positive = beats[half == "fitted"], (parts["fitted"].label == "ischemia").to_numpy()
    log_odds = ischemia_log_odds(outputs(model, fitted).double().numpy(), model.ischemia)
    slope, intercept = fit_line(log_odds, positive)
    new = deepcopy(model)
    new.slope.mul_(slope)
    new.intercept.mul_(slope).add_(intercept)
    threshold = threshold_for(description.specificity, probabilities(new, fitted)[~positive, new.ischemia])
    scored = scored_table(parts["checked"], description.classes, probabilities(new, beats[half == "checked"]))
    remember(new, parts["fitted"].sha256)
    changes = {
        "threshold": threshold,
        "reference": reference_numbers(scored, threshold),
        "recordings": len(new.hashes),
        "recalibrated": {name: recordings_of(part) for name, part in parts.items()},
    }
    return new, description.model_copy(update=changes)
