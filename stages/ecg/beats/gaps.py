"""Stretches without signal: missing samples, and a lead that holds one value."""

import numpy as np
from scipy.ndimage import maximum_filter1d, minimum_filter1d

from ecg.beats.windows import median_of
from ecg.leads import INDEPENDENT, LEADS, MISSING, RAIL, BadRecording

# In 781 real recordings no connected lead holds a value for more than 0.39 s.
MAX_HELD = 0.5  # s
MAX_REST = 2.5  # s, longest rest between complexes: at 25 beats/min
REST = 0.2  # s in which a resting lead moves by at most two steps (`step_of`)
MIN_RESTS = 3  # in a recording
MAX_COMPLEX = 1.0  # s, maximum median time between two rests
SAME_LEVEL = 3  # steps, maximum distance of a rest from the median level of rests
MIN_DURATION = 4.0  # s of signal in all leads
MAX_SATURATED = 0.01  # share of a lead's samples


def mark_held(leads: np.ndarray, sampling_rate: float) -> np.ndarray:
    """Return leads (12 x samples, int16, uV) with equal samples over half a second or more marked as missing.

    A rest between complexes is kept: all leads rest, this lead at its usual level, for at most 2.5 s.
    """
    length = max(2, int(np.ceil(MAX_HELD * sampling_rate)))
    # Such a stretch contains at least four of these in a row.
    every = leads[:, :: max(1, length // 5)]
    equal = every[:, 1:] == every[:, :-1]
    suspects = np.flatnonzero((equal[:, 2:] & equal[:, 1:-1] & equal[:, :-2]).any(axis=1))
    if not len(suspects):
        return leads
    rests, marked = find_rests(leads, sampling_rate), leads.copy()
    for lead in suspects:
        values = leads[lead]
        edges = np.r_[0, np.flatnonzero(np.diff(values)) + 1, len(values)]
        is_long = np.diff(edges) > MAX_REST * sampling_rate
        usual = values[rests & ~np.repeat(is_long, np.diff(edges))]
        level = float(np.median(usual)) if len(usual) else MISSING
        for run in np.flatnonzero(np.diff(edges) >= length):
            start, end = edges[run : run + 2]
            before, after = runs_of(~rests[start:end])
            off_level = abs(int(values[start]) - level) > SAME_LEVEL * step_of(values)
            if is_long[run] or off_level or (after - before).max(initial=0) >= length:
                marked[lead, start:end] = MISSING
    return marked


def step_of(values: np.ndarray) -> int:
    """Return the smallest difference other than 0 between successive samples of a lead (int16)."""
    jumps = np.abs(np.diff(values.astype(np.int32)))
    return int(jumps.min(initial=RAIL, where=jumps > 0))


def runs_of(flags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first sample of each stretch of true values, and the first sample after it."""
    edges = np.flatnonzero(np.diff(flags, prepend=False, append=False))
    return edges[::2], edges[1::2]


def find_rests(leads: np.ndarray, sampling_rate: float) -> np.ndarray:
    """Return whether all leads (12 x samples, int16, uV) rest, at each sample: never in a noisy signal."""
    independent = leads[INDEPENDENT].astype(np.int32)
    steps = np.array([[step_of(lead)] for lead in independent])
    window = 2 * round(REST * sampling_rate / 2) + 1
    span = maximum_filter1d(independent, window, axis=1) - minimum_filter1d(independent, window, axis=1)
    # All samples of each window in which every lead rests.
    rests = maximum_filter1d((span <= 2 * steps).all(axis=0).astype(np.int8), window) > 0
    starts, ends = runs_of(rests)
    if len(starts) < MIN_RESTS or median_of(starts[1:] - ends[:-1]) > MAX_COMPLEX * sampling_rate:
        return np.zeros_like(rests)
    return rests


def check_leads(marked: np.ndarray, sampling_rate: float) -> None:
    """Raise BadRecording where leads (12 x samples, int16, uV, after `mark_held`) are too short or saturated."""
    if marked.shape[1] / sampling_rate < MIN_DURATION:
        raise BadRecording(f"too short: {marked.shape[1] / sampling_rate:.1f} s, at least {MIN_DURATION:g} s")
    saturated = (np.abs(marked) == RAIL).mean(axis=1) > MAX_SATURATED
    if saturated.any():
        raise BadRecording(f"saturated lead: {LEADS[saturated.argmax()]}")


def check_gaps(leads: np.ndarray, marked: np.ndarray, sampling_rate: float) -> None:
    """Raise BadRecording where leads (12 x samples, int16, uV; `marked`: after `mark_held`) have too little signal."""
    absent, names = marked == MISSING, np.array(LEADS)
    if not absent.any():
        return
    short = (~absent).sum(axis=1) / sampling_rate < MIN_DURATION
    held = short & (absent.sum(axis=1) > 2 * (leads == MISSING).sum(axis=1))
    for state, bad in (("missing", short & ~held), ("flat", held)):
        if bad.any():
            raise BadRecording(f"{state} lead: {', '.join(names[bad])}")
    duration = np.count_nonzero(~absent.any(axis=0)) / sampling_rate
    if duration < MIN_DURATION:
        allowed = f"at least {MIN_DURATION:g} s; missing samples in {', '.join(names[absent.any(axis=1)])}"
        raise BadRecording(f"too short: {duration:.1f} s of signal in all leads, {allowed}")


def fill_gaps(leads: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return leads x samples (mV, float32) with missing samples interpolated, and which samples any lead lacks."""
    signal, missing = leads / np.float32(1000), leads == MISSING
    for lead in np.flatnonzero(missing.any(axis=1)):
        gaps = missing[lead]
        signal[lead, gaps] = np.interp(np.flatnonzero(gaps), np.flatnonzero(~gaps), signal[lead, ~gaps])
    return signal, missing.any(axis=0)
