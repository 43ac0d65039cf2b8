"""Charts of the scores of all recordings: curves, counts, and forest plots of ROC AUCs.

ROC AUC, reliability, net benefit and distribution are the essential charts of a model (Van Calster et al. 2025, Lancet
Digital Health 7:100916). `recordings` names the recordings in each title: "86 synthetic test recordings".
"""

from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.scale import FuncScale

from ecg.evaluation.names import COMPARISON_TITLES, MODEL_TITLES, format_interval, format_number, group_name
from ecg.reporting.figures import CLASS_COLORS, COMPARISON_STYLES, GREY, WIDTH, create_figure

Curves = dict[str, pd.DataFrame]
Part = SubFigure | None
UNIT = {"xlim": (-0.02, 1.02), "ylim": (-0.02, 1.02)}
TICKS = (0, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1)  # of probabilities, most of which are low
SMALL = 9  # pt
BOX = {"fc": "white", "ec": "none", "pad": 0.5}  # behind text, over lines


def use_root_scale(axes: Axes, which: str) -> None:
    """Make "x", "y" or both of "xy" a square root axis of probabilities."""
    for axis in which:
        scale, labels = FuncScale(None, (np.sqrt, np.square)), [f"{tick:g}" for tick in TICKS]
        axes.set(**{f"{axis}scale": scale, f"{axis}lim": (0, 1), f"{axis}ticks": TICKS, f"{axis}ticklabels": labels})


def plot_roc(roc: Curves, scores: pd.DataFrame, threshold: float, recordings: str, within: Part = None) -> Figure:
    """Draw metrics/roc/ with the ROC AUCs of metrics/evaluate.csv; the threshold is on the curve against all others."""
    figure, axes = create_figure(f"ROC curves, {recordings}", WIDTH, within=within)
    measured = scores.set_index("measure")
    axes.plot([0, 1], [0, 1], ":", color=GREY, lw=1, label="chance")
    for comparison, (color, dash, _) in COMPARISON_STYLES.items():
        label = f"{COMPARISON_TITLES[comparison]}: {format_interval(measured.loc[comparison])}"
        axes.plot(roc[comparison].fpr, roc[comparison].tpr, dash, color=color, lw=2, label=label)
    color, _, marker = COMPARISON_STYLES["roc_auc_vs_rest"]
    style: dict = {"color": color, "ms": 9, "mec": "white", "mew": 1.5, "zorder": 3}
    point = 1 - measured.value["specificity"], measured.value["sensitivity"]
    axes.plot(*point, marker, **style, label=f"threshold {threshold:.3g}")
    axes.set(xlabel="1 − specificity", ylabel="sensitivity", aspect="equal", **UNIT)
    axes.legend(loc="lower right", title="ROC AUC (95% interval)", title_fontsize=SMALL, alignment="left")
    return figure


def plot_precision_recall(curves: Curves, recordings: str) -> Figure:
    """Draw metrics/precision_recall/."""
    figure, axes = create_figure(f"Precision and recall, {recordings}", WIDTH)
    for comparison, (color, dash, _) in COMPARISON_STYLES.items():
        points = curves[comparison]
        if len(points):
            prevalence = points.precision.iloc[-1]  # a curve ends where everything is called ischemia
            label = f"{COMPARISON_TITLES[comparison]} ({prevalence:.0%} ischemia)"
            axes.step(points.recall, points.precision, dash, color=color, lw=2, where="pre", label=label)
            axes.axhline(prevalence, ls=":", lw=1, color=color)
    axes.set(xlabel="recall (sensitivity)", ylabel="precision", aspect="equal", **UNIT)
    # Without ischemia there are no curves, and a legend without handles warns.
    axes.legend(handles=axes.get_legend_handles_labels()[0], loc="lower left")
    return figure


def plot_net_benefit(benefit: pd.DataFrame, threshold: float, recordings: str) -> Figure:
    """Draw metrics/net_benefit.csv: decision curves (Vickers & Elkin 2006)."""
    figure, axes = create_figure(f"Net benefit, {recordings}", WIDTH)
    for column, dash in (("all", "--"), ("none", "-")):
        axes.plot(benefit.threshold, benefit[column], dash, color=GREY, lw=2, label=f"call {column}")
    axes.plot(benefit.threshold, benefit["model"], color=CLASS_COLORS["ischemia"], lw=2, label="model")
    axes.axvline(threshold, ls=":", color="black", label=f"threshold {threshold:.3g}")
    top = 1.1 * max(0.01, benefit[["model", "all"]].to_numpy().max())
    axes.set(xlabel="threshold of p(ischemia)", ylabel="net benefit", xlim=(0, 0.5), ylim=(-top / 5, top))
    axes.legend(loc="upper right")
    return figure


def plot_distribution(bins: pd.DataFrame, counts: pd.DataFrame, threshold: float, recordings: str) -> Figure:
    """Draw metrics/distribution.csv, a panel for each class, with its share called from metrics/confusion.csv."""
    title = f"p(ischemia) by class, {recordings}; threshold {threshold:.3g}"
    figure, panels = create_figure(title, 1.2 + 1.4 * len(counts), len(counts), 1, sharex=True, squeeze=False)
    for axes, row in zip(panels.flat, counts.itertuples(), strict=True):
        members, n = bins[bins.label == row.label], row.called + row.not_called
        edges, color = [*members.bin_low, members.bin_high.iloc[-1]], CLASS_COLORS[row.label]
        axes.stairs(members.n, edges, fill=True, color=color, alpha=0.6)
        axes.axvline(threshold, ls=":", color="black")
        axes.set_title(f"{row.label}: {row.called} of {n} called ({row.called / n:.1%})", loc="left", fontsize=SMALL)
        axes.set_ylabel("recordings")
        use_root_scale(axes, "x")
    axes.set_xlabel("probability of ischemia")
    return figure


def plot_reliability(bins: pd.DataFrame, scores: pd.DataFrame, recordings: str, within: Part = None) -> Figure:
    """Draw metrics/reliability.csv: the observed share of ischemia in each bin of p(ischemia), 95% Wilson intervals."""
    names = {"calibration_slope": "slope", "calibration_intercept": "intercept", "brier": "Brier score"}
    value = scores.set_index("measure").value.map(format_number)
    title = f"Reliability, {recordings}: " + ", ".join(f"{name} {value[key]}" for key, name in names.items())
    figure, (axes, counts) = create_figure(title, 5.6, 2, 1, within=within, height_ratios=[4, 1], sharex=True)
    axes.plot([0, 1], [0, 1], ":", color=GREY, lw=1)
    spread = np.array([bins.observed - bins.low, bins.high - bins.observed]).clip(min=0)
    axes.errorbar(bins.probability, bins.observed, spread, fmt="o", color=CLASS_COLORS["ischemia"], clip_on=False)
    use_root_scale(axes, "xy")
    axes.set_ylabel("share that is ischemic")
    counts.bar(bins.bin_low, bins.n, bins.bin_high - bins.bin_low, align="edge", color=GREY, edgecolor="white")
    counts.set(xlabel="probability of ischemia", ylabel="recordings")
    return figure


def plot_learning_curve(history: pd.DataFrame, recordings: str) -> Figure:
    """Draw data/history.csv."""
    figure, axes = create_figure(f"Learning curves, mean of the networks, {recordings}", 3.4)
    for name, style in (("train", {"ls": "--", "color": GREY}), ("val", {"color": "#c76a00"})):
        axes.plot(history.epoch, history[f"{name}_loss"], label=name, **style)
    axes.set(xlabel="epoch", ylabel="cross-entropy")
    axes.locator_params("x", integer=True)
    axes.legend()
    return figure


def plot_forest(lines: list[tuple[str, list[dict]]], spacing: int, title: str, height: float) -> Figure:
    """Draw the ROC AUC of each row with its interval, or the reason for its absence; `spacing` rows for each line."""
    figure, axes = create_figure(title, height)
    beside: dict = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": SMALL}
    middles = range(0, spacing * len(lines), spacing)
    for middle, (_, rows) in zip(middles, lines, strict=True):
        for y, row in enumerate(rows, start=middle - (len(rows) - 1) // 2):
            color, _, marker = COMPARISON_STYLES.get(row["comparison"], (GREY, "-", "X"))
            if pd.isna(row["roc_auc"]):
                axes.text(0.02, y, fill(row["reason"], 30), color="#666666", bbox=BOX, **beside)
                continue
            axes.plot([row["low"], row["high"]], [y, y], color=color, clip_on=False)
            axes.plot(row["roc_auc"], y, marker, color=color, ms=6, mec="white", mew=0.6, clip_on=False)
            axes.text(1.06, y, format_interval(row, "roc_auc"), **beside)
    axes.axvline(0.5, color=GREY, lw=1, zorder=0)
    axes.set_yticks(middles, [name for name, _ in lines])
    axes.set_xlim(right=1)
    axes.set(xlabel="ROC AUC, 95% interval; 0.5 is chance", ylim=(spacing * (len(lines) - 0.5), -spacing / 2))
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0, labelsize=SMALL)
    axes.spines["left"].set_visible(False)
    return figure


def plot_subgroups(groups: pd.DataFrame, recordings: str) -> Figure:
    """Draw metrics/subgroups.csv as a forest plot."""
    lines = [
        (f"{group_name(row['grouping'], row['group'])[:24]}\n{row['n_ischemia']}/{row['n_normal']}", [row])
        for row in groups.assign(comparison="roc_auc").to_dict("records")
    ]
    title = f"ROC AUC against normal by subgroup (ischemic/normal), {recordings}"
    return plot_forest(lines, 1, title, 1 + 0.36 * len(lines))


def plot_audit(audit: pd.DataFrame, recordings: str) -> Figure:
    """Draw metrics/audit.csv as a forest plot, the comparisons of a model below one another."""
    rows = {model: audit[audit.model == model].to_dict("records") for model in MODEL_TITLES}
    lines = [(fill(title, 17), rows[model]) for model, title in MODEL_TITLES.items()]
    figure = plot_forest(lines, 4, f"The model and simple models, {recordings}", 8 * len(lines) / 13)
    handles = [
        Line2D([], [], color=color, marker=marker, ms=6, label=COMPARISON_TITLES[comparison])
        for comparison, (color, _, marker) in COMPARISON_STYLES.items()
    ]
    figure.legend(handles=handles, title="ischemia", loc="outside lower left", ncols=3, frameon=False, alignment="left")
    return figure
