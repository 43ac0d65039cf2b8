"""What users of DVC do with clones: share by a remote, fetch a model by its address, run the notebook."""

import shutil
import subprocess

import dvc.api
import pytest
import yaml
from projects import ROOT, STAGES, clone, differences, environment, outputs, run_dvc


def git(folder, *arguments):
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def run(folder, *arguments):
    done = run_dvc(folder, *arguments)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def shared(finished, tmp_path_factory):
    """A clone in which all stages have run: what they wrote is in git and in a remote."""
    folder = tmp_path_factory.mktemp("remote")
    first = clone(folder / "first")
    for name in ("data", "metrics"):
        shutil.copytree(finished / name, first / name, dirs_exist_ok=True)
    # As if `dvc repro` had run them.
    run(first, "commit", "--force")
    run(first, "remote", "add", "--default", "storage", str(folder / "ecg-store"))
    git(first, "add", "metrics")
    git(first, "commit", "--all", "--message", "Fewer recordings, and a DVC remote")
    run(first, "push", "--run-cache")
    return first


@pytest.fixture
def second(shared, tmp_path):
    git(tmp_path, "clone", "--quiet", shared, "second")
    return tmp_path / "second"


def test_another_clone_has_all_and_runs_nothing(shared, second):
    # Without a single file of data/: nothing is fetched either.
    assert run(second, "repro", "--pull", "--allow-missing").count("didn't change, skipping") == len(STAGES)
    assert list((second / "data").iterdir()) == [second / "data/.gitignore"]
    run(second, "pull", "--run-cache")
    assert set(differences(outputs(shared), outputs(second))) <= {"data/.lock"}
    assert run(second, "repro").count("didn't change, skipping") == len(STAGES)


def test_a_change_fetches_what_it_needs_and_runs_what_it_concerns(second):
    params = yaml.safe_load((second / "params.yaml").read_text())
    params["split"]["seed"] += 1
    (second / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    said = run(second, "repro", "--pull", "--allow-missing", "split")
    assert (said.count("didn't change, skipping"), said.count("Running stage")) == (2, 1)
    tables = {f"data/{name}.csv" for name in ("recordings", "beats", "split")}
    assert {path for path in outputs(second) if path.startswith("data/")} - {"data/.lock", "data/.gitignore"} == tables


def test_the_model_in_git_can_be_fetched_without_a_remote(tmp_path):
    model = yaml.safe_load((ROOT / "dvc.yaml").read_text())["artifacts"]["ischemia-fcn-ptb-xl"]["path"]
    if not (ROOT / model).exists():
        pytest.skip(f"{model} is not there yet")
    first, expected = clone(tmp_path / "first"), (ROOT / model).read_bytes()
    git(first, "tag", "--annotate", "ischemia-fcn-ptb-xl@v1.0.0", "--message", "A version")
    run(tmp_path, "get", first.as_uri(), model, "--out", "got")
    run(tmp_path, "artifacts", "get", first.as_uri(), "ischemia-fcn-ptb-xl", "--out", "artifact")
    assert (tmp_path / "got").read_bytes() == (tmp_path / "artifact").read_bytes() == expected
    assert dvc.api.read(model, repo=first.as_uri(), mode="rb") == expected


@pytest.mark.parametrize("place", ["", "docs"])
def test_the_notebook_runs_in_a_clone(shared, second, place, monkeypatch):
    nbformat = pytest.importorskip("nbformat", reason="the notebook's test needs requirements-dev.txt")
    from nbclient import NotebookClient

    notebook = nbformat.read(second / "docs/quickstart.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)
    run(second, "pull")
    # Nothing is left to run.
    monkeypatch.setenv("SETTINGS", "")
    monkeypatch.setenv("PATH", environment()["PATH"])
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(second / place)}}).execute()
    shown = [output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("text/html" in data for data in shown) == 2
    assert sum("image/png" in data for data in shown) == 2
