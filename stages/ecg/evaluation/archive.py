"""Labelled recordings of archives, as median beats."""

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from ecg.beats.median import MedianBeat, median_beat
from ecg.beats.plausibility import compare_heart_rates
from ecg.params import Extract, Labels
from ecg.recordings.archives import from_folders
from ecg.recordings.index import index_of, read_recording
from ecg.recordings.sources import RecordingFile
from ecg.stage.parallel import in_parallel

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
