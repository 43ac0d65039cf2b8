import numpy as np
import pytest
import torch

from ecg.leads import LEADS
from ecg.network.novelty import BEYOND, Novelty, at_size_1, first_bytes, fit_novelty
from ecg.recordings.hearts import healthy_heart, leads

TIMES = np.arange(-250, 400, 4.0)  # ms from R


def beats_of(seed: int, n: int) -> np.ndarray:
    """Beats of n synthetic hearts, n x 12 x samples, mV, with a little noise."""
    rng = np.random.default_rng(seed)
    beats = np.stack([leads(TIMES, healthy_heart(rng)).T for _ in range(n)])
    return (beats + rng.normal(0, 0.01, beats.shape)).astype(np.float32)


@pytest.fixture(scope="module")
def model() -> Novelty:
    return fit_novelty(2, beats_of(0, 300), np.arange(300), beats_of(1, 1000), 1)


def share_beyond(model: Novelty, beats: np.ndarray) -> float:
    return float((model(torch.from_numpy(beats)) > 1).float().mean())


def test_the_limit_is_that_of_beats_that_it_has_not_seen(model):
    assert share_beyond(model, beats_of(1, 1000)) == pytest.approx(BEYOND, abs=0.005)
    assert share_beyond(model, beats_of(2, 1000)) <= 0.02


def test_a_small_val_does_not_decide_alone():
    model = fit_novelty(2, beats_of(0, 300), np.arange(300), beats_of(1, 5), 1)
    assert share_beyond(model, beats_of(2, 1000)) <= 0.02


def test_beats_with_leads_changed_are_as_far_as_they_would_be(model):
    unit, _ = model.seen(torch.from_numpy(np.concatenate([beats_of(3, 20), np.zeros((1, 12, 163), np.float32)])))
    changes = model.repairs()
    changed, _ = at_size_1(torch.einsum("hij,njt->nhit", changes, unit))
    torch.testing.assert_close(model.departures(unit, changes), model.departure(changed), rtol=1e-3, atol=1e-2)


def swapped(beats, one, other):
    order = list(range(12))
    order[LEADS.index(one)], order[LEADS.index(other)] = LEADS.index(other), LEADS.index(one)
    return beats[:, order]


def with_arms_swapped(beats):
    beats = beats.copy()
    beats[:, LEADS.index("II")] -= beats[:, LEADS.index("I")]
    beats[:, LEADS.index("I")] *= -1
    return beats


def with_copy(beats):
    """V3 is V2, with what the median of some beats leaves of noise of its own."""
    beats = beats.copy()
    noise = np.random.default_rng(4).normal(0, 0.003, beats[:, 0].shape)
    beats[:, LEADS.index("V3")] = beats[:, LEADS.index("V2")] + noise
    return beats


def with_sine(beats):
    beats = beats.copy()
    beats[:, LEADS.index("V3")] = np.sin(TIMES / 50)
    return beats


@pytest.mark.parametrize(
    "change",
    [
        lambda beats: swapped(beats, "V1", "V6"),
        lambda beats: swapped(beats, "V2", "V5"),
        lambda beats: swapped(beats, "V3", "V4"),
        lambda beats: -beats,
        lambda beats: 6 * beats,
        with_copy,
        with_sine,
        with_arms_swapped,
    ],
)
def test_what_no_heart_does_is_beyond(model, change):
    assert share_beyond(model, change(beats_of(3, 100))) >= 0.8


def test_a_small_beat_is_no_reason(model):
    beats = beats_of(3, 100)
    assert model.parts(torch.from_numpy(beats / 2))[:, 0].max() <= model.parts(torch.from_numpy(beats))[:, 0].max()


def test_the_same_bytes_each_time_and_a_beat_does_not_depend_on_its_batch(model):
    again = fit_novelty(2, beats_of(0, 300), np.arange(300), beats_of(1, 1000), 1).state_dict()
    assert all(torch.equal(tensor, again[name]) for name, tensor in model.state_dict().items())
    beats = torch.from_numpy(beats_of(3, 10))
    torch.testing.assert_close(torch.cat([model(beat[None]) for beat in beats]), model(beats))


def test_few_beats_and_flat_ones_have_a_distance():
    model = fit_novelty(2, beats_of(0, 3), np.arange(3), beats_of(1, 1), 1)
    beats = np.concatenate([beats_of(2, 2), np.zeros_like(beats_of(2, 1))])
    assert torch.isfinite(model(torch.from_numpy(beats))).all()


def test_first_bytes_are_sorted_and_hold_each_hash_once():
    hashes = ["00" * 7 + "01" + "aa" * 24, "ff" * 32, "80" + "00" * 31, "00" * 7 + "01" + "bb" * 24]
    assert first_bytes(hashes).tolist() == [1, -(2**63), -1]  # by their bytes, as unsigned numbers
    assert first_bytes([]).dtype == np.int64
