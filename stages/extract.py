"""Reduce each recording to its median beat.

Reads   data/recordings.csv, data/recordings/
Writes  data/beats.npy  the median beats, records x 12 x samples, float32, mV
        data/beats.csv  a row for every kept recording: its row in beats.npy and its quality, or the reason why not
"""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from ecg.beats.median import MedianBeat, median_beat, window
from ecg.params import read_params
from ecg.stage.files import replacing
from ecg.stage.parallel import in_parallel
from ecg.stage.script import UsageError, run_stage
from ecg.stage.store import open_part, write_rows
from ecg.stage.tables import read_table

RECORDINGS = Path("data/recordings")
INDEX = Path("data/recordings.csv")
BEATS = Path("data/beats.npy")
QUALITY = Path("data/beats.csv")

BATCH = 50  # recordings


def extract_batch(part: Path, recordings: list[tuple[int, int, float]], settings: dict) -> list[MedianBeat]:
    """Return the median beats of recordings (start, samples, sampling rate in Hz) in one part of the store."""
    # Sums must not depend on how many threads there are.
    with threadpool_limits(limits=1):
        samples = open_part(part)
        return [median_beat(np.array(samples[s : s + n]), rate, **settings) for s, n, rate in recordings]


def batches(index: pd.DataFrame, settings: dict) -> list[tuple]:
    """Cut the index into calls of `extract_batch`, each within one part."""
    calls = []
    for part, rows in index.groupby("part", sort=False):
        recordings = list(zip(rows.start.tolist(), rows.samples.tolist(), rows.sampling_rate.tolist(), strict=True))
        for i in range(0, len(recordings), BATCH):
            calls.append((RECORDINGS.resolve() / part, recordings[i : i + BATCH], settings))
    return calls


def main() -> None:
    params = read_params()
    settings = params.extract.model_dump()
    index = read_table(INDEX)
    index = index[index.reason == ""].astype({"start": int, "samples": int, "sampling_rate": float})
    length = len(window(params.extract.window_start, params.extract.window_end, params.extract.sampling_rate))
    quality = []

    def beats():
        with tqdm(total=len(index), desc="median beats", disable=None) as progress:
            for results in in_parallel(extract_batch, batches(index, settings)):
                quality.extend(result._replace(beat=result.beat is not None) for result in results)
                found = [result.beat for result in results if result.beat is not None]
                if found:
                    yield np.stack(found)
                progress.update(len(results))

    with replacing(BEATS) as temporary:
        n = write_rows(temporary, beats(), dtype="<f4", row_shape=(12, length))
    table = pd.DataFrame(quality, columns=MedianBeat._fields)
    table.insert(0, "record", index.record.to_numpy())
    table.insert(1, "row", np.where(table.beat, table.beat.cumsum() - 1, -1))
    table["row"] = table.row.astype("Int64").mask(~table.beat)
    reasons = Counter(table.reason[~table.beat].str.split(":").str[0])
    refused = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
    print(f"{len(table)} recordings, {n} median beats" + (f"; refused: {refused}" if refused else ""))
    if not n:
        raise UsageError("none of the recordings gives a median beat")
    with replacing(QUALITY) as temporary:
        rounded = table.drop(columns="beat").round({"heart_rate": 2, "noise_uv": 2, "correlation": 4})
        rounded.to_csv(temporary, index=False)


if __name__ == "__main__":
    run_stage(main)
