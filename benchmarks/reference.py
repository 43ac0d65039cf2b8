"""Recordings made of a known 12-lead beat, for comparison with median beats; not the synthetic source."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline

from ecg.beats.median import median_beat
from ecg.params import read_params
from ecg.recordings.hearts import DOWER, abnormal, dipole, healthy_heart, ischemic, twelve_leads
from ecg.recordings.wfdb_header import read_header
from ecg.recordings.wfdb_signals import read_samples

EXTRACT = read_params(Path(__file__).parent.parent / "params.yaml").extract
START, END = EXTRACT.window_start, EXTRACT.window_end  # ms
FADE = 50  # ms, over which a known beat fades to 0 at both ends
RATE = 500  # Hz
SECONDS = 10
HUM = 10  # uV

CONDITIONS = {
    "clean": {"emg": 20, "wander": 100},
    "noisy": {"emg": 60, "wander": 300},
    "2 PVCs": {"emg": 20, "wander": 100, "pvcs": 2},
    "4 PVCs": {"emg": 20, "wander": 100, "pvcs": 4},
    "burst": {"emg": 20, "wander": 100, "burst": 1500},
    "breathing": {"emg": 20, "wander": 100, "breathing": 0.15},
}


def read_real(path: Path) -> tuple[np.ndarray, float]:
    """Read a WFDB record, named by its header: samples (samples x 12, int16, uV) and the sampling rate (Hz)."""
    header = read_header(path)
    return read_samples(header)[0], header.sampling_rate


class Recording(NamedTuple):
    """Samples (samples x 12, int16, uV) and the R peaks (ms) of its normal and its ectopic beats."""

    samples: np.ndarray
    normal: np.ndarray
    ectopic: np.ndarray


def leads(times: np.ndarray, waves: dict) -> np.ndarray:
    """Return the 12 leads (times x 12, mV) of one beat, by Dower's matrix."""
    return twelve_leads(dipole(times, waves) @ DOWER.T)


def known_beats(n: int) -> list[CubicSpline]:
    """Return n beats as functions of time (ms from R) to 12 leads (mV), 0 in the PQ segment and beyond the window.

    They are beats of the least noisy PTB-XL recordings where ECG_REAL_DATA is set, else of the dipole model.
    """
    times = np.arange(START, END + 1, 1000 / RATE)
    folder = os.environ.get("ECG_REAL_DATA")
    if folder:
        found, settings = [], EXTRACT.model_copy(update={"sampling_rate": RATE, "low_pass": 40.0})
        for path in sorted((Path(folder) / "ptb-xl" / "records500").rglob("*.hea")):
            beat = median_beat(*read_real(path), settings)
            if beat.beat is not None and beat.n_used >= 8:
                found.append((beat.noise_uv, beat.beat.T))
        shapes = [shape for _, shape in sorted(found, key=lambda pair: pair[0])[:n]]
    else:
        rng = np.random.default_rng(0)
        kinds = (lambda heart, rng: heart, ischemic, abnormal)
        shapes = [leads(times, kinds[i % 3](healthy_heart(rng), rng)) for i in range(n)]
    ends = np.clip(np.minimum(times - START, END - times) / FADE, 0, 1)
    fade = (0.5 - 0.5 * np.cos(np.pi * ends))[:, None]
    pq = (times >= -100) & (times <= -60)
    return [CubicSpline(times, fade * (shape - np.median(shape[pq], axis=0))) for shape in shapes]


def beat_at(beat: CubicSpline, times: np.ndarray) -> np.ndarray:
    """Return a known beat (times x 12, mV), 0 outside its window."""
    inside = (times >= START) & (times <= END)
    return np.where(inside[:, None], beat(np.clip(times, START, END)), 0)


def premature_beat(rng: np.random.Generator) -> dict:
    """Draw a wide ventricular beat with a discordant T wave, as waves of the dipole model."""
    axis = rng.normal(0, 1, 3)
    axis /= np.linalg.norm(axis)
    size = rng.uniform(0.9, 1.6)
    return {"R": (0, rng.uniform(26, 38), *(size * axis)), "T": (280, 55, *(-0.4 * size * axis))}


def recording(
    beat: CubicSpline,
    *,
    seed: int,
    emg: float = 0,
    wander: float = 0,
    pvcs: int = 0,
    burst: float = 0,
    breathing: float = 0,
) -> Recording:
    """Make a recording of a known beat: noise, wander and an electrode's burst in uV, breathing as a share."""
    rng = np.random.default_rng(seed)
    times = np.arange(SECONDS * RATE) * 1000 / RATE
    rr = 60_000 / rng.uniform(66, 80)
    n = int(SECONDS * 1000 / rr) + 1
    peaks = rng.uniform(300, 300 + rr / 2) + np.cumsum(np.r_[0, rr * rng.normal(1, 0.02, n)])
    # Ectopic beats come early and the next one on time: a compensatory pause. None is next to another or at an end.
    places = np.arange(1, int((SECONDS * 1000 - peaks[0]) / rr) - 1, 2)
    early = np.sort(rng.choice(places, pvcs, replace=False)) if pvcs else np.array([], dtype=int)
    ectopic = peaks[early] - rr * rng.uniform(0.2, 0.4, pvcs)
    normal = np.delete(peaks, early)
    normal = normal[normal < SECONDS * 1000]

    shape = premature_beat(rng)
    signal = np.zeros((len(times), 12))
    for peak in normal:
        near = np.abs(times - peak) < 600
        gain = 1 + breathing * np.sin(2 * np.pi * peak / 4000)
        signal[near] += gain * beat_at(beat, times[near] - peak)
    for peak in ectopic:
        near = np.abs(times - peak) < 600
        signal[near] += leads(times[near] - peak, shape)
    noise = rng.normal(0, emg / 1000, (len(times), 8))
    for frequency in rng.uniform(0.1, 0.4, 2):
        phase = rng.uniform(0, 2 * np.pi, 8)
        noise += wander / 2000 * np.sin(2 * np.pi * frequency * times[:, None] / 1000 + phase)
    noise += HUM / 1000 * np.sin(2 * np.pi * 50 * times[:, None] / 1000 + rng.uniform(0, 2 * np.pi))
    signal += twelve_leads(noise)
    if burst:
        # One chest electrode loses contact for 0.6 s.
        at = rng.integers(len(times) - int(0.6 * RATE))
        lost = slice(at, at + int(0.6 * RATE))
        signal[lost, rng.integers(6, 12)] += np.cumsum(rng.normal(0, burst / 5000, lost.stop - lost.start))
    samples = np.clip(np.rint(1000 * signal), -32767, 32767).astype(np.int16)
    return Recording(samples, normal, ectopic)
