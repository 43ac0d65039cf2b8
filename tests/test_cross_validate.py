"""Cross-validation run as a command on a handful of recordings."""

import json
import os
import shutil
import subprocess
import sys

import pandas as pd
import pytest
from conftest import ROOT

from ecg.evaluation.names import SIMPLE_MODELS


@pytest.fixture(scope="module")
def finished(finished, tmp_path_factory):
    """A copy, since runs are kept below .cache/."""
    copy = shutil.copytree(finished, tmp_path_factory.mktemp("apart") / "project")
    (copy / "metrics/cv").mkdir()
    return copy


def cross_validate(folder, *arguments):
    return subprocess.run(
        [sys.executable, "stages/cross_validate.py", *arguments],
        cwd=folder,
        env={key: value for key, value in os.environ.items() if key != "DVC_ROOT"},
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_folds_are_pooled_and_summed_up(finished):
    done = cross_validate(finished, "--out", "metrics/cv/folds.json")
    assert done.returncode == 0, done.stderr
    numbers = json.loads((finished / "metrics/cv/folds.json").read_text())
    evaluated = json.loads((finished / "metrics/evaluate.json").read_text())
    assert set(evaluated) < set(numbers)
    split = pd.read_csv(finished / "data/split.csv", dtype=str)
    # Each record is once in the test set.
    assert {name: numbers[f"n_{name}"] for name in ("ischemia", "normal", "other")} == dict(split.label.value_counts())
    table = pd.read_csv(finished / "metrics/cv/folds.csv")
    simple = [f"pooled, {model}" for model in sorted(SIMPLE_MODELS)]
    assert list(table.test) == ["fold-1", "fold-2", "fold-3", "pooled", "pooled, mean", "pooled, std", *simple]
    # The fold that params.yaml tests on gives what dvc repro gave.
    same = table[table.test == "fold-3"].iloc[0]
    assert same.roc_auc == pytest.approx(evaluated["roc_auc"], abs=1e-6)
    assert numbers["roc_auc"] == pytest.approx(table.roc_auc[3], abs=1e-6)
    assert len(list((finished / ".cache/cross_validate").glob("*/folds-*"))) == 3


@pytest.mark.slow
def test_sources(finished):
    done = cross_validate(finished, "--over", "sources", "--out", "metrics/cv/sources.json")
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(finished / "metrics/cv/sources.csv")
    sources = set(pd.read_csv(finished / "data/split.csv").source)
    assert set(table.test[: len(sources)]) == sources
    runs = table[: len(sources)].reindex(columns=["n_ischemia", "reason"])
    assert (runs.n_ischemia.notna() ^ runs.reason.notna()).all()


@pytest.mark.slow
def test_seeds_also_when_only_some_were_done_before(finished):
    def seeds(n):
        done = cross_validate(finished, "--over", "seeds", "--seeds", str(n), "--out", "metrics/cv/seeds.json")
        assert done.returncode == 0, done.stderr
        runs = sorted((finished / ".cache/cross_validate").glob("*/seeds-*"))
        assert len(runs) == n
        return pd.read_csv(finished / "metrics/cv/seeds.csv"), runs[0].stat().st_mtime_ns

    one, when = seeds(1)
    table, untouched = seeds(2)
    assert untouched == when
    assert table.iloc[0].equals(one.iloc[0])
    numbers = json.loads((finished / "metrics/cv/seeds.json").read_text())
    assert numbers["roc_auc"] == pytest.approx(table.roc_auc[table.test == "pooled"].mean(), abs=1e-6)
    assert numbers["roc_auc_std"] == pytest.approx(table.roc_auc[table.test == "pooled"].std(), abs=1e-6)


def test_usage():
    done = cross_validate(ROOT, "--seeds", "0")
    assert done.returncode == 2
    assert "--seeds takes a whole number from 1" in done.stderr
