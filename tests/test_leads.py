import numpy as np
import pytest
from conftest import ecg_signal

from ecg.leads import LEADS, MISSING, BadRecording, find_leads, lead_of, to_microvolts

SAMPLES = ecg_signal(2)


def leads(signal=SAMPLES, names=LEADS):
    """As a reader gives them: uV, float."""
    return {lead: signal[:, LEADS.index(lead)].astype(float) for lead in names}


@pytest.mark.parametrize(
    "form",
    [
        *("{}", "{} ", "Lead {}", "LEAD_{}", "Lead-{}", "lead{}", "ecg_{}", "EKG {}", "ECG Lead {}"),
        *("MDC_ECG_LEAD_{}", "{} (mV)", "{} [µV]", "{} # noisy", "Lead {} (Einthoven)"),
    ],
)
def test_names_that_files_give_to_leads(form):
    for lead in LEADS:
        for written in (lead, lead.upper(), lead.lower()):
            assert lead_of(form.format(written)) == lead


def test_other_names_of_leads():
    names = ["DI", "dii", "D3", "C1", "c6", "Lead DII", "Ⅲ"]
    assert [lead_of(name) for name in names] == ["I", "II", "III", "V1", "V6", "II", "III"]


@pytest.mark.parametrize(
    "name",
    [
        *("-aVR", "Lead -aVR", "aVR (inv)", "-I", "aVR-", "I+II", "V1-V2"),
        *("MLII", "V", "V7", "V3R", "C7", "VF", "X", "IIII", "1", "ECG", "ECG 1", "Lead", "D", "", "VX"),
        *("I II", "I noisy", "V1 (aVR)", "III (kPa)"),
    ],
)
def test_names_that_leave_a_doubt_are_no_leads(name):
    assert lead_of(name) is None


def test_missing_and_duplicate_leads_are_named_and_so_is_what_was_found():
    with pytest.raises(BadRecording, match=r"^missing lead: II, III, V1, .*; found: MLII, -aVR, I$"):
        find_leads(["MLII", "-aVR", "I", ""])
    with pytest.raises(BadRecording, match=r"^duplicate lead: V1; found: I, II, .*, V6, C1$"):
        find_leads([*LEADS, "C1"])


@pytest.mark.parametrize("lead", ["V1", "II", "aVF"])
def test_the_offset_of_one_lead_is_removed(lead):
    signal = SAMPLES.astype(float)
    signal[:, LEADS.index(lead)] -= 300_000
    samples, flags = to_microvolts(leads(signal))
    constant = samples - SAMPLES.astype(int)
    assert np.ptp(constant, axis=0).max() <= 1
    assert np.abs(constant).max() < 500
    assert flags == [f"offset removed: {lead} -300 mV"]


def test_a_spike_is_clipped_and_the_lead_stays_as_it_is():
    signal = SAMPLES.astype(float)
    signal[7, 3] = 60_000
    samples, flags = to_microvolts(leads(signal))
    expected = SAMPLES.copy()
    expected[7, 3] = 32767
    np.testing.assert_array_equal(samples, expected)
    assert flags == ["clipped: beyond 32.767 mV"]


def test_offsets_are_flagged_with_their_leads_and_large_ones_refused():
    with pytest.raises(BadRecording, match=r"^offset: 2000 mV in lead V3; allowed: ±1000 mV$"):
        to_microvolts(leads(SAMPLES + 2_000_000.0 * (np.arange(12) == 8)))
    _, flags = to_microvolts(leads(SAMPLES + 1000.0 * np.array([-50] + [0] * 5 + [40, 0, 0, 300, 0, 0])))
    assert flags == ["offset removed: I -50 mV, V1 40 mV, V4 300 mV"]


def test_missing_samples_stay_missing_beside_an_offset():
    signal = SAMPLES + 100_000.0
    signal[10:20, 6] = np.nan
    signal[:, 4] = np.nan
    samples, _ = to_microvolts(leads(signal))
    np.testing.assert_array_equal(samples == MISSING, np.isnan(signal))


@pytest.mark.parametrize("kept", [("I", "II"), ("I", "III"), ("II", "III")])
def test_limb_leads_are_derived_where_their_samples_are_there(kept):
    signal = SAMPLES.astype(float)
    signal[5, LEADS.index(kept[0])] = np.nan
    samples, flags = to_microvolts(leads(signal, (*kept, *LEADS[6:])))
    absent = [lead for lead in LEADS[:6] if lead not in kept]
    assert flags == [f"derived lead: {', '.join(absent)}"]
    assert (samples[5, [LEADS.index(lead) for lead in absent]] == MISSING).sum() >= 3
    assert np.abs(samples.astype(int) - SAMPLES)[np.arange(len(SAMPLES)) != 5].max() <= 2
