from fractions import Fraction

import numpy as np
import pytest
from conftest import ecg_signal
from drawn import EXTRACT, every, recording

from ecg.beats.filters import remove_hum, resample
from ecg.beats.median import median_beat
from ecg.leads import MISSING
from ecg.recordings.hearts import twelve_leads


@pytest.mark.parametrize("rate", [257, 360, 500, 1000])
def test_filter_moves_nothing_and_passes_what_it_should(rate):
    times = np.arange(10 * rate) / rate
    ratio = Fraction(250, rate)
    tones = np.stack([np.sin(2 * np.pi * f * times + 1) for f in (0.1, 5.0, 15.0, 80.0)])
    (out,) = resample(tones.astype(np.float32), rate, ratio, [(slice(None), (0.5, 40))], pad=rate)
    assert out.shape == (4, 2500)
    middle = slice(500, 2000)
    expected = np.sin(2 * np.pi * np.array([[5.0], [15.0]]) * np.arange(2500) / 250 + 1)
    np.testing.assert_allclose(out[1:3, middle], expected[:, middle], atol=0.01)
    assert np.abs(out[[0, 3], middle]).max() < 0.01


def with_hum(samples, rate, hertz, uv, *, lawful=True, modulated=0.0, modulation=0.2):
    """Add hum whose amplitude (uV) varies by a share, at `modulation` Hz; lawful: it obeys Einthoven's law."""
    times = np.arange(len(samples)) / rate
    hum = uv * (1 + modulated * np.sin(2 * np.pi * modulation * times)) * np.sin(2 * np.pi * hertz * times + 0.3)
    shares = np.array([0.8, 1, 0.9, 0.6, 0.7, 0.8, 0.9, 1])
    humming = twelve_leads(hum[:, None] * shares) if lawful else hum[:, None] * (np.arange(12) > 6)
    return np.rint(samples + humming).astype(np.int16)


@pytest.mark.parametrize("hertz", [49.8, 60, 100, 150, 180])
@pytest.mark.parametrize(
    ("rate", "uv", "lawful"),
    [(250, 500, True), (257, 2500, False), (360, 500, False), (500, 2500, True), (1000, 70, True)],
)
def test_hum_leaves_the_beat_as_it_is(hertz, rate, uv, lawful):
    samples = recording(every(811), sampling_rate=rate, emg=10, wander=100)
    humming = with_hum(samples, rate, hertz, uv, lawful=lawful, modulated=0.1)
    cleaned, _ = remove_hum(humming.T, rate)
    # The ends are the worst.
    assert np.abs(cleaned.T - samples.astype(int))[rate:-rate].max() < 5 + 0.01 * uv
    found, sound = (median_beat(s, rate, EXTRACT) for s in (humming, samples))
    assert found.n_used >= sound.n_used - 1
    assert np.sqrt(np.mean((found.beat - sound.beat) ** 2)) < 0.003
    # At 250 Hz, 150 Hz look like 100 Hz.
    named = 100 if (rate, hertz) == (250, 150) else round(hertz)
    assert found.flags[0].startswith(f"hum of {named} Hz: ")
    assert found.flags[0].endswith(", removed")


def test_hum_beside_gaps_is_removed_and_gaps_stay():
    samples = recording(every(811), emg=10)
    humming = with_hum(samples, 500, 50, 1000)
    humming[1000:1200, 7] = MISSING
    cleaned = remove_hum(humming.T, 500)[0].T
    np.testing.assert_array_equal(cleaned == MISSING, humming == MISSING)
    assert np.abs(cleaned - samples.astype(int))[500:-500][(humming != MISSING)[500:-500]].max() < 40


@pytest.mark.parametrize("hertz", [50, 60, 150])
def test_hum_that_cannot_be_followed_is_refused_as_hum(hertz):
    samples = with_hum(recording(every(811), emg=10), 500, hertz, 1000, modulated=1, modulation=3)
    reason = median_beat(samples, 500, EXTRACT).reason
    assert reason.startswith(f"hum of {hertz} Hz: 1.0 mV; ")


def test_recordings_without_hum_stay_as_they_are():
    samples = with_hum(ecg_signal(10), 500, 50, 20).T
    assert remove_hum(samples, 500)[0] is samples
