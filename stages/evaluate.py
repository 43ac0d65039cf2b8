"""Score the test patients once, and say how far the numbers can be believed.

Reads   data/model.safetensors, data/beats.npy, data/beats.csv, data/split.csv, data/history.csv
Writes  data/predictions.csv      one probability a class for every median beat
        metrics/evaluate.json     the headline numbers
        metrics/roc.csv, metrics/precision_recall.csv, metrics/confusion.csv      points of the curves
        metrics/roc.png, precision_recall.png, confusion.png, learning_curve.png  the same as pictures
        metrics/beats.png         each class's mean median beat in 12 leads
"""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_curve, roc_curve

from ecg.beats import window
from ecg.dataset import load_split
from ecg.figures import (
    TITLES,
    plot_beats,
    plot_confusion,
    plot_learning_curve,
    plot_precision_recall,
    plot_roc,
    save_figure,
)
from ecg.model import choose_device, load_model, probabilities
from ecg.params import read_params
from ecg.scores import QUESTIONS, ask, bootstrap_interval, roc_auc, threshold_for
from ecg.script import replacing, run, write_json

MODEL = Path("data/model.safetensors")
HISTORY = Path("data/history.csv")
PREDICTIONS = Path("data/predictions.csv")
METRICS = Path("metrics/evaluate.json")
ROC = Path("metrics/roc.csv")
PRECISION_RECALL = Path("metrics/precision_recall.csv")
CONFUSION = Path("metrics/confusion.csv")
ROC_PNG = Path("metrics/roc.png")
PRECISION_RECALL_PNG = Path("metrics/precision_recall.png")
CONFUSION_PNG = Path("metrics/confusion.png")
LEARNING_CURVE_PNG = Path("metrics/learning_curve.png")
BEATS_PNG = Path("metrics/beats.png")


def predict(model, classes: list[str], beats: np.ndarray, table: pd.DataFrame) -> pd.DataFrame:
    """Return rows of split.csv with a probability column p_CLASS for each class."""
    columns = {f"p_{name}": column for name, column in zip(classes, probabilities(model, beats).T, strict=True)}
    return table[["record", "patient", "source", "split", "label"]].assign(**columns)


def headline(table: pd.DataFrame, *, specificity: float, bootstrap: int, seed: int) -> dict:
    """Return the numbers of metrics/evaluate.json; null where the test split has no record of a question."""
    test, val = table[table.split == "test"], table[table.split == "val"]
    numbers = {}
    for question in QUESTIONS:
        positive, score, patient = ask(test, question)
        answerable = not positive.all()
        numbers[question] = float(roc_auc(positive, score)[0]) if answerable else None
        interval = bootstrap_interval(positive, score, patient, n=bootstrap, seed=seed) if answerable else (None, None)
        numbers[f"{question}_low"], numbers[f"{question}_high"] = interval
    positive, score, _ = ask(val, "roc_auc")
    numbers["roc_auc_val"] = float(roc_auc(positive, score)[0])
    threshold = threshold_for(specificity, score[~positive])
    positive, score, _ = ask(test, "roc_auc")
    numbers |= {
        "threshold": threshold,
        "sensitivity": float((score[positive] >= threshold).mean()),
        "specificity": float((score[~positive] < threshold).mean()),
    }
    return numbers | {f"n_{label}": int((test.label == label).sum()) for label in ("ischemia", "normal", "other")}


def curves(test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the points of the ROC and the precision-recall curve of each question that the test split answers."""
    roc, precision_recall = [], []
    for question, title in TITLES.items():
        positive, score, _ = ask(test, question)
        if positive.all():
            continue
        false, true, threshold = roc_curve(positive, score)
        # The first point's threshold is infinite: no score is above it.
        points = {"fpr": false, "tpr": true, "threshold": np.where(np.isinf(threshold), 1, threshold)}
        roc.append(pd.DataFrame({"question": title} | points))
        precision, recall, threshold = precision_recall_curve(positive, score, drop_intermediate=True)
        points = {"recall": recall, "precision": precision, "threshold": np.append(threshold, 1)}
        precision_recall.append(pd.DataFrame({"question": title} | points))
    return pd.concat(roc).round(6), pd.concat(precision_recall).round(6)


def confusion(test: pd.DataFrame) -> pd.DataFrame:
    """Return the actual and the most probable class of each test record."""
    columns = [column for column in test if column.startswith("p_")]
    predicted = np.array([column[2:] for column in columns])[test[columns].to_numpy().argmax(axis=1)]
    return pd.DataFrame({"actual": test.label.to_numpy(), "predicted": predicted})


def main() -> None:
    evaluate = read_params().evaluate
    model, description = load_model(MODEL)
    model.to(choose_device())
    classes = description["classes"]
    splits = [load_split(split) for split in ("train", "val", "test")]
    table = pd.concat([predict(model, classes, beats, rows) for beats, rows in splits])
    test = table[table.split == "test"]
    numbers = headline(table, specificity=evaluate.specificity, bootstrap=evaluate.bootstrap, seed=evaluate.seed)
    roc, precision_recall = curves(test)
    pairs = confusion(test)
    synthetic = all(source.startswith("synthetic") for source in table.source)
    kind = "synthetic recordings" if synthetic else f"recordings of {', '.join(sorted(set(table.source)))}"
    what = f"{len(test)} test {kind}"

    with replacing(PREDICTIONS) as temporary:
        table.to_csv(temporary, index=False)
    write_json(METRICS, numbers)
    for path, points in ((ROC, roc), (PRECISION_RECALL, precision_recall), (CONFUSION, pairs)):
        with replacing(path) as temporary:
            points.to_csv(temporary, index=False)
    save_figure(plot_roc(roc, numbers, what), ROC_PNG)
    save_figure(plot_precision_recall(precision_recall, test, what), PRECISION_RECALL_PNG)
    save_figure(plot_confusion(pairs, classes, what), CONFUSION_PNG)
    save_figure(plot_learning_curve(pd.read_csv(HISTORY), kind), LEARNING_CURVE_PNG)
    extract, beats = description["extract"], np.concatenate([beats for beats, _ in splits])
    times = window(extract["window_start"], extract["window_end"], extract["sampling_rate"])
    times = times * (1000 / extract["sampling_rate"])
    save_figure(plot_beats(beats, table.label.to_numpy(), times, kind), BEATS_PNG)
    interval = f"{numbers['roc_auc_low']:.3f} – {numbers['roc_auc_high']:.3f}"
    print(f"ROC AUC against normal {numbers['roc_auc']:.3f} ({interval}) on {what}")


if __name__ == "__main__":
    run(main)
