"""Validate on every fold, on every source or with several seeds: a command, not a stage.

    python stages/cross_validate.py [--over folds|sources|seeds] [--seeds N] [--out FILE.json]

folds: each fold once the test set, the fold before it val. sources: each source once the test set. seeds: the split of
params.yaml. Each with the training seeds 1 … N. Every run is the stages split, train, evaluate and audit with a few
params changed, in a folder below .cache/; what is finished is not run again, so an interrupted one goes on.

Reads   params.yaml, data/recordings.csv, data/beats.csv, data/beats.npy
Writes  FILE.json  the keys of metrics/evaluate.json over the pooled predictions, mean of the seeds; simple_ is the
                   strongest simple model of the audit, gain what the network is above it
        FILE.csv   a row for each run, for each seed's pooled predictions, for their mean and standard deviation, and
                   for each simple model
"""

import argparse
import json
from pathlib import Path
from urllib.parse import quote

import pandas as pd
from tqdm import tqdm

from ecg.evaluation.home import counts_and_aucs
from ecg.evaluation.names import SIMPLE_MODELS, gains, say_gain, strongest_simple
from ecg.evaluation.pooling import compare_simple, mean_aucs, mean_rates
from ecg.evaluation.questions import QUESTIONS
from ecg.params import Params, read_params
from ecg.stage import paths
from ecg.stage.files import cache_folder, output_file, replacing, write_json
from ecg.stage.runs import run_stages
from ecg.stage.script import UsageError, refuse_input, run
from ecg.stage.tables import read_table

INPUTS = (paths.RECORDINGS_TABLE, paths.BEATS_TABLE, paths.BEATS)
ENDS = {"roc_auc": "", "low": "_low", "high": "_high"}


def test_sets(over: str, folds: int, sources: list[str]) -> dict[str, dict]:
    """Return, by name of the test set, what its runs change in the section split."""
    if over == "sources":
        return {source: {"holdout_source": source} for source in sources}
    if over == "seeds":
        return {"as in params.yaml": {}}
    return {
        f"fold-{fold}": {"holdout_source": "", "test_fold": fold, "val_fold": (fold - 2) % folds + 1}
        for fold in range(1, folds + 1)
    }


def changed_params(params: Params, split_changes: dict, seed: int) -> dict:
    """Return the params of one run: its split and seed, and no more resampling than its own numbers need."""
    changes = {"split": split_changes, "train": {"seed": seed}}
    changes |= {"evaluate": {"bootstrap": 100}, "audit": {"permutations": 2}}
    values = params.model_dump()
    return values | {section: values[section] | change for section, change in changes.items()}


def read_run(folder: Path, seed: int) -> tuple[dict, pd.DataFrame, pd.DataFrame | None]:
    """Return a finished run's numbers, its test predictions, and for the first seed those of the simple models."""
    numbers = json.loads((folder / paths.EVALUATE_METRICS).read_text(encoding="utf-8"))
    table = read_table(folder / paths.PREDICTIONS)
    test = table[table.split == "test"]
    test = test.assign(called=test.p_ischemia / (test.p_ischemia + test.p_normal) >= numbers["threshold"])
    row = counts_and_aucs(test) | {key: numbers[key] for key in ("roc_auc_val", "threshold")}
    if seed > 1:
        return row, test, None
    audit = read_table(folder / paths.AUDIT_PREDICTIONS)
    simple = audit[audit.model.isin(SIMPLE_MODELS)]
    return row, test, simple.astype({column: float for column in simple if column.startswith("p_")})


def run_all(params: Params, over: str, seeds: range) -> tuple[list[dict], dict[int, list], list[pd.DataFrame]]:
    """Run each test set with each seed where that is not done yet; return rows, predictions by seed, simple ones."""
    sets = test_sets(over, params.split.folds, sorted(set(read_table(paths.RECORDINGS_TABLE).source)))
    root = cache_folder("cross_validate", params.model_dump(), INPUTS)
    rows: list[dict] = []
    predictions: dict[int, list] = {seed: [] for seed in seeds}
    simple = []
    for seed, name in tqdm([(seed, name) for seed in seeds for name in sets], desc="runs", disable=None):
        folder = root / f"{over}-{quote(name, safe='')}-seed-{seed}"
        if not folder.exists():
            # The simple models know no seed of the training.
            stages = ["split", "train", "evaluate", *(["audit"] if seed == 1 else [])]
            run_stages(folder, changed_params(params, sets[name], seed), stages, INPUTS)
        row = {"test": name, "seed": seed}
        if (folder / "reason").exists():
            rows.append(row | {"reason": (folder / "reason").read_text(encoding="utf-8")})
            continue
        numbers, test, simple_test = read_run(folder, seed)
        rows.append(row | numbers)
        predictions[seed].append(test)
        if simple_test is not None:
            simple.append(simple_test)
    if not simple:
        raise UsageError("no test set could be made: " + "; ".join(f"{row['test']}: {row['reason']}" for row in rows))
    return rows, predictions, simple


def parse_arguments() -> tuple[str, range, Path]:
    """Return what is held out, the seeds, and the file to write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
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
    rows, predictions, simple = run_all(params, over, seeds)
    runs = pd.DataFrame(rows)
    pooled = [pd.concat(tables).sort_values("record", ignore_index=True) for tables in predictions.values()]
    totals = pd.DataFrame({"test": "pooled", "seed": n} | counts_and_aucs(test) for n, test in enumerate(pooled, 1))
    spread = [{"test": f"pooled, {name}"} | totals[list(QUESTIONS)].agg(name).to_dict() for name in ("mean", "std")]
    numbers = mean_aucs(pooled, params.evaluate)
    numbers |= {key: float(runs[key].mean()) for key in ("roc_auc_val", "threshold")} | mean_rates(pooled)
    numbers |= {key: int(totals[key][0]) for key in ("n_ischemia", "n_normal", "n_other")}
    compared = compare_simple(pooled, pd.concat(simple), params.evaluate)
    for row in strongest_simple(compared).to_dict("records"):
        numbers |= {f"simple_{row['question']}{end}": row[key] for key, end in ENDS.items()}
    numbers |= gains(compared) | {f"{key}_std": value for key, value in totals[list(QUESTIONS)].std().items()}
    numbers |= {"runs": len(runs), "seeds": len(seeds)}
    write_json(out, {key: None if pd.isna(value) else value for key, value in numbers.items()})
    simple_rows = compared.pivot(index="model", columns="question", values="roc_auc").rename("pooled, {}".format)
    simple_rows = simple_rows.rename_axis("test").reset_index()
    table = pd.concat([runs, totals, pd.DataFrame(spread), simple_rows], ignore_index=True).round(6)
    table = table.astype({key: "Int64" for key in table if key == "seed" or key.startswith("n_")})
    with replacing(out.with_suffix(".csv")) as temporary:
        table.to_csv(temporary, index=False)
    print(table.to_string(index=False, na_rep=""))
    for question in QUESTIONS:
        value, low, high = (numbers[f"{question}{end}"] for end in ENDS.values())
        if value is not None:
            print(f"{question}: network {value:.3f} ({low:.3f} – {high:.3f})")
    for row in strongest_simple(compared).to_dict("records"):
        print(f"network {say_gain(row)}")


if __name__ == "__main__":
    run(main)
