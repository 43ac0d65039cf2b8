"""The page and the picture of a model's performance on recordings of another hospital."""

from pathlib import Path

import numpy as np
import pandas as pd

from ecg.evaluation.curves import confusion, curves, distribution, net_benefit
from ecg.evaluation.measures import reliability, subgroups
from ecg.evaluation.names import COMPARISON_TITLES, SYNTHETIC, data_kind
from ecg.model.description import Description
from ecg.params import Evaluate
from ecg.reporting import charts, tables
from ecg.reporting.figures import inline_svg, save_figure
from ecg.reporting.page import render
from ecg.run.files import replacing


def write_page(
    folder: Path,
    table: pd.DataFrame,
    scored: pd.DataFrame,
    scores: pd.DataFrame,
    numbers: dict,
    description: Description,
    evaluate: Evaluate,
) -> None:
    """Write validate.html and validate.png from all recordings found, the scored ones, and their numbers."""
    what, threshold = f"{len(scored)} {data_kind(scored.source)}", description.threshold
    positive, p = (scored.label == "ischemia").to_numpy(), scored.p_ischemia.to_numpy()
    bins, decisions = reliability(positive, p), confusion(scored, threshold)
    spread, groups = distribution(scored), subgroups(scored, np.quantile(scored.noise_uv, [1 / 3, 2 / 3]), evaluate)
    figures = {
        "reliability": (charts.plot_reliability(bins, scores, what), tables.reliability_table(bins)),
        "distribution": (
            charts.plot_distribution(spread, decisions, threshold, what),
            tables.confusion_table(decisions),
        ),
        "subgroups": (charts.plot_subgroups(groups, what), tables.subgroups_table(groups)),
    }
    picture = figures["reliability"][0]
    if 0 < positive.sum() < len(positive):
        roc, benefit = curves(scored)[0], net_benefit(positive, p)
        picture = charts.plot_roc_and_reliability(roc, scores, threshold, bins, what)
        figures["roc"] = charts.plot_roc(roc, scores, threshold, what), tables.roc_table(roc)
        benefits = tables.net_benefit_table(benefit)
        figures["net_benefit"] = charts.plot_net_benefit(benefit, threshold, what), benefits
    counts, refused = tables.count_recordings(table.assign(split="scored"), ["scored"])
    reference = description.reference | {"called": numbers["called_expected"]}
    values = {
        "synthetic": SYNTHETIC in (data_kind(scored.source), data_kind(description.sources)),
        "recordings": what,
        "trained_on": data_kind(description.sources),
        "comparisons": COMPARISON_TITLES,
        "description": description,
        "reference": reference,
        "numbers": numbers,
        "scores": scores.set_index("measure").to_dict("index"),
        "charts": {name: (inline_svg(figure, name), rows) for name, (figure, rows) in figures.items()},
        "rates": tables.measure_table(scores, tables.RATES, reference),
        "calibration": tables.measure_table(scores, tables.CALIBRATION, reference),
        "counts": counts,
        "refused": refused,
        "recalibrated": tables.before_and_after(numbers),
    }
    save_figure(picture, folder / "validate.png")
    with replacing(folder / "validate.html") as temporary:
        temporary.write_text(render("validate.html", values), encoding="utf-8")
