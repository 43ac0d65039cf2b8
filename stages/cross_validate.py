"""Repeat split, train and evaluate over other test sets or seeds: a command, not a stage.

    python stages/cross_validate.py [--over folds|sources|seeds] [--seeds N] [--out FILE.json]

Each fold, or each source, is the test set once; or the split of params.yaml is kept, with the training seeds 1 … N. The
predictions of all test sets are taken together, beside those of the simple models of the audit.

Reads   data/recordings.csv, data/beats.csv, data/beats.npy, params.yaml
Writes  FILE.json  ROC AUCs with intervals, rates at each run's own threshold, the gain over the simple models
        FILE.csv   a row for each test set and seed, and for all together
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from split import check_classes, split_patients
from tqdm import tqdm

from ecg.evaluation.bootstrap import pool, summarise_runs
from ecg.evaluation.names import format_interval, say_gain, strongest_simple
from ecg.evaluation.simple_models import classify, simple_models
from ecg.model.comparisons import COMPARISONS, counts_and_aucs, rates, scored_table
from ecg.model.model import probabilities
from ecg.model.recipe import train_model
from ecg.params import Params, Split, read_params
from ecg.run import paths
from ecg.run.files import output_file, read_table, replacing, write_json
from ecg.run.script import UsageError, refuse_input, run

INPUTS = (paths.RECORDINGS_TABLE, paths.BEATS_TABLE, paths.BEATS)


def test_sets(over: str, split: Split, sources: list[str]) -> dict[str, Split]:
    """Return the split of each test set by its name."""
    if over == "sources":
        return {source: split.model_copy(update={"holdout_source": source}) for source in sources}
    if over == "seeds":
        return {"as in params.yaml": split}
    changes = {
        f"fold-{fold}": {"holdout_source": "", "test_fold": fold, "val_fold": (fold - 2) % split.folds + 1}
        for fold in range(1, split.folds + 1)
    }
    return {name: split.model_copy(update=change) for name, change in changes.items()}


def score_test(beats: np.ndarray, rows: pd.DataFrame, params: Params, seed: int) -> tuple[pd.DataFrame, float]:
    """Return the test rows with a column p_CLASS each, by a model of train and val, and its threshold."""
    train, val, test = ((rows.split == name).to_numpy() for name in ("train", "val", "test"))
    settings = params.train.model_copy(update={"seed": seed})
    trained = train_model(beats[train], rows[train], beats[val], rows[val], params.extract, settings)
    return scored_table(rows[test], trained.classes, probabilities(trained.model, beats[test])), trained.threshold


def score_simple(beats: np.ndarray, rows: pd.DataFrame, train: np.ndarray, test: np.ndarray, params: Params):
    """Return the test rows once for each simple model of the audit, fitted to the train rows; masks choose them."""
    both = np.concatenate([beats[train], beats[test]])
    table = pd.concat([rows[train], rows[test]], ignore_index=True)
    parts = slice(int(train.sum())), slice(int(train.sum()), None)
    labels = table.label[parts[0]].to_numpy()
    models = simple_models(both, table, parts[0], params.extract, params.audit)
    return pd.concat(
        [
            rows[test].assign(model=name, **classify(model, seen, labels, *parts))
            for name, (seen, model) in models.items()
        ]
    )


def parse_arguments() -> tuple[str, range, Path]:
    """Return what is held out, the seeds, and the file to write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--over", choices=["folds", "sources", "seeds"], default="folds")
    parser.add_argument("--seeds", type=int, default=None, metavar="N", help="default 1; 5 with --over seeds")
    parser.add_argument(
        "--out", type=lambda text: output_file(text, ".csv"), default=str(paths.CROSS_VALIDATION), metavar="FILE.json"
    )
    options = parser.parse_args()
    seeds = range(1, (options.seeds if options.seeds is not None else 5 if options.over == "seeds" else 1) + 1)
    if not seeds or options.out.suffix != ".json":
        parser.error("--seeds takes a whole number from 1, --out a file that ends in .json")
    refuse_input(parser, options.out.with_suffix(".csv"), INPUTS)
    return options.over, seeds, options.out


def main() -> None:
    over, seeds, out = parse_arguments()
    for path in INPUTS:
        if not path.exists():
            raise UsageError(f"{path} is not there; run `dvc repro extract` first")
    params = read_params()
    index, quality = read_table(paths.RECORDINGS_TABLE), read_table(paths.BEATS_TABLE)
    rows = index.merge(quality.loc[quality.row.notna(), ["record", "row"]], on="record")
    beats = np.load(paths.BEATS)[rows.row.to_numpy(dtype=int)]
    runs: list[dict] = []
    predictions: dict[int, list[pd.DataFrame]] = {seed: [] for seed in seeds}
    simple = []
    sets = test_sets(over, params.split, sorted(set(rows.source)))
    for seed, name in tqdm([(seed, name) for seed in seeds for name in sets], desc="runs", disable=None):
        row = {"test": name, "seed": seed}
        dealt = split_patients(rows, sets[name])
        try:
            check_classes(dealt, without_test=False)
        except UsageError as error:
            runs.append(row | {"reason": str(error)})
            continue
        test, threshold = score_test(beats, dealt, params, seed)
        test["called"] = test.p_ischemia >= threshold
        at_threshold = rates(test.called.to_numpy(), test.label.to_numpy())
        runs.append(row | counts_and_aucs(test) | {"threshold": threshold} | at_threshold)
        predictions[seed].append(test)
        if seed == 1:  # the simple models know no seed of the training
            train, tested = ((dealt.split == name).to_numpy() for name in ("train", "test"))
            simple.append(score_simple(beats, dealt, train, tested, params))
    if not simple:
        raise UsageError("no test set could be made: " + "; ".join(f"{row['test']}: {row['reason']}" for row in runs))
    pooled = [pool(tables) for tables in predictions.values()]
    numbers, compared, totals = summarise_runs(pooled, pd.concat(simple), params.evaluate)
    table = pd.DataFrame(runs)
    numbers |= {"threshold": float(table.threshold.mean()), "runs": len(table), "seeds": len(seeds)}
    write_json(out, {key: None if pd.isna(value) else value for key, value in numbers.items()})
    table = pd.concat([table, totals], ignore_index=True).round(6)
    table = table.astype({key: "Int64" for key in table if key == "seed" or key.startswith("n_")})
    with replacing(out.with_suffix(".csv")) as temporary:
        table.to_csv(temporary, index=False)
    print(table.to_string(index=False, na_rep=""))
    for comparison, others in COMPARISONS.items():
        value, low, high = (numbers[f"{comparison}{end}"] for end in ("", "_low", "_high"))
        if value is not None:
            counts = f"{numbers['n_ischemia']} ischemic, {sum(numbers[f'n_{name}'] for name in others)} others"
            print(f"{comparison}: model {format_interval({'value': value, 'low': low, 'high': high})}, {counts}")
    for row in strongest_simple(compared).to_dict("records"):
        print(f"model {say_gain(row)}")


if __name__ == "__main__":
    run(main)
