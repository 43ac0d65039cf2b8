"""What `dvc plots show` draws of a finished project."""

import json
import shutil
from itertools import pairwise

import pytest
import yaml
from projects import ROOT, run_dvc

AXES = {"ROC curve": ("fpr", "tpr"), "Precision and recall": ("recall",), "Net benefit": ("threshold",)}


def content_of(plot):
    """The specification of a plot, which DVC gives as text or not."""
    return json.loads(plot["content"]) if isinstance(plot["content"], str) else plot["content"]


def lines(page, title):
    """By its legend the points of each line, in the order of the file, of a plot in the page of DVC."""
    ((plot,), found) = page["data"][title], {}
    for point in content_of(plot)["data"]["values"]:
        found.setdefault(point.get("filename") or point["field"], []).append(point)
    return found


@pytest.fixture(scope="module")
def project(finished, tmp_path_factory):
    folder = shutil.copytree(finished, tmp_path_factory.mktemp("plots") / "project")
    shutil.copy(ROOT / "dvc.yaml", folder)
    assert run_dvc(folder, "init", "--no-scm").returncode == 0
    return folder


def show(folder):
    page = json.loads(run_dvc(folder, "plots", "show", "--json").stdout)
    assert "errors" not in page
    return page


def test_every_line_is_one_curve(project):
    page = show(project)
    comparisons = {"against_normal.csv", "against_all_others.csv", "against_other.csv"}
    assert set(lines(page, "ROC curve")) == set(lines(page, "Precision and recall")) == comparisons
    assert set(lines(page, "Learning curve")) == {"train_loss", "val_loss"}
    assert set(lines(page, "Net benefit")) == {"model", "all", "none"}
    for title, columns in AXES.items():
        for points in lines(page, title).values():
            assert len(points) > 2
            for column in columns:
                values = [float(point[column]) for point in points]
                assert all(a <= b for a, b in pairwise(values)), (title, column)
    epochs = yaml.safe_load((project / "params.yaml").read_text())["train"]["epochs"]
    for points in lines(page, "Learning curve").values():
        assert [int(point["epoch"]) for point in points] == list(range(1, epochs + 1))
    for title in page["data"]:
        (plot,) = page["data"][title]
        assert plot["type"] == "image" or "loess" not in json.dumps(plot["content"]), "DVC would smooth the steps"


def test_a_question_without_an_answer_has_no_line(project, tmp_path):
    folder = shutil.copytree(project, tmp_path / "copy")
    for name in ("roc", "precision_recall"):
        curve = folder / f"metrics/{name}/against_other.csv"
        curve.write_text(curve.read_text().splitlines()[0] + "\n")
    page = show(folder)
    for title in ("ROC curve", "Precision and recall"):
        assert set(lines(page, title)) == {"against_normal.csv", "against_all_others.csv"}
