"""The page and the picture of a model's performance on recordings of another hospital."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ecg.evaluation.curves import confusion, curves, distribution, net_benefit
from ecg.evaluation.measures import reliability, subgroups
from ecg.evaluation.names import SYNTHETIC, data_kind
from ecg.model.description import Description
from ecg.params import Evaluate
from ecg.reporting import charts, tables
from ecg.reporting.figures import WIDTH, save_figure
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
    (roc, _), bins, benefit = curves(scored), reliability(positive, p), net_benefit(positive, p)
    decisions, spread = confusion(scored, threshold), distribution(scored)
    groups = subgroups(scored, np.quantile(scored.noise_uv, [1 / 3, 2 / 3]), evaluate)
    shares = tables.confusion_table(decisions)
    figures = {
        "roc": (charts.plot_roc(roc, scores, threshold, what), tables.roc_table(roc)),
        "reliability": (charts.plot_reliability(bins, scores, what), bins),
        "net_benefit": (charts.plot_net_benefit(benefit, threshold, what), benefit[4::5]),
        "distribution": (charts.plot_distribution(spread, decisions, threshold, what), shares),
        "subgroups": (charts.plot_subgroups(groups, what), tables.subgroups_table(groups)),
    }
    counts, refused = tables.count_recordings(table.assign(split="scored"), ["scored"])
    reference = description.reference | {"called": numbers["called_expected"]}
    values = {
        "synthetic": SYNTHETIC in (data_kind(scored.source), data_kind(description.sources)),
        "recordings": what,
        "trained_on": data_kind(description.sources),
        "description": description,
        "reference": reference,
        "numbers": numbers,
        "scores": scores.set_index("measure").to_dict("index"),
        "charts": figures,
        "rates": tables.measure_table(scores, tables.RATES, reference),
        "calibration": tables.measure_table(scores, tables.CALIBRATION, reference),
        "counts": counts,
        "refused": refused,
        "recalibrated": tables.before_and_after(numbers),
    }
    picture = Figure(figsize=(2 * WIDTH, 5.6), layout="constrained")
    ((left, right),) = picture.subfigures(1, 2, squeeze=False)
    charts.plot_roc(roc, scores, threshold, what, left)
    charts.plot_reliability(bins, scores, what, right)
    save_figure(picture, folder / "validate.png")
    with replacing(folder / "validate.html") as temporary:
        temporary.write_text(render("validate.html", values), encoding="utf-8")
