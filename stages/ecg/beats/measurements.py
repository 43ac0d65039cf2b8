"""Classical measurements: QRS duration, ST level and T amplitude of median beats."""

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ecg.leads import INDEPENDENT

QUIET = 0.05  # share of the QRS complex's steepest slope; a slope below it is no part of the complex
QUIET_FOR = 16  # ms
QRS_FROM, QRS_TO = -100, 130  # ms from the R peak, at most
ST_AFTER_J = 60  # ms
T_FROM, T_TO = 80, 360  # ms after J


class Measurements(NamedTuple):
    """Of n beats: QRS duration (n, ms), ST level 60 ms after J and T amplitude (n x 12, mV)."""

    qrs: np.ndarray
    st: np.ndarray
    t: np.ndarray


def measure_beats(beats: np.ndarray, times: np.ndarray) -> Measurements:
    """Measure median beats (n x 12 x samples, mV; times in ms from the R peak, isoelectric line at 0).

    QRS lasts from the last quiet moment before R to the first one after it (J); quiet means that the slope, as RMS over
    the 8 independent leads, stays under a twentieth of its steepest for 16 ms. T amplitude is the value farthest from 0
    between 80 and 360 ms after J, with its sign.
    """
    step = times[1] - times[0]
    slope = np.sqrt((np.gradient(beats[:, INDEPENDENT].astype(np.float64), axis=2) ** 2).mean(axis=1))
    near = (times >= QRS_FROM) & (times <= QRS_TO)
    quiet = slope < QUIET * slope[:, near].max(axis=1, keepdims=True)
    length = max(2, round(QUIET_FOR / step))
    # Entry i: all of the samples i … i + length − 1 are quiet.
    run = np.all(sliding_window_view(quiet, length, axis=1), axis=2)
    origin = int(np.argmin(np.abs(times)))
    first, last = (int(np.argmin(np.abs(times - limit))) for limit in (QRS_FROM, QRS_TO))
    before = run[:, first : origin - length + 2]
    onset = origin - np.where(before.any(axis=1), before[:, ::-1].argmax(axis=1), origin - first)
    after = run[:, origin:last]
    j = origin + np.where(after.any(axis=1), after.argmax(axis=1), last - origin)

    def values_between(start, end):
        span = np.arange(round(start / step), round(end / step) + 1)
        at = np.minimum(j[:, None] + span, len(times) - 1)
        return np.take_along_axis(beats, at[:, None, :], axis=2).astype(np.float64)

    st = values_between(ST_AFTER_J - 8, ST_AFTER_J + 8).mean(axis=2)
    t = values_between(T_FROM, T_TO)
    peak = np.abs(t).argmax(axis=2)[:, :, None]
    return Measurements((j - onset) * step, st, np.take_along_axis(t, peak, axis=2)[:, :, 0])
