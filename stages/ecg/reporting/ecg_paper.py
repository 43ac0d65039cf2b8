"""Figures of beats: 12 leads on ECG paper, each class's mean beat, and when in the beat the evidence comes."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.artist import setp
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from ecg.beats.measurements import ST_AFTER_J, measure_beats
from ecg.leads import LEADS
from ecg.reporting.figures import CLASS_COLORS, GREY, create_figure
from ecg.run.files import CLASSES

# Three rows of four, as on a printed ECG.
LAYOUT = np.array(LEADS).reshape(4, 3).T
QRS_END = 60  # ms from the R peak

# Pictures of a recording are made for this resolution: three lie side by side on a screen of 1920 x 1080.
DPI = 150
WIDE, PAPER, EDGE = 640, 780, 12  # px: of the picture, at most of the paper's height, left and right of text
INCH, POINT = 1 / DPI, 72 / DPI  # of a px
PEN = RendererAgg(1, 1, DPI)  # measures text
INK, NOTE = "black", "#444444"
# Of ColorBrewer's RdBu, which colour-blind people can tell apart; light enough that a black trace is seen on it.
FOR_ISCHEMIA = LinearSegmentedColormap.from_list("ischemia", ["#2b7bba", "#92c5de", "#f4f4f4", "#f4a582", "#d6452f"])
RED, BLUE = "#b2182b", "#2166ac"
SATURATED = 20  # log odds: on PTB-XL about 95% of the values are smaller
SMOOTHED = 32  # ms: trees choose among samples that say the same, so evidence jumps from one to the next


class Explanation(NamedTuple):
    """What in a beat speaks for ischemia: when (a number a sample), and in which lead (12), in log odds.

    The mean of `activation` is the log odds of p(ischemia) less those of the threshold: from 0 on, ischemia is called.
    """

    activation: np.ndarray
    contributions: np.ndarray | None = None


def plot_beats(beats: np.ndarray, labels: np.ndarray, times: np.ndarray, recordings: str) -> Figure:
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
    setp(grid[-1], xlabel="ms from the R peak")
    setp(grid[:, 0], ylabel="mV")
    grid[0, 0].legend()
    return figure


def plot_evidence(maps: dict[str, np.ndarray], times: np.ndarray, recordings: str) -> Figure:
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


def signed(value: float, digits: int) -> str:
    return f"{round(float(value), digits) + 0:+.{digits}f}".replace("-", "−")


def wrap_to(width: float, text: str, size: float, weight: str = "normal") -> list[str]:
    """Return a text of a font size (px) in lines that are at most `width` px wide."""
    font, lines = FontProperties(size=size * POINT, weight=weight), []

    def pixels(end):
        return PEN.get_text_width_height_descent(text[:end], font, False)[0]

    while text:
        end = bisect_right(range(2, len(text) + 1), width, key=pixels) + 1
        space = text.rfind(" ", 0, end + 1)
        end = space if end < len(text) and space > 0 else end
        lines.append(text[:end])
        text = text[end:].lstrip()
    return lines


def draw_grid(axes: Axes, width: float, bottom: float) -> None:
    """Draw the lines of ECG paper, every 1 and 5 mm, from (0, 0) to (width, bottom) in mm."""
    axes.set(xlim=(0, width), ylim=(bottom, 0))
    axes.axis("off")
    for step, color, thick in ((1, "#f8e9e6", 0.3), (5, "#eccac3", 0.5)):
        axes.vlines(np.arange(0, width + 1, step), bottom, 0, color=color, lw=thick)
        axes.hlines(np.arange(bottom, 1, step), 0, width, color=color, lw=thick)


def arrange_rows(traces: np.ndarray, layout: np.ndarray, above: float) -> tuple[list[tuple[float, float]], float]:
    """Return upper edge and zero line (mm, down is negative) of each row of leads, and the lower edge of all.

    So many mm `above` the traces of a row are for names.
    """
    rows, edge = [], 0.0
    for leads in layout:
        values = np.append(traces[[LEADS.index(lead) for lead in leads]], [-0.4, 1.0])
        zero = edge - above - 5 * np.ceil(2 * np.nanmax(values))
        rows.append((edge, zero))
        edge = zero + 5 * np.floor(2 * np.nanmin(values) - 0.2)  # a coloured line is broad
    return rows, edge


def color_trace(axes: Axes, x: np.ndarray, y: np.ndarray, colors: np.ndarray, width: float) -> None:
    """Draw a broad line behind a trace, in a colour for each step between samples."""
    points = np.column_stack([x, y])
    pieces = np.stack([points[:-1], points[1:]], axis=1)
    axes.add_collection(LineCollection(list(pieces), colors=colors, lw=width, capstyle="round"))


def draw_color_bar(figure: Figure, mappable: ScalarMappable, place: tuple, mean: float) -> None:
    """Explain the colours in axes at `place` (left, bottom, width, height), and mark the mean of a map there."""
    bar, limit = figure.add_axes(place), SATURATED
    figure.colorbar(mappable, cax=bar, orientation="horizontal", extend="both").outline.set_linewidth(0.4)
    names = [f"≤ −{limit}", f"−{limit / 2:g}", "0", f"+{limit / 2:g}", f"≥ +{limit}"]
    bar.set_xticks([-limit, -limit / 2, 0, limit / 2, limit], names)
    bar.tick_params(labelsize=10 * POINT, length=2, width=0.4, pad=1)
    across = bar.get_xaxis_transform()
    bar.plot(np.clip(mean, -limit, limit), 1.5, "v", color=INK, ms=3, transform=across, clip_on=False)
    for x, side, text in ((-0.07, "right", "against ischemia"), (1.07, "left", "for ischemia")):
        bar.text(x, 0.5, text, transform=bar.transAxes, ha=side, va="center", fontsize=11 * POINT)


def plot_ecg(
    traces: np.ndarray,
    times: np.ndarray,
    title: str,
    notes: Sequence[str] = (),
    explanation: Explanation | None = None,
    reach: float = 5.0,
) -> Figure:
    """Draw 12 leads (12 x samples, mV, NaN is missing; times in ms) on ECG paper, 25 mm/s and 10 mm/mV.

    Rows are as high as the traces, which beyond ± `reach` (mV) are cut and marked. An explanation colours a median beat
    (times from the R peak), on the same scale in all pictures. They are 640 px wide at 150 dpi.
    """
    x = 1 + (times - times[0]) / 40 if len(times) else np.zeros(0)  # mm
    length = x[-1] if len(x) else 0
    # As on printed ECGs: three rows of four, and of what is longer than a second six rows of two.
    layout = LAYOUT if length <= 26 else np.array(LEADS).reshape(2, 6).T
    kept = np.clip(traces, -reach, reach)
    for above in (5, 10):
        rows, bottom = arrange_rows(kept, layout, above)
        mm = min(WIDE / (10 + layout.shape[1] * max(20, length + 1)), PAPER / -bottom)  # in px
        if above * mm > 20:
            break
    width = WIDE / mm
    column = (width - 10) / layout.shape[1]  # behind the calibration marks

    lines = [(line, 13.0, "bold") for line in wrap_to(WIDE - 2 * EDGE, title, 13, "bold")]
    lines += [(line, 11.5, "normal") for note in notes for line in wrap_to(WIDE - 2 * EDGE, note, 11.5)]
    caption = "▲ ▼ beyond what is drawn. " if np.any(np.abs(traces) > reach) else ""
    if explanation is not None:
        caption += (
            "Colour: what speaks for ischemia, moment by moment (log odds above the threshold; their mean ▼ decides). "
            f"Beside a lead's name: ST at J + {ST_AFTER_J} ms in mV"
        )
        caption += "." if explanation.contributions is None else "; what the lead adds to the log odds."
    below = wrap_to(WIDE - 2 * EDGE, caption, 11)
    head, paper = 14 + 1.35 * sum(size for _, size, _ in lines), -bottom * mm
    foot = (28 if explanation is None else 42) + 15 * len(below)
    height = head + paper + foot
    figure = Figure(figsize=(WIDE * INCH, height * INCH))
    down = 7.0
    for text, size, weight in lines:
        figure.text(EDGE / WIDE, 1 - down / height, text, fontsize=size * POINT, fontweight=weight, va="top")
        down += 1.35 * size
    figure.text(EDGE / WIDE, (foot - 8) / height, "25 mm/s   10 mm/mV", fontsize=11.5 * POINT, va="top")
    for number, text in enumerate(reversed(below)):
        figure.text(EDGE / WIDE, (18 + 15 * number) / height, text, fontsize=11 * POINT, va="top", color=NOTE)

    axes = figure.add_axes((0, foot / height, 1, paper / height))
    draw_grid(axes, width, bottom)
    if explanation is not None:
        half = round(SMOOTHED / (times[1] - times[0]) / 2)
        smooth = np.convolve(np.pad(explanation.activation, half, "edge"), np.full(2 * half, 1 / (2 * half)), "valid")
        mappable = ScalarMappable(Normalize(-SATURATED, SATURATED), FOR_ISCHEMIA)
        place = (300 / WIDE, (foot - 18) / height, 220 / WIDE, 9 / height)
        draw_color_bar(figure, mappable, place, explanation.activation.mean())
        colors, st = mappable.to_rgba(smooth[1:-1]), measure_beats(traces[None], times).st[0]
    for _, zero in rows:
        axes.plot([1, 2.5, 2.5, 7.5, 7.5, 9], zero + np.array([0, 0, 10, 10, 0, 0]), color=INK, lw=0.5)
        axes.text(1, zero - 1, " 1 mV", fontsize=9.5 * POINT, va="top", color=NOTE)
    for (row, place), lead in np.ndenumerate(layout):
        number, (top, zero), left = LEADS.index(lead), rows[row], 10 + place * column
        trace, name = 10 * kept[number] + zero, top - 6 / mm
        if explanation is not None:
            color_trace(axes, left + x, trace, colors, 9 * POINT)
            value = f"ST {signed(st[number], 2)}"
            axes.text(left + 42 / mm, name, value, fontsize=10.5 * POINT, va="top", color=NOTE)
            if explanation.contributions is not None:
                value = signed(explanation.contributions[number], 1)
                color = NOTE if value == "+0.0" else RED if value[0] == "+" else BLUE
                right = left + column - 8 / mm
                axes.text(right, name, value, fontsize=10.5 * POINT, va="top", ha="right", color=color)
        axes.plot(left + x, trace, color=INK, lw=0.6)
        for beyond, marker in ((traces[number] > reach, "^"), (traces[number] < -reach, "v")):
            if beyond.any():
                axes.plot(left + x[beyond], trace[beyond], marker, color=INK, ms=2)
        axes.text(left + 4 / mm, name, lead, fontsize=13 * POINT, fontweight="bold", va="top")
    return figure
