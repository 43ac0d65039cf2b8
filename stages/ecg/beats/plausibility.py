"""Checks that 12 leads are of one heart, in the stated unit, without a pacemaker; repair of limb leads."""

from itertools import combinations

import numpy as np

from ecg.beats.gaps import runs_of
from ecg.beats.r_peaks import sharpness
from ecg.beats.windows import cut_windows, median_of, rms, window_offsets
from ecg.leads import INDEPENDENT, LEADS, MISSING, RAIL, BadRecording

# The limb leads as sums of I and II, by Einthoven's and Goldberger's laws.
SUMS = np.array([(1, 0), (0, 1), (-1, 1), (-0.5, -0.5), (1, -0.5), (-0.5, 1)])
# Extremes in 1,287 real recordings: 2.5 uV of disagreement, 0.49 at R, rank 0.12, 24 ms blunt, -0.85 inverted.
MAX_DISAGREEMENT = 50  # uV, maximum deviation of limb leads from Einthoven's and Goldberger's laws
GLITCH = 0.05  # share of a second's samples that may deviate more
MAX_DISAGREE = 0.5  # share of the seconds with disagreement
MIN_AGREEING = 4  # limb leads: two always agree with themselves, three may agree by chance
MAX_STRETCHES = 3  # in a flag
AT_R = 60  # ms from R
MIN_AT_R = 0.4  # share of a lead's highest sharpness that is reached there
MIN_RANK = 0.05  # second over first singular value of the beat: below, all leads show the same wave
MAX_BLUNT = 30  # ms, standard deviation of the Gaussian that is as sharp as the sharpest part of the beat
FLAT = 0.01  # mV, minimum peak-to-peak amplitude of a lead of the median beat
# mV, peak-to-peak amplitude of the largest lead and of the median lead; beyond these, gain or unit is wrong. The
# extremes in real recordings are 0.82 and 2.9.
MIN_AMPLITUDE, MAX_AMPLITUDE = 0.5, 5.0
MAX_RATE_DIFFERENCE = 0.1  # share of the heart rate in the file
INVERTED = -0.75  # correlation with both neighbours
P_WAVE = (-200, -80)  # ms from R
# Of 1,465 real recordings one is flagged falsely; with the arm electrodes exchanged 91% are flagged.
ARMS, ARMS_REVERSED = -0.5, "arm electrodes reversed? lead I is V6 upside down, and so is its P wave"  # correlation
SPIKE_WIDTH = 4  # ms, at most
SPIKE = 400  # uV
SPIKE_OVER_REST = 10  # times the rest
CREST = 20  # ms, a period of mains hum; the rest is the median of the highest values of the periods
SPIKE_SEARCH = (-200, 40)  # ms from R, which may be the spike itself
PACED = "paced: a pacemaker's spike before most beats"


def deviations(limb: np.ndarray, pair: list[int]) -> np.ndarray:
    """Return the deviation of limb leads (6 x samples, NaN is missing) from those derived from a pair, less offsets."""
    left = limb - SUMS @ np.linalg.inv(SUMS[pair]) @ limb[pair]
    middle = np.sort(left, axis=1)[np.arange(6), np.isfinite(left).sum(axis=1) // 2]
    return np.abs(left - middle[:, None])


def per_second(where: np.ndarray, duration: float) -> np.ndarray:
    """Return the share of true values in each second (leads x seconds) of leads x samples that last `duration` s."""
    seconds = max(int(duration), 1)
    second = np.minimum(np.arange(where.shape[1]) * duration / where.shape[1], seconds - 1).astype(int)
    return np.stack([np.bincount(second, lead, seconds) for lead in where]) / np.bincount(second)


def mend_limb_leads(leads: np.ndarray, sampling_rate: float) -> tuple[np.ndarray, list[str]]:
    """Return leads (12 x samples, int16, uV) whose limb leads obey Einthoven's and Goldberger's laws, and flags.

    A limb lead that violates the laws in some seconds, or lacks samples, is derived from the two with which most others
    agree. BadRecording where leads disagree in more than half of the seconds: any lead may then have a wrong name.
    """
    limb, duration = leads[:6], leads.shape[1] / sampling_rate
    missing = limb == MISSING
    # Every tenth sample is enough.
    some = np.where(missing[:, ::10], np.nan, limb[:, ::10])
    if (missing == missing[0]).all() and not (deviations(some, [0, 1]) > MAX_DISAGREEMENT).any():
        return leads, []
    votes = []
    for pair in map(list, combinations(range(6), 2)):
        amounts = deviations(some, pair)
        wrong = per_second(amounts > MAX_DISAGREEMENT, duration) > GLITCH
        sound = ~wrong.any(axis=1)
        votes.append((np.isfinite(amounts[sound]).sum() if sound.sum() >= MIN_AGREEING else 0, pair, amounts, wrong))
    # In a tie the first pair wins: I and II.
    _, pair, amounts, wrong = max(votes, key=lambda vote: vote[0])
    if wrong.any(axis=0).mean() > MAX_DISAGREE:
        of_wrong = amounts[wrong.any(axis=1)]
        most = f"{np.nanquantile(of_wrong, 1 - GLITCH, axis=1).max():.0f} uV, at most {MAX_DISAGREEMENT} uV"
        raise BadRecording(f"limb leads disagree: {limb_leads_in(wrong)} by {most}")
    gap = missing[pair].any(axis=0)
    lacking = per_second(missing & ~gap, duration) > 0
    flags, mended = [], leads.copy()
    by_pair = f"derived from {LEADS[pair[0]]} and {LEADS[pair[1]]}"
    for what, where in (("disagree", wrong), ("missing", lacking)):
        if where.any():
            flags.append(f"limb leads {what}: {limb_leads_in(where)} {stretches_of(where, duration)}; {by_pair}")
    derived = np.flatnonzero((lacking | wrong).any(axis=1))
    sums = SUMS[derived] @ np.linalg.inv(SUMS[pair]) @ limb[pair]
    mended[derived] = np.where(gap, MISSING, np.clip(np.rint(sums), -RAIL, RAIL))
    return mended, flags


def limb_leads_in(where: np.ndarray) -> str:
    """Return the names of the limb leads for which `where` (6 x seconds) is true in some second."""
    return ", ".join(LEADS[i] for i in np.flatnonzero(where.any(axis=1)))


def stretches_of(where: np.ndarray, duration: float) -> str:
    """Return the first three stretches (s) in which `where` (leads x seconds) is true for some lead."""
    starts, ends = runs_of(np.any(where, axis=0))
    ends = np.where(ends == where.shape[1], duration, ends)
    parts = [f"{start:.1f} to {end:.1f} s" for start, end in zip(starts, ends, strict=True)]
    return "from " + ", ".join(parts[:MAX_STRETCHES]) + (", …" if len(parts) > MAX_STRETCHES else "")


def check_copies(leads: np.ndarray) -> None:
    """Raise BadRecording where two leads (12 x samples, int16, uV) have the same samples."""
    first: dict[bytes, str] = {}
    for name, lead in zip(LEADS, leads, strict=True):
        if (other := first.setdefault(lead.tobytes(), name)) != name and (lead != MISSING).any():
            raise BadRecording(f"copied lead: {name} is {other}")


def compare_heart_rates(found: float | None, in_file: float | None) -> list[str]:
    """Return a flag where the heart rate found (beats/min) differs by more than 10% from the file's."""
    if found and in_file and abs(found - in_file) > MAX_RATE_DIFFERENCE * in_file:
        return [f"heart rate: {found:.0f}/min, {in_file:.0f}/min in the file"]
    return []


def check_height(beat: np.ndarray) -> None:
    """Raise BadRecording where the amplitude of a median beat (12 x samples, mV) is implausible."""
    heights = np.ptp(beat, axis=1)
    flat = heights < FLAT
    if flat.any():
        raise BadRecording(f"flat lead: {', '.join(np.array(LEADS)[flat])}")
    largest, usual = heights.max(), median_of(heights[INDEPENDENT])
    if largest < MIN_AMPLITUDE:
        raise BadRecording(f"amplitude: {largest:.2g} mV in the largest lead, at least {MIN_AMPLITUDE} mV; wrong unit?")
    if usual > MAX_AMPLITUDE:
        raise BadRecording(f"amplitude: {usual:.2g} mV in half of the leads, at most {MAX_AMPLITUDE:g} mV; wrong unit?")


def check_shape(beat: np.ndarray, qrs_band: np.ndarray, sampling_rate: int) -> list[str]:
    """Raise BadRecording where leads show one wave only, a blunt wave, or no QRS complex at R; return flags.

    `beat` and `qrs_band` are 8 independent leads x samples (mV); `qrs_band` has R in the middle.
    """
    independent = beat - median_of(beat.T)[:, None]
    # The eigenvalues are the squared singular values, in a quarter of the time.
    *_, second, first = np.linalg.eigvalsh(independent @ independent.T)
    if second < MIN_RANK**2 * first:
        raise BadRecording("copied lead: all leads show the same wave")
    # The variance of a Gaussian is its height over the curvature at its top.
    curvature = rms(np.diff(independent, 2, axis=1), 0).max() * sampling_rate**2
    width = 1000 * np.sqrt(rms(independent, 0).max() / curvature)
    if width > MAX_BLUNT:
        raise BadRecording(f"no QRS complexes: the sharpest wave is {width:.0f} ms wide, at most {MAX_BLUNT} ms")
    hills = sharpness(qrs_band[:, None], sampling_rate)
    middle, near = hills.shape[1] // 2, round(AT_R * sampling_rate / 1000)
    share = hills[:, middle - near : middle + near + 1].max(axis=1) / (hills.max(axis=1) + 1e-12)
    shifted = [LEADS[INDEPENDENT[i]] for i in np.flatnonzero(share < MIN_AT_R)]
    if shifted:
        raise BadRecording(f"leads shifted in time: no QRS complex at R in {', '.join(shifted)}")
    chest = independent[2:] / (np.linalg.norm(independent[2:], axis=1, keepdims=True) + 1e-12)
    with_next = [-1.0, *(chest[:-1] * chest[1:]).sum(axis=1), -1.0]
    odd = [LEADS[6 + i] for i in range(6) if max(with_next[i : i + 2]) < INVERTED]
    return [f"like its neighbours upside down: {', '.join(odd)}"] if odd else []


def arm_flags(beat: np.ndarray, times: np.ndarray) -> list[str]:
    """Return a flag where the arm electrodes seem reversed in a median beat (12 x samples, mV; times in ms from R)."""
    p_wave = beat[0, (times >= P_WAVE[0]) & (times <= P_WAVE[1])]
    upside_down = np.corrcoef(beat[[0, 11]])[0, 1] < ARMS and p_wave[np.abs(p_wave).argmax()] < 0
    return [ARMS_REVERSED] if upside_down else []


def check_pacing(leads: np.ndarray, sampling_rate: float, r_peaks: np.ndarray) -> None:
    """Raise BadRecording where most R peaks (s) of leads (12 x n, int16, uV, as recorded) have a pacemaker's spike.

    Bipolar pacing has smaller spikes, and below 250 Hz no spike is visible: such recordings pass.
    """
    half = int(SPIKE_WIDTH * sampling_rate / 1000)
    if not half:
        return
    search = window_offsets(*SPIKE_SEARCH, sampling_rate)
    reach = np.arange(search[0] - half, search[-1] + half + 1)
    near = cut_windows(leads, np.rint(r_peaks * sampling_rate).astype(int), reach).astype(np.int32)
    # How far a sample is above, or below, both samples a spike's width away.
    here, before, after = near[..., half:-half], near[..., : -2 * half], near[..., 2 * half :]
    above = np.maximum(here - np.maximum(before, after), np.minimum(before, after) - here)
    if above.max() <= SPIKE:
        return
    second_lead = np.partition(above, -2, axis=1)[:, -2]
    spike = median_of(second_lead.max(axis=1))
    width = round(CREST * sampling_rate / 1000)
    crests = np.maximum.reduceat(second_lead, np.arange(0, second_lead.shape[1], width), axis=1)
    if spike > SPIKE and spike > SPIKE_OVER_REST * np.median(crests):
        raise BadRecording(PACED)
