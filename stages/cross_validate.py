"""Repeat split, train and evaluate over other test sets or seeds: a command, not a stage.

    python stages/cross_validate.py --over sources --seeds 5 --out left_out.json

Each fold, or each source, is the test set once. With --over seeds, the split stays that of params.yaml. Each test set
is scored with the training seeds 1 … N. The predictions are pooled and compared with those of the simple models.

Reads   data/recordings.csv, data/beats.csv, data/beats.npy, params.yaml
Writes  FILE.json  ROC AUCs with intervals, rates at each run's own threshold, the gain over the simple models
        FILE.csv   a row for each test set and seed, and for the pooled predictions
"""

from functools import partial

import numpy as np
import pandas as pd
from split import check_classes, split_patients
from tqdm import tqdm

from ecg.evaluation.bootstrap import pool, summarise_runs
from ecg.evaluation.measures import score_records
from ecg.evaluation.names import format_interval, gain_text, strongest_simple
from ecg.evaluation.simple_models import score_simple_models
from ecg.model.comparisons import COMPARISONS, counts_and_aucs, rates
from ecg.model.recipe import train_model
from ecg.params import Params, Split, read_params
from ecg.run import paths
from ecg.run.files import output_file, read_table, write, write_json
from ecg.run.script import UsageError, argument_parser, locked, refuse_input, run


def test_sets(over: str, split: Split, sources: list[str]) -> dict[str, Split]:
    """Return the parameters of split for each test set, by its name."""
    if over == "sources":
        return {source: split.model_copy(update={"holdout_source": source}) for source in sources}
    if over == "seeds":
        return {"as in params.yaml": split}
    folds = range(1, split.folds + 1)
    changes = [{"holdout_source": "", "test_fold": fold, "val_fold": (fold - 2) % split.folds + 1} for fold in folds]
    return {f"fold-{change['test_fold']}": split.model_copy(update=change) for change in changes}


def score_test(beats: np.ndarray, rows: pd.DataFrame, params: Params, seed: int) -> tuple[pd.DataFrame, float]:
    """Train a model on train and val; return the test rows with columns p_CLASS and `called`, and its threshold."""
    settings, test = params.train.model_copy(update={"seed": seed}), (rows.split == "test").to_numpy()
    model, classes, threshold, *_ = train_model(beats, rows, params.extract, settings)
    scored = score_records(model, classes, beats[test], rows[test])
    return scored.assign(called=scored.p_ischemia >= threshold), threshold


def score_simple(beats: np.ndarray, rows: pd.DataFrame, train: np.ndarray, test: np.ndarray, params: Params):
    """Return the test rows, scored by each simple model of the audit after training on the train rows (masks)."""
    scored = score_simple_models(beats[train], rows[train], beats[test], rows[test], params)
    return pd.concat([table.assign(model=name) for name, table in scored.items()])


def cross_validate(over: str, seeds: range, params: Params) -> tuple[pd.DataFrame, dict, pd.DataFrame]:
    """Return the table of all runs and of their pooled predictions, its numbers, and the comparison of the models."""
    index, quality = read_table(paths.RECORDINGS_TABLE), read_table(paths.BEATS_TABLE)
    rows = index.merge(quality.loc[quality.row.notna(), ["record", "row"]], on="record")
    beats = np.load(paths.BEATS)[rows.row.to_numpy(dtype=int)]
    sets = test_sets(over, params.split, sorted(set(rows.source)))
    runs, simple = list[dict](), list[pd.DataFrame]()
    predictions: dict[int, list[pd.DataFrame]] = {seed: [] for seed in seeds}
    for seed, name in tqdm([(seed, name) for seed in seeds for name in sets], desc="runs", disable=None):
        dealt = split_patients(rows, sets[name])
        try:
            check_classes(dealt, without_test=False)
        except UsageError as error:
            runs.append({"test": name, "seed": seed, "reason": str(error)})
            continue
        test, threshold = score_test(beats, dealt, params, seed)
        at_threshold = {"threshold": threshold} | rates(test.called.to_numpy(), test.label.to_numpy())
        runs.append({"test": name, "seed": seed} | counts_and_aucs(test) | at_threshold)
        predictions[seed].append(test)
        if seed == 1:  # the simple models do not depend on the seed of the training
            train, tested = ((dealt.split == name).to_numpy() for name in ("train", "test"))
            simple.append(score_simple(beats, dealt, train, tested, params))
    if not simple:
        raise UsageError("no test set can be used: " + "; ".join(f"{row['test']}: {row['reason']}" for row in runs))
    pooled = [pool(tables) for tables in predictions.values()]
    numbers, compared, totals = summarise_runs(pooled, pd.concat(simple), params.evaluate)
    table = pd.DataFrame(runs)
    numbers |= {"threshold": float(table.threshold.mean()), "runs": len(table), "seeds": len(seeds)}
    table = pd.concat([table, totals], ignore_index=True).round(6)
    return table.astype({key: "Int64" for key in table if key == "seed" or key.startswith("n_")}), numbers, compared


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--over", choices=["folds", "sources", "seeds"], default="folds", help="default: folds")
    parser.add_argument("--seeds", type=int, metavar="N", help="training seeds; default: 1, with --over seeds 5")
    file = partial(output_file, beside=[".csv"], suffix=".json")
    default = str(paths.CROSS_VALIDATION)
    parser.add_argument("--out", type=file, default=default, metavar="FILE.json", help=f"default: {default}")
    options = parser.parse_args()
    n = (5 if options.over == "seeds" else 1) if options.seeds is None else options.seeds
    if n < 1:
        parser.error(f"--seeds is {n}; allowed: a whole number from 1")
    out, csv = options.out, options.out.with_suffix(".csv")
    refuse_input(parser, csv, [paths.RECORDINGS_TABLE, paths.BEATS_TABLE])
    with locked():
        table, numbers, compared = cross_validate(options.over, range(1, n + 1), read_params())
        write_json(out, {key: None if pd.isna(value) else value for key, value in numbers.items()})
        write(csv, table.to_csv(index=False))
    shown = table.dropna(thresh=2).astype(object).where(table.notna(), "")  # without the empty SD of one seed
    print(shown.to_string(index=False, float_format="{:.3f}".format))
    for comparison, others in COMPARISONS.items():
        value, low, high = (numbers[f"{comparison}{end}"] for end in ("", "_low", "_high"))
        if value is not None:
            counts = f"{numbers['n_ischemia']} ischemic, {sum(numbers[f'n_{name}'] for name in others)} not ischemic"
            print(f"{comparison}: model {format_interval({'value': value, 'low': low, 'high': high})}, {counts}")
    for row in strongest_simple(compared).to_dict("records"):
        print(f"model {gain_text(row)}")


if __name__ == "__main__":
    run(main)
