"""Classical measurements: QRS duration, ST level and T amplitude of median beats, pacing spikes of recordings."""

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ecg.beats.median import window
from ecg.leads import INDEPENDENT

QUIET = 0.05  # share of the QRS complex's steepest slope; a slope below it is no part of the complex
QUIET_FOR = 16  # ms
QRS_FROM, QRS_TO = -100, 130  # ms from the R peak, at most
ST_AFTER_J = 60  # ms
T_FROM, T_TO = 80, 360  # ms after J
SPIKE_WIDTH = 4  # ms, at most
SPIKE = 400  # uV
SPIKE_OVER_REST = 10


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
    run = sliding_window_view(quiet, length, axis=1).all(axis=2)
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


def has_pacing_spikes(samples: np.ndarray, sampling_rate: float, r_peaks: np.ndarray) -> bool:
    """Say whether a pacemaker's spike stands before most R peaks (s) of samples (n x 12, int16, uV, as recorded).

    A spike is no wider than 4 ms, 0.4 mV high in two leads, and ten times what else stands out between 160 and 20 ms
    before R. Bipolar pacing leaves smaller ones, and under 250 Hz none can be seen: such recordings pass.
    """
    half = int(SPIKE_WIDTH * sampling_rate / 1000)
    before = window(-160, -20, sampling_rate)
    reach = np.arange(before[0] - half, before[-1] + half + 1)
    centres = np.rint(r_peaks * sampling_rate).astype(int)
    centres = centres[(centres + reach[0] >= 0) & (centres + reach[-1] < len(samples))]
    if not half or not len(centres):
        return False
    near = samples[centres[:, None] + reach]
    # A sort finds the median of so few in half of np.median's time.
    smooth = np.sort(sliding_window_view(near, 2 * half + 1, axis=1), axis=3)[:, :, :, half]
    second_lead = np.sort(np.abs(near[:, half:-half] - smooth.astype(np.int32)), axis=2)[:, :, -2]
    spike = np.median(second_lead.max(axis=1))
    return bool(spike > SPIKE and spike > SPIKE_OVER_REST * np.median(second_lead))
