import numpy as np
import pytest

from ecg.beats.measurements import measure_beats
from ecg.leads import INDEPENDENT


def beat(step: float, *, onset: float, j: float, st: float, t: float) -> tuple[np.ndarray, np.ndarray]:
    """A beat of straight lines in 12 alike leads (mV): QRS from onset to j (ms), ST level, T wave at j + 220 ms."""
    times = np.arange(round(-250 / step), round(500 / step)) * step
    corners = {-250: 0, onset: 0, 0: 1.2, j: st, j + 100: st, j + 220: t, j + 300: 0, 500: 0}
    lead = np.interp(times, list(corners), list(corners.values()))
    return np.tile(lead.astype(np.float32), (1, 12, 1)), times


@pytest.mark.parametrize("step", [1.0, 2.0, 4.0])
@pytest.mark.parametrize(("onset", "j", "st", "t"), [(-40, 40, 0.0, 0.3), (-40, 48, -0.15, -0.2), (-72, 84, 0.25, 0.6)])
def test_what_was_drawn_is_measured(step, onset, j, st, t):
    found = measure_beats(*beat(step, onset=onset, j=j, st=st, t=t))
    assert found.qrs[0] == pytest.approx(j - onset, abs=2 * step + 4)
    np.testing.assert_allclose(found.st, st, atol=0.01)
    np.testing.assert_allclose(found.t, t, atol=0.02)


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
    assert measure_beats(ramp, times).qrs[0] <= 230
