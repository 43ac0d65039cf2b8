"""Recordings from a dipole model, with known truth: no patient stands behind any of them.

The heart is one current dipole whose three coordinates are sums of Gaussians in time (McSharry et al. 2003, Sameni et
al. 2007). The Dower matrix (Dower et al. 1980), the one that Edenbrandt and Pahlm's inverse Dower matrix (1988)
inverts, projects it to the 12 leads. Axes in mV: x to the left, y to the feet, z to the back.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import wfdb
from scipy.spatial.transform import Rotation
from tqdm import tqdm

from ecg.leads import LEADS, limb_leads

DOWER = {
    "I": (0.632, -0.235, 0.059),
    "II": (0.235, 1.066, -0.132),
    "V1": (-0.515, 0.157, -0.917),
    "V2": (0.044, 0.164, -1.387),
    "V3": (0.882, 0.098, -1.277),
    "V4": (1.213, 0.127, -0.601),
    "V5": (1.125, 0.127, -0.086),
    "V6": (0.831, 0.076, 0.230),
}
LIMB = limb_leads(np.array(DOWER["I"]), np.array(DOWER["II"]))
PROJECTION = np.array([(LIMB | DOWER)[lead] for lead in LEADS]).T

# Each wave: centre (ms from the R peak), width (ms, one standard deviation), x, y, z (mV). ST and T move with QT.
NORMAL = {
    "P": (-160, 22, 0.06, 0.10, 0.01),
    "Q": (-24, 7, -0.12, -0.06, -0.18),
    "R": (0, 11, 1.05, 0.75, 0.25),
    "S": (24, 10, 0.05, 0.05, 0.65),
    "ST": (110, 38, 0.01, 0.01, -0.03),
    "T1": (255, 48, 0.16, 0.12, -0.14),
    "T2": (285, 28, 0.16, 0.12, -0.10),
}
QRS, T = ("Q", "R", "S"), ("T1", "T2")
# Where ischemic and infarcted muscle lies, as seen from the dipole's origin.
TERRITORIES = {"anterior": (0.3, 0.1, -0.95), "inferior": (0.1, 0.95, 0.3), "lateral": (0.95, -0.1, 0.3)}


class Hospital(NamedTuple):
    """Sampling rate (Hz), noise against an ordinary recording's, shares of normal, ischemia, other, and of patients."""

    sampling_rate: int
    noise: float
    classes: tuple[float, float, float]
    patients: float


# Class shares differ between the hospitals, as they do between real archives; so do rate and noise.
HOSPITALS = {
    "synthetic-north": Hospital(500, 1.0, (0.45, 0.30, 0.25), 0.5),
    "synthetic-east": Hospital(257, 1.5, (0.35, 0.40, 0.25), 0.25),
    "synthetic-west": Hospital(1000, 0.7, (0.55, 0.20, 0.25), 0.25),
}
DX = {"normal": "426783006", "ischemia": "426783006,164861001"}
DURATION = 10.0  # s
PVC_SHARE = 0.15  # of recordings hold one or two


def leads(times: np.ndarray, waves: dict) -> np.ndarray:
    """Return the 12 leads (times x 12, mV) of one beat at times in ms from its R peak."""
    parameters = np.array(list(waves.values()))
    gaussians = np.exp(-0.5 * ((times[:, None] - parameters[:, 0]) / parameters[:, 1]) ** 2)
    return gaussians @ parameters[:, 2:] @ PROJECTION


def changed(waves: dict, names: tuple, vector=None, *, scale=1.0, widen=1.0, later=0.0) -> dict:
    """Return waves with those named scaled (a number or one an axis), added to (mV), widened and moved (ms)."""
    new = dict(waves)
    for name in names:
        centre, width, *dipole = waves[name]
        dipole = np.array(dipole) * scale + (0 if vector is None else np.array(vector))
        new[name] = (centre + later, width * widen, *dipole)
    return new


def healthy_heart(rng: np.random.Generator) -> dict:
    """Draw one patient's waves: amplitudes, widths, intervals and the heart's axis vary as they do between people."""
    turn = Rotation.from_euler("zyx", rng.normal(0, (18, 14, 8)), degrees=True)
    size = rng.lognormal(0, 0.18)
    waves = {}
    for name, (centre, width, *dipole) in NORMAL.items():
        own = size * rng.lognormal(0, 0.12) * turn.apply(dipole)
        waves[name] = (centre * rng.normal(1, 0.04), width * rng.lognormal(0, 0.08), *own)
    # T amplitude and the J point vary far more than the rest; early repolarisation lifts ST in some.
    waves = changed(waves, T, scale=rng.lognormal(-0.05, 0.28))
    waves = changed(waves, ("ST",), rng.normal(0, 0.018, 3))
    if rng.random() < 0.12:
        waves = changed(waves, ("ST",), rng.uniform(0.02, 0.06) * np.array((0.6, 0.4, -0.7)))
    return waves


def ischemic(waves: dict, rng: np.random.Generator) -> dict:
    """Depress or lift ST and turn T, by territory and severity."""
    name = rng.choice(list(TERRITORIES), p=(0.4, 0.25, 0.35))
    towards = np.array(TERRITORIES[name]) + rng.normal(0, 0.15, 3)
    severity = 0.4 + rng.gamma(4.0, 0.36)
    kind = rng.choice(["depression", "elevation", "inversion"], p=(0.5, 0.15, 0.35))
    st = {"depression": -0.12, "elevation": 0.16, "inversion": -0.05}[kind]
    t = {"depression": -0.14, "elevation": 0.05, "inversion": -0.26}[kind]
    waves = changed(waves, ("ST",), severity * st * towards, widen=1.15)
    return changed(waves, T, severity * t / 2 * towards, later=8 * severity)


def abnormal(waves: dict, rng: np.random.Generator) -> dict:
    """Give the heart a disease that is not ischemia, some of them with ST and T changes of their own."""
    kind = rng.choice(["hypertrophy", "block", "infarct", "nonspecific"])
    degree = rng.uniform(0.4, 1.2)
    if kind == "hypertrophy":
        waves = changed(waves, QRS, scale=(1 + 0.9 * degree, 1 + 0.2 * degree, 1 + 0.8 * degree), widen=1.1)
        waves = changed(waves, ("ST",), degree * np.array((-0.12, -0.03, 0.05)))
        return changed(waves, T, degree * np.array((-0.22, -0.08, 0.04)))
    if kind == "block":
        late = (35, 14, *(degree * np.array(((0.7, 0.1, 0.5), (-0.5, -0.1, -0.5))[rng.integers(2)])))
        waves = changed(waves, ("R", "S"), widen=1 + 0.5 * degree) | {"late": late}
        return changed(waves, T, -0.25 * np.array(late[2:]), later=15)
    if kind == "infarct":
        scar = -np.array(TERRITORIES[rng.choice(list(TERRITORIES))]) + rng.normal(0, 0.15, 3)
        waves = changed(waves, ("Q",), 0.45 * degree * scar, widen=1.6)
        return changed(waves, T, 0.12 * degree * rng.uniform(0, 1) * scar)
    return changed(waves, T, rng.normal(0, 0.03, 3), scale=rng.uniform(0.05, 0.45))


def rhythm(rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Draw R peak times (ms) that cover the recording, with respiratory and random variation, and the mean RR (ms)."""
    rr = 60_000 / np.clip(rng.lognormal(np.log(74), 0.22), 45, 130)
    n = int(1000 * DURATION / rr) + 6
    breathing = 0.03 * np.sin(2 * np.pi * (np.arange(n) * rr / rng.uniform(3000, 5000) + rng.random()))
    intervals = rr * (1 + breathing + rng.normal(0, 0.015, n))
    return np.cumsum(intervals) - rr * rng.uniform(2, 3), rr


def clean_signal(waves: dict, rng: np.random.Generator, sampling_rate: float) -> np.ndarray:
    """Return the noise-free leads (samples x 12, mV) of a recording of one heart, ectopic beats included."""
    times = np.arange(int(DURATION * sampling_rate)) * 1000 / sampling_rate
    peaks, rr = rhythm(rng)
    ectopic = set(rng.choice(np.arange(4, len(peaks) - 4), rng.integers(1, 3))) if rng.random() < PVC_SHARE else set()
    # Repolarisation shortens with the cube root of the RR interval (Fridericia 1920).
    late = (rr / 850) ** (1 / 3)
    waves = {k: (c * late, w * late, *v) if k in ("ST", *T) else (c, w, *v) for k, (c, w, *v) in waves.items()}
    pvc = {"R": (0, 32, *rng.normal(0, 0.9, 3)), "T1": (270 * late, 60, *rng.normal(0, 0.35, 3))}
    signal = np.zeros((len(times), 12))
    for i, peak in enumerate(peaks):
        early = 0.3 * rr if i in ectopic else 0
        near = np.abs(times - peak + early) < 900
        amplitude = 1 + 0.04 * np.sin(2 * np.pi * peak / 4000)
        signal[near] += amplitude * leads(times[near] - peak + early, pvc if i in ectopic else waves)
    return signal


def twelve_leads(eight: np.ndarray) -> np.ndarray:
    """Return the 12 leads (samples x 12) of leads I, II, V1 - V6 (samples x 8): noise obeys Einthoven's law too."""
    return np.column_stack([*limb_leads(eight[:, 0], eight[:, 1]).values(), eight[:, 2:]])


def noise(rng: np.random.Generator, n: int, sampling_rate: float, level: float) -> np.ndarray:
    """Return muscle noise, baseline wander and mains hum (samples x 12, mV); `level` 1 is an ordinary recording."""
    times = np.arange(n) / sampling_rate
    level = level * rng.lognormal(0, 0.35)
    # White at 500 Hz has the same density at other rates.
    muscle = rng.normal(0, 0.022 * level * np.sqrt(sampling_rate / 500), (n, 8))
    frequency = rng.uniform(0.08, 0.45, 3)
    phase = rng.uniform(0, 2 * np.pi, (3, 8))
    size = rng.normal(0, 0.08 * level, (3, 8))
    wander = sum(size[k] * np.sin(2 * np.pi * frequency[k] * times[:, None] + phase[k]) for k in range(3))
    hum = rng.normal(0, 0.012 * level, 8) * np.sin(2 * np.pi * 50 * times + rng.uniform(0, 2 * np.pi))[:, None]
    return twelve_leads(muscle + wander + hum)


def write_recordings(folder: Path, *, patients: int, seed: int) -> None:
    """Write WFDB recordings of so many patients, 1.5 each on average, in one folder a hospital."""
    rng = np.random.default_rng(seed)
    hospitals = rng.choice(list(HOSPITALS), patients, p=[h.patients for h in HOSPITALS.values()])
    for number, name in enumerate(tqdm(hospitals, desc="synthetic patients", disable=None)):
        hospital = HOSPITALS[name]
        kind = rng.choice(["normal", "ischemia", "other"], p=hospital.classes)
        heart = healthy_heart(rng)
        diseased = {"normal": lambda heart, rng: heart, "ischemia": ischemic, "other": abnormal}[kind]
        age = int(np.clip(rng.normal({"normal": 50, "ischemia": 64, "other": 62}[kind], 14), 18, 95))
        sex = rng.choice(["Male", "Female"])
        (folder / name).mkdir(parents=True, exist_ok=True)
        for visit in range(1 + rng.choice(3, p=(0.6, 0.3, 0.1))):
            # Ischemia comes and goes; the other diseases stay.
            shown = "normal" if kind == "ischemia" and rng.random() < 0.1 else kind
            waves = diseased(heart, rng) if shown != "normal" else heart
            signal = clean_signal(waves, rng, hospital.sampling_rate)
            signal += noise(rng, len(signal), hospital.sampling_rate, hospital.noise)
            wfdb.wrsamp(
                f"S{number:04d}-{visit + 1}",
                fs=hospital.sampling_rate,
                units=["mV"] * 12,
                sig_name=list(LEADS),
                p_signal=np.clip(signal, -32, 32),
                fmt=["16"] * 12,
                adc_gain=[1000.0] * 12,
                baseline=[0] * 12,
                comments=[
                    f"Age: {age}",
                    f"Sex: {sex}",
                    f"Dx: {DX.get(shown, '55827005')}",
                    f"Patient: {number:04d}",
                    f"Source: {name}",
                ],
                write_dir=str(folder / name),
            )
