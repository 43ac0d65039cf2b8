"""Accuracy of the FCN on data sets of the UCR archive, next to that published by Wang et al. (2017).

    python benchmarks/bench_ucr.py --ucr DIR [--epochs N] [--seed N]

DIR contains NAME/NAME_TRAIN.tsv and NAME/NAME_TEST.tsv, or both without the folder NAME, as in the archive of 2018: a
series a row, its label first. Every data set found is used; one without a published accuracy has a blank. The recipe
is the paper's: no dropout, Adam at 1e-3, batches of a tenth of the train split and at most 16, the rate halved after 50
epochs without a lower train loss and never below 1e-4, the epoch with the lowest train loss, 2000 epochs.
"""

import argparse
import copy
import json
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent / "stages")]

import numpy as np
import pandas as pd
import torch
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from ecg.model.fcn import choose_device, create, outputs
from ecg.params import Architecture
from ecg.run.script import UsageError, run

PUBLISHED = {
    "Coffee": 1.000,
    "ECG200": 0.900,
    "ECG5000": 0.941,
    "ECGFiveDays": 0.985,
    "GunPoint": 1.000,
    "TwoLeadECG": 1.000,
}
PAPER = Architecture(filters=[128, 256, 128], kernels=[8, 5, 3], dropout=[0.0] * 3, parts=1, trees=0)


def read_split(path):
    """The series (n x 1 x samples, float32) and labels (n, float64) of one .tsv file."""
    table = pd.read_csv(path, sep="\t", header=None, dtype=np.float64).to_numpy()
    if not np.isfinite(table).all():
        raise UsageError(f"{path}: a value is missing, or the series differ in length; allowed: series of one length")
    return table[:, None, 1:].astype(np.float32), table[:, 0]


def accuracy(train, test, *, epochs, seed, device, name):
    """Train on one split (series, labels); return the accuracy on the other."""
    series, classes = train[0], np.unique(train[1])
    x, target = (torch.from_numpy(values).to(device) for values in (series, np.searchsorted(classes, train[1])))
    network = create(PAPER, series, classes=len(classes), seed=seed).to(device)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, factor=0.5, patience=50, min_lr=1e-4)
    lowest, best = np.inf, None
    for _ in tqdm(range(epochs), name, disable=None, leave=False):
        network.train()
        total = 0.0
        for batch in torch.randperm(len(x)).to(device).split(max(1, min(len(x) // 10, 16))):
            loss = cross_entropy(network(x[batch]), target[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.item() * len(batch)
        schedule.step(total / len(x))
        if total < lowest:
            lowest, best = total, copy.deepcopy(network.state_dict())
    network.load_state_dict(best)
    return float((classes[outputs(network, test[0]).argmax(dim=1).numpy()] == test[1]).mean())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ucr", type=Path, required=True, metavar="DIR")
    parser.add_argument("--epochs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    torch.use_deterministic_algorithms(True)
    settings = {"epochs": arguments.epochs, "seed": arguments.seed, "device": choose_device()}
    rows = []
    for train in sorted(arguments.ucr.glob("**/*_TRAIN.tsv")):
        name = train.name.removesuffix("_TRAIN.tsv")
        splits = [read_split(path) for path in (train, train.with_name(f"{name}_TEST.tsv"))]
        share = accuracy(*splits, **settings, name=name)
        rows.append({"dataset": name, "accuracy": round(share, 4), "published": PUBLISHED.get(name)})
    if not rows:
        raise UsageError(f"{arguments.ucr} has no file NAME_TRAIN.tsv; --ucr takes the folder of the data sets")
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    run(main)
