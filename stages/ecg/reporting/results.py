"""Tables of scored recordings with their charts, for metrics/ and both pages; the page and the picture of validate."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ecg.evaluation.names import CURVE_FILES, SYNTHETIC, data_kind
from ecg.model.description import Description
from ecg.params import Evaluate
from ecg.reporting import charts, tables
from ecg.reporting.figures import WIDTH, save_figure
from ecg.reporting.page import render
from ecg.run import paths
from ecg.run.files import write

# By the names of their files in metrics/.
Results = dict[str, pd.DataFrame]
TABLES = ("evaluate.csv", "subgroups.csv", "confusion.csv", "reliability.csv", "net_benefit.csv", "distribution.csv")


def result_tables(
    scored: pd.DataFrame, scores: pd.DataFrame, threshold: float, terciles: np.ndarray, evaluate: Evaluate
) -> Results:
    """Return the tables of scored recordings, with their `scores`; `terciles` are those of the noise (uV)."""
    from ecg.evaluation import measures  # takes 1.2 s, which report saves

    positive, p = (scored.label == "ischemia").to_numpy(), scored.p_ischemia.to_numpy()
    results = {
        "evaluate.csv": scores,
        "subgroups.csv": measures.subgroups(scored, terciles, evaluate).round(4),
        "confusion.csv": measures.confusion(scored, threshold),
        "reliability.csv": measures.reliability(positive, p).round(4),
        "net_benefit.csv": measures.net_benefit(positive, p).round(4),
        "distribution.csv": measures.distribution(scored).round(6),
    }
    for folder, lines in zip(("roc", "precision_recall"), measures.curves(scored), strict=True):
        results |= {f"{folder}/{CURVE_FILES[name]}": points.round(4) for name, points in lines.items()}
    return results


def read_results() -> Results:
    curve_files = [f"{folder}/{name}" for folder in ("roc", "precision_recall") for name in CURVE_FILES.values()]
    return {name: pd.read_csv(paths.METRICS / name) for name in (*TABLES, *curve_files)}


def curves_in(results: Results, folder: str) -> Results:
    """Return the curves of a folder by comparison."""
    return {comparison: results[f"{folder}/{name}"] for comparison, name in CURVE_FILES.items()}


def draw_results(results: Results, threshold: float, recordings: str) -> dict[str, tuple[Figure, pd.DataFrame]]:
    """Return by name each chart and the table of its numbers."""
    scores, groups, decisions, bins, benefit, spread = (results[name] for name in TABLES)
    roc, precision_recall = curves_in(results, "roc"), curves_in(results, "precision_recall")
    specific = {comparison: points.assign(specificity=1 - points.fpr) for comparison, points in roc.items()}
    sensitivities = tables.curve_table(specific, "tpr", "specificity", "sensitivity where specificity is at least")
    precisions = tables.curve_table(precision_recall, "precision", "recall", "precision where recall is at least")
    return {
        "roc": (charts.plot_roc(roc, scores, threshold, recordings), sensitivities),
        "precision_recall": (charts.plot_precision_recall(precision_recall, recordings), precisions),
        "reliability": (charts.plot_reliability(bins, scores, recordings), bins),
        "net_benefit": (charts.plot_net_benefit(benefit, threshold, recordings), benefit[4::5]),
        "distribution": (charts.plot_distribution(spread, decisions, threshold, recordings), spread[spread.n > 0]),
        "subgroups": (charts.plot_subgroups(groups, recordings), tables.subgroups_table(groups)),
    }


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
    results = result_tables(scored, scores, threshold, np.quantile(scored.noise_uv, [1 / 3, 2 / 3]), evaluate)
    figures = draw_results(results, threshold, what)
    figures["distribution"] = figures["distribution"][0], tables.confusion_table(results["confusion.csv"])
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
    charts.plot_roc(curves_in(results, "roc"), scores, threshold, what, left)
    charts.plot_reliability(results["reliability.csv"], scores, what, right)
    save_figure(picture, folder / "validate.png")
    write(folder / "validate.html", render("validate.html", values))
