"""The FCN and its training on data sets of the UCR archive, beside the accuracy that Wang et al. (2017) published.

    python benchmarks/bench_ucr.py --ucr DIR [--epochs N] [--seed N] [--json]

DIR holds NAME/NAME_TRAIN.tsv and NAME/NAME_TEST.tsv, or both without the folder NAME, as in the archive of 2018: a
series a row, its label first. Every data set found is used; where none was published, the table has a blank. The series
of a data set must have one length and no missing value. The recipe is the paper's: no dropout, Adam at 1e-3, batches of
a tenth of the train split and at most 16, the rate halved after 50 epochs without a lower train loss and never below
1e-4, the epoch with the lowest train loss. It trained for 2000 epochs, the default here. Same seed, same numbers.
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
from tqdm import tqdm

from ecg.model.fcn import batches_of, choose_device, create, outputs, train_epoch
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


def read_split(path):
    """The series (n x 1 x samples, float32) and labels (n, float64) of one .tsv file."""
    try:
        table = pd.read_csv(path, sep="\t", header=None, dtype=np.float64).to_numpy()
    except (ValueError, pd.errors.ParserError) as error:
        raise UsageError(f"{path} is no table of numbers with tabs between: {' '.join(str(error).split())}") from None
    if not np.isfinite(table).all():
        row = int(np.flatnonzero(~np.isfinite(table).all(axis=1))[0]) + 1
        raise UsageError(f"{path}, row {row}: a value is missing, or the series is shorter than others; none may be")
    return table[:, None, 1:].astype(np.float32), table[:, 0]


PAPER = Architecture(filters=[128, 256, 128], kernels=[8, 5, 3], dropout=[0.0] * 3, parts=1, trees=0)


def find_data_sets(folder):
    """The paths of train and test split of each data set below a folder, by name."""
    found = {path.name.removesuffix("_TRAIN.tsv"): path for path in sorted(folder.glob("**/*_TRAIN.tsv"))}
    if not found:
        raise UsageError(f"{folder} has no file NAME/NAME_TRAIN.tsv or NAME_TRAIN.tsv; --ucr takes the folder of them")
    pairs = {name: (path, path.with_name(f"{name}_TEST.tsv")) for name, path in found.items()}
    for _, test in pairs.values():
        if not test.exists():
            raise UsageError(f"{test} is missing beside its train split")
    return pairs


def accuracy(train, test, *, epochs, seed, device, name):
    """Train on one split (series, labels); return the share of the other whose most probable class is right."""
    series, classes = train[0], np.unique(train[1])
    target = torch.from_numpy(np.searchsorted(classes, train[1])).to(device)
    network = create(PAPER, series, classes=len(classes), seed=seed).to(device)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, factor=0.5, patience=50, min_lr=1e-4)
    size, x = max(1, min(len(series) // 10, 16)), torch.from_numpy(series).to(device)
    lowest, best = np.inf, None
    for _ in tqdm(range(epochs), name, disable=None, leave=False):
        loss = train_epoch(network, batches_of(x, target, size), optimiser)
        schedule.step(loss)
        if loss < lowest:
            lowest, best = loss, copy.deepcopy(network.state_dict())
    network.load_state_dict(best)
    return float((classes[outputs(network, test[0]).argmax(dim=1).numpy()] == test[1]).mean())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ucr", type=Path, required=True, metavar="DIR")
    parser.add_argument("--epochs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON value instead of a table")
    arguments = parser.parse_args()
    if arguments.epochs < 1:
        parser.error("--epochs takes a whole number from 1")
    torch.use_deterministic_algorithms(True)
    settings = {"epochs": arguments.epochs, "seed": arguments.seed, "device": choose_device()}
    rows = []
    for name, paths in find_data_sets(arguments.ucr).items():
        train, test = (read_split(path) for path in paths)
        if train[0].shape[2] != test[0].shape[2]:
            raise UsageError(f"{name}: series of {train[0].shape[2]} samples to train, of {test[0].shape[2]} to test")
        share = accuracy(train, test, **settings, name=name)
        rows.append({"dataset": name, "accuracy": round(share, 4), "published": PUBLISHED.get(name)})
    if arguments.json:
        return print(json.dumps(rows))
    print(f"{'data set':<24}{'accuracy':>10}{'published':>11}")
    for row in rows:
        published = "" if row["published"] is None else f"{row['published']:.3f}"
        print(f"{row['dataset']:<24}{row['accuracy']:>10.3f}{published:>11}")
    return None


if __name__ == "__main__":
    run(main)
