"""Time of scoring 1 and 1,000 median beats with ONNX Runtime and with torch, in one run, on all cores.

    python benchmarks/bench_export.py [--repeats N]

Run it in a project's folder after `dvc repro`: it takes model and beats from data/ and repeats the beats to 1,000.
"""

import argparse
import json
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent / "stages")]

import numpy as np
import onnxruntime
from export import to_onnx

from ecg.model.model import load_model, probabilities
from ecg.run.paths import BEATS, MODEL
from ecg.run.script import run

SIZES = (1, 1000)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15, metavar="N", help="default: 15")
    arguments = parser.parse_args()
    model, description = load_model(MODEL)
    beats = np.load(BEATS)
    session = onnxruntime.InferenceSession(to_onnx(model, description))
    ways = {
        "torch": lambda some: probabilities(model, some),
        "onnxruntime": lambda some: session.run(None, {"beats": some})[0],
    }
    result = {}
    for n in SIZES:
        some = np.resize(beats, (n, *beats.shape[1:]))
        result["largest_difference"] = float(np.abs(ways["torch"](some) - ways["onnxruntime"](some)).max())
        # In turn, so that both meet the same load; the fastest time, since other programs only slow them down.
        seconds = {name: [] for name in ways}
        for _ in range(arguments.repeats):
            for name, score in ways.items():
                start = time.perf_counter()
                score(some)
                seconds[name].append(time.perf_counter() - start)
        for name, taken in seconds.items():
            result[f"{name}_{n}_ms"] = round(1000 * min(taken), 3)
        result[f"torch_over_onnxruntime_{n}"] = round(min(seconds["torch"]) / min(seconds["onnxruntime"]), 3)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    run(main)
