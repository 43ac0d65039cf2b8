"""The style of all figures; a figure as a PNG in metrics/, as an SVG or a WebP in a page."""

import base64
import io
import re
import warnings
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure, SubFigure

from ecg.run.files import replacing

# A box stands for a character of a record's name that no font has.
warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from", UserWarning)
matplotlib.rcdefaults()  # the same style with any matplotlibrc of the user
matplotlib.rcParams |= {
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],
    "text.parse_math": False,  # the text of data may contain a $
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e4e7ea",
    "legend.fontsize": 9,
}

WIDTH = 4.8  # inches: on a phone, 320 pixels wide, text of 10 pt can still be read
GREY = "#7f7f7f"
CLASS_COLORS = {"normal": "#1f77b4", "ischemia": "#d62728", "other": "#2ca02c"}
CLASS_DASHES = {"normal": "-", "ischemia": "-", "other": ":"}
# Colour, dash and marker of a comparison; colour and dash are those of the class against which it is made.
COMPARISON_STYLES = {
    "roc_auc": ("#1f77b4", "-", "o"),
    "roc_auc_vs_rest": ("#9467bd", "--", "D"),
    "roc_auc_vs_other": ("#2ca02c", ":", "s"),
}


def create_figure(
    title: str, height: float, *grid: int, width: float = WIDTH, within: SubFigure | None = None, **options: Any
) -> tuple:
    """Return a figure (size in inches), or the given part of one, and its axes as `Figure.subplots` does."""
    figure = within or Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(fill(title, int(12.5 * width), break_on_hyphens=False), x=0.02, ha="left", fontsize=10)
    return figure, figure.subplots(*grid, **options)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG that depends on the figure alone."""
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=150, metadata={"Software": None})


def inline_svg(figure: Figure, name: str) -> Markup:
    """Return the figure as SVG for a page: text as text, and ids unlike those of another `name`."""
    svg = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(svg, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = svg.getvalue()
    # Groups are numbered alike in every figure, and nothing refers to them.
    return Markup(re.sub(r'<g id="[^"]*"', "<g", text[text.index("<svg") :]))


def data_uri(figure: Figure) -> str:
    """Return the figure as a small picture that an HTML page can contain: the data URI of a WebP."""
    image = io.BytesIO()
    figure.savefig(image, format="webp", dpi=150, pil_kwargs={"quality": 70, "method": 2})
    return f"data:image/webp;base64,{base64.b64encode(image.getvalue()).decode()}"
