import numpy as np
import pytest
import torch
from sklearn.ensemble import ExtraTreesClassifier
from test_fcn import small_model
from test_model_file import description_of

from ecg.network.description import Description
from ecg.network.model_file import load_model, save_model
from ecg.network.trees import LEAST, fit_trees
from ecg.stage.script import UsageError

RNG = np.random.default_rng(3)
TARGET = RNG.integers(3, size=200)
# The three classes differ in one lead, at one place; of two digits, so that beats often lie at a threshold.
BEATS = RNG.normal(size=(200, 3, 41)).round(1).astype(np.float32)
BEATS[:, 1, 20:24] += TARGET[:, None]


@pytest.mark.parametrize("pool", [1, 2])
def test_each_beat_ends_in_the_leaf_that_scikit_learn_finds(pool):
    model = fit_trees(25, pool, BEATS, TARGET, seed=7)
    flat = BEATS[:, :, : 41 // pool * pool].reshape(200, 3, -1, pool).mean(axis=3).reshape(200, -1)
    forest = ExtraTreesClassifier(25, min_samples_leaf=2, class_weight="balanced", random_state=7).fit(flat, TARGET)
    new = np.concatenate([flat, RNG.normal(size=flat.shape).astype(np.float32)])
    beats = torch.from_numpy(new.reshape(400, 3, -1)).repeat_interleave(pool, dim=2)
    np.testing.assert_allclose(model(beats).exp() - LEAST, forest.predict_proba(new), atol=2e-6)


def test_the_seed_decides_which_trees_grow():
    one, two = (fit_trees(10, 2, BEATS, TARGET, seed=1).state_dict() for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)
    other = fit_trees(10, 2, BEATS, TARGET, seed=2).state_dict()
    assert any(one[name].shape != other[name].shape or not torch.equal(one[name], other[name]) for name in one)


@torch.no_grad()
def test_the_evidence_adds_up_and_lies_where_the_classes_differ():
    model, beats = fit_trees(200, 1, BEATS, TARGET, seed=1), torch.from_numpy(BEATS)
    maps = model.evidence(beats, 2, 0)
    out = model(beats).double()
    constant = out[:, 2] - out[:, 0] - maps.mean(dim=1)
    np.testing.assert_allclose(constant, constant[0], atol=1e-5)
    size = maps.abs().mean(dim=0)
    assert size[20:24].min() > 3 * size[:15].max()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("roots", lambda values: values + 10_000),
        ("feature", lambda values: values + 12 * 94),
        ("above", lambda values: values * 0),
        ("above", lambda values: values + 10_000),
        ("threshold", lambda values: values * 0 + 1),
    ],
)
def test_nodes_that_do_not_follow_one_another_are_refused(tmp_path, name, change):
    model = small_model(12, samples=188, trees=5)
    values = getattr(model.trees, name)
    values.copy_(change(values))
    path = tmp_path / "m.safetensors"
    save_model(path, model, Description(**description_of(model, trees=5)))
    with pytest.raises(UsageError, match="its trees' nodes do not follow one another"):
        load_model(path)
