"""All QRS complexes and nothing else, from 35 to 250 a minute; what has none is refused."""

import warnings

import neurokit2
import numpy as np
import pytest
from test_median import EXTRACT, HEART, PREMATURE, every, recording
from test_median import TIMES as WINDOW

from ecg.beats.detector import detect
from ecg.beats.median import median_beat
from ecg.leads import BadRecording
from ecg.recordings.hearts import leads, twelve_leads

TIMES = np.arange(5000) / 500  # s


def fast_heart(heart_rate):
    """Repolarisation that shortens with the RR interval (Fridericia 1920), and a P wave that is close."""
    late = (60 / heart_rate) ** (1 / 3)
    waves = {k: (c * late, w * late, *v) if k in ("ST", "T1", "T2") else (c, w, *v) for k, (c, w, *v) in HEART.items()}
    return waves | {"P": (-120, 14, *HEART["P"][2:])}


@pytest.mark.parametrize("heart_rate", [35, 60, 100, 125, 130])
def test_a_rate_is_right_and_the_beat_holds_no_other_qrs_complex(heart_rate):
    waves = fast_heart(heart_rate)
    found = median_beat(recording(every(60_000 / heart_rate), emg=20, waves=waves), 500, EXTRACT)
    assert found.heart_rate == pytest.approx(heart_rate, rel=0.02)
    # From the own QRS complex to the end of the own T wave it is the beat that was drawn.
    near = (WINDOW > -60) & (min(400, 60_000 / heart_rate - 170) > WINDOW)
    shifts = [leads(WINDOW + ms, waves).T for ms in range(-16, 17, 2)]
    assert min(np.abs(found.beat - shifted)[:, near].max() for shifted in shifts) < 0.12
    assert np.abs(found.beat[:, WINDOW > 380]).max() < 0.25 or heart_rate == 35  # its T wave lasts longer


@pytest.mark.parametrize("heart_rate", [140, 160, 180, 200, 220, 250])
def test_what_is_too_fast_is_refused_with_its_own_rate(heart_rate):
    found = median_beat(recording(every(60_000 / heart_rate), emg=20, waves=fast_heart(heart_rate)), 500, EXTRACT)
    assert found.beat is None
    rate = float(found.reason.removeprefix("too fast: ").split("/")[0])
    assert rate == pytest.approx(heart_rate, rel=0.02)


@pytest.mark.parametrize("first", [0, 1])
def test_a_beat_before_an_early_one_is_left_out_and_the_rate_counts_all(first):
    # A premature beat 420 ms after every third beat: its QRS complex begins in the window.
    peaks = every(900, first=300 + 450 * first)
    early = peaks[1::3] + 420
    rhythm = np.sort(np.concatenate([peaks, early]))
    ectopic = tuple(np.flatnonzero(np.isin(rhythm, early)))
    found = median_beat(recording(rhythm, emg=20, ectopic=ectopic), 500, EXTRACT)
    assert 5 <= found.n_used <= 8
    assert np.abs(found.beat[:, WINDOW > 360]).max() < 0.2  # no part of the early one


def test_a_tall_t_wave_is_no_beat():
    waves = {k: (c, w, *(2.2 * np.array(v))) if k in ("T1", "T2") else (c, w, *v) for k, (c, w, *v) in HEART.items()}
    found = median_beat(recording(every(811), emg=20, waves=waves), 500, EXTRACT)
    assert found.heart_rate == pytest.approx(60_000 / 811, rel=0.02)


def pulse_wave(rate, leads_alike):
    """A photoplethysmogram: a systolic and a dicrotic wave, in eight leads of different size and delay."""
    rng = np.random.default_rng(0)
    delays = np.zeros(8) if leads_alike else rng.uniform(0, 0.03, 8)
    phase = ((TIMES[:, None] - delays) * rate / 60) % 1
    wave = np.exp(-(((phase - 0.2) / 0.09) ** 2)) + 0.4 * np.exp(-(((phase - 0.5) / 0.12) ** 2))
    return wave * rng.uniform(0.3, 1.2, 8) + rng.normal(0, 0.005, wave.shape)


@pytest.mark.parametrize(
    "eight",
    [
        *(pulse_wave(rate, alike) for rate in (50, 60, 75, 90, 110) for alike in (True, False)),
        *(np.sin(2 * np.pi * f * TIMES[:, None] + np.arange(8)) for f in (0.8, 1.2, 2, 5, 8, 15, 50)),
        *(np.random.default_rng(1).normal(0, sd, (5000, 8)) for sd in (0.02, 0.1, 0.3, 1)),
        np.cumsum(np.random.default_rng(2).normal(0, 0.02, (5000, 8)), axis=0),
    ],
)
def test_what_is_no_ecg_is_refused(eight):
    found = median_beat(np.rint(1000 * twelve_leads(eight)).astype(np.int16), 500, EXTRACT)
    assert found.beat is None
    assert found.reason.split(":")[0] in ("no QRS complexes", "copied lead", "too few good beats")


def test_the_r_peak_is_the_same_point_in_both_halves(real_data):
    from ecg.recordings.wfdb_header import read_header
    from ecg.recordings.wfdb_signals import read_samples

    moved, n = [], 0
    for path in sorted((real_data / "ptb-xl").rglob("*.hea")):
        header = read_header(path)
        samples, rate = read_samples(header)[0], header.sampling_rate
        whole, *halves = (
            median_beat(part, rate, EXTRACT).beat
            for part in (samples, samples[: len(samples) // 2], samples[len(samples) // 2 :])
        )
        if any(beat is None for beat in (whole, *halves)):
            continue
        n += 1
        # The shift of one half's beat that fits the other's best.
        qrs = np.abs(WINDOW) <= 120
        errors = [np.mean((np.roll(halves[0], k, axis=1) - halves[1])[:, qrs] ** 2) for k in range(-5, 6)]
        shift = 8 * (int(np.argmin(errors)) - 5)
        if abs(shift) >= 16:
            moved.append((path.stem, shift))
    assert n > 450
    assert len(moved) <= 1, moved


def test_premature_beats_count():
    found = median_beat(recording(every(800), emg=20, ectopic=(3, 7)), 500, EXTRACT)
    assert found.heart_rate == pytest.approx(75, rel=0.02)
    assert PREMATURE["R"][1] > 2 * HEART["R"][1]  # they are wide, and less sharp


@pytest.mark.parametrize("sampling_rate", [100, 250, 257, 1000])
def test_the_default_detector_finds_what_that_of_neurokit_finds(sampling_rate):
    rng = np.random.default_rng(sampling_rate)
    for n in rng.integers(sampling_rate, 12 * sampling_rate, 60):
        beating = np.abs(np.sin(np.arange(n) / sampling_rate * rng.uniform(2, 9))) ** 30
        noise, wandering = rng.standard_normal(n), rng.standard_normal(n).cumsum()
        for signal in (beating + 0.1 * noise, np.round(beating + noise), wandering, np.abs(noise), 0 * noise):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                expected = neurokit2.ecg_findpeaks(signal, sampling_rate=sampling_rate, method="neurokit")
            np.testing.assert_array_equal(detect(signal, sampling_rate, "neurokit"), expected["ECG_R_Peaks"])


def test_what_another_detector_stumbles_over_is_the_reason():
    with pytest.raises(BadRecording, match="detector rodrigues2021: ValueError"):
        detect(np.zeros(3), 250, "rodrigues2021")
