"""Score all median beats; measure the model on the test split, with intervals, curves and pictures.

Reads   data/model.safetensors, data/beats.npy, data/split.csv, data/history.csv
Writes  data/predictions.csv      probability of each class for every median beat, and the columns that define subgroups
        data/activation.npy       activation maps, the evidence for ischemia over time: test records x samples, float32
        metrics/evaluate.json     headline numbers, by which runs are compared
        metrics/evaluate.csv      ROC AUCs, rates and calibration, with intervals
        metrics/subgroups.csv     the headline ROC AUC by source, sex, age, heart rate and noise
        metrics/confusion.csv     number of recordings of each class that are called ischemic, or not
        metrics/roc/, precision_recall/, reliability.csv, net_benefit.csv, distribution.csv: curves
        metrics/*.png             pictures of these, and the learning curves
        metrics/beats.png         each class's mean median beat in 12 leads
        metrics/example.png       the ischemic test recording with the highest probability, and its evidence
"""

import numpy as np
import pandas as pd
from scipy.special import logit

from ecg.beats.windows import beat_times
from ecg.evaluation.measures import headline, measures, score_records
from ecg.evaluation.names import COMPARISON_TITLES, auc_text, data_kind, in_percent
from ecg.model.fcn import choose_device
from ecg.model.model import activation_maps, lead_contributions, load_model
from ecg.params import read_params
from ecg.reporting.charts import plot_learning_curve
from ecg.reporting.ecg_paper import plot_beats, plot_ecg
from ecg.reporting.figures import save_figure
from ecg.reporting.results import draw_results, result_tables
from ecg.run import paths
from ecg.run.files import load_split, replacing, write, write_json
from ecg.run.script import run_stage

ABOUT = ["record", "patient", "source", "split", "label", "age", "sex", "heart_rate", "noise_uv"]


def main() -> None:
    evaluate = read_params().evaluate
    model, description = load_model(paths.MODEL)
    model.to(choose_device())
    threshold = description.threshold
    splits = [load_split(split) for split in ("train", "val", "test")]
    table = pd.concat([score_records(model, description.classes, beats, rows[ABOUT]) for beats, rows in splits])
    test, test_beats = table[table.split == "test"], splits[-1][0]
    terciles = np.quantile(table.noise_uv[table.split == "train"], [1 / 3, 2 / 3])

    scores = measures(test, threshold, evaluate).round(4)  # further decimals differ between processors
    on_val = description.reference.get("roc_auc_vs_rest")
    numbers = headline(scores, float(f"{threshold:.4g}")) | {"roc_auc_vs_rest_val": on_val and round(on_val, 4)}
    results, activation = result_tables(test, scores, threshold, terciles, evaluate), activation_maps(model, test_beats)

    write_json(paths.EVALUATE_METRICS, numbers)
    with replacing(paths.ACTIVATION) as temporary:
        np.save(temporary, activation.astype(np.float32))
    write(paths.PREDICTIONS, table.to_csv(index=False))
    for name, result in results.items():
        path = paths.METRICS / name
        path.parent.mkdir(exist_ok=True)
        write(path, result.to_csv(index=False))

    what, history = f"{len(test)} {data_kind(test.source, test=True)}", pd.read_csv(paths.HISTORY)
    times, beats = beat_times(description.extract), np.concatenate([beats for beats, _ in splits])
    shown = int(test.p_ischemia.where(test.label == "ischemia").argmax())
    notes = [
        f"labelled ischemia; p(ischemia) {in_percent(test.p_ischemia.iloc[shown])}, threshold {in_percent(threshold)}",
        f"one of the {what}; model trained on {data_kind(description.sources)}",
    ]
    evidence, contributions = activation[shown] - logit(threshold), lead_contributions(model, test_beats[[shown]])[0]
    figures = {name: figure for name, (figure, _) in draw_results(results, threshold, what).items()} | {
        "learning_curve": plot_learning_curve(history, data_kind(description.sources)),
        "beats": plot_beats(beats, table.label.to_numpy(), times, data_kind(table.source)),
        "example": plot_ecg(test_beats[shown], times, test.record.iloc[shown], notes, evidence, contributions),
    }
    for name, figure in figures.items():
        save_figure(figure, paths.METRICS / f"{name}.png")
    print(what)
    for row in scores.to_dict("records")[: len(COMPARISON_TITLES)]:
        print(auc_text(row))
    called = {"ischemic": numbers["sensitivity"], "normal": 1 - numbers["specificity_normal"]}
    if numbers["specificity_other"] is not None:
        called["abnormal, not ischemic"] = 1 - numbers["specificity_other"]
    print(f"called: {', '.join(f'{share:.0%} of {name}' for name, share in called.items())} recordings")


if __name__ == "__main__":
    run_stage(main)
