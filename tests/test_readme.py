"""The README held to the files that it speaks of."""

import io
import json
import re
import subprocess

import pandas as pd
from conftest import ROOT

README = (ROOT / "README.md").read_text()
QUESTIONS = ("roc_auc", "roc_auc_vs_rest", "roc_auc_vs_other")
NOT_IN_GIT = ("metrics/train.json", "metrics/report.html", "metrics/cross_validation.json")
PTB_XL = "metrics/ptb-xl-500/cross_validation.json"


def committed(path: str) -> str:
    """What git holds: another processor may have written other last digits since."""
    return subprocess.check_output(["git", "show", f":{path}"], cwd=ROOT, text=True)


def cell(value: float, low: float, high: float) -> str:
    return f"{value:.3f} ({low:.3f} – {high:.3f})"


def test_results_are_those_of_the_metrics():
    audit = pd.read_csv(io.StringIO(committed("metrics/audit.csv"))).set_index(["model", "question"])
    for model, name in (("fcn", "FCN"), ("linear", "linear"), ("st_t", "ST, T, QRS")):
        cells = [cell(*audit.loc[(model, question), ["roc_auc", "low", "high"]]) for question in QUESTIONS]
        assert f"| (a) synthetic | {name} | {' | '.join(cells)} |" in README
    numbers = json.loads(committed(PTB_XL))
    for prefix, name in (("", "FCN"), ("linear_", "linear")):
        cells = [cell(*(numbers[f"{prefix}{q}{part}"] for part in ("", "_low", "_high"))) for q in QUESTIONS]
        assert f"| (b) PTB-XL, 500 | {name} | {' | '.join(cells)} |" in README
    assert sum(numbers[f"n_{label}"] for label in ("ischemia", "normal", "other")) == 500
    assert numbers["seeds"] == 5
    assert set(json.loads(committed("metrics/evaluate.json"))) < set(numbers)


def test_numbers_are_those_of_the_metrics():
    numbers = json.loads(committed("metrics/evaluate.json"))
    n = sum(numbers[f"n_{label}"] for label in ("ischemia", "normal", "other"))
    headline = cell(*(numbers[f"roc_auc{part}"] for part in ("", "_low", "_high")))
    assert f"ROC AUC against normal {headline} on {n} test synthetic recordings" in README
    assert f"(a) is the default: {n} test recordings" in README
    assert (
        f"At a threshold of {numbers['threshold']:.3f}, set on val, sensitivity is {numbers['sensitivity']:.3f} and "
        f"specificity {numbers['specificity']:.3f}."
    ) in " ".join(README.split())


def test_files_that_it_names_exist():
    for path in re.findall(r"`((?:stages|metrics|tests)/[\w/.]+|[\w.]+\.(?:yaml|txt))`", README):
        assert (ROOT / path).exists() or path in NOT_IN_GIT, path
