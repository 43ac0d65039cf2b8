"""How fast 1,000 median beats are scored by ONNX Runtime and by torch, in one run, on all cores.

    python benchmarks/bench_export.py [--repeats N] [--json]

In a project's folder, with the model and the beats that `dvc repro` left in data/, repeated to 1,000.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent / "stages")]

import numpy as np
import onnxruntime

from ecg.network.ensemble import probabilities
from ecg.network.model_file import load_model
from ecg.stage.paths import BEATS, MODEL

N = 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15, metavar="N")
    parser.add_argument("--json", action="store_true", help="one JSON value instead of a table")
    arguments = parser.parse_args()
    beats = np.load(BEATS)
    beats = np.resize(beats, (N, *beats.shape[1:]))
    model, _ = load_model(MODEL)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        command = [sys.executable, "stages/export.py", "--out", str(path)]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        session = onnxruntime.InferenceSession(path)
    ways = {
        "torch": lambda: probabilities(model, beats),
        "onnxruntime": lambda: session.run(None, {"beats": beats})[0],
    }
    difference = float(np.abs(ways["torch"]() - ways["onnxruntime"]()).max())
    # In turn, so that both see the machine as it is.
    seconds = {name: [] for name in ways}
    for _ in range(arguments.repeats):
        for name, score in ways.items():
            start = time.perf_counter()
            score()
            seconds[name].append(time.perf_counter() - start)
    result = {f"{name}_s": round(float(np.median(taken)), 4) for name, taken in seconds.items()}
    result["torch_over_onnxruntime"] = round(float(np.median(np.divide(*seconds.values()))), 3)
    result["largest_difference"] = difference
    if arguments.json:
        print(json.dumps(result))
        return
    for key, value in result.items():
        print(f"{key:<24}{value:.3g}")


if __name__ == "__main__":
    main()
