"""Figures of beats: 12 leads on ECG paper, each class's mean beat, and when in the beat the evidence comes."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize

from ecg.leads import LEADS
from ecg.reporting.figures import CLASS_COLORS, GREY, create_figure
from ecg.stage.tables import CLASSES

# Three rows of four, as on a printed ECG.
LAYOUT = np.array(LEADS).reshape(4, 3).T
QRS_END = 60  # ms from the R peak


class Explanation(NamedTuple):
    """What in a beat speaks for ischemia (log odds): when (a number a step of the network), and in which lead (12)."""

    activation: np.ndarray
    contributions: np.ndarray | None = None


def plot_beats(beats: np.ndarray, labels: np.ndarray, times: np.ndarray, recordings: str) -> plt.Figure:
    """Draw each class's mean median beat (records x 12 x samples, mV; times in ms) with its interquartile band."""
    title = f"Mean median beat and interquartile band, {recordings}"
    figure, grid = create_figure(title, 6.4, 3, 4, width=10.4, sharex=True, sharey=True)
    for name in CLASSES:
        chosen = beats[labels == name]
        if not len(chosen):
            continue
        mean = chosen.mean(axis=0, dtype=np.float64)
        low, high = np.percentile(chosen, [25, 75], axis=0)
        for lead, axes in zip(LAYOUT.flat, grid.flat, strict=True):
            row = LEADS.index(lead)
            axes.fill_between(times, low[row], high[row], color=CLASS_COLORS[name], alpha=0.18, lw=0)
            axes.plot(times, mean[row], color=CLASS_COLORS[name], lw=1.3, label=f"{name} ({len(chosen)})")
    for lead, axes in zip(LAYOUT.flat, grid.flat, strict=True):
        axes.set_title(lead, fontweight="bold", loc="left", fontsize=10)
        axes.axhline(0, color=GREY, lw=0.5)
    plt.setp(grid[-1], xlabel="ms from the R peak")
    plt.setp(grid[:, 0], ylabel="mV")
    grid[0, 0].legend()
    return figure


def plot_evidence(maps: dict[str, np.ndarray], times: np.ndarray, recordings: str) -> plt.Figure:
    """Draw each class's mean activation map (log odds) over the beat (times in ms from the R peak)."""
    figure, axes = create_figure(f"Mean activation map, {recordings}", 3.8)
    axes.axvspan(QRS_END, times[-1], color=GREY, alpha=0.14, lw=0)
    axes.text(times[-1], 0.97, "ST–T ", transform=axes.get_xaxis_transform(), va="top", ha="right")
    axes.axhline(0, color=GREY, lw=1)
    for name, values in maps.items():
        dash = {"normal": "--", "ischemia": "-", "other": ":"}[name]
        axes.plot(times, values, dash, color=CLASS_COLORS[name], lw=2, label=name)
    axes.set(xlabel="ms from the R peak", ylabel="for ischemia (log odds)")
    axes.legend(loc="upper left")
    return figure


def draw_grid(axes: plt.Axes, width: float, bottom: float) -> None:
    """Draw the lines of ECG paper, every 1 and 5 mm, from (0, 0) to (width, bottom) in mm."""
    axes.set(xlim=(0, width), ylim=(bottom, 0))
    axes.axis("off")
    for step, color, thick in ((1, "#f6e3df", 0.4), (5, "#ecc3bb", 0.7)):
        axes.vlines(np.arange(0, width + 1, step), bottom, 0, color=color, lw=thick)
        axes.hlines(np.arange(bottom, 1, step), 0, width, color=color, lw=thick)


def arrange_rows(traces: np.ndarray) -> tuple[list[tuple[float, float]], float]:
    """Return upper edge and zero line (mm, down is negative) of each row of leads, and the lower edge of all."""
    rows, edge = [], 0.0
    for leads in LAYOUT:
        values = np.append(traces[[LEADS.index(lead) for lead in leads]], [-0.5, 1.0])
        zero = edge - 5 * np.ceil(2 * np.nanmax(values)) - 5
        rows.append((edge - 1, zero))
        edge = zero + 5 * np.floor(2 * np.nanmin(values))
    return rows, edge


def color_trace(axes: plt.Axes, x: np.ndarray, y: np.ndarray, colors: np.ndarray, width: float) -> None:
    """Draw a broad line behind a trace, in a colour for each step of the network: as many samples as it saw as one."""
    colors = np.repeat(colors, len(x) // len(colors), axis=0)[: len(x) - 1]
    points = np.column_stack([x, y])
    pieces = np.stack([points[:-1], points[1:]], axis=1)[: len(colors)]
    axes.add_collection(LineCollection(list(pieces), colors=colors, lw=width, capstyle="round"))


def draw_color_bar(figure: plt.Figure, mappable: ScalarMappable, place: tuple, font: float) -> None:
    """Explain the colours in axes at `place`: left, bottom, width, height."""
    bar = figure.add_axes(place)
    figure.colorbar(mappable, cax=bar, orientation="horizontal")
    bar.tick_params(labelsize=5 * font)
    bar.set_title("speaks for normal  ←  log odds  →  speaks for ischemia", fontsize=5.5 * font, pad=3)


def plot_ecg(
    traces: np.ndarray,
    times: np.ndarray,
    title: str,
    notes: Sequence[str] = (),
    explanation: Explanation | None = None,
    scale: float = 2.0,
) -> plt.Figure:
    """Draw 12 leads (12 x samples, mV; times in ms) on ECG paper, 25 mm/s and 10 mm/mV, `scale` times as large.

    What speaks for ischemia is red and for normal blue; what a lead adds to it stands beside the lead's name.
    """
    activation, contributions = explanation or (None, None)
    # In mm of paper; text grows with the picture, but less.
    x = (times - times[0]) / 40 if len(times) else np.zeros(0)
    column = 5 * np.ceil((x[-1] if len(x) else 20) / 5 + 1)
    width, (rows, bottom) = 4 * column, arrange_rows(traces)
    size = np.sqrt(width / 100)
    font = scale * size
    head = size * (8 + 4 * len(notes))
    foot = size * (0 if activation is None else 12 if contributions is None else 16)
    height = head - bottom + foot
    figure = plt.figure(figsize=(scale * width / 25.4, scale * height / 25.4))
    axes = figure.add_axes((0, foot / height, 1, -bottom / height))
    draw_grid(axes, width, bottom)
    if activation is not None:
        limit = np.abs(activation).max() + 1e-9
        mappable = ScalarMappable(Normalize(-limit, limit), "coolwarm")
        draw_color_bar(figure, mappable, (0.2, (foot - 7 * size) / height, 0.6, 2 * size / height), font)
    for (row, place), lead in np.ndenumerate(LAYOUT):
        top, zero = rows[row]
        left, trace = place * column + 2.5, 10 * traces[LEADS.index(lead)] + zero
        if activation is not None:
            color_trace(axes, left + x, trace, mappable.to_rgba(activation), 3.2 * scale)
        axes.plot(left + x, trace, color="black", lw=0.45 * scale)
        axes.text(left, top, lead, fontsize=6.5 * font, fontweight="bold", va="top")
        if contributions is not None:
            value = f"{contributions[LEADS.index(lead)]:+.1f}".replace("-", "−")
            axes.text(left + 9 * size, top, value, fontsize=5.5 * font, va="top", color="#444444")
    if contributions is not None:
        note = "Beside a lead's name: what it adds to the log odds."
        figure.text(0.5, size / height, note, fontsize=5 * font, ha="center")
    figure.text(0.025, 1 - 2 * size / height, title, fontsize=7 * font, fontweight="bold", va="top")
    for number, note in enumerate(notes):
        figure.text(0.025, 1 - size * (7.5 + 4 * number) / height, note, fontsize=5 * font, va="top")
    return figure
