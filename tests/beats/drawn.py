"""Recordings of drawn beats, for the tests of this room."""

import numpy as np
from conftest import DEFAULTS, leads

from ecg.beats.windows import beat_times
from ecg.leads import LEADS
from ecg.params import read_params
from ecg.recordings.hearts import healthy_heart, twelve_leads

EXTRACT = read_params(DEFAULTS).extract
TIMES = beat_times(EXTRACT)
HEART = healthy_heart(np.random.default_rng(10))  # with an ordinary T: 0.47 of QRS
PREMATURE = {"R": (0, 30, -0.9, 0.8, -0.7), "T1": (270, 60, 0.4, -0.3, 0.2)}
QRS_WAVES, T_WAVES = ("Q", "R", "S"), ("T1", "T2")


def every(rr, seconds=10, first=400):
    return np.arange(first, 1000 * seconds + rr, rr)


def recording(peaks, *, seconds=10, sampling_rate=500, emg=0.0, wander=0.0, hum=0.0, ectopic=(), waves=HEART, seed=0):
    """Beats at known R peaks (ms), with noise (uV); samples x 12, int16, uV."""
    rng = np.random.default_rng(seed)
    times = np.arange(int(seconds * sampling_rate)) * 1000 / sampling_rate
    signal = sum(leads(times - peak, PREMATURE if i in ectopic else waves) for i, peak in enumerate(peaks))
    noise = rng.normal(0, emg / 1000, (len(times), 8))
    noise += wander / 1000 * np.sin(2 * np.pi * (0.25 * times[:, None] / 1000 + rng.random(8)))
    noise += hum / 1000 * np.sin(2 * np.pi * 50 * times[:, None] / 1000)
    return in_uv(signal + twelve_leads(noise))


def in_uv(signal):
    """The samples (int16, uV) of a signal in mV."""
    return np.rint(1000 * signal).astype(np.int16)


def changed(waves, names, scale=1.0, widen=1.0):
    return {
        name: (c, w * widen, *(scale * np.array(v))) if name in names else (c, w, *v)
        for name, (c, w, *v) in waves.items()
    }


def fast_repolarisation(heart_rate):
    """The waves of a heart whose repolarisation shortens with the RR interval (Fridericia 1920)."""
    late = (60 / heart_rate) ** (1 / 3)
    return {k: (c * late, w * late, *v) if k in ("ST", *T_WAVES) else (c, w, *v) for k, (c, w, *v) in HEART.items()}


def truth(times=TIMES, waves=HEART):
    """The known beat, 12 x samples, mV, isoelectric in −100 … −60 ms."""
    beat = leads(times, waves)
    return (beat - np.median(beat[(times >= -100) & (times <= -60)], axis=0)).T


def error_uv(found, keep=slice(None), *, waves=HEART, within=12):
    """RMS difference from the known beat at the best shift within some ms, since definitions of R differ."""
    errors = [(found.beat - truth(TIMES + shift, waves))[:, keep] for shift in np.arange(-within, within, 0.5)]
    return 1000 * min(np.sqrt(np.mean(error**2)) for error in errors)


def with_arms_exchanged(samples):
    """The recording with the arm electrodes exchanged: samples x 12 (Einthoven; Goldberger)."""
    exchanged = samples[:, [LEADS.index(lead) for lead in ("I", "III", "II", "aVL", "aVR", "aVF", *LEADS[6:])]]
    exchanged[:, 0] *= -1
    return exchanged
