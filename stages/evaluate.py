"""Score the test patients once, and say how far the numbers can be believed.

Reads   data/model.safetensors, data/beats.npy, data/split.csv, data/history.csv
Writes  data/predictions.csv      one probability a class for every median beat, and what subgroups are made of
        data/activation.npy       test records x samples, float32: when each beat speaks for ischemia
        metrics/evaluate.json     the numbers that runs are compared by
        metrics/evaluate.csv      every AUC and rate with its interval, and the calibration
        metrics/subgroups.csv     the headline AUC by source, sex, age, heart rate and noise
        metrics/roc/, precision_recall/                                a curve a comparison
        metrics/reliability.csv, net_benefit.csv, distribution.csv     other curves
        metrics/confusion.csv     how many recordings of each class are called ischemic
        metrics/*.png             the same as pictures, and the learning curves
        metrics/beats.png         each class's mean median beat in 12 leads
        metrics/example.png       the ischemic test recording with the highest probability, and what speaks for it

Numbers in metrics/ have four decimals: what is beyond them differs between processors.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import logit

from ecg.beats.windows import beat_times
from ecg.evaluation.curves import confusion, curves, distribution, net_benefit
from ecg.evaluation.measures import headline, measures, reliability, subgroups
from ecg.evaluation.names import COMPARISON_TITLES, CURVE_FILES, data_kind, say_auc
from ecg.model.comparisons import scored_table
from ecg.model.description import Description
from ecg.model.evidence import activation_maps, lead_contributions
from ecg.model.fcn import choose_device
from ecg.model.model import Model, distances, load_model, probabilities
from ecg.params import read_params
from ecg.reporting import charts as figures
from ecg.reporting.ecg_paper import Explanation, plot_beats, plot_ecg
from ecg.reporting.figures import save_figure
from ecg.run import paths
from ecg.run.files import load_split, replacing, write_json
from ecg.run.script import run_stage

ABOUT = ["record", "patient", "source", "split", "label", "age", "sex", "heart_rate", "noise_uv"]


def score_records(model: Model, classes: list[str], beats: np.ndarray, rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows of split.csv with a probability column p_CLASS for each class, and the distance from training."""
    return scored_table(rows[ABOUT], classes, probabilities(model, beats)).assign(distance=distances(model, beats))


def plot_example(model: Model, description: Description, test: pd.DataFrame, beats: np.ndarray, activation: np.ndarray):
    """Draw the ischemic test recording with the highest probability, and what speaks for it."""
    ischemic = np.flatnonzero(test.label == "ischemia")
    chosen = ischemic[test.p_ischemia.iloc[ischemic].argmax()]
    p, threshold = test.p_ischemia.iloc[chosen], description.threshold
    notes = [
        f"labelled ischemia; p(ischemia) {p:.0%}, called from {threshold:.0%} on",
        f"one of the {len(test)} test {data_kind(test.source)}; model trained on {data_kind(description.sources)}",
    ]
    contributions = lead_contributions(model, beats[chosen : chosen + 1])[0]
    times, record = beat_times(description.extract), test.record.iloc[chosen]
    return plot_ecg(
        beats[chosen], times, record, notes, Explanation(activation[chosen] - logit(threshold), contributions)
    )


def write_curves(folder: Path, lines: dict[str, pd.DataFrame]) -> None:
    """Write the points of each comparison's curve into a file of its own."""
    with replacing(folder) as temporary:
        temporary.mkdir()
        for comparison, points in lines.items():
            points.to_csv(temporary / CURVE_FILES[comparison], index=False)


def print_summary(scores: pd.DataFrame, numbers: dict, what: str) -> None:
    """Print the ROC AUCs with their counts, and the shares called."""
    print(what)
    for row in scores.to_dict("records")[: len(COMPARISON_TITLES)]:
        print(say_auc(row))
    if any(str(reason).startswith("too few") for reason in scores.reason):
        print("for so few, `python stages/cross_validate.py` tests on all recordings")
    called = {"ischemic": numbers["sensitivity"], "normal": 1 - numbers["specificity_normal"]}
    if numbers["specificity_other"] is not None:
        called["abnormal, not ischemic"] = 1 - numbers["specificity_other"]
    print(f"called: {', '.join(f'{share:.0%} of {name}' for name, share in called.items())} recordings")


def main() -> None:
    evaluate = read_params().evaluate
    model, description = load_model(paths.MODEL)
    model.to(choose_device())
    classes, threshold = description.classes, description.threshold
    splits = [load_split(split) for split in ("train", "val", "test")]
    table = pd.concat([score_records(model, classes, beats, rows) for beats, rows in splits])
    test, test_beats = table[table.split == "test"], splits[-1][0]

    scores = measures(test, threshold, evaluate).round(4)
    on_val = description.reference.get("roc_auc_vs_rest")
    numbers = headline(scores, float(f"{threshold:.4g}")) | {"roc_auc_vs_rest_val": on_val and round(on_val, 4)}
    positive, p = (test.label == "ischemia").to_numpy(), test.p_ischemia.to_numpy()
    drawn = [{comparison: points.round(4) for comparison, points in lines.items()} for lines in curves(test)]
    bins, benefit = reliability(positive, p).round(4), net_benefit(positive, p).round(4)
    counts, spread = confusion(test, threshold), distribution(test).round(6)
    terciles = np.quantile(table.noise_uv[table.split == "train"], [1 / 3, 2 / 3])
    groups, activation = subgroups(test, terciles, evaluate).round(4), activation_maps(model, test_beats)

    with replacing(paths.PREDICTIONS) as temporary:
        table.to_csv(temporary, index=False)
    with replacing(paths.ACTIVATION) as temporary:
        np.save(temporary, activation.astype(np.float32))
    write_json(paths.EVALUATE_METRICS, numbers)
    for path, lines in zip((paths.ROC, paths.PRECISION_RECALL), drawn, strict=True):
        write_curves(path, lines)
    for path, values in (
        (paths.CONFUSION, counts),
        (paths.RELIABILITY, bins),
        (paths.NET_BENEFIT, benefit),
        (paths.DISTRIBUTION, spread),
        (paths.EVALUATE_TABLE, scores),
        (paths.SUBGROUPS, groups),
    ):
        with replacing(path) as temporary:
            values.to_csv(temporary, index=False)

    what, trained_on = f"{len(test)} test {data_kind(test.source)}", data_kind(description.sources)
    all_of_them = data_kind(table.source)
    times, history = beat_times(description.extract), pd.read_csv(paths.HISTORY)
    mean_beats = plot_beats(np.concatenate([beats for beats, _ in splits]), table.label.to_numpy(), times, all_of_them)
    for path, figure in (
        (paths.ROC_PNG, figures.plot_roc(drawn[0], scores, threshold, what)),
        (paths.PRECISION_RECALL_PNG, figures.plot_precision_recall(drawn[1], what)),
        (paths.CONFUSION_PNG, figures.plot_confusion(counts, what)),
        (paths.RELIABILITY_PNG, figures.plot_reliability(bins, scores, what)),
        (paths.NET_BENEFIT_PNG, figures.plot_net_benefit(benefit, threshold, what)),
        (paths.DISTRIBUTION_PNG, figures.plot_distribution(spread, counts, threshold, what)),
        (paths.SUBGROUPS_PNG, figures.plot_subgroups(groups, what)),
        (paths.LEARNING_CURVE_PNG, figures.plot_learning_curve(history, trained_on)),
        (paths.BEATS_PNG, mean_beats),
        (paths.EXAMPLE_PNG, plot_example(model, description, test, test_beats, activation)),
    ):
        save_figure(figure, path)
    print_summary(scores, numbers, what)


if __name__ == "__main__":
    run_stage(main)
