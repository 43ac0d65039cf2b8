"""Fiducial points of a beat (R, PQ segment, QRS onset, J); QRS duration, ST level, T amplitude; flags."""

from typing import NamedTuple

import numpy as np

from ecg.beats.r_peaks import smooth_rms
from ecg.beats.windows import rms
from ecg.leads import INDEPENDENT

SEARCH = 120  # ms from the first estimate of R
QUIET = 0.05  # share of the steepest slope of the QRS complex; a flatter slope lies outside the complex
QUIET_FOR = 16  # ms
ONSET_FROM = -160  # ms from R: the QRS complex does not begin earlier
PQ = 24  # ms, length of the PQ segment, whose level is the isoelectric line
PQ_FROM = 60  # ms before the QRS complex, where the search for the PQ segment begins
USUAL_ONSET = -80  # ms from R
NO_PQ = "no quiet stretch before the QRS complex: the isoelectric line is a guess"
STEP = 4  # ms, resolution at which QRS complexes are measured, at any sampling rate
BENT, STEEP = 0.04, 0.8  # shares of the sharpest bend and the steepest slope; a sample above either is not in ST
STRAIGHT_FOR = 12  # ms
LANCZOS = 6  # samples on either side of an interpolated one
ST_AFTER_J = 60  # ms
T_FROM, T_TO = 80, 360  # ms after J
WIDE = 120  # ms
# Of 1,465 real median beats 2 are that wide and slow, 2 that narrow and fast; at half the rate 91%, at twice 62%.
WIDE_AND_SLOW, NARROW_AND_FAST = (130, 48), (76, 100)  # ms, beats/min


def find_fiducials(beat: np.ndarray, origin: int, sampling_rate: int) -> tuple[int, int, np.ndarray, list[str]]:
    """Return the samples of R, of QRS onset and of the PQ segment of a beat (8 independent leads, mV), and flags.

    R is near `origin`, where the smoothed acceleration is largest: always in the same wave of a QRS complex, and never
    in an ST segment that is higher. The PQ segment is the quietest 24 ms in the 60 ms before the QRS complex.
    """
    sharp = smooth_rms(np.diff(beat, 2, axis=1), sampling_rate)
    reach = round(SEARCH * sampling_rate / 1000)
    first = max(origin - 1 - reach, 0)
    r = first + int(sharp[first : origin + reach].argmax()) + 1
    slope = rms(np.gradient(beat, axis=1), 0)
    onset, flags = qrs_onset(slope, r, sampling_rate), []
    if onset is None:
        onset, flags = max(r + USUAL_ONSET * sampling_rate // 1000, 0), [NO_PQ]
    length = round(PQ * sampling_rate / 1000)
    first = max(onset - round(PQ_FROM * sampling_rate / 1000), 0)
    # The beat may begin just before the QRS complex.
    restless = np.convolve(slope[first : max(onset, length)], np.ones(length), "valid")
    return r, onset, first + int(restless.argmin()) + np.arange(length), flags


def qrs_onset(
    slope: np.ndarray, origin: int, sampling_rate: float, share: float = QUIET, quiet_for: float = QUIET_FOR
) -> int | None:
    """Return the end of the last `quiet_for` ms before `origin` with slopes below a `share` of the highest, or None."""
    near = round(SEARCH * sampling_rate / 1000)
    quiet = slope < share * slope[max(origin - near, 0) : origin + near].max()
    length = max(2, round(quiet_for * sampling_rate / 1000))
    first = max(origin + round(ONSET_FROM * sampling_rate / 1000), 0)
    runs = np.flatnonzero(np.convolve(quiet[first:origin], np.ones(length), "valid") == length)
    return first + int(runs[-1]) + length if len(runs) else None


def qrs_limits(beat: np.ndarray, times: np.ndarray) -> tuple[float, float]:
    """Return the times (ms from R) at which the QRS complex of a median beat (12 x samples) begins and ends.

    It ends at J, where 12 ms without a bend begin: an elevated ST segment has a slope, but no bend.
    """
    fine = np.arange(times[0], times[-1] + 1e-6, STEP)
    # Lanczos interpolation.
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
    begins = USUAL_ONSET if onset is None else float(fine[onset - 1])
    return begins, -ONSET_FROM if end is None else float(fine[last - end + 1])


def qrs_flags(beat: np.ndarray, times: np.ndarray, heart_rate: float | None, sampling_rate: float) -> list[str]:
    """Return flags of a median beat (12 x samples, mV) whose QRS complex is wide, or odd at that heart rate (/min)."""
    onset, j = qrs_limits(beat, times)
    qrs, flags = j - onset, []
    if qrs >= WIDE:
        flags = [f"wide QRS complex: {qrs:.0f} ms; ST and T follow from conduction or pacing, the score means little"]
    (wide, slow), (narrow, fast) = WIDE_AND_SLOW, NARROW_AND_FAST
    if heart_rate and ((qrs >= wide and heart_rate <= slow) or (qrs <= narrow and heart_rate >= fast)):
        odd = f"QRS complex of {qrs:.0f} ms at {heart_rate:.0f}/min"
        flags.append(f"sampling rate: {odd}; is {sampling_rate:g} Hz right?")
    return flags


class Measurements(NamedTuple):
    """QRS duration (n, ms), ST level 60 ms after J and T amplitude (n x 12, mV) of n beats."""

    qrs: np.ndarray
    st: np.ndarray
    t: np.ndarray


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
