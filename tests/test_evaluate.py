"""Printed and written results of evaluate, and the report on them, where sources or classes are few."""

import json
import shutil

import evaluate
import pandas as pd
import report
import train
from commands import run_command


def test_titles_name_the_sources_of_the_test_set_alone_and_two_classes_answer_one_comparison(
    finished, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(shutil.copytree(finished, tmp_path / "project"))
    split = pd.read_csv("data/split.csv")
    split["source"] = split.split.map({"train": "here", "val": "here", "test": "elsewhere"})
    split = split.drop(split[(split.split == "val") & (split.label == "ischemia")].index[3:])
    split[split.label != "other"].to_csv("data/split.csv", index=False)
    pd.read_csv("data/recordings.csv").assign(dx="").to_csv("data/recordings.csv", index=False)
    printed = {}
    for stage in (train, evaluate, report):
        done = run_command(stage.main, monkeypatch, capsys)
        assert done.returncode == 0, done.stderr
        printed[stage] = done.stdout.splitlines()
        assert ("rest on 3 ischemic in val; python stages/release.py" in done.stderr) == (stage is train)
    first, *lines = printed[evaluate]
    n = (split.label[split.split == "test"] != "other").sum()
    assert first == f"{n} test recordings of elsewhere"
    assert [line for line in lines if line.startswith("ROC AUC") and "no other recording" not in line] == lines[:1]
    for path in ("metrics/evaluate.json", "data/train.json"):
        numbers = json.loads((tmp_path / "project" / path).read_text(encoding="utf-8"))
        assert not any(value for key, value in numbers.items() if "_vs_" in key), numbers
    page = (tmp_path / "project/metrics/report.html").read_text(encoding="utf-8")
    assert f"{n} test recordings of elsewhere" in page
    for text in (page, (tmp_path / "project/metrics/model_card.md").read_text(encoding="utf-8")):
        assert "Ischemia means the label ischemia in labels.csv or a header (100.0% of the" in text
        assert "diagnosis codes (" not in text and "The files do not state the basis of the labels" in text
    assert "of elsewhere, here" not in page and "on synthetic" not in page
    assert page.count("<p>no other recording</p>") == 2
