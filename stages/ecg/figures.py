"""The pictures in metrics/: arrays and tables in, figures out."""

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.ticker import MaxNLocator

from ecg.labels import CLASSES
from ecg.scores import ask
from ecg.script import replacing
from ecg.wfdb_io import LEADS

matplotlib.use("agg")

TITLES = {"roc_auc": "against normal", "roc_auc_vs_rest": "against all others", "roc_auc_vs_other": "against other"}
# Three rows of four, as on a printed ECG.
LAYOUT = np.array(LEADS).reshape(4, 3).T
COLORS = {"normal": "C0", "ischemia": "C3", "other": "C2"}


def save_figure(figure: plt.Figure, path: Path) -> None:
    """Write a PNG that depends on the figure alone."""
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120, metadata={"Software": None})
    plt.close(figure)


def plot_roc(roc: pd.DataFrame, numbers: dict, what: str) -> plt.Figure:
    figure, axes = plt.subplots(figsize=(5.5, 5.5), layout="constrained")
    for question, title in TITLES.items():
        points = roc[roc.question == title]
        if len(points):
            low, high = numbers[f"{question}_low"], numbers[f"{question}_high"]
            axes.plot(points.fpr, points.tpr, label=f"{title}: {numbers[question]:.3f} ({low:.3f} – {high:.3f})")
    point = (1 - numbers["specificity"], numbers["sensitivity"])
    axes.plot(*point, "o", color="C0", label=f"threshold {numbers['threshold']:.3f}, set on val")
    axes.plot([0, 1], [0, 1], ":", color="grey")
    axes.set(xlabel="1 − specificity", ylabel="sensitivity", title=f"ROC AUC (95% interval), {what}")
    axes.set_aspect("equal")
    axes.legend(loc="lower right", fontsize=9)
    return figure


def plot_precision_recall(points: pd.DataFrame, test: pd.DataFrame, what: str) -> plt.Figure:
    figure, axes = plt.subplots(figsize=(5.5, 5.5), layout="constrained")
    for question, title in TITLES.items():
        curve = points[points.question == title]
        if len(curve):
            prevalence = ask(test, question)[0].mean()
            (line,) = axes.step(
                curve.recall, curve.precision, where="post", label=f"{title} ({prevalence:.0%} ischemia)"
            )
            axes.axhline(prevalence, ls=":", color=line.get_color())
    axes.set(xlabel="recall (sensitivity)", ylabel="precision", ylim=(0, 1.02), title=f"Precision and recall, {what}")
    axes.legend(loc="lower left", fontsize=9)
    return figure


def plot_confusion(pairs: pd.DataFrame, classes: list[str], what: str) -> plt.Figure:
    counts = pd.crosstab(pairs.actual, pairs.predicted).reindex(index=classes, columns=classes, fill_value=0)
    share = counts.div(counts.sum(axis=1).clip(lower=1), axis=0)
    figure, axes = plt.subplots(figsize=(4.8, 4.4), layout="constrained")
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for i, j in np.ndindex(counts.shape):
        color = "white" if share.iloc[i, j] > 0.5 else "black"
        axes.text(j, i, f"{counts.iloc[i, j]}\n{share.iloc[i, j]:.0%}", ha="center", va="center", color=color)
    axes.set_xticks(range(len(classes)), classes)
    axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel="most probable class", ylabel="actual class", title=what)
    return figure


def plot_learning_curve(history: pd.DataFrame, what: str) -> plt.Figure:
    figure, (loss, auc) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    loss.plot(history.epoch, history.train_loss, label="train")
    loss.plot(history.epoch, history.val_loss, label="val")
    loss.set(xlabel="epoch", ylabel="weighted cross-entropy")
    loss.legend()
    best = history.sort_values(["val_roc_auc", "val_loss"], ascending=[False, True]).iloc[0]
    auc.plot(history.epoch, history.val_roc_auc, color="C1")
    auc.plot(best.epoch, best.val_roc_auc, "o", color="C1", label=f"best: epoch {best.epoch:.0f}")
    auc.set(xlabel="epoch", ylabel="val ROC AUC against normal")
    auc.legend(loc="lower right")
    for axes in (loss, auc):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.suptitle(f"Learning curve, {what}")
    return figure


def plot_beats(beats: np.ndarray, labels: np.ndarray, times: np.ndarray, what: str) -> plt.Figure:
    """Draw each class's mean median beat (records x 12 x samples, mV; times in ms) with its interquartile band."""
    figure, grid = plt.subplots(3, 4, figsize=(13, 8), sharex=True, sharey=True, layout="constrained")
    for name in CLASSES:
        chosen = beats[labels == name]
        if not len(chosen):
            continue
        mean = chosen.mean(axis=0, dtype=np.float64)
        low, high = np.percentile(chosen, [25, 75], axis=0)
        for lead, axes in zip(LAYOUT.flat, grid.flat, strict=True):
            row = LEADS.index(lead)
            axes.fill_between(times, low[row], high[row], color=COLORS[name], alpha=0.18, lw=0)
            axes.plot(times, mean[row], color=COLORS[name], lw=1.3, label=f"{name} ({len(chosen)})")
    for lead, axes in zip(LAYOUT.flat, grid.flat, strict=True):
        axes.set_title(lead, loc="left", fontweight="bold", fontsize=10)
        axes.axhline(0, color="grey", lw=0.5)
        axes.grid(alpha=0.25)
    for axes in grid[-1]:
        axes.set_xlabel("ms from the R peak")
    for axes in grid[:, 0]:
        axes.set_ylabel("mV")
    grid[0, 0].legend(fontsize=9)
    figure.suptitle(f"Mean median beat and interquartile band, {what}")
    return figure
