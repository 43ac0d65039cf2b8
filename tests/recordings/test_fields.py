"""A file's fields of time and amplitude are honoured, or the file is refused by the field's name."""

import numpy as np
import pytest
from conftest import noisy_signal
from ecg_files import WRITERS, aecg, cardiosoft, coded, dicom, edf, muse, philips

from ecg.leads import LEADS, MISSING, BadRecording
from ecg.recordings.read import read_ecg, standard_leads

SAMPLES = noisy_signal(10)
V1 = LEADS.index("V1")


def read(folder, content):
    (folder / "a").write_bytes(content)
    return standard_leads(read_ecg(folder / "a"))[0]


def refused(folder, content):
    with pytest.raises(BadRecording) as caught:
        read(folder, content)
    return str(caught.value)


def set_v1(**fields):
    def change(group):
        for keyword, value in fields.items():
            setattr(group.ChannelDefinitionSequence[V1], keyword, value)

    return change


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"ChannelSensitivity": None}, "file: ChannelSensitivity is 'None'; allowed: a number"),
        ({"ChannelSensitivityUnitsSequence": []}, "units: None; allowed: uV, mV, V"),
        ({"ChannelSensitivityCorrectionFactor": "0"}, "gain: 0 uV"),
        ({"ChannelStatus": ["OK", "DISCONNECTED"]}, "file: status of lead V1 is 'DISCONNECTED'; allowed: OK, QUEST"),
        ({"ChannelSampleSkew": "7"}, "file: ChannelSampleSkew of lead V1 is 7.0; allowed: 0"),
        ({"ChannelOffset": "0.014"}, "file: ChannelOffset of lead V1 is 0.014; allowed: 0"),
        ({"ChannelSourceModifiersSequence": [coded("1", "X", "inverted")]}, "file: number of source modifiers of le"),
    ],
)
def test_channels_of_dicom_that_are_not_what_they_seem(tmp_path, fields, reason):
    assert reason in refused(tmp_path, dicom(SAMPLES, 500, change=set_v1(**fields)))


def test_other_channels_of_dicom_are_left_out_with_any_content(tmp_path):
    def change(group):
        channel = group.ChannelDefinitionSequence[0]
        channel.ChannelSourceSequence = [coded("9", "X", "Respiration")]
        channel.ChannelSensitivity, channel.ChannelStatus = None, "INVALID"

    samples = read(tmp_path, dicom(SAMPLES, 500, step=1, change=change))
    np.testing.assert_allclose(samples, SAMPLES, atol=2)


def test_the_baseline_of_dicom_and_its_correction_factor(tmp_path):
    change = set_v1(ChannelBaseline="250", ChannelSensitivityCorrectionFactor="2", ChannelStatus="OK")
    samples = read(tmp_path, dicom(SAMPLES, 500, step=1, change=change))
    np.testing.assert_array_equal(samples[:, V1], 2 * SAMPLES[:, V1] + 250)
    # In the units of its sensitivity.
    millivolt = {"ChannelSensitivity": "0.001", "ChannelSensitivityUnitsSequence": [coded("mV", "UCUM", "millivolt")]}
    samples = read(tmp_path, dicom(SAMPLES, 500, step=1, change=set_v1(ChannelBaseline="0.25", **millivolt)))
    np.testing.assert_array_equal(samples[:, V1], SAMPLES[:, V1] + 250)


def test_leads_of_dicom_are_found_by_their_codes_alone(tmp_path):
    def change(group):
        for channel in group.ChannelDefinitionSequence:
            channel.ChannelSourceSequence[0].CodeMeaning = ""

    np.testing.assert_array_equal(read(tmp_path, dicom(SAMPLES, 500, step=1, change=change)), SAMPLES)


def test_a_lead_that_muse_states_to_be_off_is_missing(tmp_path):
    lead = b"<LeadID>V1</LeadID><LeadSampleSize>2</LeadSampleSize><LeadOff>"
    samples = read(tmp_path, muse(SAMPLES, 500).replace(lead + b"FALSE", lead + b"TRUE"))
    assert (samples == MISSING).mean(axis=0).tolist() == [lead == "V1" for lead in LEADS]


def test_unsigned_samples_and_padding_within_the_range_of_dicom(tmp_path):
    stored = SAMPLES.astype(int) + 2**15
    stored[100:200, V1] = 60000
    stored[300:400, V1] = 0

    def change(group):
        group.WaveformSampleInterpretation = "US"
        group.WaveformData = stored.astype("<u2").tobytes()
        group.add_new("WaveformPaddingValue", "OW", np.array([60000], "<u2").tobytes())
        for channel in group.ChannelDefinitionSequence:
            channel.ChannelBaseline = str(-(2**15))

    expected = SAMPLES.copy()
    expected[np.r_[100:200, 300:400], V1] = MISSING
    np.testing.assert_array_equal(read(tmp_path, dicom(SAMPLES, 500, step=1, change=change)), expected)


@pytest.mark.parametrize("form", ["muse.xml", "cardiosoft.xml", "aecg.xml", "dicom.dcm", "edf.edf", "philips.xml"])
def test_the_least_integer_is_a_missing_sample(tmp_path, form):
    off, options = SAMPLES.astype(int), {"pulse": False} if form == "philips.xml" else {}
    off[100:200, V1] = -32768
    samples = read(tmp_path, WRITERS[form](off, 500, step=1, **options))
    assert np.argwhere(samples == MISSING).tolist() == [[i, V1] for i in range(100, 200)]


def swap(content, field, old, new):
    """Change a field of V1 in an EDF file of 13 signals."""
    begin = {"physical_min": 104, "physical_max": 112}[field]
    at = 256 + 13 * begin + 8 * V1
    assert content[at : at + 8].strip() == old
    return content[:at] + new.ljust(8) + content[at + 8 :]


def test_a_physical_minimum_above_the_maximum_turns_a_lead_of_edf(tmp_path):
    content = swap(edf(-SAMPLES, 500), "physical_min", b"-32768", b"32768")
    content = swap(content, "physical_max", b"32767", b"-32767")
    samples = read(tmp_path, content)
    np.testing.assert_array_equal(samples[:, V1], SAMPLES[:, V1])
    np.testing.assert_array_equal(samples[:, 0], -SAMPLES[:, 0])


@pytest.mark.parametrize(
    ("content", "old", "new", "reason"),
    [
        (muse, b"<LeadID>V1", b"<LeadTimeOffset>4</LeadTimeOffset><LeadID>V1", "file: LeadTimeOffset of V1 is 4.0; al"),
        (muse, b"<LeadID>V1", b"<LeadOffsetFirstSample>2</LeadOffsetFirstSample><LeadID>V1", "file: LeadOffsetFirst"),
        (muse, b"<LeadID>V1", b"<FirstSampleBaseline>9</FirstSampleBaseline><LeadID>V1", "file: FirstSampleBaseline"),
        (muse, b"Total>5000", b"Total>4999", "file: 10000 bytes for 4999 samples of 2 bytes"),
        (muse, b"<SampleExponent>0", b"<SampleExponent>3", "file: SampleExponent is 3.0; allowed: 0"),
        (cardiosoft, b'"Hz">', b'"kHz">', "file: unit of SampleRate is 'kHz'; allowed: Hz"),
        (cardiosoft, b'"uVperLsb"', b'"nVperLsb"', "units: 'nVperLsb'"),
        (aecg, b'"SLIST_PQ">', b'"GLIST_PQ"><increment value="4" unit="ms"/>', "file: 13 increments of time; allowed"),
        (aecg, b'unit="s"', b'unit="h"', "file: unit of increment is 'h'; allowed: s, ms, us"),
        (aecg, b"<scale ", b"<scales ", "file: scale is None"),
    ],
)
def test_fields_of_xml_that_move_samples(tmp_path, content, old, new, reason):
    changed = content(SAMPLES, 500).replace(old, new)
    assert refused(tmp_path, changed).startswith(reason)


def test_origins_of_aecg_and_its_units_of_time(tmp_path):
    content = aecg(SAMPLES, 500, step=1).replace(b'"0.002" unit="s"', b'"2" unit="ms"')
    content = content.replace(b'<origin value="0" unit="uV"/>', b'<origin value="0.25" unit="mV"/>')
    np.testing.assert_array_equal(read(tmp_path, content), SAMPLES + 250)


def test_fields_of_the_waveform_of_philips_count(tmp_path):
    def changed(attributes, duration=10000):
        text = philips(SAMPLES, 500, step=1, pulse=False).decode("utf-16").replace('"10000"', f'"{duration}"')
        return text.replace("<parsedwaveforms", f"<parsedwaveforms {attributes}").encode("utf-16")

    twice = read(tmp_path, changed('resolution="2" samplespersecond="250"', 20000))
    np.testing.assert_array_equal(twice, 2 * SAMPLES)
    assert read_ecg(tmp_path / "a").sampling_rate == 250
    assert refused(tmp_path, changed('signaloffset="100"')).startswith("file: signaloffset is 100")
    other = philips(SAMPLES, 500).decode("utf-16").replace('V5 V6"', 'V6 V5"')
    assert refused(tmp_path, other.encode("utf-16")).startswith("file: order of leads is ")
