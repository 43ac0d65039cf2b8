"""The stage train: which recordings it saw, and weights fitted anew to train and val."""

import shutil

import numpy as np
import pandas as pd
import train
import yaml

from ecg.model.model import first_bytes, load_model


def hashes_of(folder, *splits):
    """The first bytes of the recordings' hashes of these splits."""
    split, index = (pd.read_csv(folder / f"data/{name}.csv", dtype=str) for name in ("split", "recordings"))
    chosen = split.record[split.split.isin(splits)]
    return first_bytes(index.set_index("record").sha256[chosen])


def test_the_model_holds_the_recordings_of_train_and_val(finished):
    model, description = load_model(finished / "data/model.safetensors")
    np.testing.assert_array_equal(np.sort(model.hashes.numpy()), np.sort(hashes_of(finished, "train", "val")))
    assert description.recordings == len(model.hashes)
    assert not np.isin(hashes_of(finished, "test"), model.hashes.numpy()).any()


def test_refit_changes_the_weights_and_neither_calibration_nor_threshold(finished, tmp_path, monkeypatch):
    folder = shutil.copytree(finished, tmp_path / "project")
    params = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    params["train"]["refit"] = True
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    monkeypatch.chdir(folder)
    train.main()
    (model, description), (new, about) = (load_model(path / "data/model.safetensors") for path in (finished, folder))
    for name in ("temperature", "log_prior", "slope", "intercept"):
        assert getattr(new, name).equal(getattr(model, name)), name
    assert about == description.model_copy(update={"trees": about.trees})
    assert new.hashes.equal(model.hashes)
    pairs = [(member.state_dict(), old.state_dict()) for member, old in zip(new.members, model.members, strict=True)]
    for state, old in [*pairs, (new.trees.state_dict(), model.trees.state_dict())]:
        assert any(not value.equal(old[name]) for name, value in state.items() if value.is_floating_point())
    assert (new.members[0].mean - model.members[0].mean).abs().max() > 0  # of the beats of train and val
    # The losses and numbers on val are those from before the refit.
    assert (folder / "data/history.csv").read_bytes() == (finished / "data/history.csv").read_bytes()
