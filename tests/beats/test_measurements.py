"""Drawn beats are measured as drawn; the isoelectric line lies before the QRS complex, however wide that is."""

import numpy as np
import pytest
from drawn import EXTRACT, TIMES, every, in_uv

from ecg.beats.measurements import find_fiducials, measure_beats, qrs_flags
from ecg.beats.median import median_beat
from ecg.recordings.hearts import twelve_leads

# Centre and width (ms), mV in I, II, V1 - V6.
BUNDLE_BRANCH_BLOCK = [
    (-35, 14, (0, 0, -0.1, -0.2, -0.2, 0, 0, 0)),
    (-5, 22, (0.6, 0.3, 0.1, 0.1, 0.1, 0.3, 0.6, 0.7)),
    (55, 28, (0.5, 0.2, -1.3, -1.9, -1.4, -0.3, 0.6, 0.8)),
    (295, 55, (-0.2, -0.1, 0.3, 0.6, 0.5, 0.1, -0.2, -0.3)),
]
P = (-175, 20, (0.08, 0.12, 0.05, 0.06, 0.06, 0.06, 0.06, 0.06))


def st_elevation(dome):
    shares = np.array((0.25, -0.2, 0.3, 0.9, 1.1, 0.9, 0.5, 0.25))
    return [
        (-26, 8, (-0.03, -0.03, 0, -0.05, -0.1, -0.1, -0.05, -0.03)),
        (0, 12, (0.5, 0.5, 0.15, 0.3, 0.5, 0.7, 0.7, 0.6)),
        (95, 40, dome * shares),
        (200, 60, dome * shares),
    ]


def drawn(times, waves):
    """Waves at times (ms from R) in the 8 independent leads: times x 8, mV."""
    return sum(np.exp(-0.5 * ((times - c) / w) ** 2)[:, None] * np.array(sizes) for c, w, sizes in waves)


def beat_of(waves, added=0.0):
    times = np.arange(5000) * 2.0
    eight = sum(drawn(times - peak, waves) for peak in every(1000)) + added
    return median_beat(in_uv(twelve_leads(eight)), 500, EXTRACT)


@pytest.mark.parametrize(
    "waves",
    [[P, *BUNDLE_BRANCH_BLOCK], BUNDLE_BRANCH_BLOCK, *([P, *st_elevation(dome)] for dome in (0.5, 1, 2, 2.5, 3))],
)
def test_the_line_before_the_qrs_complex_is_zero_in_every_lead(waves):
    found = beat_of(waves, np.random.default_rng(0).normal(0, 0.008, (5000, 8)))
    # An ST segment that rises by 2 mV and more is as sharp as the QRS complex.
    wide = waves[-4:] == BUNDLE_BRANCH_BLOCK or waves[-1][2][4] > 2
    assert [flag.split(":")[0] for flag in found.flags] == (["wide QRS complex"] if wide else [])
    # R is defined up to some ms: where the drawn beat fits, its PQ segment must be at 0.
    shifts = {shift: twelve_leads(drawn(TIMES + shift, waves)).T for shift in range(-80, 81, 2)}
    near = np.abs(TIMES) < 80
    shift = min(shifts, key=lambda s: np.mean((found.beat - shifts[s])[:, near] ** 2))
    assert abs(shift) <= 60  # in the QRS complex
    before = (TIMES + shift > -115) & (TIMES + shift < -95)
    assert np.abs(found.beat[:, before]).max() < 0.04
    assert np.abs(found.beat - shifts[shift])[:, near].max() < 0.12


def test_a_beat_without_a_quiet_stretch_is_flagged():
    # Atrial flutter whose waves are a fifth of the QRS complex.
    found = beat_of(st_elevation(0.2), 0.25 * np.sin(2 * np.pi * np.arange(5000)[:, None] / 100 + np.linspace(0, 1, 8)))
    assert found.reason or any("isoelectric line is a guess" in flag for flag in found.flags)


def test_a_beat_that_begins_with_its_qrs_complex_has_a_line():
    found = find_fiducials(np.ones((8, 1)) * np.exp(-0.5 * ((np.arange(100) - 5) / 2) ** 2), 5, 250)
    assert (found[0], found[1], list(found[2])) == (5, 0, [0, 1, 2, 3, 4, 5])


def beat(step: float, *, onset: float, j: float, st: float, t: float) -> tuple[np.ndarray, np.ndarray]:
    """A beat in 12 equal leads (mV): Q, R and S waves from onset to j (ms), ST level, T wave at j + 220 ms."""
    times = np.arange(round(-250 / step), round(500 / step)) * step
    share = np.clip((times - onset) / (j - onset), 0, 1)
    corners = {-250: 0, onset: 0, j: st, j + 100: st, j + 220: t, j + 300: 0, 500: 0}
    lead = np.interp(times, list(corners), list(corners.values()))
    lead -= 1.2 * np.sin(3 * np.pi * share) * np.sin(np.pi * share)
    return np.tile(lead.astype(np.float32), (1, 12, 1)), times


@pytest.mark.parametrize("step", [2.0, 4.0, 8.0])
@pytest.mark.parametrize("qrs", [60, 80, 100, 120, 160, 200])
@pytest.mark.parametrize(("st", "t"), [(0.0, 0.3), (-0.15, -0.2), (0.25, 0.6)])
def test_a_drawn_beat_is_measured(step, qrs, st, t):
    beats, times = beat(step, onset=-qrs / 2, j=qrs / 2, st=st, t=t)
    signs = np.where(np.arange(12) % 2, 1, -0.5).astype(np.float32)
    found = measure_beats(beats * signs[:, None], times)
    assert found.qrs[0] == pytest.approx(qrs, abs=16)
    np.testing.assert_allclose(found.st[0], st * signs, atol=0.02)
    np.testing.assert_allclose(found.t[0], t * signs, atol=0.04)


@pytest.mark.parametrize(
    ("qrs", "heart_rate", "flags"),
    [
        (95, 70, []),
        (95, None, []),
        (95, 35, []),  # bradycardia
        (95, 130, []),  # tachycardia
        (148, 70, ["wide QRS complex"]),
        (148, None, ["wide QRS complex"]),
        (190, 35, ["wide QRS complex", "sampling rate"]),
        (55, 120, ["sampling rate"]),
        (55, 70, []),
    ],
)
@pytest.mark.parametrize("step", [4.0, 8.0])
def test_a_qrs_complex_that_is_wide_or_does_not_go_with_the_heart_rate_is_flagged(step, qrs, heart_rate, flags):
    beats, times = beat(step, onset=-qrs / 2, j=qrs / 2, st=0.1, t=0.3)
    found = qrs_flags(beats[0], times, heart_rate, 250)
    assert [flag.split(":")[0] for flag in found] == flags
    assert all(flag.endswith("/min; is 250 Hz right?") for flag in found if flag.startswith("sampling rate"))
