"""Measure a trained model on labelled recordings of another hospital: a command, not a stage.

    python stages/validate.py ARCHIVE... [--model FILE] [--out DIR] [--recalibrate NEW.safetensors]

ARCHIVE is a folder as download.directory names one: PTB-XL's layout, or recordings whose labels stand in their headers
or in labels.csv. --recalibrate writes the model with calibration and threshold fitted to one half of the patients, and
measures it on the other half.

Reads   the archives, the model file (also what ischemia and normal mean), params.yaml (evaluate), stages/templates/
Writes  DIR/validate.json  the keys of metrics/evaluate.json but val, and more; reference_: those at the reference
        DIR/validate.csv   a row for every recording found: its label, its scores, or why it is refused
        DIR/validate.png   ROC curve and reliability
        DIR/validate.html  all of it, for people
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import logit

from ecg.evaluation.labelled_archives import halves, read_archives, recalibrate
from ecg.evaluation.measures import headline, measures, score_records
from ecg.evaluation.names import COMPARISON_TITLES, data_kind, format_number, say_auc
from ecg.model.comparisons import COMPARISONS, reference_numbers
from ecg.model.description import Description
from ecg.model.fcn import choose_device
from ecg.model.model import first_bytes, load_model, save_model
from ecg.params import read_params
from ecg.reporting.validation import write_page
from ecg.run import paths
from ecg.run.files import output_file, output_folder, replacing, write_json
from ecg.run.script import UsageError, refuse_input, run, warn

PARTS = [f"validate.{suffix}" for suffix in ("json", "csv", "png", "html")]
MORE = ("called", "calibration_slope", "calibration_intercept", "expected_calibration_error", "unlike_training")
ENOUGH = 100  # recordings of either class, at least (Vergouwe et al. 2005; Collins et al. 2016)
FAR = 1.5  # times the odds of being called that are expected


def expected_share(reference: dict[str, float], prevalence: float) -> float:
    """Return the share called ischemic where a model is as sensitive and as specific as at its reference."""
    return reference["sensitivity"] * prevalence + (1 - reference["specificity"]) * (1 - prevalence)


def is_far(called: int, n: int, expected: float) -> bool:
    """Return whether `called` of n is beyond the binomial 99% range, with odds over `FAR` times off the expected."""
    from scipy.stats import binom

    low, high = binom.interval(0.99, n, expected)
    with np.errstate(divide="ignore"):
        return not low <= called <= high and bool(abs(logit(called / n) - logit(expected)) > np.log(FAR))


def more_numbers(table: pd.DataFrame, scored: pd.DataFrame, scores: pd.DataFrame, description: Description) -> dict:
    """Return what validate.json has beside the keys of metrics/evaluate.json."""
    measured, ischemic = scores.set_index("measure"), scored.label == "ischemia"
    found = {name: measured.value[name] for name in MORE}
    found |= {f"{name}_{end}": measured[end][name] for name in COMPARISONS for end in ("low", "high")}
    numbers = {name: None if pd.isna(value) else float(value) for name, value in found.items()}
    numbers |= {f"n_{label}": int((scored.label == label).sum()) for label in ("ischemia", "normal", "other")}
    expected = expected_share(description.reference, ischemic.mean())
    called = int((scored.p_ischemia >= description.threshold).sum())
    numbers |= {"called_expected": expected, "called_far": is_far(called, len(scored), expected)}
    with_ischemia = set(scored.patient[ischemic])
    numbers |= {"patients_ischemia": len(with_ischemia), "patients_others": len(set(scored.patient) - with_ischemia)}
    numbers |= {"found": len(table), "refused": len(table) - len(scored), "in_training": int(scored.in_training.sum())}
    numbers |= {f"{name}_reason": reason for name, reason in measured.reason.dropna().items()}
    return numbers | {f"reference_{name}": value for name, value in description.reference.items()}


def print_summary(scored: pd.DataFrame, scores: pd.DataFrame, numbers: dict, description: Description) -> None:
    """Print the headline here and at the reference, and what recalibration has changed."""

    def number(name: str) -> str:
        return format_number(numbers.get(name))

    def beside(name: str) -> str:
        return f"{number(name)} (reference {number(f'reference_{name}')})"

    print(f"{len(scored)} {data_kind(scored.source)} scored, {numbers['refused']} refused")
    n, others = numbers["n_ischemia"], len(scored) - numbers["n_ischemia"]
    patients = f"of {numbers['patients_ischemia']} and {numbers['patients_others']} patients"
    print(f"{n} ischemic and {others} other recordings, {patients}; rule of thumb: at least {ENOUGH} of each")
    for row in scores.to_dict("records")[: len(COMPARISON_TITLES)]:
        print(f"{say_auc(row)} (reference {number('reference_' + row['measure'])})")
    print(f"called ischemic: {numbers['called']:.1%}, expected {numbers['called_expected']:.1%}")
    print(f"sensitivity {beside('sensitivity')}, specificity {beside('specificity')}, Brier score {beside('brier')}")
    if numbers["specificity_other"] is not None:
        reference = description.reference.get("specificity_other")
        then = "" if reference is None else f" (reference {1 - reference:.1%})"
        print(f"abnormal recordings called ischemic: {1 - numbers['specificity_other']:.1%}{then}")
    print(f"unlike the beats that the model was trained on: {numbers['unlike_training']:.1%}")
    for name in ("roc_auc_vs_rest", "brier", "sensitivity", "specificity") if "after_brier" in numbers else ():
        print(f"recalibrated, on the other half: {name} {number(f'before_{name}')}, then {number(f'after_{name}')}")


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
    table, beats = read_archives(options.archives, description.extract, description.labels)
    kept = table[table.reason == ""]
    if not len(kept):
        reason = f"the first: {table.record[0]}: {table.reason[0]}"
        raise UsageError(f"no recording with a label and a median beat in ARCHIVE, {reason}; predict needs no labels")
    scored = score_records(model, description.classes, beats, kept)
    seen = [first_bytes([text])[0] for text in kept.sha256]
    scored["in_training"] = np.isin(seen, model.hashes.cpu().numpy())
    if known := int(scored.in_training.sum()):
        warn(f"{known} of {len(scored)} recordings were in the model's training data: numbers on them are too good")
    half = halves(scored.label, scored.patient, evaluate.seed) if options.recalibrate else None

    scores = measures(scored, description.threshold, evaluate)
    numbers = headline(scores, description.threshold)
    numbers |= more_numbers(table, scored, scores, description)
    if half is not None:
        new, about = recalibrate(model, description, beats, scored, half)
        before = reference_numbers(scored[half == "checked"], description.threshold)
        for when, found in (("before", before), ("after", about.reference)):
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
    print_summary(scored, scores, numbers, description)
    if numbers["called_far"]:
        shares = f"{numbers['called']:.1%} are called ischemic, {numbers['called_expected']:.1%} are expected"
        warn(f"{shares}: the threshold does not fit these recordings; --recalibrate fits it to them")


if __name__ == "__main__":
    run(main)
