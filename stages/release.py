"""Train a model that others can use, on all patients of one or several archives: a command, not a stage.

    python stages/release.py my-hospital /path/to/archive --seeds 5

ARCHIVE is a folder as in `download.directory`. The weights are trained on all patients. Calibration and threshold come
from out-of-fold predictions: each of five folds of patients is scored by models of the other four, one for each
training seed 1 … N. The same predictions evaluate the recipe; for that, each fold is calibrated by the other four. With
several archives, each is also scored by models of the others.

Reads   the archives, params.yaml, stages/templates/
Writes  models/NAME.safetensors  the model
        models/NAME.md           its card: data, numbers, limits, and the command that makes it anew
"""

import hashlib
import re
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import yaml
from cross_validate import score_simple, score_test
from split import check_classes, split_patients
from tqdm import tqdm

from ecg.evaluation.bootstrap import pool, summarise_runs
from ecg.evaluation.labelled_archives import read_archives, recordings_of
from ecg.evaluation.measures import calibration_line
from ecg.evaluation.names import COMPARISON_TITLES, MODEL_TITLES, SIMPLE_MODELS
from ecg.model.comparisons import counts_and_aucs, reference_numbers, scored_table
from ecg.model.decision import Calibration, calibrated, fit_calibration, threshold_for
from ecg.model.model import save_model, uncalibrated_logits
from ecg.model.recipe import classes_of, describe, fit_model
from ecg.params import Params, read_params
from ecg.reporting.page import cite_sources, render
from ecg.run import paths
from ecg.run.files import output_folder, write
from ecg.run.script import UsageError, argument_parser, locked, run

FOLDS = 5


def out_of_fold(beats: np.ndarray, rows: pd.DataFrame, classes: list[str], params: Params, seeds: int) -> np.ndarray:
    """Return logits of beats (seeds x n x classes), each by a model of the other folds (column fold of `rows`)."""
    logits = np.empty((seeds, len(rows), len(classes)))
    runs = [(seed, fold) for seed in range(seeds) for fold in np.unique(rows.fold)]
    for seed, fold in tqdm(runs, desc="out-of-fold models", disable=None):
        left_out = (rows.fold == fold).to_numpy()
        train = params.train.model_copy(update={"seed": seed + 1})
        model, _ = fit_model(beats[~left_out], rows[~left_out], classes, params.extract, train)
        logits[seed, left_out] = uncalibrated_logits(model, beats[left_out])
    return logits


def calibrate_on(
    logits: np.ndarray, rows: pd.DataFrame, classes: list[str], specificity: float
) -> tuple[Calibration, float]:
    """Return calibration and threshold of out-of-fold logits (seeds x n x classes) of rows."""
    target, ischemia = np.tile(rows.label.map(classes.index), len(logits)), classes.index("ischemia")
    flat = logits.reshape(-1, len(classes))
    calibration = fit_calibration(flat, target, np.bincount(target) / len(target), ischemia)
    p = calibrated(torch.from_numpy(flat), calibration, ischemia)[:, ischemia].exp().numpy()
    return calibration, threshold_for(specificity, p[target != ischemia])


def cross_fit(logits: np.ndarray, rows: pd.DataFrame, classes: list[str], specificity: float) -> list[pd.DataFrame]:
    """Return a table for each seed: rows with columns p_CLASS and `called`, each fold calibrated by the others."""
    tables: list[list[pd.DataFrame]] = [[] for _ in logits]
    for fold in np.unique(rows.fold):
        left_out = (rows.fold == fold).to_numpy()
        calibration, threshold = calibrate_on(logits[:, ~left_out], rows[~left_out], classes, specificity)
        for table, values in zip(tables, logits[:, left_out], strict=True):
            p = calibrated(torch.from_numpy(values), calibration, classes.index("ischemia")).exp().numpy()
            scored = scored_table(rows[left_out], classes, p)
            table.append(scored.assign(called=scored.p_ischemia >= threshold))
    return [pool(table) for table in tables]


def evaluate_recipe(scored: list[pd.DataFrame], beats: np.ndarray, rows: pd.DataFrame, params: Params) -> dict:
    """Return the numbers of the tables of `cross_fit`, with the gain over the simple models in the same folds."""
    folds = tqdm(np.unique(rows.fold), desc="simple models", disable=None)
    simple = pd.concat([score_simple(beats, rows, rows.fold != fold, rows.fold == fold, params) for fold in folds])
    numbers, _, _ = summarise_runs(scored, simple, params.evaluate)
    everything = pd.concat(scored)
    positive = (everything.label == "ischemia").to_numpy()
    slope, intercept = calibration_line(positive, everything.p_ischemia.to_numpy())
    return numbers | {
        "calibration_slope": slope,
        "calibration_intercept": intercept,
        "prevalence": (rows.label == "ischemia").mean(),
        "ppv": positive[everything.called].mean(),
    }


def left_out_archives(beats: np.ndarray, rows: pd.DataFrame, params: Params, seeds: int) -> pd.DataFrame | None:
    """Return the ROC AUCs of models of the other archives on each one, mean over seeds; None for one archive."""
    found = []
    for source in sorted(set(rows.source)) if rows.source.nunique() > 1 else []:
        dealt = split_patients(rows, params.split.model_copy(update={"holdout_source": source}))
        try:
            check_classes(dealt, without_test=False)
        except UsageError:
            continue
        aucs = [counts_and_aucs(score_test(beats, dealt, params, seed)[0]) for seed in range(1, seeds + 1)]
        means = pd.DataFrame(aucs)[list(COMPARISON_TITLES)].astype(float).mean()
        found.append({"left out": source} | dict(zip(COMPARISON_TITLES.values(), means, strict=True)))
    return pd.DataFrame(found) if found else None


def version_of_code() -> str:
    """Return the last commit that changed the code or the params, marked where they differ from it."""
    commands = ["log", "-1", "--format=%h", "--abbrev=12"], ["status", "--porcelain"]
    runs = [["git", *command, "--", "stages", "params.yaml"] for command in commands]
    commit, changed = (subprocess.run(command, capture_output=True, text=True).stdout.strip() for command in runs)
    return commit + "-dirty" * bool(changed) or "unknown"


def release(name: str, archives: list[str], seeds: int) -> None:
    """Train and evaluate a model on archives; write it and its card."""
    params = read_params()
    table, beats = read_archives(archives, params.extract, params.download)
    table = table[table.reason == ""].reset_index(drop=True)
    if not len(table):
        raise UsageError("no recording in ARCHIVE has a label and a median beat; docs/data.md describes labels")
    rows = split_patients(table, params.split.model_copy(update={"folds": FOLDS, "val_fold": 1, "test_fold": 2}))
    check_classes(rows, without_test=False)
    classes, specificity = classes_of(rows.label), params.train.specificity
    logits = out_of_fold(beats, rows, classes, params, seeds)
    scored = cross_fit(logits, rows, classes, specificity)
    folds = evaluate_recipe(scored, beats, rows, params)

    calibration, threshold = calibrate_on(logits, rows, classes, specificity)
    model, _ = fit_model(beats, rows, classes, params.extract, params.train)
    model.calibrate(calibration)
    # Measured by models of the recipe on unseen patients: this model has seen all patients.
    reference = {key: folds[key] for key in reference_numbers(scored[0], threshold) if folds.get(key) is not None}
    description = describe(model, rows, classes, params, threshold, reference)
    file = paths.MODELS / f"{name}.safetensors"
    save_model(file, model, description)
    weights, counts = file.read_bytes(), pd.crosstab(rows.source, rows.label)
    values = {
        "name": name,
        "archives": [Path(archive).name for archive in archives],
        "description": description,
        "seeds": seeds,
        "folds": folds,
        "simple": [MODEL_TITLES[model] for model in SIMPLE_MODELS],
        "others": left_out_archives(beats, table, params, seeds),
        "counts": counts.assign(patients=rows.groupby("source").patient.nunique()).reset_index(),
        "patients": rows.patient.nunique(),
        "recordings": len(rows),
        "citations": cite_sources(sorted(set(rows.source)), kaggle=False),
        "version": version_of_code(),
        "samples": recordings_of(rows).sha256,
        "sha256": hashlib.sha256(weights).hexdigest(),
        "params": yaml.safe_dump(params.model_dump(include={"extract", "train"}), sort_keys=False),
    }
    write(file.with_suffix(".md"), render("released.md", values))
    print(f"{file}: {len(weights) / 1e6:.1f} MB, trained on {len(rows)} recordings")


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("name", metavar="NAME", help="name of the model")
    parser.add_argument("archives", nargs="+", metavar="ARCHIVE", help="folder of recordings with labels")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="training seeds; default: 3")
    options = parser.parse_args()
    if options.seeds < 1:
        parser.error(f"--seeds is {options.seeds}; allowed: a whole number from 1")
    if not re.fullmatch(r"\w[\w.-]*", options.name):
        parser.error(f"NAME is {options.name}; allowed: letters, digits, '._-'")
    output_folder(paths.MODELS, [f"{options.name}.safetensors", f"{options.name}.md"])
    with locked():
        release(options.name, options.archives, options.seeds)


if __name__ == "__main__":
    run(main)
