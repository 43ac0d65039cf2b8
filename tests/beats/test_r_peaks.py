"""All QRS complexes and nothing else, from 35 to 250 a minute; a signal without any is refused."""

import warnings
from unittest.mock import Mock

import neurokit2
import numpy as np
import pytest
from drawn import EXTRACT, HEART, T_WAVES, changed, every, fast_repolarisation, in_uv, recording
from scipy.signal import find_peaks

from ecg.beats.median import filter_leads, median_beat
from ecg.beats.r_peaks import find_r_peaks, maxima_apart
from ecg.beats.windows import rms
from ecg.params import Extract
from ecg.recordings.hearts import twelve_leads

SECONDS = np.arange(5000) / 500


def r_peaks(samples, detector="sharpness"):
    """The R peaks (ms) of a recording at 500 Hz."""
    qrs_band = filter_leads(samples.T, 500, EXTRACT)[2]
    return find_r_peaks(qrs_band, EXTRACT.sampling_rate, detector) * 1000 / EXTRACT.sampling_rate


@pytest.mark.parametrize("heart_rate", [140, 180, 220, 250])
def test_a_heart_that_is_too_fast_is_refused_with_its_own_rate(heart_rate):
    # The P wave is close.
    waves = fast_repolarisation(heart_rate) | {"P": (-120, 14, *HEART["P"][2:])}
    found = median_beat(recording(every(60_000 / heart_rate), emg=20, waves=waves), 500, EXTRACT)
    assert found.beat is None
    rate = float(found.reason.removeprefix("too fast: ").split("/")[0])
    assert rate == pytest.approx(heart_rate, rel=0.02)


def test_a_wide_ectopic_complex_counts_and_a_tall_t_wave_does_not():
    # The ectopic complex is a Gaussian of 40 ms: less than half as sharp as the others.
    peaks = every(811)[:-1]
    peaks[5] -= 200
    samples = recording(np.delete(peaks, 5), emg=5, waves=changed(HEART, T_WAVES, 2.2))
    wide = 2 * np.exp(-0.5 * ((1000 * SECONDS - peaks[5]) / 40) ** 2)
    samples += in_uv(twelve_leads(wide[:, None] * np.array([1, 0.8, -0.6, 0.9, 1, 1, 0.8, 0.7])))
    np.testing.assert_allclose(r_peaks(samples), peaks, atol=40)


def pulse_wave(rate, leads_alike):
    """A photoplethysmogram: a systolic and a dicrotic wave, in eight leads of different size and delay."""
    rng = np.random.default_rng(0)
    delays = np.zeros(8) if leads_alike else rng.uniform(0, 0.03, 8)
    phase = ((SECONDS[:, None] - delays) * rate / 60) % 1
    wave = np.exp(-(((phase - 0.2) / 0.09) ** 2)) + 0.4 * np.exp(-(((phase - 0.5) / 0.12) ** 2))
    return wave * rng.uniform(0.3, 1.2, 8) + rng.normal(0, 0.005, wave.shape)


@pytest.mark.parametrize(
    "eight",
    [
        *(pulse_wave(rate, alike) for rate in (50, 75, 110) for alike in (True, False)),
        *(np.sin(2 * np.pi * f * SECONDS[:, None] + np.arange(8)) for f in (0.8, 2, 8, 15, 50)),
        *(np.random.default_rng(1).normal(0, sd, (5000, 8)) for sd in (0.02, 0.3, 1)),
        np.cumsum(np.random.default_rng(2).normal(0, 0.02, (5000, 8)), axis=0),
    ],
)
def test_a_signal_that_is_no_ecg_is_refused(eight):
    found = median_beat(in_uv(twelve_leads(eight)), 500, EXTRACT)
    assert found.beat is None
    assert found.reason.split(":")[0] in ("no QRS complexes", "copied lead", "too few good beats")


@pytest.mark.parametrize("distance", [1, 7, 50])
def test_maxima_apart_are_those_of_scipy(distance):
    rng = np.random.default_rng(1)
    for n in rng.integers(3, 600, 100):
        signal = rng.standard_normal(n).cumsum()
        np.testing.assert_array_equal(maxima_apart(signal, distance), find_peaks(signal, distance=distance)[0])


METHODS = [method for method in Extract.model_fields["detector"].annotation.__args__ if method != "sharpness"]


@pytest.mark.parametrize("method", METHODS)
def test_any_other_detector_is_neurokits_method(method):
    samples = recording(every(811), emg=20, waves=changed(HEART, T_WAVES, 0.5))
    found = r_peaks(samples, method)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        energy = rms(filter_leads(samples.T, 500, EXTRACT)[2], 0)
        expected = neurokit2.ecg_findpeaks(energy, sampling_rate=EXTRACT.sampling_rate, method=method)
    # Each is moved to where it is sharpest, by 60 ms at most: 64 ms in samples.
    expected = np.asarray(expected["ECG_R_Peaks"]) * 1000 / EXTRACT.sampling_rate
    assert np.abs(found[:, None] - expected).min(axis=0).max() <= 64
    assert np.abs(found[:, None] - expected).min(axis=1).max() <= 64


def test_a_failure_of_neurokit_is_the_reason(monkeypatch):
    monkeypatch.setattr(neurokit2, "ecg_findpeaks", Mock(side_effect=ValueError("none")))
    found = median_beat(recording(every(811)), 500, EXTRACT.model_copy(update={"detector": "rodrigues2021"}))
    assert found.reason == "detector rodrigues2021: ValueError: none"
