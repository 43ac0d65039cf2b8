"""The page and the picture of how good a model is at a hospital."""

from pathlib import Path

import numpy as np
import pandas as pd

from ecg.evaluation.calibration import reliability
from ecg.evaluation.curves import curves
from ecg.evaluation.names import QUESTION_TITLES, SYNTHETIC, data_kind
from ecg.evaluation.questions import select_question
from ecg.evaluation.subgroups import subgroups
from ecg.network.description import Description
from ecg.params import Evaluate
from ecg.reporting import tables
from ecg.reporting.curves import plot_reliability, plot_roc, plot_roc_and_reliability
from ecg.reporting.figures import inline_svg, save_figure
from ecg.reporting.forest import plot_subgroups
from ecg.reporting.page import render
from ecg.stage.files import replacing


def write_page(
    folder: Path,
    table: pd.DataFrame,
    scored: pd.DataFrame,
    scores: pd.DataFrame,
    numbers: dict,
    description: Description,
    evaluate: Evaluate,
) -> None:
    """Write validate.html and validate.png of all recordings found, those scored, and the numbers of these."""
    what, home = f"{len(scored)} {data_kind(scored.source)}", description.home
    roc, bins = curves(scored)[0], reliability(*select_question(scored, "roc_auc")[:2])
    groups = subgroups(scored, np.quantile(scored.noise_uv, [1 / 3, 2 / 3]), evaluate)
    save_figure(plot_roc_and_reliability(roc, numbers, bins, what), folder / "validate.png")
    charts = {
        "roc": (plot_roc(roc, numbers, what), tables.roc_table(roc)),
        "reliability": (plot_reliability(bins, scores, what), tables.reliability_table(bins)),
        "subgroups": (plot_subgroups(groups, what), tables.subgroups_table(groups)),
    }
    counts, refused = tables.count_scored(table)
    values = {
        "synthetic": SYNTHETIC in (data_kind(scored.source), data_kind(description.sources)),
        "recordings": what,
        "trained_on": data_kind(description.sources),
        "questions": QUESTION_TITLES,
        "description": description,
        "numbers": numbers,
        "metrics": numbers,
        "scores": scores.set_index("measure").to_dict("index"),
        "charts": {name: (inline_svg(figure, name), rows) for name, (figure, rows) in charts.items()},
        "rates": tables.beside_home(scores, tables.RATES, home),
        "calibration": tables.beside_home(scores, tables.CALIBRATION, home),
        "counts": counts,
        "refused": refused,
        "recalibrated": tables.before_and_after(numbers),
    }
    with replacing(folder / "validate.html") as temporary:
        temporary.write_text(render("validate.html", values), encoding="utf-8")
