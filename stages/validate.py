"""Measure a trained model on labelled recordings of another hospital: a command, not a stage.

    python stages/validate.py my-archive --recalibrate new.safetensors

ARCHIVE is a folder as in `download.directory`: PTB-XL's layout, or recordings with labels in their headers or in
labels.csv. --recalibrate writes the model with calibration and threshold fitted to one half of the patients, and
measures it on the other half.

Reads   the archives, the model file (also the codes of ischemia and normal), params.yaml (evaluate), stages/templates/
Writes  DIR/validate.json  the keys of metrics/evaluate.json but that of val, and more: see docs/results.md
        DIR/validate.csv   a row for every recording found: its label, its scores, or the reason of its refusal
        DIR/validate.png   ROC curve and reliability
        DIR/validate.html  a page with all results
"""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import logit
from scipy.stats import binom

from ecg.evaluation.labelled_archives import halves, read_archives, recalibrate
from ecg.evaluation.measures import MIN_EACH, headline, measures, score_records
from ecg.evaluation.names import auc_text, data_kind, format_number
from ecg.model.comparisons import COMPARISONS, reference_numbers
from ecg.model.description import Description
from ecg.model.fcn import choose_device
from ecg.model.model import first_bytes, load_model, save_model
from ecg.params import read_params
from ecg.reporting.results import write_page
from ecg.run import paths
from ecg.run.files import output_file, output_folder, write, write_json
from ecg.run.script import UsageError, argument_parser, refuse_input, run, warn

MORE = ("called", "calibration_slope", "calibration_intercept", "expected_calibration_error", "unlike_training")
FAR = 1.5  # times the expected odds of being called


def is_far(called: int, n: int, expected: float) -> bool:
    """Return whether `called` of n is beyond the binomial 99% range, with odds that differ by a factor `FAR`."""
    low, high = binom.interval(0.99, n, expected)
    return not low <= called <= high and bool(abs(logit(called / n) - logit(expected)) > np.log(FAR))


def more_numbers(table: pd.DataFrame, scored: pd.DataFrame, scores: pd.DataFrame, description: Description) -> dict:
    """Return the numbers of validate.json whose keys metrics/evaluate.json lacks."""
    measured, reference = scores.set_index("measure").astype(object), description.reference
    measured = measured.where(measured.notna(), None)
    ischemic, n = scored.label == "ischemia", len(scored)
    # Expected: the sensitivity and specificity of the reference, at the prevalence here.
    share = ischemic.mean()
    expected = reference["sensitivity"] * share + (1 - reference["specificity"]) * (1 - share)
    called = int((scored.p_ischemia >= description.threshold).sum())
    with_ischemia = set(scored.patient[ischemic])
    numbers = {name: measured.value[name] for name in MORE}
    numbers |= {f"{name}_{end}": measured[end][name] for name in COMPARISONS for end in ("low", "high")}
    numbers |= {f"n_{label}": int((scored.label == label).sum()) for label in ("ischemia", "normal", "other")}
    numbers |= {
        "called_expected": expected,
        "called_far": is_far(called, n, expected),
        "patients_ischemia": len(with_ischemia),
        "patients_others": len(set(scored.patient) - with_ischemia),
        "found": len(table),
        "refused": len(table) - n,
        "in_training": int(scored.in_training.sum()),
    }
    numbers |= {f"{name}_reason": reason for name, reason in measured.reason.dropna().items()}
    return numbers | {f"reference_{name}": value for name, value in reference.items()}


def print_summary(table: pd.DataFrame, scored: pd.DataFrame, scores: pd.DataFrame, numbers: dict) -> None:
    """Print the numbers of refusals, the headline numbers here and on the reference, the effect of recalibration."""
    counts = table.reason[table.reason != ""].str.split(":").str[0].value_counts()
    refused = f"; refused: {counts.sum()} ({', '.join(f'{reason} {n}' for reason, n in counts.items())})"
    print(f"scored: {len(scored)} {data_kind(scored.source)}" + refused * bool(len(counts)))
    for row in scores.to_dict("records")[: len(COMPARISONS)]:
        print(f"{auc_text(row)} (reference {format_number(numbers.get('reference_' + row['measure']))})")
    print(f"called ischemic: {numbers['called']:.1%}, expected {numbers['called_expected']:.1%}")
    for name in ("sensitivity", "specificity", "specificity_other", "brier"):
        print(f"{name} {format_number(numbers[name])} (reference {format_number(numbers.get(f'reference_{name}'))})")
    print(f"unlike the training data: {numbers['unlike_training']:.1%}")
    for name in ("roc_auc_vs_rest", "brier", "sensitivity", "specificity") if "after_brier" in numbers else ():
        before, after = (format_number(numbers[f"{when}_{name}"]) for when in ("before", "after"))
        print(f"recalibrated, on the other half: {name} {before}, then {after}")


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("archives", nargs="+", metavar="ARCHIVE", help="folder of recordings with labels")
    parser.add_argument("--model", type=Path, default=paths.RELEASED, metavar="FILE", help=f"default: {paths.RELEASED}")
    folder = partial(output_folder, files=[f"validate.{suffix}" for suffix in ("json", "csv", "png", "html")])
    parser.add_argument("--out", default=str(paths.VALIDATION), metavar="DIR", help="default: %(default)s", type=folder)
    file = partial(output_file, suffix=".safetensors")
    parser.add_argument("--recalibrate", metavar="NEW.safetensors", help="recalibrated model file", type=file)
    options = parser.parse_args()
    refuse_input(parser, options.recalibrate, [options.model])
    evaluate = read_params().evaluate
    model, description = load_model(options.model)
    model.to(choose_device())
    table, beats = read_archives(options.archives, description.extract, description.labels)
    kept = table[table.reason == ""]
    if not len(kept):
        reason = f"{table.record[0]}: {table.reason[0]}; predict needs no labels, docs/data.md describes them"
        raise UsageError(f"no recording in ARCHIVE has a label and a median beat; the first: {reason}")
    scored = score_records(model, description.classes, beats, kept)
    seen = [first_bytes([text])[0] for text in kept.sha256]
    scored["in_training"] = np.isin(seen, model.hashes.cpu().numpy())
    if known := int(scored.in_training.sum()):
        warn(f"{known} of {len(scored)} recordings were in the model's training data: numbers on them are too good")

    scores = measures(scored, description.threshold, evaluate)
    numbers = headline(scores, description.threshold) | more_numbers(table, scored, scores, description)
    if options.recalibrate:
        half = halves(scored.label, scored.patient, evaluate.seed)
        new, about = recalibrate(model, description, beats, scored, half)
        before = reference_numbers(scored[half == "checked"], description.threshold)
        numbers |= {f"before_{name}": value for name, value in before.items()}
        numbers |= {f"after_{name}": value for name, value in about.reference.items()}
        scored["half"] = half
        save_model(options.recalibrate, new, about)

    write_json(options.out / "validate.json", numbers)
    rows = table.join(scored[[column for column in scored if column not in table]]).drop(columns="sha256").round(9)
    write(options.out / "validate.csv", rows.to_csv(index=False))
    write_page(options.out, table, scored, scores, numbers, description, evaluate)
    print_summary(table, scored, scores, numbers)
    if numbers["called_far"]:
        shares = f"{numbers['called']:.1%} are called ischemic, {numbers['called_expected']:.1%} are expected"
        hint = min(numbers["patients_ischemia"], numbers["patients_others"]) >= 2 * MIN_EACH and not options.recalibrate
        warn(f"{shares}: the threshold does not fit these recordings" + "; --recalibrate fits it to them" * hint)


if __name__ == "__main__":
    run(main)
