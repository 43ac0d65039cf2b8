"""A 12-lead recording to its median beat, or to the reason why it has none. Arrays in, arrays out."""

from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from ecg.beats.filters import remove_hum, resample
from ecg.beats.gaps import check_gaps, check_leads, fill_gaps, mark_held
from ecg.beats.measurements import find_fiducials, qrs_flags
from ecg.beats.plausibility import (
    arm_flags,
    check_copies,
    check_height,
    check_pacing,
    check_shape,
    compare_heart_rates,
    mend_limb_leads,
)
from ecg.beats.r_peaks import find_r_peaks
from ecg.beats.windows import align_and_reject, beat_offsets, beat_times, cut_windows, median_of, rms, window_offsets
from ecg.leads import INDEPENDENT, MAX_RATE, BadRecording
from ecg.params import Extract

PADDING = 1.0  # s
DECISION_LOW_PASS = 20.0  # Hz
QRS_BAND = (5.0, 20.0)  # Hz
SHAPE = (-250, 200)  # ms from the R peak, window of the search for the QRS complex and the PQ segment
COMPARED = (-350, 300)  # ms from the R peak; a beat is compared if this window lies inside the recording
HILLS = 450  # ms from the R peak, reach of the search for each lead's QRS complex
MIN_SHARE = 0.5  # minimum share of the beats found that are alike
TIE = "two kinds of beat are equally frequent: the narrower QRS complex was taken"


class FoundBeats(NamedTuple):
    """The n beats whose window lies inside the recording: n x 12 x samples (mV, isoelectric line at 0); times in s."""

    beats: np.ndarray
    r_peaks: np.ndarray
    alike: np.ndarray  # which are of the most frequent kind
    used: np.ndarray  # which of these have no other QRS complex in their window
    correlation: np.ndarray  # with the beat that most others resemble
    heart_rate: float | None
    flags: list[str]


class MedianBeat(NamedTuple):
    """A median beat (12 x samples, float32, mV) of n_used beats and its quality, or None and the reason."""

    beat: np.ndarray | None
    n_beats: int = 0
    n_used: int = 0
    heart_rate: float | None = None  # beats/min, of all QRS complexes
    noise_uv: float | None = None  # RMS of the used beats around their median, in the median lead
    correlation: float | None = None  # mean of the used beats with the one that most others resemble
    flags: tuple[str, ...] = ()
    reason: str = ""


def clean_leads(samples: np.ndarray, recorded_rate: float, extract: Extract) -> tuple[np.ndarray, list[str]]:
    """Return the leads (12 x samples, int16, uV) of a recording (samples x 12), repaired where possible, and flags."""
    lowest = 2 * extract.low_pass
    if not lowest <= recorded_rate <= MAX_RATE:
        raise BadRecording(f"sampling rate: {recorded_rate:g} Hz; allowed: {lowest:g} to {MAX_RATE:g} Hz")
    recorded = np.ascontiguousarray(samples.T)
    leads = mark_held(recorded, recorded_rate)
    check_leads(leads, recorded_rate)
    check_copies(leads)
    leads, hum_flags = remove_hum(leads, recorded_rate)
    leads, limb_flags = mend_limb_leads(leads, recorded_rate)
    check_gaps(recorded, leads, recorded_rate)
    return leads, hum_flags + limb_flags


def filter_leads(leads: np.ndarray, recorded_rate: float, extract: Extract) -> tuple[np.ndarray, ...]:
    """Filter leads (12 x samples, int16, uV, at `recorded_rate` Hz) and resample them to the rate of the median beat.

    Return, in mV, all leads, the 8 independent ones to 20 Hz, and these at 5 - 20 Hz; and which samples any lead lacks.
    """
    signal, missing = fill_gaps(leads)
    ratio = Fraction(extract.sampling_rate / recorded_rate).limit_denominator(1000)
    filters = [
        (slice(None), (extract.high_pass, extract.low_pass)),
        (INDEPENDENT, (extract.high_pass, min(extract.low_pass, DECISION_LOW_PASS))),
        (INDEPENDENT, QRS_BAND),
    ]
    signals = resample(signal, recorded_rate, ratio, filters, pad=round(PADDING * recorded_rate))
    at = np.arange(signals[0].shape[1]) / float(ratio)
    return *signals, np.interp(at, np.arange(len(missing)), missing) > 0


def are_whole(centres: np.ndarray, offsets: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """Return which windows lie inside the recording and contain no gap; BadRecording where none does."""
    at = centres[:, None] + offsets
    whole = (at[:, 0] >= 0) & (at[:, -1] < len(gap)) & ~gap[np.clip(at, 0, len(gap) - 1)].any(axis=1)
    if not whole.any():
        raise BadRecording("too few beats: 0")
    return whole


def heart_rate_of(peaks: np.ndarray, gap: np.ndarray, sampling_rate: int) -> float | None:
    """Return the heart rate (beats/min): the median over pairs of neighbouring intervals without a gap."""
    # In pairs all beats of a bigeminy count.
    before = np.cumsum(gap)[peaks]
    intervals = np.diff(peaks)[before[1:] == before[:-1]]
    if not len(intervals):
        return None
    pairs = (intervals[1:] + intervals[:-1]) / 2 if len(intervals) > 1 else intervals
    return 60 * sampling_rate / float(median_of(pairs))


def find_beats(leads: np.ndarray, recorded_rate: float, extract: Extract) -> FoundBeats:
    """Find the beats of leads (12 x samples, int16, uV, at `recorded_rate` Hz); BadRecording where none can be used."""
    rate = extract.sampling_rate
    ecg, smooth, qrs_band, gap = filter_leads(leads, recorded_rate, extract)
    peaks = find_r_peaks(qrs_band, rate, extract.detector)
    heart_rate = heart_rate_of(peaks, gap, rate)
    comparable = are_whole(peaks, window_offsets(*COMPARED, rate), gap)
    r, alike, correlation, tie = align_and_reject(smooth, peaks[comparable], extract)
    shape = window_offsets(*SHAPE, rate)
    template = median_of(cut_windows(ecg[INDEPENDENT], r[alike], shape).astype(np.float64))
    r_of_template, onset, pq, flags = find_fiducials(template, -int(shape[0]), rate)
    r += r_of_template + shape[0]

    offsets = beat_offsets(extract)
    whole = are_whole(r, offsets, gap)
    following = np.append(peaks[1:], len(gap) + len(offsets))[comparable] - peaks[comparable]
    room = int(offsets[-1]) + r_of_template - onset
    alone = following > room
    free = alone[whole & alike]
    # A regular rhythm above this rate has no window without another QRS complex.
    highest = 60 * rate / room
    if free.sum() < min(extract.min_beats, len(free)) and heart_rate is not None and heart_rate > highest:
        raise BadRecording(f"too fast: {heart_rate:.0f}/min, at most {highest:.0f}/min")
    hills = cut_windows(qrs_band, r[alike][:5], window_offsets(-HILLS, HILLS, rate)).mean(axis=0)
    flags = [TIE] * tie + flags + check_shape(template, hills, rate)
    beats = cut_windows(ecg, r[whole], offsets)
    beats -= median_of(np.moveaxis(cut_windows(ecg, r[whole], pq - r_of_template), 2, 0))[:, :, None]
    used = alike & alone
    return FoundBeats(beats, r[whole] / rate, alike[whole], used[whole], correlation[whole], heart_rate, flags)


def median_beat(
    samples: np.ndarray, recorded_rate: float, extract: Extract, rate_in_file: float | None = None
) -> MedianBeat:
    """Reduce a recording (samples x 12, int16, uV; Hz) to its median beat; flag a heart rate unlike the file's."""
    flags, quality, found, reason = list[str](), dict[str, Any](), None, ""
    try:
        leads, flags = clean_leads(samples, recorded_rate, extract)
        beats = find_beats(leads, recorded_rate, extract)
        flags += beats.flags
        used = beats.beats[beats.used]
        n_beats, n_alike, n_used = len(beats.beats), int(beats.alike.sum()), len(used)
        quality |= {"n_beats": n_beats, "n_used": n_used, "heart_rate": beats.heart_rate}
        if n_beats < extract.min_beats:
            raise BadRecording(f"too few beats: {n_beats}, at least {extract.min_beats}")
        # In a tie, the beats of the other kind cannot be used.
        if n_used < extract.min_beats or n_alike < MIN_SHARE * (n_beats / 2 if TIE in flags else n_beats):
            raise BadRecording(f"too few good beats: {n_alike} of {n_beats} alike, {n_used} used")
        median = median_of(used)
        check_height(median)
        quality["noise_uv"] = noise = 1000 * float(median_of(rms(used - median, (0, 2))))
        # The standard error of a median of normal values is 1.25 times that of their mean.
        remaining = 1.25 * noise / np.sqrt(n_used)
        if remaining > extract.max_noise:
            raise BadRecording(f"too noisy: {remaining:.0f} uV, at most {extract.max_noise:g} uV")
        quality["correlation"] = float(beats.correlation[beats.used].mean())
        times = beat_times(extract)
        flags += qrs_flags(median, times, beats.heart_rate, recorded_rate) + arm_flags(median, times)
        check_pacing(leads, recorded_rate, beats.r_peaks)
        found = median
    except BadRecording as error:
        reason = str(error)
    flags += compare_heart_rates(quality.get("heart_rate"), rate_in_file)
    return MedianBeat(found, flags=tuple(flags), reason=reason, **quality)
