"""Train networks and grow trees on the train split; calibrate and fix the threshold on val.

Reads   data/beats.npy, data/split.csv
Writes  data/model.safetensors  weights, with all that is needed to use them: calibration and threshold too; the hashes
                                of the recordings that it was trained on, and the distance of a beat from theirs
        data/history.csv        a row for each epoch: the mean loss of the networks on train and val
        data/train.json         ROC AUCs, Brier score and cross-entropy on val, to choose a recipe by; ROC AUC on train
"""

import numpy as np
import pandas as pd

from ecg.model.comparisons import COMPARISONS, counts_and_aucs, reference_numbers, scored_table
from ecg.model.model import probabilities, save_model
from ecg.model.recipe import describe, remember, train_model
from ecg.params import labels_of, read_params
from ecg.run.files import load_split, replacing, write_json
from ecg.run.paths import HISTORY, MODEL, TRAIN_NUMBERS
from ecg.run.script import run_stage


def main() -> None:
    params = read_params()
    (beats, rows), (val_beats, val_rows) = load_split("train"), load_split("val")
    model, classes, threshold, p_val, history = train_model(
        beats, rows, val_beats, val_rows, params.extract, params.train
    )
    seen = pd.concat([rows, val_rows])
    remember(model, seen.sha256)
    reference = reference_numbers(scored_table(val_rows, classes, p_val), threshold)
    labels = labels_of(params.download)
    description = describe(model, seen.source, classes, labels, params, threshold, reference)
    with replacing(HISTORY) as temporary:
        history.drop(columns="member").groupby("epoch").mean().round(4).to_csv(temporary)
    with replacing(MODEL) as temporary:
        save_model(temporary, model, description)
    numbers = {f"{comparison}_val": reference.get(comparison) for comparison in COMPARISONS}
    of_label = p_val[np.arange(len(p_val)), val_rows.label.map(classes.index)]
    numbers |= {"brier_val": reference["brier"], "cross_entropy_val": float(-np.log(of_label).mean())}
    known = counts_and_aucs(scored_table(rows, classes, probabilities(model, beats)))
    write_json(TRAIN_NUMBERS, numbers | {"roc_auc_train": known["roc_auc"], "threshold": threshold})
    aucs = {key: numbers[f"{key}_val"] for key in COMPARISONS}
    shown = ", ".join(f"{key} {value:.3f}" for key, value in aucs.items() if value is not None)
    print(f"on val {shown}; threshold {threshold:.3f}")


if __name__ == "__main__":
    run_stage(main)
