"""A stretch of equal samples is no signal: beats that overlap it are lost, or the recording is refused."""

import numpy as np
import pytest
from drawn import EXTRACT, HEART, TIMES, error_uv, every, recording

from ecg.beats.gaps import mark_held
from ecg.beats.median import median_beat
from ecg.leads import LEADS, MISSING


def off(samples, lead, until, value):
    """The lead at 0, held at its next value, or missing, from the start on."""
    samples = samples.copy()
    samples[:until, lead] = {"zero": 0, "held": samples[until, lead], "missing": MISSING}[value]
    return samples


@pytest.mark.parametrize("lead", ["II", "aVL", "V6"])
def test_a_lead_that_is_off_for_half_of_the_time_is_as_good_as_missing_there(lead):
    samples, values = recording(every(811), emg=20), ("zero", "held", "missing")
    found = [median_beat(off(samples, LEADS.index(lead), 2750, value), 500, EXTRACT) for value in values]
    assert error_uv(found[0]) < 15
    for other in found[1:]:
        np.testing.assert_allclose(other.beat, found[0].beat, atol=0.005)


@pytest.mark.parametrize("sampling_rate", [100, 257, 1000])
def test_half_a_second_is_held_and_less_is_not(sampling_rate):
    leads = np.random.default_rng(0).integers(-500, 500, (12, 10 * sampling_rate)).astype(np.int16)
    for start in (0, 3 * sampling_rate + 7):
        for seconds, marked in ((0.39, 0), (0.5, 1)):
            changed = leads.copy()
            n = int(np.ceil(seconds * sampling_rate))
            changed[3, start : start + n] = 5000
            is_missing = mark_held(changed, sampling_rate) == MISSING
            assert is_missing.sum() == marked * n
            assert is_missing[3, start : start + n].all() == marked
    assert (changed != MISSING).all()  # the input stays as it was


def clean(heart_rate, *, step=5, seconds=20, noise=0.0, waves=HEART, level=0):
    """Beats with an isoelectric line between T and P, in steps of `step` uV."""
    samples = recording(every(60_000 / heart_rate, seconds), seconds=seconds, emg=noise, waves=waves)
    return (np.rint(samples / step) * step + level).astype(np.int16)


@pytest.mark.parametrize("heart_rate", [25, 40, 70])
@pytest.mark.parametrize("change", [{}, {"step": 1}, {"step": 50, "noise": 10}, {"level": 300}])
def test_what_all_leads_hold_between_complexes_is_signal(heart_rate, change):
    found = median_beat(clean(heart_rate, **change), 500, EXTRACT)
    assert found.n_beats >= 20 * heart_rate / 60 - 2
    # Rejected beats differ from the others by microvolts, where R lies between two samples.
    assert found.n_used >= 0.5 * found.n_beats
    assert found.heart_rate == pytest.approx(heart_rate, rel=0.02)
    assert error_uv(found, TIMES < 300) < (20 if "noise" in change else 10)


@pytest.mark.parametrize("value", [0, 400])
def test_a_lead_that_is_off_between_rests_is_missing(value):
    whole, samples = median_beat(clean(40), 500, EXTRACT), clean(40)
    samples[3000:3900, 8] = value
    samples[5000:, 9] = value
    found = median_beat(samples, 500, EXTRACT)
    assert 4 <= found.n_beats <= 6
    np.testing.assert_allclose(found.beat, whole.beat, atol=0.01)


@pytest.mark.parametrize(("start", "end", "lost"), [(8500, 10000, 2), (0, 1500, 2), (4300, 5000, 2)])
@pytest.mark.parametrize("level", [0, 300])
def test_what_all_leads_hold_for_too_long_or_off_the_line_is_missing(start, end, lost, level):
    samples = clean(40, level=level)
    # Padding at the ends; in the middle the value at which all leads stopped.
    samples[start:end] = samples[4300] + 200 if start == 4300 else 0
    found = median_beat(samples, 500, EXTRACT)
    assert 13 - lost - 1 <= found.n_beats <= 13 - lost + 1
    assert error_uv(found, TIMES < 300) < 10


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda x: np.r_[x[:1600], np.zeros_like(x[1600:])], "flat lead: I, II, III, aVR, aVL, aVF, V1"),
        (lambda x: off(x, 6, 3100, "held"), "flat lead: V1"),
        (lambda x: off(x, 6, 3100, "missing"), "missing lead: V1"),
        (lambda x: off(off(x, 6, 2000, "zero")[::-1], 9, 1500, "missing"), "too short: 3.0 s of signal in all leads"),
        (lambda x: np.where((np.arange(5000)[:, None] % 10 == 0) & (np.arange(12) == 8), MISSING, x), "too few beats"),
    ],
)
def test_the_minimum_duration_counts_signal(change, reason):
    found = median_beat(change(recording(every(800), emg=20)).astype(np.int16), 500, EXTRACT)
    assert found.beat is None
    assert found.reason.startswith(reason)
    assert "missing samples in V1, V4" in found.reason or not reason.startswith("too short")
