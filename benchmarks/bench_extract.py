"""Time of a median beat by a notebook's route and by ours, from WFDB files and from the store, on one core.

    python benchmarks/bench_extract.py [--recordings N]

On recordings of 10 s, 500 Hz, 12 leads, made of the known beats of reference.py. The notebook's route: rdrecord;
NeuroKit's ecg_clean; ecg_findpeaks on lead II; for each lead ecg_segment, segments resampled to 250 samples, median.
Times are in ms per recording; `ratio` is the notebook's over ours from files. bench_scale.py times the whole stage.
"""

import argparse
import json
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent / "stages")]
# One core: NumPy reads these when it is imported.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import numpy as np
import wfdb
from bench_beats import notebook
from extract import extract_batch
from reference import CONDITIONS, EXTRACT, known_beats, read_real, recording

from ecg.beats.median import median_beat
from ecg.leads import LEADS
from ecg.run.parallel import in_parallel

RATE, LENGTH = 500, 5000


def milliseconds(function, n, repeats=5):
    """The best time (ms) of some repeats per recording of n, after a first call that does not count."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        function()
        times.append(1000 * (time.perf_counter() - start) / n)
    return min(times[1:])


def bench(folder, n):
    beats, knobs = known_beats(20), list(CONDITIONS.values())
    recordings = [recording(beats[i % 20], seed=i, **knobs[i % len(knobs)]).samples for i in range(n)]
    form = {"fmt": ["16"] * 12, "units": ["mV"] * 12, "adc_gain": [1000.0] * 12, "baseline": [0] * 12}
    for i, samples in enumerate(recordings):
        wfdb.wrsamp(f"r{i:04d}", RATE, sig_name=list(LEADS), d_signal=samples, write_dir=str(folder), **form)
    headers = sorted(folder.glob("*.hea"))
    part = folder / "part.npy"
    np.save(part, np.concatenate(recordings))
    places = [(i * LENGTH, LENGTH, float(RATE), np.nan) for i in range(n)]
    records = [str(path.with_suffix("")) for path in headers[:10]]
    result = {
        # In uV, as `notebook` takes them.
        "notebook_ms": milliseconds(
            lambda: [notebook(1000 * wfdb.rdrecord(record).p_signal) for record in records], len(records), repeats=3
        ),
        "files_ms": milliseconds(lambda: [median_beat(*read_real(path), EXTRACT) for path in headers], n),
        "store_ms": milliseconds(lambda: extract_batch(part, places, EXTRACT), n),
        "read_ms": milliseconds(lambda: [read_real(path) for path in headers], n),
    }
    result["ratio"] = result["notebook_ms"] / result["files_ms"]
    calls, seconds = [(part, places[:50], EXTRACT)] * n, {}
    for workers in ("1", "2"):
        os.environ["WORKERS"] = workers
        seconds[workers] = milliseconds(lambda: list(in_parallel(extract_batch, calls)), n, repeats=3)
    result["two_workers_speedup"] = seconds["1"] / seconds["2"]
    return {key: round(value, 3) for key, value in result.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=int, default=100, metavar="N")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as temporary:
        result = bench(Path(temporary), arguments.recordings)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
