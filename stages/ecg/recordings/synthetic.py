"""Writes synthetic recordings as WFDB files, with diagnosis and patient in their headers."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from ecg.leads import LEADS
from ecg.recordings.hearts import BESIDE, DOWER, ST_T, abnormal, dipole, healthy_heart, ischemic, twelve_leads
from ecg.run.parallel import in_parallel


class Hospital(NamedTuple):
    """Sampling rate (Hz), relative noise (1: ordinary), shares of normal, ischemia, other, share of patients."""

    sampling_rate: int
    noise: float
    classes: tuple[float, float, float]
    patients: float


# Class shares, sampling rates and noise differ between the hospitals, as between real archives.
HOSPITALS = {
    "synthetic-north": Hospital(500, 1.0, (0.45, 0.30, 0.25), 0.5),
    "synthetic-east": Hospital(257, 1.5, (0.35, 0.40, 0.25), 0.25),
    "synthetic-west": Hospital(1000, 0.7, (0.55, 0.20, 0.25), 0.25),
}
DX = {"normal": "426783006", "ischemia": "426783006,164861001", "other": "55827005"}
DURATION = 10.0  # s
PVC_SHARE = 0.15  # of recordings have one or two
BEAT = (-350, 750)  # ms from R; all waves of a beat are within
# Standard deviation of lead vectors between chests and electrode positions, in shares of their length: larger near the
# heart (Kania et al. 2014). Fits to each normal recording of PTB-XL vary as much or more (docs/experiment_log.md).
CHEST = np.array((0.1, 0.1, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2))[:, None] * np.linalg.norm(DOWER, axis=1, keepdims=True)


def clean_dipole(waves: dict, rng: np.random.Generator, times: np.ndarray) -> np.ndarray:
    """Return the dipole (times x 3, mV) of one heart at times in ms, ectopic beats included."""
    rr = 60_000 / np.clip(rng.lognormal(np.log(74), 0.22), 45, 130)
    n = int(1000 * DURATION / rr) + 6
    breathing = 0.03 * np.sin(2 * np.pi * (np.arange(n) * rr / rng.uniform(3000, 5000) + rng.random()))
    intervals = rr * (1 + breathing + rng.normal(0, 0.015, n))
    peaks = np.cumsum(intervals) - rr * rng.uniform(2, 3)
    ectopic = set(rng.choice(np.arange(4, len(peaks) - 4), rng.integers(1, 3))) if rng.random() < PVC_SHARE else set()
    # Repolarisation shortens with the cube root of the RR interval (Fridericia 1920).
    late = (rr / 850) ** (1 / 3)
    waves = {k: (c * late, w * late, *v) if k in ST_T else (c, w, *v) for k, (c, w, *v) in waves.items()}
    pvc = {"R": (0, 32, *rng.normal(0, 0.9, 3)), "T1": (270 * late, 60, *rng.normal(0, 0.35, 3))}
    signal = np.zeros((len(times), 3))
    for i, peak in enumerate(peaks):
        amplitude = 1 + 0.04 * np.sin(2 * np.pi * peak / 4000)
        peak -= 0.3 * rr if i in ectopic else 0
        near = slice(*np.searchsorted(times, (peak + BEAT[0], peak + BEAT[1])))
        signal[near] += amplitude * dipole(times[near] - peak, pvc if i in ectopic else waves)
    return signal


def noise(rng: np.random.Generator, times: np.ndarray, level: float) -> np.ndarray:
    """Return muscle noise, baseline wander and mains hum of 8 leads (times in ms x 8, mV); level 1 is ordinary."""
    level = level * rng.lognormal(0, 0.35)
    # White noise of the same spectral density at all sampling rates.
    muscle = rng.standard_normal((len(times), 8), dtype=np.float32) * (0.029 * level * np.sqrt(2 / times[1]))
    frequencies = np.append(rng.uniform(0.08, 0.45, 3), 50)
    angles = 2 * np.pi * (frequencies * times[:, None] / 1000)
    size, phase = rng.normal(0, 0.08 * level, (4, 8)), rng.uniform(0, 2 * np.pi, (4, 8))
    size[3] *= 0.15
    phase[3] = phase[3, 0]  # of the mains
    return muscle + np.sin(angles) @ (size * np.cos(phase)) + np.cos(angles) @ (size * np.sin(phase))


def write_record(path: Path, samples: np.ndarray, sampling_rate: int, comments: dict) -> None:
    """Write samples (samples x 12, int16, uV) as a WFDB record: path.hea and path.dat."""
    # wfdb.wrsamp takes 20 times as long, which would be a sixth of the default pipeline.
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".dat").write_bytes(samples.astype("<i2").tobytes())
    lines = [f"{path.name} {len(LEADS)} {sampling_rate} {len(samples)}"]
    for lead, first, checksum in zip(LEADS, samples[0], samples.sum(axis=0, dtype=np.int16), strict=True):
        lines.append(f"{path.name}.dat 16 1000(0)/mV 16 0 {first} {checksum} 0 {lead}")
    lines += [f"# {key}: {value}" for key, value in comments.items()]
    path.with_suffix(".hea").write_text("\n".join(lines) + "\n", encoding="ascii")


def write_patient(folder: Path, number: int, seed: int) -> None:
    """Write the recordings of one patient."""
    # A generator for each patient: the bytes depend neither on other patients nor on the process.
    rng = np.random.default_rng([seed, number])
    name = rng.choice(list(HOSPITALS), p=[hospital.patients for hospital in HOSPITALS.values()])
    hospital = HOSPITALS[name]
    kind = rng.choice(["normal", "ischemia", "other"], p=hospital.classes)
    heart = healthy_heart(rng)
    diseases = [disease for disease, share in BESIDE.items() if kind == "ischemia" and rng.random() < share]
    for disease in [abnormal] if kind == "other" else diseases:
        heart = disease(heart, rng)
    chest = rng.normal(DOWER, CHEST)
    age = int(np.clip(rng.normal({"normal": 50, "ischemia": 64, "other": 62}[kind], 14), 18, 95))
    sex = rng.choice(["Male", "Female"])
    times = np.arange(int(DURATION * hospital.sampling_rate)) * 1000 / hospital.sampling_rate
    for visit in range(1 + rng.choice(3, p=(0.6, 0.3, 0.1))):
        # Ischemia comes and goes; the other diseases stay.
        gone = kind == "ischemia" and rng.random() < 0.1
        waves = ischemic(heart, rng) if kind == "ischemia" and not gone else heart
        signal = clean_dipole(waves, rng, times) @ chest.T + noise(rng, times, hospital.noise)
        shown = kind if not gone else "other" if diseases else "normal"
        samples = np.rint(1000 * np.clip(twelve_leads(signal), -32, 32)).astype(np.int16)
        comments = {"Age": age, "Sex": sex, "Dx": DX[shown], "Patient": f"{number:04d}", "Source": name}
        write_record(folder / name / f"S{number:04d}-{visit + 1}", samples, hospital.sampling_rate, comments)


def write_recordings(folder: Path, *, patients: int, seed: int) -> None:
    """Write WFDB recordings of patients, 1.5 each on average, in a folder for each hospital."""
    written = in_parallel(write_patient, [(folder.resolve(), number, seed) for number in range(patients)])
    list(tqdm(written, total=patients, desc="synthetic patients", disable=None))
