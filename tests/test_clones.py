"""Clones share by a remote, fetch a model by its address, and run the notebook."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from projects import ROOT, STAGES, clone, environment, run_dvc

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the commands of the docs are those of sh")

IDENTITY = {f"GIT_{who}_{what}": "test@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
# The commands of docs/experiments.md: to share, and to fetch in another clone.
CHAPTER = (ROOT / "docs/experiments.md").read_text(encoding="utf-8").split("\n## Share data and models")[1]
SHARE, FETCH = re.findall(r"^```sh\n(.*?)^```$", CHAPTER.split("\n## ")[0], re.M | re.S)


def git(folder, *arguments):
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, env=environment(**IDENTITY))


def run(folder, *arguments):
    done = run_dvc(folder, *arguments)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def shared(finished, tmp_path_factory):
    """A clone in which all stages have run, shared by the commands of docs/experiments.md; its origin is beside it."""
    folder = tmp_path_factory.mktemp("remote")
    first = clone(folder / "first")
    git(folder, "init", "--quiet", "--bare", "--initial-branch=main", "origin")
    git(first, "checkout", "--quiet", "-B", "main")
    git(first, "remote", "set-url", "origin", str(folder / "origin"))
    git(first, "push", "--quiet", "--set-upstream", "origin", "main")
    for name in ("data", "metrics"):
        shutil.copytree(finished / name, first / name, dirs_exist_ok=True)
    # As if `dvc repro` had run them.
    run(first, "commit", "--force")
    recipe = SHARE.replace("/mnt/shared/ecg-store", str(folder / "ecg-store"))
    assert recipe != SHARE
    done = subprocess.run(["sh", "-ec", recipe], cwd=first, env=environment(**IDENTITY), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return first


@pytest.fixture
def second(shared, tmp_path):
    git(tmp_path, "clone", "--quiet", shared.parent / "origin", "second")
    return tmp_path / "second"


def test_another_clone_fetches_what_it_needs_and_runs_what_is_new(shared, second):
    pull = FETCH.splitlines()[0].split("#")[0].split()
    assert pull[:2] == ["dvc", "pull"]
    run(second, *pull[1:])
    assert (second / "data/model.safetensors").read_bytes() == (shared / "data/model.safetensors").read_bytes()
    assert run(second, "repro", "--pull", "--allow-missing").count("didn't change, skipping") == len(STAGES)

    params = yaml.safe_load((second / "params.yaml").read_text(encoding="utf-8"))
    params["split"]["seed"] += 1
    (second / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    printed = run(second, "repro", "--pull", "--allow-missing", "split")
    assert (printed.count("didn't change, skipping"), printed.count("Running stage")) == (2, 1)


def test_the_model_in_git_can_be_fetched_without_a_remote(tmp_path):
    model = "models/ptb-xl.safetensors"
    first, expected = clone(tmp_path / "first"), (ROOT / model).read_bytes()
    git(first, "tag", "--annotate", "ischemia-fcn-ptb-xl@v1.0.0", "--message", "A version")
    run(tmp_path, "get", first.as_uri(), model, "--out", "got")
    run(tmp_path, "artifacts", "get", first.as_uri(), "ischemia-fcn-ptb-xl", "--out", "artifact")
    assert (tmp_path / "got").read_bytes() == (tmp_path / "artifact").read_bytes() == expected


def test_the_notebook_runs_in_a_clone(second, monkeypatch):
    nbformat = pytest.importorskip("nbformat", reason="the notebook's test needs requirements-dev.txt")
    from nbclient import NotebookClient

    notebook = nbformat.read(second / "docs/quickstart.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)
    run(second, "pull")
    # Nothing is left to run.
    (cell,) = [cell for cell in notebook.cells if "download.source=" in cell.source and cell.cell_type == "code"]
    cell.source = cell.source.replace('"kaggle"', '"synthetic"')
    # As in a kernel that was started elsewhere than in a shell in which the environment is activated.
    found = [folder for folder in os.environ["PATH"].split(os.pathsep) if Path(folder) != Path(sys.executable).parent]
    monkeypatch.setenv("PATH", os.pathsep.join(found))
    for name, value in IDENTITY.items():
        monkeypatch.setenv(name, value)
    # With it a kernel does not show the output of programs.
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(second / "docs")}}).execute()
    assert "".join(out.text for out in cell.outputs).count("didn't change, skipping") == len(STAGES)
    shown = [output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])]
    tables = [data["text/html"] for data in shown if "text/html" in data]
    assert len(tables) == 2 and all(table.count("<th>") < 30 for table in tables)
    assert sum("image/png" in data for data in shown) == 2
