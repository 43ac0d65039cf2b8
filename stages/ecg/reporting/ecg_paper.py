"""Figures of beats: 12 leads on ECG paper, the mean beat of each class, and the mean activation map over the beat."""

from collections.abc import Sequence
from textwrap import fill

import numpy as np
from matplotlib.artist import setp
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from scipy.ndimage import uniform_filter1d

from ecg.beats.measurements import ST_AFTER_J, measure_beats
from ecg.leads import LEADS
from ecg.reporting.figures import CLASS_COLORS, CLASS_DASHES, GREY, create_figure
from ecg.run.files import CLASSES

LAYOUT = np.array(LEADS).reshape(4, 3).T  # three rows of four, as on a printed ECG
LONG_LAYOUT = np.array(LEADS).reshape(2, 6).T  # for traces of more than a second
QRS_END = 60  # ms from the R peak

# Pictures of a recording are made for this resolution: three lie side by side on a screen of 1920 x 1080.
DPI = 150
WIDE, PAPER, EDGE = 640, 780, 12  # px: width of the picture, maximum height of the paper, margin of text
NAMES = 5  # mm above the traces of a row, for the names of the leads
HEADING, TEXT, FINE = 6.2, 5.5, 5.0  # pt
INK, NOTE = "black", "#444444"
# Of ColorBrewer's RdBu, which colour-blind people can distinguish; light enough that a black trace is seen on it.
FOR_ISCHEMIA = LinearSegmentedColormap.from_list("ischemia", ["#2b7bba", "#92c5de", "#f4f4f4", "#f4a582", "#d6452f"])
RED, BLUE = "#b2182b", "#2166ac"
SATURATED = 20  # log odds: on PTB-XL about 95% of the values are smaller
SMOOTHED = 32  # ms: trees choose among samples that carry the same evidence, which therefore jumps between neighbours
LEGEND = (
    "Colour: evidence for ischemia over time (log odds above the threshold; their mean ◆ decides).\n"
    f"ST: level at J + {ST_AFTER_J} ms, in mV."
)
ADDED = " Red or blue number: contribution of the lead to the log odds."


def plot_beats(beats: np.ndarray, labels: np.ndarray, times: np.ndarray, recordings: str) -> Figure:
    """Draw the mean median beat of each class (records x 12 x samples, mV; times in ms) with its interquartile band."""
    title = f"Mean median beat of each class with interquartile band, {recordings}"
    figure, grid = create_figure(title, 6.4, 3, 4, width=10.4, sharex=True, sharey=True)
    for lead, axes in zip(LAYOUT.flat, grid.flat, strict=True):
        for name in [name for name in CLASSES if (labels == name).any()]:
            traces, color = beats[labels == name, LEADS.index(lead)].astype(np.float64), CLASS_COLORS[name]
            axes.fill_between(times, *np.percentile(traces, [25, 75], axis=0), color=color, alpha=0.18, lw=0)
            label = f"{name} ({len(traces)})"
            axes.plot(times, traces.mean(axis=0), CLASS_DASHES[name], color=color, lw=1.3, label=label)
        axes.set_title(lead, fontweight="bold", loc="left", fontsize=10)
        axes.axhline(0, color=GREY, lw=0.5)
    setp(grid[-1], xlabel="ms from the R peak")
    setp(grid[:, 0], ylabel="mV")
    grid[0, 0].legend()
    return figure


def plot_evidence(maps: dict[str, np.ndarray], times: np.ndarray, recordings: str) -> Figure:
    """Draw the mean activation map of each class (log odds) over the beat (times in ms from the R peak)."""
    figure, axes = create_figure(f"Mean activation map of each class, {recordings}", 3.8)
    axes.axvspan(QRS_END, times[-1], color=GREY, alpha=0.14, lw=0)
    axes.text(times[-1], 0.97, "ST–T ", transform=axes.get_xaxis_transform(), va="top", ha="right")
    axes.axhline(0, color=GREY, lw=1)
    for name, values in maps.items():
        axes.plot(times, values, CLASS_DASHES[name], color=CLASS_COLORS[name], lw=2, label=name)
    axes.set(xlabel="ms from the R peak", ylabel="evidence for ischemia (log odds)")
    axes.legend(loc="upper left")
    return figure


def plot_ecg(
    traces: np.ndarray,
    times: np.ndarray,
    title: str,
    notes: Sequence[str] = (),
    activation: np.ndarray | None = None,
    contributions: np.ndarray | None = None,
    reach: float = 5.0,
) -> Figure:
    """Draw 12 leads (12 x samples, mV, NaN is missing; times in ms) on ECG paper, 25 mm/s and 10 mm/mV.

    Rows are as high as the traces, which are cut and marked beyond ± `reach` (mV). A picture is 640 px wide at 150 dpi.
    `activation` colours a median beat (times from the R peak), on the same scale in all pictures: evidence for ischemia
    at each sample, whose mean is the log odds of p(ischemia) less those of the threshold. `contributions`: by lead.
    """
    x = 1 + (times - times[0]) / 40  # mm
    layout = LAYOUT if x[-1] <= 26 else LONG_LAYOUT
    kept = np.clip(traces, -reach, reach)
    # Upper edge and zero line of each row, and the lower edge of all: mm, down is negative.
    rows, bottom = [], 0.0
    for leads in layout:
        values = np.append(kept[[LEADS.index(lead) for lead in leads]], [-0.4, 1.0])
        zero = bottom - NAMES - 5 * np.ceil(2 * np.nanmax(values))
        rows.append((bottom, zero))
        bottom = zero + 5 * np.floor(2 * np.nanmin(values) - 0.2)  # a coloured line is broad
    # The axes cover the whole picture, in mm of the paper; texts are placed in pixels.
    px = max((10 + layout.shape[1] * max(20, x[-1] + 1)) / WIDE, -bottom / PAPER)  # in mm
    width, edge = WIDE * px, EDGE * px
    column = (width - 10) / layout.shape[1]  # behind the calibration marks

    # Short enough for lines of capitals.
    title, note = fill(title, 60), "\n".join(fill(text, 80, break_on_hyphens=False) for text in notes)
    caption = f"25 mm/s   10 mm/mV   ▲ ▼ cut at ± {reach:g} mV"
    if activation is not None:
        caption += f"\n\n{LEGEND}{ADDED if contributions is not None else ''}"
    below_title = 17 * len(note.splitlines()) * px
    head = below_title + (26 + 19 * title.count("\n")) * px
    foot = (28 + 16 * caption.count("\n")) * px
    figure = Figure(figsize=(WIDE / DPI, (head + foot - bottom) / px / DPI))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(bottom - foot, head))
    axes.axis("off")
    axes.text(edge, head - 7 * px, title, fontsize=HEADING, fontweight="bold", va="top")
    axes.text(edge, below_title, note, fontsize=TEXT, va="top")
    axes.text(edge, bottom - 8 * px, caption, fontsize=FINE, va="top", color=NOTE)
    for step, color, thick in ((1, "#f8e9e6", 0.3), (5, "#eccac3", 0.5)):
        axes.vlines(np.arange(0, width + 1, step), bottom, 0, color=color, lw=thick)
        axes.hlines(np.arange(bottom, 1, step), 0, width, color=color, lw=thick)

    if activation is not None:
        mappable = ScalarMappable(Normalize(-SATURATED, SATURATED), FOR_ISCHEMIA)
        bar = axes.inset_axes((330 * px, bottom - 18 * px, 200 * px, 9 * px), transform=axes.transData)
        ticks = np.linspace(-SATURATED, SATURATED, 5)
        figure.colorbar(mappable, cax=bar, orientation="horizontal", extend="both", ticks=ticks, format="%+d")
        bar.tick_params(labelsize=FINE, length=2, width=0.4, pad=1)
        bar.plot(activation.mean(), 1.5, "D", color=INK, ms=2.5, transform=bar.get_xaxis_transform(), clip_on=False)
        for place, side, text in ((-0.07, "right", "against ischemia"), (1.07, "left", "for ischemia")):
            bar.text(place, 0.5, text, transform=bar.transAxes, ha=side, va="center", fontsize=FINE)
        # A colour for each step from one sample to the next.
        samples = round(SMOOTHED / (times[1] - times[0]))
        colors = mappable.to_rgba(uniform_filter1d(activation, samples, mode="nearest")[1:])
        st = measure_beats(traces[None], times).st[0]
    for _, zero in rows:
        axes.plot([1, 2.5, 2.5, 7.5, 7.5, 9], zero + np.array([0, 0, 10, 10, 0, 0]), color=INK, lw=0.5)
        axes.text(1, zero - 1, " 1 mV", fontsize=FINE, va="top", color=NOTE)
    for (row, place), lead in np.ndenumerate(layout):
        number, (top, zero), left = LEADS.index(lead), rows[row], 10 + place * column
        trace, name = 10 * kept[number] + zero, top - 6 * px
        if activation is not None:
            points = np.column_stack([left + x, trace])
            steps = np.stack([points[:-1], points[1:]], axis=1)
            axes.add_collection(LineCollection(list(steps), colors=colors, lw=4.3, capstyle="round"))
            axes.text(left + 42 * px, name, f"ST {st[number]:+z.2f}", fontsize=FINE, va="top", color=NOTE)
            if contributions is not None:
                added, right = contributions[number], left + column - 8 * px
                color = RED if added > 0 else BLUE
                axes.text(right, name, f"{added:+z.1f}", fontsize=FINE, va="top", ha="right", color=color)
        axes.plot(left + x, trace, color=INK, lw=0.6)
        for beyond, marker in ((traces[number] > reach, "^"), (traces[number] < -reach, "v")):
            axes.plot(left + x[beyond], trace[beyond], marker, color=INK, ms=2)
        axes.text(left + 4 * px, name, lead, fontsize=HEADING, fontweight="bold", va="top")
    return figure
