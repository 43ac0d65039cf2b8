"""The pictures in metrics/: arrays and tables in, figures out."""

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.collections import LineCollection
from matplotlib.ticker import MaxNLocator

from ecg.evaluation.calibration import wilson
from ecg.evaluation.history import kept_epochs
from ecg.evaluation.questions import select_question as ask
from ecg.leads import LEADS
from ecg.stage.files import replacing
from ecg.stage.tables import CLASSES

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


def plot_reliability(bins: pd.DataFrame, scores: pd.DataFrame, what: str) -> plt.Figure:
    """Draw how many are ischemic among those of like score, with the 95% Wilson interval of each share."""
    figure, (axes, counts) = plt.subplots(
        2, 1, figsize=(5.5, 6.6), height_ratios=[4, 1], sharex=True, layout="constrained"
    )
    bins = wilson(bins)
    axes.plot([0, 1], [0, 1], ":", color="grey")
    spread = np.array([bins.observed - bins.low, bins.high - bins.observed])
    axes.errorbar(bins.probability, bins.observed, spread, fmt="o", color="C0", capsize=3)
    value = scores.set_index("measure").value
    text = "\n".join(
        f"{name}: {value[key]:.3f}" if pd.notna(value[key]) else f"{name}: none, classes do not overlap"
        for name, key in {
            "Brier score": "brier",
            "slope": "calibration_slope",
            "intercept": "calibration_intercept",
            "expected calibration error": "expected_calibration_error",
        }.items()
    )
    axes.text(0.03, 0.97, text, va="top", fontsize=9)
    axes.set(ylabel="share that is ischemic", title=f"Reliability, {what}", ylim=(-0.03, 1.03))
    counts.bar(bins.bin / 10 + 0.05, bins.n, width=0.09, color="C0", alpha=0.5)
    counts.set(xlabel="probability of ischemia, against normal", ylabel="recordings")
    return figure


def plot_subgroups(groups: pd.DataFrame, what: str) -> plt.Figure:
    """Draw the ROC AUC of each subgroup with its interval, as a forest plot; the reason where there is none."""
    names = [
        row.group if row.grouping in ("all", "source") else f"{row.grouping} {row.group}" for row in groups.itertuples()
    ]
    names = [f"{name}  ({i}/{n})" for name, i, n in zip(names, groups.n_ischemia, groups.n_normal, strict=True)]
    figure, axes = plt.subplots(figsize=(8, 1.4 + 0.3 * len(groups)), layout="constrained")
    left = min(0.5, np.nanmin(groups.low)) if groups.low.notna().any() else 0.5
    for y, row in enumerate(groups.itertuples()):
        if pd.isna(row.roc_auc):
            axes.text(left, y, row.reason, va="center", color="grey", fontsize=9)
        else:
            axes.plot([row.low, row.high], [y, y], color="C0")
            axes.plot(row.roc_auc, y, "s", color="C0")
            axes.text(1.01, y, f"{row.roc_auc:.3f} ({row.low:.3f} – {row.high:.3f})", va="center", fontsize=9)
        if y and row.grouping != groups.grouping[y - 1]:
            axes.axhline(y - 0.5, color="grey", lw=0.4)
    overall = groups.roc_auc[0]
    if pd.notna(overall):
        axes.axvline(overall, ls=":", color="grey")
    axes.set_yticks(range(len(groups)), names)
    axes.set(xlabel="ROC AUC against normal, 95% interval", xlim=(left - 0.01, 1.0))
    axes.set_title(f"Subgroups (ischemic/normal), {what}", loc="left")
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    return figure


AUDIT_NAMES = {
    "fcn": "FCN on the median beat",
    "not_normal": "FCN: anything not normal",
    "linear": "linear model on the beat",
    "st_t": "ST, T and QRS measurements",
    "age_sex": "age and sex alone",
    "source": "source alone",
    "heart_rate": "heart rate alone",
    "quality": "beat quality alone",
    "permuted": "labels permuted in train",
    "source_probe": "source, told from normal beats",
}


def plot_audit(summary: pd.DataFrame, what: str) -> plt.Figure:
    """Draw the ROC AUC of each row of metrics/audit.csv with its interval, the questions side by side."""
    figure, axes = plt.subplots(figsize=(9, 7), layout="constrained")
    colors = {"roc_auc": "C3", "roc_auc_vs_rest": "C0", "roc_auc_vs_other": "C2"}
    for y, model in enumerate(AUDIT_NAMES):
        rows = summary[summary.model == model]
        for place, row in enumerate(rows.itertuples()):
            at = y + 0.26 * (place - (len(rows) - 1) / 2)
            if pd.isna(row.roc_auc):
                axes.text(0.505, at, row.reason, va="center", color="grey", fontsize=8)
                continue
            axes.barh(at, row.roc_auc - 0.5, 0.24, left=0.5, color=colors.get(row.question, "C7"), alpha=0.75)
            axes.plot([row.low, row.high], [at, at], color="black", lw=1)
            axes.text(1.01, at, f"{row.roc_auc:.3f} ({row.low:.3f} – {row.high:.3f})", va="center", fontsize=7.5)
    axes.set_yticks(range(len(AUDIT_NAMES)), AUDIT_NAMES.values())
    axes.set_ylim(len(AUDIT_NAMES) - 0.5, -0.6)
    axes.axvline(0.5, color="black", lw=0.8)
    left = min(0.4, float(summary.low.min()) - 0.02)
    axes.set(xlim=(left, 1.0), xlabel="ROC AUC, 95% interval; 0.5 is chance")
    axes.set_title(f"Who else could know? {what}", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    handles = [plt.Rectangle((0, 0), 1, 1, color=colors[question], alpha=0.75) for question in TITLES]
    figure.legend(handles, [f"ischemia {title}" for title in TITLES.values()], loc="outside lower center", ncols=3)
    return figure


def plot_learning_curve(history: pd.DataFrame, what: str) -> plt.Figure:
    figure, (loss, auc) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    kept = kept_epochs(history).set_index("member")
    for member, epochs in history.groupby("member"):
        first = member == 1
        loss.plot(epochs.epoch, epochs.train_loss, color="C0", alpha=0.7, label="train" if first else None)
        loss.plot(epochs.epoch, epochs.val_loss, color="C1", alpha=0.7, label="val" if first else None)
        auc.plot(epochs.epoch, epochs.val_roc_auc, color="C1", alpha=0.7)
        auc.plot(kept.epoch[member], kept.val_roc_auc[member], "o", color="C1", label="kept" if first else None)
    loss.set(xlabel="epoch", ylabel="weighted cross-entropy")
    loss.legend()
    auc.set(xlabel="epoch", ylabel="val ROC AUC against normal")
    auc.legend(loc="lower right")
    for axes in (loss, auc):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.suptitle(f"Learning curves of {history.member.nunique()} networks, {what}")
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


def plot_ecg(
    traces: np.ndarray,
    times: np.ndarray,
    title: str,
    notes: list[str],
    *,
    activation: np.ndarray | None = None,
    contributions: np.ndarray | None = None,
    scale: float = 2.0,
) -> plt.Figure:
    """Draw 12 leads (12 x samples, mV; times in ms) on ECG paper, 25 mm/s and 10 mm/mV, `scale` times as large.

    `activation` (steps) colours each lead by when the beat speaks for ischemia (red) or for normal (blue), in log odds;
    `contributions` (12) stand beside the leads' names.
    """
    # In mm of paper; text grows with the picture.
    x = (times - times[0]) / 40 if len(times) else np.zeros(0)
    column = 5 * np.ceil((x[-1] if len(x) else 20) / 5 + 1)
    width, rows, edge = 4 * column, [], 0
    size = width / 100
    for leads in LAYOUT:
        values = np.append(traces[[LEADS.index(lead) for lead in leads]], [-0.5, 1.0])
        zero = edge - 5 * np.ceil(2 * np.nanmax(values)) - 5
        rows.append((edge - 1, zero))
        edge = zero + 5 * np.floor(2 * np.nanmin(values))
    head, foot = size * (7 + 3.5 * len(notes)), size * 15 if activation is not None else 0
    height = head - edge + foot
    figure = plt.figure(figsize=(scale * width / 25.4, scale * height / 25.4))
    axes = figure.add_axes((0, foot / height, 1, -edge / height))
    axes.set(xlim=(0, width), ylim=(edge, 0))
    axes.axis("off")
    for step, color, thick in ((1, "#f6e3df", 0.4), (5, "#ecc3bb", 0.7)):
        axes.vlines(np.arange(0, width + 1, step), edge, 0, color=color, lw=thick)
        axes.hlines(np.arange(edge, 1, step), 0, width, color=color, lw=thick)
    limit = np.abs(activation).max() + 1e-9 if activation is not None else 1
    colors = matplotlib.cm.ScalarMappable(matplotlib.colors.Normalize(-limit, limit), "coolwarm")
    font = scale * size
    for (down, along), lead in np.ndenumerate(LAYOUT):
        top, zero = rows[down]
        left, y = along * column + 2.5, 10 * traces[LEADS.index(lead)] + zero
        if activation is not None:
            # A step of the map is as many samples as the network saw as one.
            told = np.repeat(activation, len(x) // len(activation))[: len(x) - 1]
            points = np.column_stack([left + x, y])
            pieces = np.stack([points[:-1], points[1:]], axis=1)[: len(told)]
            axes.add_collection(LineCollection(pieces, colors=colors.to_rgba(told), lw=3.2 * scale, capstyle="round"))
        axes.plot(left + x, y, color="black", lw=0.45 * scale)
        axes.text(left, top, lead, fontsize=4.2 * font, fontweight="bold", va="top")
        if contributions is not None:
            value = contributions[LEADS.index(lead)]
            axes.text(left + 7 * size, top, f"{value:+.1f}", fontsize=3.8 * font, va="top", color="#444444")
    figure.text(0.02, 1 - 2 * size / height, title, fontsize=5 * font, fontweight="bold", va="top", parse_math=False)
    for number, note in enumerate(notes):
        figure.text(0.02, 1 - size * (7 + 3.5 * number) / height, note, fontsize=4 * font, va="top", parse_math=False)
    if activation is not None:
        bar = figure.add_axes((0.3, 9 * size / height, 0.4, 2 * size / height))
        figure.colorbar(colors, cax=bar, orientation="horizontal")
        bar.tick_params(labelsize=3.4 * font)
        bar.set_title("speaks for normal  ←  log odds  →  speaks for ischemia", fontsize=3.6 * font, pad=3)
        if contributions is not None:
            bar.set_xlabel("Beside a lead's name: what it adds to the log odds.", fontsize=3.6 * font)
    return figure
