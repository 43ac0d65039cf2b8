import numpy as np
import pytest

from ecg.beats.measurements import measure_beats, qrs_flags
from ecg.leads import INDEPENDENT


def beat(step: float, *, onset: float, j: float, st: float, t: float) -> tuple[np.ndarray, np.ndarray]:
    """A beat in 12 alike leads (mV): Q, R and S waves from onset to j (ms), ST level, T wave at j + 220 ms."""
    times = np.arange(round(-250 / step), round(500 / step)) * step
    share = np.clip((times - onset) / (j - onset), 0, 1)
    corners = {-250: 0, onset: 0, j: st, j + 100: st, j + 220: t, j + 300: 0, 500: 0}
    lead = np.interp(times, list(corners), list(corners.values()))
    lead -= 1.2 * np.sin(3 * np.pi * share) * np.sin(np.pi * share)
    return np.tile(lead.astype(np.float32), (1, 12, 1)), times


@pytest.mark.parametrize("step", [2.0, 4.0, 8.0])
@pytest.mark.parametrize("qrs", [60, 80, 100, 120, 160, 200])
@pytest.mark.parametrize(("st", "t"), [(0.0, 0.3), (-0.15, -0.2), (0.25, 0.6)])
def test_what_was_drawn_is_measured(step, qrs, st, t):
    found = measure_beats(*beat(step, onset=-qrs / 2, j=qrs / 2, st=st, t=t))
    assert found.qrs[0] == pytest.approx(qrs, abs=16)
    np.testing.assert_allclose(found.st, st, atol=0.02)
    np.testing.assert_allclose(found.t, t, atol=0.04)


def test_each_lead_keeps_its_own_sign():
    beats, times = beat(2, onset=-40, j=44, st=0.1, t=0.4)
    signs = np.where(np.arange(12) % 2, 1, -0.5).astype(np.float32)
    found = measure_beats(beats * signs[:, None], times)
    np.testing.assert_allclose(found.st[0], 0.1 * signs, atol=0.01)
    np.testing.assert_allclose(found.t[0], 0.4 * signs, atol=0.02)


def test_a_beat_without_an_end_stops_at_the_limit():
    times = np.arange(-125, 250) * 2.0
    ramp = np.zeros((1, 12, len(times)), dtype=np.float32)
    ramp[:, INDEPENDENT] = times / 500
    assert measure_beats(ramp, times).qrs[0] <= 240


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
