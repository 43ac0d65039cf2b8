"""Train a model that others can use, on all patients of one or several archives: a command, not a stage.

    python stages/release.py NAME ARCHIVE... [--seeds N]

An archive is a folder as for `download.directory`; all else is as in params.yaml. It is cross-validated over five
folds by patient and over the archives, each once left out, with the training seeds 1 … N. Then it is trained on nine
folds of ten; the tenth sets temperature and threshold. Finished runs of the cross-validation are not run again.

Writes  models/NAME.safetensors  the model
        models/NAME.md           its card: data, numbers, limits, and what makes it again
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import yaml

from ecg.evaluation.names import QUESTION_TITLES
from ecg.network.model_file import load_model, save_model
from ecg.params import Params, read_params
from ecg.reporting.citations import cite_sources
from ecg.reporting.page import render
from ecg.stage import paths
from ecg.stage.files import output_folder, remove, replacing
from ecg.stage.runs import run_stages
from ecg.stage.script import UsageError, run
from ecg.stage.tables import read_table

FOLDS = {"folds": 5, "val_fold": 4, "test_fold": 5, "holdout_source": ""}
ALL = {"folds": 10, "val_fold": 10, "test_fold": 0, "holdout_source": ""}
INPUTS = (paths.RECORDINGS_TABLE, paths.BEATS_TABLE, paths.BEATS)


def with_split(params: Params, archives: list[str], split: dict) -> dict:
    """Return the params of a run on the archives with another split."""
    values = params.model_dump()
    values["download"] |= {"source": "directory", "directory": archives}
    return values | {"split": values["split"] | split}


def cross_validate(root: Path, over: str, seeds: int) -> tuple[dict, pd.DataFrame]:
    """Cross-validate what was extracted in `root`; return numbers and table."""
    out = Path(f"metrics/{over}.json")
    command = [sys.executable, "stages/cross_validate.py", "--over", over, "--seeds", str(seeds), "--out", str(out)]
    main_folder = {"DVC_ROOT": os.environ.get("DVC_ROOT", str(Path.cwd()))}
    done = subprocess.run(command, cwd=root, env=os.environ | main_folder, stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise UsageError(f"the cross-validation over {over} failed")
    table = pd.read_csv(root / out.with_suffix(".csv"))
    return json.loads((root / out).read_text(encoding="utf-8")), table


def count_classes(split: pd.DataFrame) -> pd.DataFrame:
    """Return recordings by source and class, and patients by source."""
    counts = pd.crosstab(split.source, split.label)
    return counts.assign(patients=split.groupby("source").patient.nunique()).reset_index()


def left_out(table: pd.DataFrame, sources: list[str]) -> pd.DataFrame:
    """Return how a model that was trained on the other archives answers on each, mean over the seeds."""
    rows = table[table.test.isin(sources)].groupby("test")[list(QUESTION_TITLES)].mean()
    return rows.set_axis(list(QUESTION_TITLES.values()), axis=1).rename_axis("left out").reset_index()


def hash_of_samples(root: Path) -> str:
    """Return a hash over those of the samples of all recordings that have a beat."""
    split, index = read_table(root / paths.SPLIT), read_table(root / paths.RECORDINGS_TABLE)
    hashes = index.set_index("record").sha256[split.record]
    return hashlib.sha256("\n".join(sorted(hashes)).encode()).hexdigest()


def version_of_code() -> str:
    """Return the last commit that changed the code or the params, marked where they differ from it."""

    def git(*arguments: str) -> str:
        command = ["git", *arguments, "--", "stages", "params.yaml"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    changed = "-dirty" if git("status", "--porcelain") else ""
    return git("log", "-1", "--format=%h", "--abbrev=12") + changed or "unknown"


def parse_arguments() -> tuple[str, list[str], int]:
    """Return the model's name, the archives and the number of seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "name", type=lambda n: output_folder(paths.MODELS, f"{n}.safetensors", f"{n}.md") and n, metavar="NAME"
    )
    parser.add_argument("archives", nargs="+", metavar="ARCHIVE")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="default: 3")
    options = parser.parse_args()
    if options.seeds < 1 or Path(options.name).name != options.name or options.name in ("", ".."):
        parser.error(f"--seeds is {options.seeds}, NAME {options.name!r}; allowed: a whole number from 1, no folder")
    return options.name, [str(Path(archive).absolute()) for archive in options.archives], options.seeds


def main() -> None:
    name, archives, seeds = parse_arguments()
    params = read_params()
    root = Path(".cache/release") / name
    remove(root)
    run_stages(root, with_split(params, archives, FOLDS), ["download", "extract"])
    # Before what takes long: it may be too little for a split.
    final = root / "final"
    run_stages(final, with_split(params, archives, ALL), ["split", "train"], INPUTS, root)
    if (final / "reason").exists():
        raise UsageError((final / "reason").read_text(encoding="utf-8"))
    folds, _ = cross_validate(root, "folds", seeds)
    sources = sorted(set(read_table(root / paths.RECORDINGS_TABLE).source))
    others = left_out(cross_validate(root, "sources", seeds)[1], sources) if len(sources) > 1 else None
    network, description = load_model(final / paths.MODEL)
    # How good its recipe is on patients that it has not seen; val is a tenth of the patients.
    home = {key: folds[key] for key in description.home if folds.get(key) is not None}
    description = description.model_copy(update={"home": home})
    save_model(final / paths.MODEL, network, description)
    weights = (final / paths.MODEL).read_bytes()
    split = read_table(final / paths.SPLIT)
    values = {
        "name": name,
        "archives": [Path(archive).name for archive in archives],
        "description": description,
        "seeds": seeds,
        "folds": folds,
        "questions": QUESTION_TITLES,
        "others": others,
        "counts": count_classes(split),
        "patients": split.patient.nunique(),
        "recordings": len(split),
        "citations": cite_sources(sources, kaggle=False),
        "version": version_of_code(),
        "samples": hash_of_samples(final),
        "sha256": hashlib.sha256(weights).hexdigest(),
        "params": yaml.safe_dump(params.model_dump(include={"extract", "train"}) | {"split": ALL}, sort_keys=False),
    }
    paths.MODELS.mkdir(exist_ok=True)
    model, card = (paths.MODELS / f"{name}{suffix}" for suffix in (".safetensors", ".md"))
    for path, content in ((model, weights), (card, render("released.md", values).encode())):
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    print(f"{model}: {len(weights) / 1e6:.1f} MB, trained on {len(split)} recordings")


if __name__ == "__main__":
    run(main)
