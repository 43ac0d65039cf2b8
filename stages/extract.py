"""Reduce each recording to its median beat.

Reads   data/recordings.csv, data/recordings/
Writes  data/beats.npy  the median beats, records x 12 x samples, float32, mV
        data/beats.csv  a row for every kept recording: its row in beats.npy, its quality, or the reason of its refusal
"""

from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from ecg.beats.median import MedianBeat, median_beat
from ecg.beats.windows import beat_offsets
from ecg.params import Extract, read_params
from ecg.run.files import read_table, replacing, write
from ecg.run.parallel import in_parallel
from ecg.run.paths import BEATS, BEATS_TABLE, RECORDINGS, RECORDINGS_TABLE
from ecg.run.script import UsageError, run_stage

BATCH = 50  # recordings


def extract_batch(part: Path, recordings: list[tuple[int, int, float, float]], extract: Extract) -> list[MedianBeat]:
    """Return median beats of recordings (start, samples, sampling rate, the file's heart rate or NaN) in one part."""
    # Sums must not depend on the number of threads.
    with threadpool_limits(limits=1):
        samples = np.load(part, mmap_mode="r")
        return [median_beat(np.array(samples[s : s + n]), hz, extract, rate) for s, n, hz, rate in recordings]


def quality_table(kept: pd.DataFrame, results: list[MedianBeat]) -> pd.DataFrame:
    """Return a row for every kept record: its row in beats.npy and its quality, or the reason of its refusal."""
    table = pd.DataFrame(results, columns=MedianBeat._fields)
    found = table.beat.notna()
    table["flags"] = table["flags"].map("; ".join)
    table.insert(0, "record", kept.record.to_numpy())
    table.insert(1, "row", (found.cumsum() - 1).astype("Int64").where(found))
    return table.drop(columns="beat").round({"heart_rate": 2, "noise_uv": 2, "correlation": 4})


def main() -> None:
    extract = read_params().extract
    index = read_table(RECORDINGS_TABLE)
    kept = index[index.reason == ""]
    calls: list[tuple] = []
    for part, rows in kept.groupby("part", sort=False):
        places = list(rows[["start", "samples", "sampling_rate", "heart_rate"]].itertuples(index=False, name=None))
        calls += [(RECORDINGS.resolve() / part, places[i : i + BATCH], extract) for i in range(0, len(places), BATCH)]
    done = tqdm(in_parallel(extract_batch, calls), total=len(calls), desc=f"batches of {BATCH}", disable=None)
    results = [result for batch in done for result in batch]
    beats = [result.beat for result in results if result.beat is not None]
    with replacing(BEATS) as temporary:
        np.save(temporary, np.array(beats, "<f4").reshape(-1, 12, len(beat_offsets(extract))))
    table = quality_table(kept, results)
    write(BEATS_TABLE, table.to_csv(index=False))
    reasons = table.reason[table.row.isna()].str.split(":").str[0].value_counts().sort_index()
    refused = ", ".join(f"{count} '{reason}'" for reason, count in reasons.items())
    print(f"{len(table)} recordings, {len(beats)} median beats" + (f"; refused: {refused}" if refused else ""))
    if not beats:
        raise UsageError(f"no recording gives a median beat; {BEATS_TABLE} has the reason of each")


if __name__ == "__main__":
    run_stage(main)
