"""Stretches that are no signal: missing samples, and a lead that holds one value."""

import numpy as np

from ecg.leads import LEADS, MISSING, RAIL, BadRecording

# Of 781 real recordings, no lead that is on holds a value for more than 0.39 s.
MAX_HELD = 0.5  # s
MIN_DURATION = 4.0  # s of signal in all leads
MAX_SATURATED = 0.01  # of a lead's samples


def mark_held(leads: np.ndarray, sampling_rate: float) -> np.ndarray:
    """Return leads (12 x samples, int16, uV) with stretches of equal samples, half a second or more, as missing."""
    length = max(2, int(np.ceil(MAX_HELD * sampling_rate)))
    # Such a stretch holds at least four of these in a row.
    every = leads[:, :: max(1, length // 5)]
    equal = every[:, 1:] == every[:, :-1]
    suspects = np.flatnonzero((equal[:, 2:] & equal[:, 1:-1] & equal[:, :-2]).any(axis=1))
    if len(suspects):
        leads = leads.copy()
    for lead in suspects:
        changes = np.flatnonzero(np.diff(leads[lead])) + 1
        starts, ends = np.r_[0, changes], np.r_[changes, leads.shape[1]]
        for run in np.flatnonzero(ends - starts >= length):
            leads[lead, starts[run] : ends[run]] = MISSING
    return leads


def check_leads(leads: np.ndarray, marked: np.ndarray, sampling_rate: float) -> None:
    """BadRecording where leads (12 x samples, int16, uV) hold too little signal; `marked` is of `mark_held`."""
    if leads.shape[1] / sampling_rate < MIN_DURATION:
        raise BadRecording(f"too short: {leads.shape[1] / sampling_rate:.1f} s, at least {MIN_DURATION:g} s")
    low, high = marked.min(axis=1), marked.max(axis=1)
    if (low == MISSING).any():
        check_gaps(leads, marked, sampling_rate)
    for lead in np.flatnonzero((high == RAIL) | (low <= -RAIL)):
        if np.isin(marked[lead], (-RAIL, RAIL)).mean() > MAX_SATURATED:
            raise BadRecording(f"saturated lead: {LEADS[lead]}")


def check_gaps(leads: np.ndarray, marked: np.ndarray, sampling_rate: float) -> None:
    """BadRecording where too little is left beside missing and held stretches, in a lead or in all leads at once."""
    absent, names = marked == MISSING, np.array(LEADS)
    short = (~absent).sum(axis=1) / sampling_rate < MIN_DURATION
    held = short & (absent.sum(axis=1) > 2 * (leads == MISSING).sum(axis=1))
    for state, bad in (("missing", short & ~held), ("flat", held)):
        if bad.any():
            raise BadRecording(f"{state} lead: {', '.join(names[bad])}")
    duration = np.count_nonzero(~absent.any(axis=0)) / sampling_rate
    if duration < MIN_DURATION:
        allowed = f"at least {MIN_DURATION:g} s; missing samples in {', '.join(names[absent.any(axis=1)])}"
        raise BadRecording(f"too short: {duration:.1f} s of signal in all leads, {allowed}")


def fill_gaps(leads: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Return leads x samples in mV, float32, with missing samples interpolated, and where one was missing, or None."""
    signal = leads.astype(np.float32)
    signal /= 1000
    missing = leads == MISSING
    if not missing.any():
        return signal, None
    for lead in np.flatnonzero(missing.any(axis=1)):
        gaps = missing[lead]
        signal[lead, gaps] = np.interp(np.flatnonzero(gaps), np.flatnonzero(~gaps), signal[lead, ~gaps])
    return signal, missing.any(axis=0)
