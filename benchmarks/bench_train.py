"""Speed of the FCN's training as a share of the machine's rate of float32 matrix multiplication.

    python benchmarks/bench_train.py [--repeats N]

An epoch of `STEPS` steps as in params.yaml, on one thread, takes turns with multiplications of two square matrices; the
best time of each counts, since other programs only slow them down. FLOPs are those of convolutions and linear layer: 2
for a multiplication and addition; once forward, once for the gradient of the weights and once for that of the input,
which the first layer does not need. DEVICE is that of train; on a GPU, 20,000 beats x 20 epochs are timed, too.
"""

import argparse
import json
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "stages")]

import numpy as np
import torch

from ecg.beats.windows import beat_offsets
from ecg.model.fcn import Beats, choose_device, create, fit_network
from ecg.params import read_params

LEADS, CLASSES = 12, 3
STEPS = 16
SIDE = 2048


def made_beats(n, samples):
    rng = np.random.default_rng(0)
    return Beats(rng.normal(size=(n, LEADS, samples)).astype(np.float32), np.arange(n) % CLASSES)


def flops_of_step(train, samples):
    channels, total = LEADS, 0
    for i, (n, kernel) in enumerate(zip(train.filters, train.kernels, strict=True)):
        total += (2 if i == 0 else 3) * 2 * channels * n * kernel * samples
        channels = n
    return train.batch_size * (total + 3 * 2 * channels * train.parts * CLASSES)


def seconds_of(function, device):
    start = time.perf_counter()
    function()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def bench(repeats):
    params = read_params(ROOT / "params.yaml")
    train, samples = params.train.model_copy(update={"epochs": 1}), len(beat_offsets(params.extract))
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    device = choose_device()
    data = made_beats(STEPS * train.batch_size, samples)
    network = create(train, data.beats, classes=CLASSES, seed=0).to(device)
    one_side, other_side = torch.randn(2, SIDE, SIDE, device=device)
    ways = (lambda: fit_network(network, data, train)), (lambda: one_side @ other_side)
    times = [[seconds_of(way, device) for way in ways] for _ in range(repeats + 1)]
    seconds, matmul_seconds = np.min(times[1:], axis=0)  # the first times include preparations
    gflops, matmul_gflops = STEPS * flops_of_step(train, samples) / seconds / 1e9, 2 * SIDE**3 / matmul_seconds / 1e9
    result = {"device": str(device), "samples_per_s": len(data.beats) / seconds, "gflops": gflops}
    result |= {"matmul_gflops": matmul_gflops, "fraction": gflops / matmul_gflops}
    if device.type == "cuda":
        data, train = made_beats(20_000, samples), train.model_copy(update={"epochs": 20})
        result["seconds_20000_beats_20_epochs"] = seconds_of(lambda: fit_network(network, data, train), device)
    return {key: round(value, 3) if isinstance(value, float) else value for key, value in result.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=30)
    arguments = parser.parse_args()
    result = bench(arguments.repeats)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
