"""The isoelectric line lies before the QRS complex, however wide that is, and R in it."""

import numpy as np
import pytest
from test_median import EXTRACT, every

from ecg.beats.measurements import pq_segment
from ecg.beats.median import median_beat
from ecg.beats.windows import beat_times
from ecg.recordings.hearts import twelve_leads

TIMES = beat_times(EXTRACT)
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


def beat_of(waves):
    times, eight = np.arange(5000) * 2.0, np.zeros((5000, 8))
    for peak in every(1000):
        for centre, width, size in waves:
            eight += np.exp(-0.5 * ((times - peak - centre) / width) ** 2)[:, None] * np.array(size)
    eight += np.random.default_rng(0).normal(0, 0.008, eight.shape)
    return median_beat(np.rint(1000 * twelve_leads(eight)).astype(np.int16), 500, EXTRACT)


@pytest.mark.parametrize(
    "waves",
    [[P, *BUNDLE_BRANCH_BLOCK], BUNDLE_BRANCH_BLOCK, *([P, *st_elevation(dome)] for dome in (0.5, 1, 2, 2.5, 3))],
)
def test_the_line_before_the_qrs_complex_is_zero_in_every_lead(waves):
    found = beat_of(waves)
    # An ST segment that rises by 2 mV and more is as sharp as the QRS complex.
    wide = waves[-4:] == BUNDLE_BRANCH_BLOCK or waves[-1][2][4] > 2
    assert [flag.split(":")[0] for flag in found.flags] == (["wide QRS complex"] if wide else [])
    # R is defined up to some ms: where the drawn beat fits, its PQ segment must be at 0.
    eight = lambda shift: sum(  # noqa: E731
        np.exp(-0.5 * ((TIMES + shift - c) / w) ** 2)[:, None] * np.array(s) for c, w, s in waves
    )
    drawn = {shift: twelve_leads(eight(shift)).T for shift in range(-80, 81, 2)}
    near = np.abs(TIMES) < 80
    shift = min(drawn, key=lambda s: np.mean((found.beat - drawn[s])[:, near] ** 2))
    assert abs(shift) <= 60  # in the QRS complex
    before = (TIMES + shift > -115) & (TIMES + shift < -95)
    assert np.abs(found.beat[:, before]).max() < 0.04
    assert np.abs(found.beat - drawn[shift])[:, near].max() < 0.12


def test_without_a_quiet_stretch_it_says_so():
    # Atrial flutter whose waves are a fifth of the QRS complex.
    times = np.arange(5000) / 500
    waves = [(c, w, s) for c, w, s in st_elevation(0.2)]
    eight = np.zeros((5000, 8))
    for peak in every(1000):
        for centre, width, size in waves:
            eight += np.exp(-0.5 * ((1000 * times - peak - centre) / width) ** 2)[:, None] * np.array(size)
    eight += 0.25 * np.sin(2 * np.pi * 5 * times[:, None] + np.linspace(0, 1, 8))
    found = median_beat(np.rint(1000 * twelve_leads(eight)).astype(np.int16), 500, EXTRACT)
    assert found.reason or any("isoelectric line is a guess" in flag for flag in found.flags)


def test_a_beat_that_begins_just_before_its_qrs_complex_has_a_line():
    slope = np.r_[np.zeros(4), np.hanning(40), np.zeros(60)]
    assert list(pq_segment(slope, 4, 250)) == [0, 1, 2, 3, 4, 5]
