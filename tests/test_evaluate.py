"""What evaluate says, and what the report makes of it, where sources or classes are few."""

import json
import shutil

import pandas as pd
from projects import run_stage


def test_titles_name_the_sources_of_the_test_set_alone_and_two_classes_answer_one_question(finished, tmp_path):
    finished = shutil.copytree(finished, tmp_path / "project")
    split = pd.read_csv(finished / "data/split.csv")
    split["source"] = split.split.map({"train": "here", "val": "here", "test": "elsewhere"})
    split[split.label != "other"].to_csv(finished / "data/split.csv", index=False)
    for stage in ("train", "evaluate", "audit", "report"):
        done = run_stage(finished, stage)
        assert done.returncode == 0, done.stderr
        if stage == "evaluate":
            first, *lines = done.stdout.splitlines()
    n = (split.label[split.split == "test"] != "other").sum()
    assert first == f"{n} test recordings of elsewhere"
    assert [line for line in lines if line.startswith("ROC AUC") and "no other recording" not in line] == lines[:1]
    for path in ("metrics/evaluate.json", "data/train.json"):
        numbers = json.loads((finished / path).read_text())
        assert not any(value for key, value in numbers.items() if "_vs_" in key), numbers
    page = (finished / "metrics/report.html").read_text()
    assert f"In {n} test recordings of elsewhere, of patients" in page
    assert "of elsewhere, here" not in page
    assert page.count("<p>no other recording</p>") == 2
