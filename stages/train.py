"""Train the networks and trees on the train split; calibrate the model and set its threshold on val.

Reads   data/beats.npy, data/split.csv, data/recordings.csv
Writes  data/model.safetensors  the model: weights, calibration, threshold, hashes of its recordings, a description
        data/history.csv        a row for each epoch: the mean loss of the networks on train and val
        data/train.json         ROC AUCs and losses on val, to choose a recipe by; ROC AUC on train; threshold
"""

import numpy as np

from ecg.model.comparisons import COMPARISONS, FEW, counts_and_aucs, reference_numbers, scored_table
from ecg.model.model import probabilities, save_model
from ecg.model.recipe import describe, train_model
from ecg.params import read_params
from ecg.run.files import load_split, read_table, write, write_json
from ecg.run.paths import HISTORY, MODEL, RECORDINGS_TABLE, TRAIN_NUMBERS
from ecg.run.script import run_stage, warn


def main() -> None:
    params, (beats, rows) = read_params(), load_split("train", "val")
    model, classes, threshold, p_val, history = train_model(beats, rows, params.extract, params.train)
    train, val = ((rows.split == name).to_numpy() for name in ("train", "val"))
    reference = reference_numbers(scored_table(rows[val], classes, p_val), threshold)
    write(HISTORY, history.groupby("epoch").mean().round(4).to_csv())
    rows = rows.merge(read_table(RECORDINGS_TABLE)[["record", "dx"]], on="record")
    save_model(MODEL, model, describe(model, rows, classes, params, threshold, reference))
    aucs = {f"{comparison}_val": reference.get(comparison) for comparison in COMPARISONS}
    of_label = p_val[np.arange(len(p_val)), rows.label[val].map(classes.index)]
    losses = {"brier_val": reference["brier"], "cross_entropy_val": float(-np.log(of_label).mean())}
    on_train = counts_and_aucs(scored_table(rows[train], classes, probabilities(model, beats[train])))
    if (n := reference["n_ischemia"]) < FEW:
        warn(f"calibration and threshold rest on {n} ischemic in val; python stages/release.py NAME ARCHIVE uses all")
    write_json(TRAIN_NUMBERS, aucs | losses | {"roc_auc_train": on_train["roc_auc"], "threshold": threshold})
    shown = ", ".join(f"{key} {value:.3f}" for key, value in aucs.items() if value is not None)
    print(f"{shown}; threshold {threshold:.3f}")


if __name__ == "__main__":
    run_stage(main)
