import numpy as np
import torch
from conftest import DEFAULTS
from sklearn.ensemble import ExtraTreesClassifier

from ecg.model.description import TREES_FROM
from ecg.model.fcn import Beats
from ecg.model.trees import LEAST, MAX_FEATURES, first_sample, fit_trees
from ecg.params import read_params

RNG = np.random.default_rng(3)
TARGET = RNG.integers(3, size=200)
# The three classes differ in one lead, at one place; of two digits, so that beats often lie at a threshold.
BEATS = RNG.normal(size=(200, 3, 41)).round(1).astype(np.float32)
BEATS[:, 1, 20:24] += TARGET[:, None]
DATA = Beats(BEATS, TARGET)
FIRST = 10


def features(beats: np.ndarray) -> np.ndarray:
    """The features of the trees, lead by lead: samples, and the change of each over two samples."""
    leads = [np.concatenate([lead[FIRST:], lead[FIRST + 2 :] - lead[FIRST:-2]]) for beat in beats for lead in beat]
    return np.stack(leads).reshape(len(beats), -1)


def test_each_beat_ends_in_the_leaf_that_scikit_learn_finds():
    model = fit_trees(25, DATA, 3, FIRST, seed=7)
    settings = {"min_samples_leaf": 2, "max_features": MAX_FEATURES, "class_weight": "balanced"}
    forest = ExtraTreesClassifier(25, **settings, random_state=7).fit(features(BEATS), TARGET)
    new = np.concatenate([BEATS, RNG.normal(size=BEATS.shape).round(1).astype(np.float32)])
    expected = forest.predict_proba(features(new))
    np.testing.assert_allclose(model(torch.from_numpy(new)).exp() - LEAST, expected, atol=2e-6)
    assert expected.std() > 0.1


def test_they_see_the_time_after_the_r_peak_alone():
    extract = read_params(DEFAULTS).extract
    # At 125 Hz the window begins 248 ms before R; the first sample from 10 ms on is that at 16 ms.
    assert (TREES_FROM, first_sample(extract)) == (10, 31 + 2)
    # At 500 Hz there is a sample at 10 ms.
    assert first_sample(extract.model_copy(update={"sampling_rate": 500})) == 125 + 5
    model, other = fit_trees(25, DATA, 3, FIRST, seed=7), BEATS.copy()
    other[:, :, :FIRST] = 7
    assert torch.equal(model(torch.from_numpy(other)), model(torch.from_numpy(BEATS)))


def test_the_seed_decides_which_trees_grow():
    one, two = (fit_trees(10, DATA, 3, FIRST, seed=1).state_dict() for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)
    other = fit_trees(10, DATA, 3, FIRST, seed=2).state_dict()
    assert any(one[name].shape != other[name].shape or not torch.equal(one[name], other[name]) for name in one)


@torch.no_grad()
def test_the_evidence_adds_up_and_lies_where_the_classes_differ():
    model, beats = fit_trees(200, DATA, 3, FIRST, seed=1), torch.from_numpy(BEATS)
    maps, out = model.evidence(beats), model(beats).double()
    assert maps.shape == (200, 3, 41)
    constant = out - maps.mean(dim=2)
    np.testing.assert_allclose(constant, constant[:1].expand(200, 3), atol=1e-5)
    assert maps[:, :, :FIRST].abs().max() == 0
    size = (maps[:, 2] - maps[:, 0]).abs().mean(dim=0)
    assert size[20:24].min() > 3 * size[:15].max()
