import json
import pickle
import re

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from small_models import ARCHITECTURE, DESCRIPTION, description_of, small_model

from ecg.leads import LEADS
from ecg.model.description import FORMAT, Description
from ecg.model.model import load_model, probabilities, save_model
from ecg.run.script import UsageError


def refused(path) -> str:
    with pytest.raises(UsageError, match="is no model of this project: ") as error:
        load_model(path)
    assert len(str(error.value)) < 300 + len(str(path)) + 40
    assert str(error.value).isprintable()
    return str(error.value)


@pytest.mark.parametrize("changes", [{}, {"trees": 5}])
def test_saved_model_comes_back_with_its_description(tmp_path, changes):
    beats = np.random.default_rng(0).normal(size=(5, 12, 94)).astype(np.float32)
    saved = small_model(12, **changes)
    expected = description_of(saved, **changes)
    save_model(tmp_path / "m.safetensors", saved, Description(**expected))
    model, description = load_model(tmp_path / "m.safetensors")
    assert description.model_dump() == expected
    np.testing.assert_array_equal(probabilities(model, beats), probabilities(saved, beats))


def test_a_model_file_loads_only_with_its_format(tmp_path):
    path, without = tmp_path / "m.safetensors", {key: value for key, value in DESCRIPTION.items() if key != "format"}
    for given in ({"format": FORMAT - 1}, {"format": FORMAT + 1}, {}, {"format": FORMAT}):
        save_file(small_model(12).state_dict(), path, metadata={"description": json.dumps(without | given)})
        if given != {"format": FORMAT}:
            assert re.search(r": format is (3|5|missing)", refused(path))
    load_model(path)


def test_a_broken_file_is_refused_in_one_line(tmp_path):
    path = tmp_path / "m.safetensors"
    save_model(path, small_model(12), Description(**DESCRIPTION))
    whole = path.read_bytes()
    pickled = pickle.dumps(small_model(12).state_dict())
    torch.save(small_model(12).state_dict(), tmp_path / "zip")
    contents = (whole[:-10], whole[:100], whole + b"x", b"\x80\x04junk", b"", pickled, (tmp_path / "zip").read_bytes())
    for content in (*contents, b"\xff" * 8 + whole[8:]):
        path.write_bytes(content)
        refused(path)
    for metadata in (None, {"description": "{"}, {"description": "[" * 100_000}, {"description": "7"}):
        save_file(small_model(12).state_dict(), path, metadata=metadata)
        refused(path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"leads": [*LEADS[1:], "I"]}, "leads"),
        ({"classes": ["normal", "ischemia", "ischemia"]}, "must differ and include normal and ischemia"),
        ({"classes": ["normal", "\x1b[31mgout"]}, r"classes\.1"),
        ({"classes": ["normal", "ischemia", "other"]}, "size mismatch"),
        ({"threshold": float("nan")}, "threshold is nan"),
        ({"members": 10**9}, "members is 1000000000"),
        ({"members": 1}, "Unexpected key"),
        ({"trees": {"nodes": 7, "depth": 1}, "architecture": ARCHITECTURE | {"trees": 2}}, "Missing key"),
        ({"trees": {"nodes": 7, "depth": 10**9}}, "trees.depth is 1000000000"),
        ({"n_samples": 93}, "n_samples 93 must be 94"),
        ({"recordings": 4}, "size mismatch for hashes"),
        ({"reference": {"roc_auc_vs_rest": 0.9}}, "reference lacks brier, sensitivity, specificity"),
        ({"extract": None}, "extract"),
        ({"architecture": ARCHITECTURE | {"filters": [16, 10**9, 8]}}, "size mismatch|overflow"),
        ({"architecture": ARCHITECTURE | {"no_such_key": 2}}, "no_such_key is not a parameter"),
    ],
)
def test_a_description_that_does_not_fit_is_refused_in_one_line(tmp_path, change, reason):
    metadata = {"description": json.dumps(DESCRIPTION | change)}
    save_file(small_model(12).state_dict(), tmp_path / "m.safetensors", metadata=metadata)
    assert re.search(reason, refused(tmp_path / "m.safetensors"))


def test_weights_that_do_not_fit_are_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    changes = {
        "members.0.classifier.weight": [lambda t: t[:, :-1], lambda t: t.double(), lambda t: t * torch.nan, None],
        "members.1.std": [lambda t: t * 0],
        "temperature": [lambda t: t * 0],
        "members.2.std": [lambda _: torch.ones(12, 1)],
        "ood.components": [lambda t: t[1:], None],
        "hashes": [lambda t: t[1:]],
    }
    for name, ways in changes.items():
        for change in ways:
            state = small_model(12).state_dict()
            given = state.pop(name, None)
            if change:
                state[name] = change(given).contiguous()
            save_file(state, path, metadata={"description": json.dumps(DESCRIPTION)})
            refused(path)
