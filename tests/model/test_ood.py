import numpy as np
import pytest
import torch
from conftest import leads

from ecg.leads import LEADS
from ecg.model.ood import BEYOND, OutOfDistribution, fit_ood
from ecg.recordings.hearts import healthy_heart

TIMES = np.arange(-248, 401, 8.0)  # ms from R


def beats_of(seed: int, n: int) -> np.ndarray:
    """Beats of n synthetic hearts, n x 12 x samples, mV, with a little noise."""
    rng = np.random.default_rng(seed)
    beats = np.stack([leads(TIMES, healthy_heart(rng)).T for _ in range(n)])
    return (beats + rng.normal(0, 0.01, beats.shape)).astype(np.float32)


@pytest.fixture(scope="module")
def model() -> OutOfDistribution:
    return fit_ood(beats_of(0, 1000), np.arange(1000) // 2)


def parts_beyond(model: OutOfDistribution, beats: np.ndarray) -> np.ndarray:
    """The share of beats beyond each limit: of size, shape and leads."""
    return (model.parts(torch.from_numpy(beats)) > 1).float().mean(dim=0).numpy()


def share_beyond(model: OutOfDistribution, beats: np.ndarray) -> float:
    return float((model(torch.from_numpy(beats)) > 1).float().mean())


def test_few_beats_that_it_has_not_seen_are_beyond_its_limits(model):
    unseen = beats_of(2, 4000)
    np.testing.assert_allclose(parts_beyond(model, unseen), BEYOND, atol=0.007)
    assert share_beyond(model, unseen) == pytest.approx(0.015, abs=0.01)


def test_patients_are_seen_whole_or_not_at_all():
    # Each patient has a shape of their own: beats of a patient in both parts would make the limits too narrow.
    beats = beats_of(0, 150).repeat(6, axis=0)
    beats += np.random.default_rng(5).normal(0, 0.01, beats.shape).astype(np.float32)
    limits = [fit_ood(beats, patients).limits for patients in (np.arange(900) // 6, np.arange(900) % 150)]
    torch.testing.assert_close(limits[0][0], limits[1][0], rtol=0.5, atol=0)
    assert limits[0][1] > limits[1][1]


def with_noise(beats):
    """V3 is noise of the same size."""
    beats, lead = beats.copy(), LEADS.index("V3")
    noise = np.random.default_rng(4).normal(size=beats[:, 0].shape)
    beats[:, lead] = noise * beats[:, lead].std(axis=1, keepdims=True)
    return beats


# Of size, shape and leads.
CHANGES = [(0, lambda beats: 10 * beats), (1, lambda beats: -beats), (2, with_noise)]


@pytest.mark.parametrize(("part", "change"), CHANGES)
def test_what_no_heart_does_is_beyond_a_limit_of_its_own(model, part, change):
    assert parts_beyond(model, change(beats_of(3, 100)))[part] >= 0.9


def test_few_beats_and_flat_ones_have_a_distance():
    model = fit_ood(beats_of(0, 3), np.arange(3))
    beats = np.concatenate([beats_of(2, 2), np.zeros_like(beats_of(2, 1))])
    assert torch.isfinite(model(torch.from_numpy(beats))).all()
