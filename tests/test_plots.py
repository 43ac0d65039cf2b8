"""The lines that `dvc plots show` draws of a finished project."""

import json
import shutil
from itertools import pairwise

from projects import ROOT, run_dvc

AXES = {
    "ROC curve": ("fpr", "tpr"),
    "Precision and recall": ("recall",),
    "Net benefit": ("threshold",),
    "Learning curve": ("epoch",),
}


def lines(folder):
    """By title of the plot and legend: the points of each line, in the order of the file."""
    page = json.loads(run_dvc(folder, "plots", "show", "--json").stdout)
    assert "errors" not in page
    found = {title: {} for title in AXES}
    for title in AXES:
        ((plot,),) = [page["data"][title]]
        content = json.loads(plot["content"]) if isinstance(plot["content"], str) else plot["content"]
        assert "loess" not in json.dumps(content), "DVC would smooth the steps"
        for point in content["data"]["values"]:
            found[title].setdefault(point.get("filename") or point["field"], []).append(point)
    return found


def test_every_line_is_one_curve(finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "project", ignore=shutil.ignore_patterns("recordings"))
    shutil.copy(ROOT / "dvc.yaml", folder)
    assert run_dvc(folder, "init", "--no-scm").returncode == 0
    comparisons, found = {"against_normal.csv", "against_all_others.csv", "against_other.csv"}, lines(folder)
    assert set(found["ROC curve"]) == set(found["Precision and recall"]) == comparisons
    assert set(found["Learning curve"]) == {"train_loss", "val_loss"}
    assert set(found["Net benefit"]) == {"model", "all", "none"}
    for title, columns in AXES.items():
        for points in found[title].values():
            for column in columns:
                assert all(float(a[column]) <= float(b[column]) for a, b in pairwise(points)), (title, column)
