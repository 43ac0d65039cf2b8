"""Say how good a trained model is on labelled recordings of another hospital: a command, not a stage.

    python stages/validate.py ARCHIVE... [--model FILE] [--out DIR] [--recalibrate NEW.safetensors]

ARCHIVE is a folder as download.directory names one: PTB-XL's layout, or WFDB headers with Dx comments. --recalibrate
writes the model with temperature, class shares and threshold fitted to one half of the patients, and says how good it
is on the other half.

Reads   the archives, the model file, params.yaml (evaluate), stages/templates/
Writes  DIR/validate.json  the keys of metrics/evaluate.json; what more there is; home_: the same at home
        DIR/validate.csv   a row for every recording found: its label, its scores, or why it is refused
        DIR/validate.png   ROC curve and reliability
        DIR/validate.html  all of it, for people
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from ecg.evaluation.archive import read_archives
from ecg.evaluation.home import home_numbers
from ecg.evaluation.measures import headline, measures
from ecg.evaluation.names import data_kind, format_number
from ecg.evaluation.questions import scored_table
from ecg.evaluation.recalibration import halves, recalibrate
from ecg.network.description import Description
from ecg.network.device import choose_device
from ecg.network.ensemble import Ensemble, distances, probabilities
from ecg.network.model_file import load_model, save_model
from ecg.network.novelty import first_bytes
from ecg.params import read_params
from ecg.reporting.validation import write_page
from ecg.stage import paths
from ecg.stage.files import output_file, output_folder, replacing, write_json
from ecg.stage.script import UsageError, refuse_input, run, warn

PARTS = [f"validate.{suffix}" for suffix in ("json", "csv", "png", "html")]
CALIBRATION = ("brier", "calibration_slope", "calibration_intercept", "expected_calibration_error", "unlike_training")


def score(model: Ensemble, description: Description, rows: pd.DataFrame, beats: np.ndarray) -> pd.DataFrame:
    """Return rows with probabilities, distance from training, and whether the recording was in it."""
    scored = scored_table(rows, description.classes, probabilities(model, beats))
    seen = np.isin([first_bytes([text])[0] for text in rows.sha256], model.hashes.cpu().numpy())
    return scored.assign(distance=distances(model, beats), in_training=seen)


def check_labels(labels: pd.Series) -> None:
    """UsageError where a class that the headline needs has no beat."""
    for label in ("ischemia", "normal"):
        if not (labels == label).any():
            raise UsageError(f"no {label} recording with a median beat in ARCHIVE; predict scores those without labels")


def more_numbers(table: pd.DataFrame, scored: pd.DataFrame, scores: pd.DataFrame, description: Description) -> dict:
    """Return what validate.json has beside the keys of metrics/evaluate.json."""
    value = scores.set_index("measure").value
    numbers = {name: None if pd.isna(value[name]) else float(value[name]) for name in CALIBRATION}
    numbers |= {"found": len(table), "refused": len(table) - len(scored), "in_training": int(scored.in_training.sum())}
    return numbers | {f"home_{name}": value for name, value in description.home.items()}


def print_summary(scored: pd.DataFrame, numbers: dict, description: Description) -> None:
    """Print the headline here and at home, and what recalibration has changed."""
    text = {name: "–" if value is None else format_number(value) for name, value in numbers.items()}
    what, home = data_kind(scored.source), data_kind(description.sources)
    interval = f"{text['roc_auc_low']} – {text['roc_auc_high']}"
    print(f"ROC AUC against normal {text['roc_auc']} ({interval}) on {len(scored)} {what}")
    print(f"at home, {home}: {text['home_roc_auc']}; Brier score {text['brier']}, at home {text['home_brier']}")
    print(f"{numbers['refused']} refused; unlike the beats it was trained on: {numbers['unlike_training']:.1%}")
    for name in ("roc_auc", "brier", "sensitivity", "specificity") if "after_brier" in numbers else ():
        print(f"recalibrated, on the other half: {name} {text[f'before_{name}']}, then {text[f'after_{name}']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archives", nargs="+", metavar="ARCHIVE")
    parser.add_argument("--model", type=Path, default=paths.RELEASED, metavar="FILE", help=f"default: {paths.RELEASED}")
    parser.add_argument(
        "--out",
        type=lambda text: output_folder(text, *PARTS),
        default=str(paths.VALIDATION),
        metavar="DIR",
        help="default: %(default)s",
    )
    parser.add_argument(
        "--recalibrate", type=output_file, metavar="NEW.safetensors", help="write the model fitted to ARCHIVE"
    )
    options = parser.parse_args()
    refuse_input(parser, options.recalibrate, [options.model])
    evaluate = read_params().evaluate
    model, description = load_model(options.model)
    model.to(choose_device())
    table, beats = read_archives(options.archives, description.extract)
    kept = table[table.reason == ""]
    check_labels(kept.label)
    scored = score(model, description, kept, beats)
    if known := int(scored.in_training.sum()):
        warn(f"{known} of {len(scored)} recordings were in the model's training data: numbers on them are too good")
    half = halves(scored.label, scored.patient, evaluate.seed) if options.recalibrate else None

    scores = measures(scored, description.threshold, evaluate)
    numbers = headline(scores, scored.label, description.threshold, description.home["roc_auc"])
    numbers |= more_numbers(table, scored, scores, description)
    if half is not None:
        new, about = recalibrate(model, description, beats, scored, half)
        before = home_numbers(scored[half == "checked"], description.threshold)
        for when, found in (("before", before), ("after", about.home)):
            numbers |= {f"{when}_{name}": value for name, value in found.items()}
        scored["half"] = half
        with replacing(options.recalibrate) as temporary:
            save_model(temporary, new, about)

    options.out.mkdir(parents=True, exist_ok=True)
    write_json(options.out / "validate.json", numbers)
    columns = [column for column in scored if column not in table]
    with replacing(options.out / "validate.csv") as temporary:
        table.join(scored[columns]).drop(columns="sha256").round(9).to_csv(temporary, index=False)
    write_page(options.out, table, scored, scores, numbers, description, evaluate)
    print_summary(scored, numbers, description)


if __name__ == "__main__":
    run(main)
