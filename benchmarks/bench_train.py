"""How near a training step of the default FCN comes to the machine's rate of float32 matrix multiplication.

    python benchmarks/bench_train.py [--repeats N] [--json]

The step is the stage's own: params.yaml's section train, batches of 12 leads x 82 samples. It is timed in turn with a
multiplication of two square matrices and with a plain loop (DataLoader, Conv1d, nn.Dropout, AdamW, no average of the
weights); of each the best time counts, for other programs may run beside.

FLOPs are the useful ones: 2 for a multiplication and addition of a convolution or of the linear layer, once forward,
once for the gradient of the weights and once for that of the input, which the first layer does not need. Nothing else
counts, so the network that batch norm, dropout and AdamW take no time for would have a fraction of 1. DEVICE is that
of the stage; on a GPU the time of 20,000 beats x 20 epochs is measured too.
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
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from ecg.beats.windows import beat_offsets
from ecg.model.fcn import choose_device
from ecg.model.training import Beats, batches_of, begin, create, fit, train_epoch
from ecg.params import read_params

LEADS, CLASSES = 12, ["normal", "ischemia", "other"]
STEPS = 4
SIDE = 2048


def made(n, samples):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, LEADS, samples)).astype(np.float32), np.arange(n) % len(CLASSES)


def flops_of_step(train, samples):
    """The useful FLOPs of one step of the FCN."""
    channels, total = LEADS, 0
    for i, (n, kernel) in enumerate(zip(train.filters, train.kernels, strict=True)):
        total += (2 if i == 0 else 3) * 2 * channels * n * kernel * samples
        channels = n
    return train.batch_size * (total + 3 * 2 * channels * train.parts * len(CLASSES))


def plain_network(train):
    layers, channels = [], LEADS
    for n, kernel, rate in zip(train.filters, train.kernels, train.dropout, strict=True):
        padding = nn.ZeroPad1d(((kernel - 1) // 2, kernel // 2))
        layers += [padding, nn.Conv1d(channels, n, kernel), nn.BatchNorm1d(n), nn.ReLU(), nn.Dropout(rate)]
        channels = n
    return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(channels, len(CLASSES)))


def plain_loop(network, beats, target, train, device):
    """A function that trains for one epoch as many do."""
    loader = DataLoader(
        TensorDataset(torch.from_numpy(beats), torch.from_numpy(target)),
        batch_size=train.batch_size,
        shuffle=True,
    )
    optimiser = torch.optim.AdamW(network.parameters(), lr=train.lr, weight_decay=train.weight_decay)

    def epoch():
        network.train()
        total = 0.0
        for x, y in loader:
            optimiser.zero_grad()
            loss = functional.cross_entropy(network(x.to(device)), y.to(device))
            loss.backward()
            optimiser.step()
            total += loss.item()
        return total

    return epoch


def best_seconds(functions, repeats, device):
    """The best time of each function, all called in turn."""

    def seconds(function):
        start = time.perf_counter()
        function()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    for function in functions:
        seconds(function)
    return np.min([[seconds(function) for function in functions] for _ in range(repeats)], axis=0)


def bench(repeats):
    params = read_params(ROOT / "params.yaml")
    train = params.train.model_copy(update={"epochs": repeats + 1})
    samples = len(beat_offsets(params.extract))
    torch.use_deterministic_algorithms(True)
    device = choose_device()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    beats, target = made(STEPS * train.batch_size, samples)
    model = create(train, beats, classes=len(CLASSES), seed=0).to(device)
    progress = begin(model, STEPS, train)
    x, y = torch.from_numpy(beats).to(device), torch.from_numpy(target).to(device)
    one_side, other_side = torch.randn(2, SIDE, SIDE, device=device)

    def after_step():
        progress.schedule.step()
        progress.averaged.update_parameters(model)

    def epoch():
        batches = batches_of(x, y, train.batch_size, progress.random)
        settings = {"weights": torch.ones(3, device=device), "after_step": after_step}
        train_epoch(model, batches, progress.optimiser, **settings)

    plain = plain_loop(plain_network(train).to(device), beats, target, train, device)
    functions = (epoch, lambda: one_side @ other_side, plain)
    seconds, matmul_seconds, plain_seconds = best_seconds(functions, repeats, device)
    gflops = STEPS * flops_of_step(train, samples) / seconds / 1e9
    matmul_gflops = 2 * SIDE**3 / matmul_seconds / 1e9
    result = {
        "device": name,
        "threads": torch.get_num_threads(),
        "samples_per_s": len(beats) / seconds,
        "gflops": gflops,
        "matmul_gflops": matmul_gflops,
        "fraction": gflops / matmul_gflops,
        "plain_samples_per_s": len(beats) / plain_seconds,
        "over_plain": plain_seconds / seconds,
    }
    if device.type == "cuda":
        beats, target = made(20_000, samples)
        long = train.model_copy(update={"epochs": 20})
        start = time.perf_counter()
        fit(model, Beats(beats, target), long, Beats(beats[:2000], target[:2000]))
        result["seconds_20000_beats_20_epochs"] = time.perf_counter() - start
    return {key: round(value, 3) if isinstance(value, float) else value for key, value in result.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--json", action="store_true", help="one JSON value instead of a table")
    arguments = parser.parse_args()
    result = bench(arguments.repeats)
    if arguments.json:
        return print(json.dumps(result))
    labels = {
        "device": "device",
        "threads": "threads",
        "samples_per_s": "samples/s in training steps",
        "gflops": "    useful GFLOP/s (a)",
        "matmul_gflops": "float32 matrix multiplication, GFLOP/s (b)",
        "fraction": "(a) / (b)",
        "plain_samples_per_s": "samples/s of a plain DataLoader loop",
        "over_plain": "ours over the plain loop",
        "seconds_20000_beats_20_epochs": "20,000 beats x 20 epochs, s",
    }
    for key, value in result.items():
        print(f"{labels[key]:<46}{value:>12}")
    return None


if __name__ == "__main__":
    main()
