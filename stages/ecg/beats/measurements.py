"""Classical measurements of median beats: QRS duration, ST level, T amplitude; flags where the QRS complex is odd."""

from typing import NamedTuple

import numpy as np

from ecg.beats.fiducials import ONSET_FROM, USUAL_ONSET, qrs_onset
from ecg.beats.statistics import rms
from ecg.leads import INDEPENDENT

STEP = 4  # ms, at which QRS complexes are measured, whatever the sampling rate
BENT, STEEP = 0.04, 0.8  # shares of the sharpest bend and the steepest slope: what is above either is no ST segment
STRAIGHT_FOR = 12  # ms
LANCZOS = 6  # samples to either side that count where one is interpolated
ST_AFTER_J = 60  # ms
T_FROM, T_TO = 80, 360  # ms after J
WIDE = 120  # ms
# Of 1,465 real median beats 2 are so wide and slow, none is so narrow and fast; at half the rate 91% are, at twice 55%.
WIDE_AND_SLOW, NARROW_AND_FAST = (130, 48), (76, 100)  # ms, beats/min


class Measurements(NamedTuple):
    """Of n beats: QRS duration (n, ms), ST level 60 ms after J and T amplitude (n x 12, mV)."""

    qrs: np.ndarray
    st: np.ndarray
    t: np.ndarray


def qrs_limits(beat: np.ndarray, times: np.ndarray) -> tuple[float, float]:
    """Return where the QRS complex of a median beat (12 x samples; times in ms from the R peak) begins and ends, ms.

    From the last quiet sample before it to J, the first one after it that is straight for 12 ms: an elevated ST segment
    has a slope, but no bend. Slope and bend, the second derivative, are RMS over the 8 independent leads.
    """
    fine = np.arange(times[0], times[-1] + 1e-6, STEP)
    # Lanczos interpolation; scipy.ndimage's fails while another thread loads torch.
    at = (fine - times[0]) / (times[1] - times[0])
    near = np.floor(at).astype(int)[:, None] + np.arange(1 - LANCZOS, LANCZOS + 1)
    weights = np.sinc(at[:, None] - near) * np.sinc((at[:, None] - near) / LANCZOS)
    signal = beat[INDEPENDENT][:, np.clip(near, 0, len(times) - 1)]
    first = np.gradient((signal * weights).sum(axis=2), axis=1)
    slope, bend = rms(first, 0), rms(np.gradient(first, axis=1), 0)
    bend[slope > STEEP * slope.max()] = bend.max()
    origin, last = int(np.abs(fine).argmin()), len(fine) - 1
    onset = qrs_onset(slope, origin, 1000 / STEP)
    end = qrs_onset(bend[::-1], last - origin, 1000 / STEP, BENT, STRAIGHT_FOR)
    return (
        USUAL_ONSET if onset is None else float(fine[onset - 1]),
        -ONSET_FROM if end is None else float(fine[last - end + 1]),
    )


def qrs_flags(beat: np.ndarray, times: np.ndarray, heart_rate: float | None, sampling_rate: float) -> list[str]:
    """Return flags of a median beat (12 x samples, mV) of a recording at `sampling_rate` Hz.

    They say that the QRS complex is too wide for ST and T to mean ischemia, or of a duration that is unusual at that
    heart rate (beats/min).
    """
    onset, j = qrs_limits(beat, times)
    qrs = j - onset
    flags = []
    if qrs >= WIDE:
        flags = [f"wide QRS complex: {qrs:.0f} ms; ST and T follow from conduction or pacing, the score means little"]
    (wide, slow), (narrow, fast) = WIDE_AND_SLOW, NARROW_AND_FAST
    if heart_rate and ((qrs >= wide and heart_rate <= slow) or (qrs <= narrow and heart_rate >= fast)):
        odd = f"QRS complex of {qrs:.0f} ms at {heart_rate:.0f}/min"
        flags.append(f"sampling rate: {odd}; is {sampling_rate:g} Hz right?")
    return flags


def measure_beats(beats: np.ndarray, times: np.ndarray) -> Measurements:
    """Measure median beats (n x 12 x samples, mV; times in ms from the R peak, isoelectric line at 0).

    T amplitude is the value farthest from 0 between 80 and 360 ms after J, with its sign.
    """
    step = times[1] - times[0]
    onset, end = np.array([qrs_limits(beat, times) for beat in beats]).T
    j = np.rint((end - times[0]) / step).astype(int)

    def values_between(start, end):
        span = np.arange(round(start / step), round(end / step) + 1)
        at = np.minimum(j[:, None] + span, len(times) - 1)
        return np.take_along_axis(beats, at[:, None, :], axis=2).astype(np.float64)

    st = values_between(ST_AFTER_J - 8, ST_AFTER_J + 8).mean(axis=2)
    t = values_between(T_FROM, T_TO)
    peak = np.abs(t).argmax(axis=2)[:, :, None]
    return Measurements(end - onset, st, np.take_along_axis(t, peak, axis=2)[:, :, 0])
