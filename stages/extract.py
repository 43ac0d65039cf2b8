"""Reduce each recording to its median beat.

Reads   data/recordings.csv, data/recordings/
Writes  data/beats.npy  the median beats, records x 12 x samples, float32, mV
        data/beats.csv  a row for every kept recording: its row in beats.npy and its quality, or the reason why not
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from ecg.beats.median import MedianBeat, median_beat
from ecg.beats.plausibility import compare_heart_rates
from ecg.beats.windows import beat_offsets
from ecg.params import Extract, read_params
from ecg.run.files import replacing
from ecg.run.parallel import in_parallel
from ecg.run.paths import BEATS, BEATS_TABLE, RECORDINGS, RECORDINGS_TABLE
from ecg.run.script import UsageError, run_stage
from ecg.run.tables import open_part, read_table, write_rows

BATCH = 50  # recordings


def extract_batch(part: Path, recordings: list[tuple[int, int, float]], extract: Extract) -> list[MedianBeat]:
    """Return the median beats of recordings (start, samples, sampling rate in Hz) in one part of the store."""
    # Sums must not depend on how many threads there are.
    with threadpool_limits(limits=1):
        samples = open_part(part)
        return [median_beat(np.array(samples[s : s + n]), rate, extract) for s, n, rate in recordings]


def batches(kept: pd.DataFrame, extract: Extract) -> list[tuple]:
    """Cut the kept recordings into calls of `extract_batch`, each within one part."""
    calls = []
    for part, rows in kept.groupby("part", sort=False):
        recordings = list(zip(rows.start.tolist(), rows.samples.tolist(), rows.sampling_rate.tolist(), strict=True))
        for i in range(0, len(recordings), BATCH):
            calls.append((RECORDINGS.resolve() / part, recordings[i : i + BATCH], extract))
    return calls


def quality_table(kept: pd.DataFrame, results: list[MedianBeat]) -> pd.DataFrame:
    """Return a row for every kept record: its row in beats.npy and its quality, or the reason why not."""
    table = pd.DataFrame(results, columns=MedianBeat._fields)
    told = pd.to_numeric(kept.heart_rate)
    table["flags"] = [
        (*result.flags, *compare_heart_rates(result.heart_rate, rate))
        for result, rate in zip(results, told, strict=True)
    ]
    table.insert(0, "record", kept.record.to_numpy())
    table.insert(1, "row", np.where(table.beat, table.beat.cumsum() - 1, -1))
    table["row"] = table.row.astype("Int64").mask(~table.beat)
    table["flags"] = table["flags"].map("; ".join)
    return table.drop(columns="beat").round({"heart_rate": 2, "noise_uv": 2, "correlation": 4})


def main() -> None:
    extract = read_params().extract
    index = read_table(RECORDINGS_TABLE)
    kept = index[index.reason == ""].astype({"start": int, "samples": int, "sampling_rate": float})
    results: list[MedianBeat] = []

    def beats() -> Iterator[np.ndarray]:
        with tqdm(total=len(kept), desc="median beats", disable=None) as progress:
            for batch in in_parallel(extract_batch, batches(kept, extract)):
                found = [result.beat for result in batch if result.beat is not None]
                # Their beats are on disk: a mark stands for each.
                results.extend(result._replace(beat=result.beat is not None) for result in batch)
                if found:
                    yield np.stack(found)
                progress.update(len(batch))

    with replacing(BEATS) as temporary:
        n = write_rows(temporary, beats(), dtype="<f4", row_shape=(12, len(beat_offsets(extract))))
    table = quality_table(kept, results)
    reasons = Counter(table.reason[table.row.isna()].str.split(":").str[0])
    refused = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
    print(f"{len(table)} recordings, {n} median beats" + (f"; refused: {refused}" if refused else ""))
    with replacing(BEATS_TABLE) as temporary:
        table.to_csv(temporary, index=False)
    if not n:
        raise UsageError(f"none of the recordings gives a median beat; {BEATS_TABLE} has the reason of each")


if __name__ == "__main__":
    run_stage(main)
