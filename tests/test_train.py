"""The stage train: killed and run again, and fitted anew to val."""

import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import yaml
from projects import environment, outputs, run_stage

from ecg.model.model import first_bytes, load_model

WRITTEN = ("data/model.safetensors", "data/history.csv", "data/train.json")


def hashes_of(folder, *splits):
    """The first bytes of the recordings' hashes of these splits."""
    split, index = (pd.read_csv(folder / f"data/{name}.csv", dtype=str) for name in ("split", "recordings"))
    chosen = split.record[split.split.isin(splits)]
    return first_bytes(index.set_index("record").sha256[chosen])


def test_a_killed_training_leaves_nothing_and_the_next_gives_the_same_bytes(finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "killed")
    for name in WRITTEN:
        (folder / name).unlink()
    before, command = outputs(folder), [sys.executable, "stages/train.py"]
    process = subprocess.Popen(command, cwd=folder, env=environment(), stderr=subprocess.DEVNULL)
    while f"(process {process.pid})" not in (folder / "data/.lock").read_text():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    found = outputs(folder)
    before.pop("data/.lock"), found.pop("data/.lock")
    assert found == before
    done = run_stage(folder, "train")
    assert (done.returncode, done.stderr) == (0, "")
    assert all((folder / name).read_bytes() == (finished / name).read_bytes() for name in WRITTEN)


def test_the_model_knows_the_recordings_of_train_and_val(finished):
    model, description = load_model(finished / "data/model.safetensors")
    np.testing.assert_array_equal(np.sort(model.hashes.numpy()), np.sort(hashes_of(finished, "train", "val")))
    assert description.recordings == len(model.hashes)
    assert not np.isin(hashes_of(finished, "test"), model.hashes.numpy()).any()


@pytest.fixture(scope="module")
def refitted(finished, tmp_path_factory):
    """The finished project, trained anew with train.refit."""
    folder = shutil.copytree(finished, tmp_path_factory.mktemp("refit") / "project")
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["train"]["refit"] = True
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    for stage in ("train", "evaluate", "report"):
        done = run_stage(folder, stage)
        assert (done.returncode, done.stderr) == (0, "")
    return folder


def test_refit_changes_the_weights_and_neither_calibration_nor_threshold(finished, refitted):
    (model, description), (new, about) = (
        load_model(folder / "data/model.safetensors") for folder in (finished, refitted)
    )
    for name in ("temperature", "log_prior", "slope", "intercept"):
        assert getattr(new, name).equal(getattr(model, name)), name
    assert about == description.model_copy(update={"trees": about.trees})
    assert new.hashes.equal(model.hashes)
    pairs = [(member.state_dict(), old.state_dict()) for member, old in zip(new.members, model.members, strict=True)]
    for state, old in [*pairs, (new.trees.state_dict(), model.trees.state_dict())]:
        assert any(not value.equal(old[name]) for name, value in state.items() if value.is_floating_point())
    assert (new.members[0].mean - model.members[0].mean).abs().max() > 0  # of the beats of train and val


def test_refit_scores_val_as_what_was_trained_on(finished, refitted):
    """The distance of val's beats and their losses are those of recordings that the weights have seen."""
    old, new = (pd.read_csv(folder / "data/predictions.csv").set_index("record") for folder in (finished, refitted))
    val = old.split == "val"
    assert new.distance[val].mean() < old.distance[val].mean()
    error = (new.p_ischemia - (new.label == "ischemia")) ** 2 - (old.p_ischemia - (old.label == "ischemia")) ** 2
    assert error[val].mean() < 0
    # Of val there is no loss to watch then: what is shown is what came before.
    assert (refitted / "data/history.csv").read_bytes() == (finished / "data/history.csv").read_bytes()
