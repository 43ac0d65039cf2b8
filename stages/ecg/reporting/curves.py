"""Figures of the scores of all recordings: ROC, precision and recall, confusion, reliability, learning curves.

`recordings` says in each title which recordings they are: "58 test synthetic recordings".
"""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.ticker import MaxNLocator

from ecg.evaluation.calibration import wilson
from ecg.evaluation.names import QUESTION_TITLES, format_interval, format_number
from ecg.reporting.figures import CLASS_COLORS, GREY, QUESTION_STYLES, WIDTH, create_figure

UNIT = {"xlim": (-0.02, 1.02), "ylim": (-0.02, 1.02)}
VAL = "#c76a00"


def plot_roc(roc: pd.DataFrame, metrics: dict, recordings: str) -> plt.Figure:
    """Draw metrics/roc.csv, with the AUCs and the threshold of metrics/evaluate.json."""
    figure, axes = create_figure(f"ROC AUC (95% interval), {recordings}", WIDTH)
    draw_roc(axes, roc, metrics)
    return figure


def draw_roc(axes: plt.Axes, roc: pd.DataFrame, metrics: dict) -> None:
    axes.plot([0, 1], [0, 1], ":", color=GREY, lw=1)
    for question, (color, dash, _) in QUESTION_STYLES.items():
        points = roc[roc.question == QUESTION_TITLES[question]]
        if len(points):
            auc = {"value": metrics[question], "low": metrics[f"{question}_low"], "high": metrics[f"{question}_high"]}
            label = f"{QUESTION_TITLES[question]}: {format_interval(auc)}"
            axes.plot(points.fpr, points.tpr, dash, color=color, lw=2, label=label)
    label = f"threshold {format_number(metrics['threshold'])}, set on val"
    style: dict = {"color": QUESTION_STYLES["roc_auc"][0], "ms": 9, "mec": "white", "mew": 1.5, "zorder": 3}
    axes.plot(1 - metrics["specificity"], metrics["sensitivity"], "o", **style, label=label)
    axes.set(xlabel="1 − specificity", ylabel="sensitivity", aspect="equal", **UNIT)
    axes.legend(loc="lower right")


def plot_precision_recall(curves: pd.DataFrame, recordings: str) -> plt.Figure:
    """Draw metrics/precision_recall.csv."""
    figure, axes = create_figure(f"Precision and recall, {recordings}", WIDTH)
    for question, (color, dash, _) in QUESTION_STYLES.items():
        points = curves[curves.question == QUESTION_TITLES[question]]
        if len(points):
            prevalence = points.precision.iloc[0]  # a curve begins where everything is called ischemia
            label = f"{QUESTION_TITLES[question]} ({prevalence:.0%} ischemia)"
            axes.step(points.recall, points.precision, dash, color=color, lw=2, where="post", label=label)
            axes.axhline(prevalence, ls=":", lw=1, color=color)
    axes.set(xlabel="recall (sensitivity)", ylabel="precision", aspect="equal", **UNIT)
    axes.legend(loc="lower left")
    return figure


def plot_confusion(pairs: pd.DataFrame, classes: list[str], recordings: str) -> plt.Figure:
    """Draw metrics/confusion.csv."""
    counts = pd.crosstab(pairs.actual, pairs.predicted).reindex(index=classes, columns=classes, fill_value=0)
    share = counts.div(counts.sum(axis=1).clip(lower=1), axis=0)
    figure, axes = create_figure(f"Most probable class, {recordings}", 4.4)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for i, j in np.ndindex(counts.shape):
        color = "white" if share.iloc[i, j] > 0.5 else "black"
        axes.text(j, i, f"{counts.iloc[i, j]}\n{share.iloc[i, j]:.0%}", ha="center", va="center", color=color)
    axes.set_xticks(range(len(classes)), classes)
    axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel="most probable class", ylabel="actual class")
    axes.grid(False)
    return figure


def plot_reliability(bins: pd.DataFrame, scores: pd.DataFrame, recordings: str) -> plt.Figure:
    """Draw metrics/reliability.csv: the share of ischemia among scores alike, with its 95% Wilson interval."""
    names = {"calibration_slope": "slope", "calibration_intercept": "intercept", "brier": "Brier score"}
    names |= {"expected_calibration_error": "calibration error"}
    value = scores.set_index("measure").value.map(format_number)
    title = f"Reliability, {recordings}: " + ", ".join(f"{name} {value[key]}" for key, name in names.items())
    figure, (axes, counts) = create_figure(title, 5.6, 2, 1, height_ratios=[4, 1], sharex=True)
    draw_reliability(axes, bins)
    counts.bar(bins.bin / 10 + 0.05, bins.n, width=0.09, color=GREY)
    counts.set(xlabel="probability of ischemia, against normal", ylabel="recordings")
    return figure


def draw_reliability(axes: plt.Axes, bins: pd.DataFrame) -> None:
    axes.plot([0, 1], [0, 1], ":", color=GREY, lw=1)
    bins = wilson(bins)
    spread = np.array([bins.observed - bins.low, bins.high - bins.observed])
    axes.errorbar(bins.probability, bins.observed, spread, fmt="o", color=CLASS_COLORS["ischemia"], clip_on=False)
    axes.set(ylabel="share that is ischemic", **UNIT)


def plot_roc_and_reliability(roc: pd.DataFrame, metrics: dict, bins: pd.DataFrame, recordings: str) -> plt.Figure:
    """Draw a ROC curve and a reliability diagram side by side."""
    title = f"ROC AUC (95% interval) and reliability, {recordings}"
    figure, (left, right) = create_figure(title, WIDTH + 0.4, 1, 2, width=2 * WIDTH)
    draw_roc(left, roc, metrics)
    draw_reliability(right, bins)
    right.set(xlabel="probability of ischemia, against normal", aspect="equal")
    return figure


def plot_learning_curve(history: pd.DataFrame, recordings: str) -> plt.Figure:
    """Draw data/history.csv, a line for each network."""
    title = f"Learning curves of {history.member.nunique()} networks, {recordings}"
    figure, (loss, auc) = create_figure(title, 5, 2, 1, sharex=True)
    for member, epochs in history.groupby("member"):
        train, val = ("train", "val") if member == 1 else (None, None)
        loss.plot(epochs.epoch, epochs.train_loss, "--", color=GREY, label=train)
        loss.plot(epochs.epoch, epochs.val_loss, color=VAL, label=val)
        auc.plot(epochs.epoch, epochs.val_roc_auc, color=VAL)
    loss.set_ylabel("cross-entropy")
    auc.set(xlabel="epoch", ylabel="ROC AUC on val")
    auc.xaxis.set_major_locator(MaxNLocator(integer=True))
    loss.legend()
    return figure
