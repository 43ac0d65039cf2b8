"""Validate on every fold, on every source or with several seeds: a command, not a stage.

    python stages/cross_validate.py [--over folds|sources|seeds] [--seeds N] [--out FILE.json]

folds: each fold once the test set, the fold before it val. sources: each source once the test set. seeds: the split of
params.yaml. Each with the training seeds 1 … N. Every run is the stages split, train, evaluate and audit with a few
params changed, in a folder below .cache/; what is finished is not run again, so an interrupted one goes on.

Reads   params.yaml, data/recordings.csv, data/beats.csv, data/beats.npy
Writes  FILE.json  the keys of metrics/evaluate.json over the pooled predictions, mean of the seeds; linear_ is
                   the linear model of the audit
        FILE.csv   a row for each run, for each seed's pooled predictions, and for their mean and standard deviation
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd
import yaml
from tqdm import tqdm

from ecg.evaluation.scores import QUESTIONS, ask, bootstrap_intervals, roc_auc
from ecg.params import read_params
from ecg.stage.files import cache_folder, replacing, write_json
from ecg.stage.script import UsageError, run
from ecg.stage.tables import read_table

INPUTS = (Path("data/recordings.csv"), Path("data/beats.csv"), Path("data/beats.npy"))
CODE = Path("stages")


def held_out(over: str, params: dict, sources: list[str]) -> dict[str, dict]:
    """Return, by name of the test set, what its runs change in the section split."""
    if over == "sources":
        return {source: {"holdout_source": source} for source in sources}
    if over == "seeds":
        return {"as in params.yaml": {}}
    folds = params["split"]["folds"]
    return {
        f"fold-{fold}": {"holdout_source": "", "test_fold": fold, "val_fold": (fold - 2) % folds + 1}
        for fold in range(1, folds + 1)
    }


def run_stages(folder: Path, params: dict, stages: list[str]) -> None:
    """Run stages in `folder`, which appears when all went well; a split that cannot be made leaves its reason there."""
    with replacing(folder) as partial:
        for name in ("data", "metrics"):
            (partial / name).mkdir(parents=True)
        for path in (CODE, *INPUTS):
            (partial / path).symlink_to(path.absolute())
        (partial / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
        for stage in stages:
            command = [sys.executable, f"stages/{stage}.py"]
            done = subprocess.run(command, cwd=partial, capture_output=True, text=True, check=False)
            if done.returncode and stage == "split":
                (partial / "reason").write_text(done.stderr.strip(), encoding="utf-8")
                return
            if done.returncode:
                lines = done.stderr.strip().splitlines() or [f"{stage}: exit status {done.returncode}"]
                raise UsageError(f"{folder.name}: {lines[-1]}")


def aucs_of(test: pd.DataFrame) -> dict:
    """Return counts and the ROC AUC of each question; none where it has no records."""
    row = {f"n_{label}": int((test.label == label).sum()) for label in ("ischemia", "normal", "other")}
    for question in QUESTIONS:
        positive, score, _ = ask(test, question)
        row[question] = float(roc_auc(positive, score)[0]) if 0 < positive.sum() < len(positive) else None
    return row


def summary(pooled: list[pd.DataFrame], **resampling) -> dict:
    """Return the keys of evaluate.json: means over the seeds, each with a 95% interval over patients.

    `pooled` holds one table of test predictions a seed, the same records in the same order.
    """
    numbers = {}
    for question in QUESTIONS:
        asked = [ask(table, question) for table in pooled]
        positive, _, patient = asked[0]
        if positive.all():
            numbers |= {question: None, f"{question}_low": None, f"{question}_high": None}
            continue

        def mean(weights, positive=positive, scores=tuple(score for _, score, _ in asked)):
            return np.mean([roc_auc(positive, score, weights) for score in scores], axis=0)[:, None]

        numbers[question] = float(mean(np.ones((1, len(positive))))[0, 0])
        ((low, high),) = bootstrap_intervals(mean, positive, patient, **resampling)
        numbers |= {f"{question}_low": float(low), f"{question}_high": float(high)}
    return numbers


def rates(pooled: list[pd.DataFrame]) -> dict:
    """Return sensitivity and specificity at each run's own threshold, means over the seeds."""
    table = pd.concat(pooled)
    called = table.called.groupby(table.label).mean()
    return {"sensitivity": float(called["ischemia"]), "specificity": float(1 - called["normal"])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--over", choices=["folds", "sources", "seeds"], default="folds")
    parser.add_argument("--seeds", type=int, default=None, metavar="N", help="default 1; 5 with --over seeds")
    parser.add_argument("--out", type=Path, default=Path("metrics/cross_validation.json"), metavar="FILE.json")
    options = parser.parse_args()
    seeds = range(1, (options.seeds if options.seeds is not None else 5 if options.over == "seeds" else 1) + 1)
    if not seeds or options.out.suffix != ".json":
        parser.error("--seeds takes a whole number from 1, --out a file that ends in .json")
    for path in INPUTS:
        if not path.exists():
            raise UsageError(f"{path} is not there; run `dvc repro extract` first")
    checked = read_params()
    params = checked.model_dump()
    sources = sorted(set(read_table(INPUTS[0]).source))
    root = cache_folder("cross_validate", params, INPUTS)
    jobs = [(name, change, seed) for seed in seeds for name, change in held_out(options.over, params, sources).items()]

    rows, predictions, linear = [], {seed: [] for seed in seeds}, []
    for name, change, seed in tqdm(jobs, desc="runs", disable=None):
        folder = root / f"{options.over}-{quote(name, safe='')}-seed-{seed}"
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            changed = params | {
                "split": params["split"] | change,
                "train": params["train"] | {"seed": seed},
                "evaluate": params["evaluate"] | {"bootstrap": 100},
                "audit": params["audit"] | {"permutations": 2},
            }
            # The linear model knows no seed.
            run_stages(folder, changed, ["split", "train", "evaluate", *(["audit"] if seed == 1 else [])])
        row = {"test": name, "seed": seed}
        if (folder / "reason").exists():
            rows.append(row | {"reason": (folder / "reason").read_text(encoding="utf-8")})
            continue
        numbers = json.loads((folder / "metrics/evaluate.json").read_text(encoding="utf-8"))
        table = read_table(folder / "data/predictions.csv")
        test = table[table.split == "test"]
        called = test.p_ischemia / (test.p_ischemia + test.p_normal) >= numbers["threshold"]
        predictions[seed].append(test.assign(called=called))
        rows.append(row | aucs_of(test) | {key: numbers[key] for key in ("roc_auc_val", "threshold")})
        if seed == 1:
            audit = read_table(folder / "data/audit.csv")
            audit = audit[audit.model == "linear"]
            linear.append(audit.astype({column: float for column in audit if column.startswith("p_")}))
    if not linear:
        raise UsageError("no test set could be made: " + "; ".join(f"{row['test']}: {row['reason']}" for row in rows))

    pooled = [pd.concat(tables).sort_values("record", ignore_index=True) for tables in predictions.values()]
    resampling = {"n": checked.evaluate.bootstrap, "seed": checked.evaluate.seed}
    each = pd.DataFrame(rows)
    totals = pd.DataFrame(
        [{"test": "pooled", "seed": seed} | aucs_of(t) for seed, t in zip(seeds, pooled, strict=True)]
    )
    spread = [{"test": f"pooled, {name}"} | totals[list(QUESTIONS)].agg(name).to_dict() for name in ("mean", "std")]
    numbers = summary(pooled, **resampling)
    numbers |= {key: float(each[key].mean()) for key in ("roc_auc_val", "threshold")} | rates(pooled)
    numbers |= {key: int(totals[key][0]) for key in ("n_ischemia", "n_normal", "n_other")}
    numbers |= {f"linear_{key}": value for key, value in summary([pd.concat(linear)], **resampling).items()}
    numbers |= {f"{question}_std": value for question, value in totals[list(QUESTIONS)].std().items()}
    numbers |= {"runs": len(each), "seeds": len(seeds)}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_json(options.out, {key: None if pd.isna(value) else value for key, value in numbers.items()})
    table = pd.concat([each, totals, pd.DataFrame(spread)], ignore_index=True).round(6)
    table = table.astype({key: "Int64" for key in table if key == "seed" or key.startswith("n_")})
    with replacing(options.out.with_suffix(".csv")) as temporary:
        table.to_csv(temporary, index=False)
    print(table.to_string(index=False, na_rep=""))
    for question in QUESTIONS:
        for prefix, who in (("", "FCN"), ("linear_", "linear")):
            value, low, high = (numbers[f"{prefix}{question}{part}"] for part in ("", "_low", "_high"))
            if value is not None:
                print(f"{question}: {who} {value:.3f} ({low:.3f} – {high:.3f})")


if __name__ == "__main__":
    run(main)
