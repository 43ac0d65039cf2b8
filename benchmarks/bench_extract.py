"""How long a median beat takes: the notebook's route, ours from WFDB files, ours from the store; on one core.

    python benchmarks/bench_extract.py [--recordings N] [--json]
    python benchmarks/bench_extract.py --scale       # the whole stage on 500 … 20,000 recordings; needs 4 GB of disk

On recordings of 10 s, 500 Hz, 12 leads, made of the known beats of reference.py. The notebook's route: rdrecord,
NeuroKit's ecg_clean and, on lead II, ecg_findpeaks; per lead ecg_segment, each segment resampled to 250, the median.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "stages")]
# One core: this must stand before numpy is imported.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import numpy as np
import pandas as pd
import psutil
import wfdb
from bench_beats import notebook
from extract import extract_batch
from reference import CONDITIONS, EXTRACT, known_beats, recording
from scipy import fft

from ecg.beats.detector import detect
from ecg.beats.median import median_beat
from ecg.leads import LEADS
from ecg.recordings.wfdb_header import read_header
from ecg.recordings.wfdb_signals import read_samples
from ecg.run.files import write_rows
from ecg.run.parallel import in_parallel

RATE, LENGTH = 500, 5000


def made(n):
    """n different recordings: each known beat under one of the conditions."""
    beats, knobs = known_beats(20), list(CONDITIONS.values())
    return [recording(beats[i % 20], seed=i, **knobs[i % len(knobs)]).samples for i in range(n)]


def milliseconds(function, items, repeats=5):
    """The best mean time for an item over some repeats."""
    function(items[0])
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        for item in items:
            function(item)
        best = min(best, 1000 * (time.perf_counter() - start) / len(items))
    return best


def notebook_route(path):
    # In uV, as `notebook` takes them.
    return notebook(1000 * wfdb.rdrecord(str(path.with_suffix(""))).p_signal)


def read(path):
    return read_samples(read_header(path))[0]


def transforms_and_detector(samples):
    """What cannot be saved: a Fourier transform there and back of the 12 leads, and one call of the detector."""
    leads = np.ascontiguousarray(samples.T, dtype=np.float32)
    back = fft.irfft(fft.rfft(leads, axis=1)[:, : LENGTH // 4 + 1], LENGTH // 2, axis=1)
    energy = np.sqrt(np.mean(np.square(back), axis=0))
    detect(energy, EXTRACT.sampling_rate, EXTRACT.detector)


def write_wfdb(folder, name, samples):
    form = {"fmt": ["16"] * 12, "units": ["mV"] * 12, "adc_gain": [1000.0] * 12, "baseline": [0] * 12}
    wfdb.wrsamp(name, RATE, sig_name=list(LEADS), d_signal=samples, write_dir=str(folder), **form)


def bench(folder, n):
    recordings = made(n)
    for i, samples in enumerate(recordings):
        write_wfdb(folder, f"r{i:04d}", samples)
    headers = sorted(folder.glob("*.hea"))
    part = folder / "part.npy"
    write_rows(part, recordings, dtype="<i2", row_shape=(12,))
    places = [(i * LENGTH, LENGTH, float(RATE)) for i in range(n)]

    result = {
        "notebook_ms": milliseconds(notebook_route, headers[:10], repeats=3),
        "files_ms": milliseconds(lambda path: median_beat(read(path), RATE, EXTRACT), headers),
        "store_ms": milliseconds(lambda _: extract_batch(part, places, EXTRACT), [None]) / n,
        "read_ms": milliseconds(read, headers),
        "fft_and_detector_ms": milliseconds(transforms_and_detector, recordings),
    }
    result["ratio"] = result["notebook_ms"] / result["files_ms"]
    result["store_over_fft_and_detector"] = result["store_ms"] / result["fft_and_detector_ms"]

    calls = [(part, places[:50], EXTRACT)] * n
    seconds = {}
    for workers in ("1", "2"):
        os.environ["WORKERS"] = workers
        list(in_parallel(extract_batch, calls[:4]))  # the processes start and import once
        best = float("inf")
        for _ in range(3):
            start = time.perf_counter()
            list(in_parallel(extract_batch, calls))
            best = min(best, time.perf_counter() - start)
        seconds[workers] = best
    result["two_workers_speedup"] = seconds["1"] / seconds["2"]
    return {key: round(value, 3) for key, value in result.items()}


def scale(folder, n):
    """Run the whole stage on n recordings, repeated and perturbed; return the seconds and its peak memory in MB."""
    base, rng = made(100), np.random.default_rng(0)
    shutil.copytree(ROOT / "stages", folder / "stages")
    shutil.copy(ROOT / "params.yaml", folder)
    (folder / "data/recordings").mkdir(parents=True)
    per_part, rows = 1000, []
    for first in range(0, n, per_part):
        name, count = f"part-{first // per_part:05d}.npy", min(per_part, n - first)
        blocks = (
            base[i % 100] + rng.integers(-8, 9, base[0].shape, dtype=np.int16) for i in range(first, first + count)
        )
        write_rows(folder / "data/recordings" / name, blocks, dtype="<i2", row_shape=(12,))
        rows += [(f"r{first + i}", name, i * LENGTH, LENGTH, RATE, "") for i in range(count)]
    columns = ["record", "part", "start", "samples", "sampling_rate", "reason"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "data/recordings.csv", index=False)

    start, peak = time.perf_counter(), 0
    process = subprocess.Popen([sys.executable, "stages/extract.py"], cwd=folder, stdout=subprocess.DEVNULL)
    tree = psutil.Process(process.pid)
    while process.poll() is None:
        memory = 0
        for member in [tree, *tree.children(recursive=True)]:
            try:
                # Proportional: the pages of the mapped store that several processes share count once.
                memory += member.memory_full_info().pss
            except psutil.Error:
                continue  # it has ended meanwhile
        peak = max(peak, memory)
        time.sleep(0.1)
    if process.returncode:
        raise SystemExit("stages/extract.py failed")
    return time.perf_counter() - start, peak / 2**20


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=int, default=100, metavar="N")
    parser.add_argument("--json", action="store_true", help="one JSON value instead of a table")
    parser.add_argument("--scale", action="store_true", help="time and memory of the whole stage")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as temporary:
        if arguments.scale:
            rows = []
            before, spent = 0, 0.0
            for n in (500, 5_000, 20_000):
                seconds, megabytes = scale(Path(temporary) / str(n), n)
                # What each further recording cost: the start, some seconds, weighs on few recordings.
                further = 1000 * (seconds - spent) / (n - before)
                rows.append(
                    {
                        "recordings": n,
                        "s": round(seconds, 2),
                        "ms_per_further": round(further, 3),
                        "peak_mb": round(megabytes),
                    }
                )
                before, spent = n, seconds
            if arguments.json:
                return print(json.dumps(rows))
            print(pd.DataFrame(rows).to_string(index=False))
            return None
        result = bench(Path(temporary), arguments.recordings)
    if arguments.json:
        return print(json.dumps(result))
    labels = {
        "notebook_ms": "(a) the notebook's route, ms a recording",
        "files_ms": "(b) ours from WFDB files, ms a recording",
        "store_ms": "(c) ours from the store, ms a recording",
        "read_ms": "    reading alone, header included, ms a recording",
        "fft_and_detector_ms": "(d) two Fourier transforms and one detector call, ms a recording",
        "ratio": "(a) / (b)",
        "store_over_fft_and_detector": "(c) / (d)",
        "two_workers_speedup": "two workers over one",
    }
    for key, label in labels.items():
        print(f"{label:<66}{result[key]:>9.2f}")
    return None


if __name__ == "__main__":
    main()
