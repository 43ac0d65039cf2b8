"""Forest plots: one ROC AUC and its interval a line, of subgroups and of the audit's models."""

from textwrap import wrap

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ecg.evaluation.names import COMPARISON_TITLES, MODEL_TITLES, format_interval
from ecg.reporting.figures import COMPARISON_STYLES, GREY, create_figure

SMALL = 9  # pt


def cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def draw_estimate(axes: Axes, y: float, row: dict, comparison: str) -> None:
    """Draw roc_auc, low and high of a row as a point and a line, with the numbers beside; or the reason for none."""
    color, _, marker = COMPARISON_STYLES.get(comparison, (GREY, "-", "X"))
    beside: dict = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": SMALL}
    if pd.isna(row["roc_auc"]):
        axes.text(0.02, y, cut(row["reason"], 46), color="#666666", **beside)
        return
    axes.plot([row["low"], row["high"]], [y, y], color=color, clip_on=False)
    axes.plot(row["roc_auc"], y, marker, color=color, ms=6, mec="white", mew=0.6, clip_on=False)
    axes.text(1.06, y, format_interval(row, "roc_auc"), **beside)


def finish_forest(axes: Axes, lows: pd.Series, lines: int) -> None:
    """Lay out axes of so many lines, from the lowest end of the intervals, or from chance, to 1."""
    axes.axvline(0.5, color=GREY, lw=1, zorder=0)
    left = min(0.5, float(lows.min()) - 0.02) if lows.notna().any() else 0.5
    axes.set(xlim=(left, 1), ylim=(lines - 0.4, -0.6), xlabel="ROC AUC, 95% interval; 0.5 is chance")
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0, labelsize=SMALL)
    axes.spines["left"].set_visible(False)


def plot_subgroups(groups: pd.DataFrame, recordings: str) -> Figure:
    """Draw metrics/subgroups.csv, each grouping below its name."""
    lines: list[tuple[str, dict | None]] = []
    for grouping, members in groups.groupby("grouping", sort=False):
        if grouping != "all":
            lines.append((grouping, None))
        for row in members.to_dict("records"):
            name = "all" if grouping == "all" else cut(row["group"], 18)
            lines.append((f"{name}  ({row['n_ischemia']}/{row['n_normal']})", row))
    figure, axes = create_figure(f"Subgroups (ischemic/normal), {recordings}", 1 + 0.23 * len(lines))
    axes.set_yticks(range(len(lines)), [name for name, _ in lines])
    for y, ((_, row), label) in enumerate(zip(lines, axes.get_yticklabels(), strict=True)):
        if row is None:
            label.set_fontweight("bold")
        else:
            draw_estimate(axes, y, row, "roc_auc")
    finish_forest(axes, groups.low, len(lines))
    return figure


def plot_audit(audit: pd.DataFrame, recordings: str) -> Figure:
    """Draw metrics/audit.csv, a model's comparisons below one another."""
    figure, axes = create_figure(f"Simple models on the same patients, {recordings}", 8)
    lines = 4 * len(MODEL_TITLES)
    for first, model in zip(range(0, lines, 4), MODEL_TITLES, strict=True):
        rows = audit[audit.model == model].to_dict("records")
        for y, row in enumerate(rows, start=first + (3 - len(rows)) // 2):
            draw_estimate(axes, y, row, row["comparison"])
    axes.set_yticks(range(1, lines, 4), ["\n".join(wrap(title, 17)) for title in MODEL_TITLES.values()])
    finish_forest(axes, audit.low, lines - 1)
    handles = [
        Line2D([], [], color=color, marker=marker, ms=6, label=COMPARISON_TITLES[comparison])
        for comparison, (color, _, marker) in COMPARISON_STYLES.items()
    ]
    figure.legend(handles=handles, title="ischemia", loc="outside lower left", ncols=3, frameon=False, alignment="left")
    return figure
