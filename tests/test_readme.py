"""The README held to the files that it speaks of."""

import json
import re
import subprocess

from conftest import ROOT

README = (ROOT / "README.md").read_text()
QUESTIONS = {
    "roc_auc": "ischemia against normal",
    "roc_auc_vs_rest": "ischemia against everything else",
    "roc_auc_vs_other": "ischemia against abnormal, not ischemic",
}


def committed(path: str) -> dict:
    """What git holds: another processor may have written other last digits since."""
    return json.loads(subprocess.check_output(["git", "show", f":{path}"], cwd=ROOT, text=True))


def test_numbers_are_those_of_the_metrics():
    numbers = committed("metrics/evaluate.json")
    for key, question in QUESTIONS.items():
        low, high = numbers[f"{key}_low"], numbers[f"{key}_high"]
        assert f"| {question} | {numbers[key]:.3f} | {low:.3f} – {high:.3f} |" in README
    n = sum(numbers[f"n_{label}"] for label in ("ischemia", "normal", "other"))
    low, high = numbers["roc_auc_low"], numbers["roc_auc_high"]
    last_line = (
        f"ROC AUC against normal {numbers['roc_auc']:.3f} ({low:.3f} – {high:.3f}) on {n} test synthetic recordings"
    )
    assert last_line in README
    assert (
        f"At a threshold of {numbers['threshold']:.3f}, set on val, sensitivity is {numbers['sensitivity']:.3f} and "
        f"specificity {numbers['specificity']:.3f}."
    ) in " ".join(README.split())


def test_files_that_it_names_exist():
    for path in re.findall(r"`((?:stages|metrics|tests)/[\w/.]+|[\w.]+\.(?:yaml|txt))`", README):
        assert (ROOT / path).exists() or path == "metrics/train.json", path
