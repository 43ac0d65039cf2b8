"""Assign patients to folds, and folds to train, val and test.

Reads   data/recordings.csv, data/beats.csv
Writes  data/split.csv  a row for every recording found: fold, split, row in beats.npy, or the reason of its refusal
"""

import warnings

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from ecg.params import Split, read_params
from ecg.run.files import read_table, write
from ecg.run.paths import BEATS_TABLE, RECORDINGS_TABLE, SPLIT
from ecg.run.script import UsageError, run_stage

PTBXL_FOLDS = 10
COLUMNS = [
    *("record", "patient", "source", "label", "fold", "split", "row", "age", "sex", "device", "site", "sha256"),
    *("heart_rate", "noise_uv", "n_beats", "n_used", "reason"),
]


def assign_folds(patients: np.ndarray, strata: np.ndarray, given: np.ndarray, *, folds: int, seed: int) -> np.ndarray:
    """Return each record's fold, 1 … folds: by patient, strata spread evenly; `given` is PTB-XL's fold or NaN."""
    first = pd.Series(given).groupby(patients).transform("first").to_numpy()
    fold = (first - 1) % PTBXL_FOLDS * min(folds, PTBXL_FOLDS) // PTBXL_FOLDS + 1
    rest = np.flatnonzero(np.isnan(first))
    names, group = np.unique(patients[rest], return_inverse=True)
    if len(names) >= folds and pd.Series(strata[rest]).value_counts().max() >= folds:
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        with warnings.catch_warnings():
            # It warns of a stratum with fewer members than folds; `check_classes` finds absent classes.
            warnings.simplefilter("ignore", UserWarning)
            for number, (_, chosen) in enumerate(splitter.split(rest, strata[rest], group), start=1):
                fold[rest[chosen]] = number
    elif len(rest):
        fold[rest] = np.random.default_rng(seed).permutation(len(names))[group] % folds + 1
    return fold.astype(int)


def assign_splits(table: pd.DataFrame, split: Split) -> np.ndarray:
    """Return train, val or test for each record; the patients of a hold-out source are the test split."""
    for key, least in [("val_fold", 1)] if split.holdout_source else [("val_fold", 1), ("test_fold", 0)]:
        if (fold := getattr(split, key)) > split.folds:
            raise UsageError(f"split.{key} is {fold}; allowed: {least} to {split.folds}")
    if not split.holdout_source:
        return np.select([table.fold == split.val_fold, table.fold == split.test_fold], ["val", "test"], "train")
    if split.holdout_source not in set(table.source):
        sources = ", ".join(sorted(set(table.source)))
        raise UsageError(f"split.holdout_source is '{split.holdout_source}'; allowed: '' or one of {sources}")
    held_out = (table.source == split.holdout_source).groupby(table.patient).transform("any")
    return np.select([held_out, table.fold == split.val_fold], ["test", "val"], "train")


def split_patients(rows: pd.DataFrame, split: Split) -> pd.DataFrame:
    """Return rows of recordings.csv (those with a beat) with the columns fold and split."""
    strata, given = (rows.label + " " + rows.source).to_numpy(), rows.fold.to_numpy(dtype=float)
    fold = assign_folds(rows.patient.to_numpy(), strata, given, folds=split.folds, seed=split.seed)
    return rows.assign(fold=fold).assign(split=lambda dealt: assign_splits(dealt, split))


def check_classes(table: pd.DataFrame, *, without_test: bool) -> None:
    """Raise UsageError if a split lacks ischemia or normal, or if train or val lacks other while the table has it."""
    for split in ["train", "val"] if without_test else ["train", "val", "test"]:
        # The headline comparison does not need the class other.
        wanted = {"ischemia", "normal"} if split == "test" else {"ischemia", "normal", *table.label}
        for label in sorted(wanted - set(table.label[table.split == split])):
            if label not in set(table.label):
                raise UsageError(f"none of {len(table)} recordings with a beat is {label}; check the labels")
            raise UsageError(
                f"no {label} recording in the {split} split; choose other folds (split.folds, split.val_fold, "
                "split.test_fold), another split.holdout_source or more recordings"
            )


def main() -> None:
    split = read_params().split
    index, quality = read_table(RECORDINGS_TABLE).drop(columns="heart_rate"), read_table(BEATS_TABLE)
    table = index.merge(quality, "left", on="record", suffixes=("", "_of_extract"))
    table["reason"] = table.reason.where(table.reason != "", table.reason_of_extract)
    dealt = split_patients(table[table.row.notna()], split)
    check_classes(dealt, without_test=not (split.test_fold or split.holdout_source))
    counts = pd.crosstab(dealt.label, dealt.split)
    print(counts.reindex(columns=["train", "val", "test"], fill_value=0).to_string())
    table = table.drop(columns="fold").join(dealt[["fold", "split"]])
    table = table.astype(dict.fromkeys(("fold", "row", "n_beats", "n_used"), "Int64"))
    write(SPLIT, table[COLUMNS].to_csv(index=False))


if __name__ == "__main__":
    run_stage(main)
