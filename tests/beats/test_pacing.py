import numpy as np
import pandas as pd
import pytest
from conftest import DEFAULTS, ecg_signal

from ecg.beats.median import median_beat
from ecg.beats.pacing import has_pacing_spikes
from ecg.params import read_params
from ecg.recordings.wfdb_header import read_header
from ecg.recordings.wfdb_signals import read_samples

EXTRACT = read_params(DEFAULTS).extract


@pytest.mark.parametrize(("height", "leads", "found"), [(800, 12, True), (200, 12, False), (800, 1, False)])
def test_a_pacemakers_spike_is_seen_before_the_complex(height, leads, found):
    samples = ecg_signal(10)
    r_peaks = np.arange(0.5, 10, 1)
    spiky = samples.copy()
    spiky[np.rint((r_peaks - 0.06) * 500).astype(int), :leads] += height
    assert has_pacing_spikes(spiky, 500, r_peaks) is found
    assert not has_pacing_spikes(samples, 500, r_peaks)
    # Spikes at one place of ten are no pacing.
    once = samples.copy()
    once[220] += 800
    assert not has_pacing_spikes(once, 500, r_peaks)


@pytest.mark.parametrize("hertz", [50, 60, 150])
def test_hum_is_no_pacemaker_and_hides_none(hertz):
    samples, r_peaks, times = ecg_signal(10), np.arange(0.5, 10, 1), np.arange(5000)[:, None] / 500
    hum = np.rint(1000 * np.sin(2 * np.pi * hertz * times)).astype(np.int16)
    assert not has_pacing_spikes(samples + hum, 500, r_peaks)
    # Those of a lead or two that Einthoven's law does not bind.
    hum = hum * np.int16(1) * (np.arange(12) > 5)
    spikes = np.zeros_like(samples)
    spikes[np.rint((r_peaks - 0.06) * 500).astype(int), 6:] = 800
    assert median_beat(samples + hum + spikes, 500, EXTRACT).reason.startswith("paced")
    assert median_beat(samples + hum, 500, EXTRACT).beat is not None


def test_real_pacemakers(real_data):
    table = pd.read_csv(real_data / "ptb-xl/ptbxl_database.csv").set_index("ecg_id")
    seen = set()
    for path in sorted((real_data / "ptb-xl/records500").rglob("*.hea")):
        samples, _ = read_samples(read_header(path))
        if median_beat(samples, 500, EXTRACT).reason.startswith("paced"):
            seen.add(int(path.stem[:5]))
    paced = set(table.index[table.scp_codes.str.contains("PACE")])
    # One of the six has spikes of 0.07 mV.
    assert seen <= paced
    assert len(seen) >= 5
