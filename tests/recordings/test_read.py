"""Each format gives the same recording; files that are no recordings are refused."""

import numpy as np
import pytest
from conftest import DEFAULTS, noisy_signal, write_challenge
from ecg_files import METADATA, PERSON, SECRETS, WRITERS, aecg, cardiosoft, dicom, edf, muse, npy, philips
from pydicom.uid import DeflatedExplicitVRLittleEndian

from ecg.beats.median import median_beat
from ecg.leads import LEADS, MISSING, BadRecording
from ecg.params import read_params
from ecg.recordings.codes import parse_sex
from ecg.recordings.ecg_file import Person
from ecg.recordings.read import format_of, read_ecg, standard_leads

SAMPLES = noisy_signal(10)
EXTRACT = read_params(DEFAULTS).extract
BEAT = median_beat(SAMPLES, 500, EXTRACT).beat
STEPS = {"muse.xml": 4.88, "cardiosoft.xml": 5, "philips.xml": 5, "dicom.dcm": 4.88, "aecg.xml": 2.5}


def write(folder, content, name="a"):
    (folder / name).write_bytes(content)
    return folder / name


def refused(path, **options):
    with pytest.raises(BadRecording) as caught:
        standard_leads(read_ecg(path, **options))
    return str(caught.value)


@pytest.mark.parametrize("name", WRITERS)
def test_the_same_recording_in_every_format(tmp_path, name):
    # Without a suffix: the content decides.
    path = write(tmp_path, WRITERS[name](SAMPLES, 500))
    ecg = read_ecg(path, metadata=METADATA)
    assert ecg.sampling_rate == pytest.approx(500)
    assert ecg.signal.shape[1] == len(ecg.leads)
    samples, flags = standard_leads(ecg)
    step = STEPS.get(name, 1)
    # A derived lead has the steps of two others.
    np.testing.assert_allclose(samples[: len(SAMPLES)], SAMPLES[: len(samples)], atol=1 + 1.5 * step)
    beat = median_beat(samples, ecg.sampling_rate, EXTRACT)
    assert 1000 * np.abs(beat.beat - BEAT).max() <= max(5, step)
    if name in ("table.csv", "array.npy"):
        assert ecg.person == Person() and ecg.heart_rate is None
    else:
        age = "" if name == "edf.edf" else PERSON["age"]
        assert (ecg.person.age, parse_sex(ecg.person.sex)[0]) == (age, PERSON["sex"])
        assert ecg.person.patient.startswith("sha256-")
        assert ecg.heart_rate == (None if name == "edf.edf" else 60)
    assert not any(secret in repr((ecg.person, ecg.flags, flags, ecg.leads)) for secret in SECRETS)


def test_the_signal_of_any_reader_in_millivolts(tmp_path):
    off = SAMPLES.copy()
    off[100:200, 7] = MISSING
    expected = np.where(off == MISSING, np.nan, off / 1000)
    np.testing.assert_allclose(read_ecg(write_challenge(tmp_path, "a", off)).in_mv(), expected)
    np.testing.assert_allclose(read_ecg(write(tmp_path, cardiosoft(off, 500, step=1))).in_mv(), expected)
    bad = read_ecg(write_challenge(tmp_path, "b", off, checksums=False))
    with pytest.raises(BadRecording, match="wrong checksum"):
        bad.in_mv()


@pytest.mark.parametrize("end", ["end", "beginning"])
def test_a_calibration_pulse_is_dropped_at_either_end_in_any_format(tmp_path, end):
    pulse = np.zeros((500, 12), np.int16)
    pulse[150:250] = 1000
    whole = np.concatenate([SAMPLES, pulse] if end == "end" else [pulse, SAMPLES])
    for path in (write(tmp_path, muse(whole, 500)), write_challenge(tmp_path, "b", whole)):
        samples, flags = standard_leads(read_ecg(path))
        assert flags[-1].startswith(f"calibration pulse dropped at the {end}: ")
        # The flat baseline next to the pulse is cut off too.
        assert 4800 <= len(samples) <= 5000
    # A pause in all leads is not a pulse.
    quiet = np.concatenate([SAMPLES, 0 * pulse])
    assert len(standard_leads(read_ecg(write_challenge(tmp_path, "a", quiet)))[0]) == 5500


def test_two_waveforms_are_refused_and_a_median_alone_too(tmp_path):
    assert refused(write(tmp_path, muse(SAMPLES, 500, rhythms=2))) == "file: 2 rhythm waveforms; allowed: one"
    assert refused(write(tmp_path, muse(SAMPLES, 500, rhythms=0))) == "file: 0 rhythm waveforms; allowed: one"
    for groups, n in ((["RHYTHM"] * 2, 2), (["MEDIAN BEAT"], 0)):
        path = write(tmp_path, dicom(SAMPLES, 500, groups=groups))
        assert refused(path) == f"file: {n} groups of rhythm waveforms; allowed: one"
    strip = cardiosoft(SAMPLES, 500)
    assert refused(write(tmp_path, strip.replace(b"StripData", b"Other"))) == "file: 0 StripData; allowed: one"
    derived = aecg(SAMPLES, 500).replace(b"RHYTHM", b"OTHER")
    assert refused(write(tmp_path, derived)) == "file: 0 series of rhythm; allowed: one"


def test_a_deflated_dicom_is_refused(tmp_path):
    path = write(tmp_path, dicom(SAMPLES, 500, syntax=DeflatedExplicitVRLittleEndian))
    assert refused(path).startswith("file: transfer syntax 1.2.840.10008.1.2.1.99; allowed: ")


def test_units_and_gaps_of_edf(tmp_path):
    samples, _ = standard_leads(read_ecg(write(tmp_path, edf(SAMPLES, 500, unit="mV"))))
    np.testing.assert_allclose(samples, SAMPLES, atol=1)
    assert refused(write(tmp_path, edf(SAMPLES, 500, kind="EDF+D"))).startswith("file: EDF+D")
    assert refused(write(tmp_path, edf(SAMPLES, 500, unit="kPa"))) == "units: 'kPa'; allowed: uV, mV, V"


def test_versions_of_philips(tmp_path):
    for version in ("1.03", "1.04"):
        samples, flags = standard_leads(read_ecg(write(tmp_path, philips(SAMPLES, 500, version=version, pulse=False))))
        np.testing.assert_allclose(samples, SAMPLES, atol=8)
        assert flags == []
    assert "Philips XML 2.00, XLI compression" in refused(write(tmp_path, philips(SAMPLES, 500, version="2.00")))


def test_scp_is_refused_with_the_way_out(tmp_path):
    assert "save2gdf" in refused(write(tmp_path, bytes(16) + b"SCPECG" + bytes(100)))


@pytest.mark.parametrize("content", [b"", b"<html/>", b"a,b\n1,2\n", b"GIF89a", "<é>".encode("utf-16"), bytes(200)])
def test_other_files_are_none(tmp_path, content):
    path = write(tmp_path, content)
    assert format_of(path) is None
    assert refused(path).startswith("no ECG file")


def test_arrays_lie_either_way_and_hold_no_pickles(tmp_path):
    for array, names in ((SAMPLES, LEADS), (SAMPLES.T, LEADS), (SAMPLES[:, ::-1], LEADS[::-1])):
        metadata = METADATA | ({"leads": ",".join(names)} if names != LEADS else {})
        samples, flags = standard_leads(read_ecg(write(tmp_path, npy(array, 500)), metadata=metadata))
        np.testing.assert_array_equal(samples, SAMPLES)
        assert bool(flags) == (names == LEADS)
    np.save(tmp_path / "b.npy", np.array([[{}]], object))
    assert refused(tmp_path / "b.npy", metadata=METADATA).startswith("file: ")


@pytest.mark.parametrize("name", sorted(set(WRITERS) - {"table.csv"}))
def test_a_part_of_a_file_is_no_recording(tmp_path, name):
    content = WRITERS[name](SAMPLES, 500)
    for share in (0.3, 0.9):
        reason = refused(write(tmp_path, content[: int(share * len(content))]), metadata=METADATA)
        assert not any(secret in reason for secret in SECRETS)


def test_real_files(real_data):
    folder = real_data / "formats"
    if not folder.is_dir():
        pytest.skip("no formats/ in ECG_REAL_DATA")
    beats = {}
    for name in ("hl7_example.aecg.xml", "hl7_example.dcm", "philips_1_03_simulator.xml", "philips_1_04_demo.xml"):
        ecg = read_ecg(folder / name)
        samples, flags = standard_leads(ecg)
        beats[name] = median_beat(samples, ecg.sampling_rate, EXTRACT)
        assert beats[name].beat is not None
        assert bool(flags) == name.startswith("philips")
        assert (samples != MISSING).all()
    difference = beats["hl7_example.aecg.xml"].beat - beats["hl7_example.dcm"].beat
    assert 1000 * np.abs(difference).max() < 1
    assert beats["philips_1_03_simulator.xml"].heart_rate == pytest.approx(41, abs=1)
    assert "save2gdf" in refused(folder / "hl7_example.scp")
