"""Headers are read or refused with a reason; the gain of a header counts, or that of the Challenge's archives."""

import re

import numpy as np
import pytest
from conftest import ecg_signal, write_challenge

from ecg.leads import BadRecording
from ecg.recordings.read import read_ecg, standard_leads
from ecg.recordings.wfdb_header import ARCHIVES, archive_of, read_header
from ecg.recordings.wfdb_signals import read_samples

SAMPLES = ecg_signal(2)


def read(path):
    return read_samples(read_header(path))


def replace(path, old, new, count=-1):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, count))
    return path


@pytest.mark.parametrize("dialect", ["old", "new"])
def test_both_challenge_dialects(tmp_path, dialect):
    path = write_challenge(tmp_path, "HR00001", SAMPLES, dialect=dialect, dx="426783006,426783006,")
    header = read_header(path)
    samples, flags = read_samples(header)
    np.testing.assert_array_equal(samples, SAMPLES)
    assert (header.sampling_rate, flags) == (500, [])
    assert header.comments["age"] == ["60"] and header.comments["dx"] == ["426783006,426783006,"]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("mine 12 500 1000", "mine 12 0 1000", "sampling rate: 0 Hz"),
        ("mine 12 500 1000", "mine 12 1e999 1000", "sampling rate: inf Hz"),
        ("mine 12 500 1000", "mine 12 500 -1", "header: cannot read 'mine 12 500 -1'; expected: name, "),
        ("mine 12 500 1000", "mine", "header: cannot read 'mine'"),
        ("mine 12 500 1000", "mine 12 500 1001", "contains 1000 samples a lead"),
        ("mine 12 500 1000", "mine 12 500 999", "is not a MATLAB v4 matrix val of 12 x 999 samples"),
        ("mine 12 500 1000", "mine 11 500 1000", "11 signals announced, 12 described"),
        ("1000.0(0)/mv", "0/mV", "gain: 0/mV in lead I; allowed: above 0"),
        ("1000.0(0)/mv", "1000.0(0/mv", "header: cannot read 'mine.mat 16x1+24 1000.0(0/mv "),
        ("16 0 ", f"16 {10**40} ", "header: cannot read 'mine.mat"),
        ("1000.0(0)/mv", "1000/kPa", "units: 'kPa'"),
        ("mine.mat", "other.mat", "unreadable: No such file or directory (other.mat)"),
        (" V1\n", " V2\n", "duplicate lead: V2"),
        (" V1\n", " VX\n", "missing lead: V1; found: I, II, III, aVR, aVL, aVF, VX, V2, V3, V4, V5, V6"),
    ],
)  # fmt: skip
def test_bad_headers_are_refused_with_a_reason(tmp_path, old, new, reason):
    path = replace(write_challenge(tmp_path, "mine", SAMPLES), old, new)
    with pytest.raises(BadRecording, match=re.escape(reason)):
        standard_leads(read_ecg(path))


def test_a_record_name_with_a_path_is_one_segment(tmp_path):
    path = replace(write_challenge(tmp_path, "mine", SAMPLES), "mine 12", "records500/00000/00001_hr 12", 1)
    np.testing.assert_array_equal(read(path)[0], SAMPLES)


def test_leads_of_several_samples_a_frame_have_a_higher_rate(tmp_path):
    path = replace(write_challenge(tmp_path, "mine", SAMPLES), " 500 ", " 62.4725 ", 1)
    text = path.read_text()
    path.write_text(text.replace("16x1+24", "16x4+24"))
    assert read_header(path).sampling_rate == 249.89
    # A pulse wave next to the ECG does not change the rate of the leads.
    path.write_text(text.replace("mine 12", "mine 13") + "pulse.dat 16x8 1/mmHg 16 0 0 0 0 PLETH\n")
    assert read_header(path).sampling_rate == 62.4725


@pytest.mark.parametrize("dialect", ["old", "new"])
@pytest.mark.parametrize("prefix", ARCHIVES)
def test_records_of_the_challenge_are_of_their_archive(tmp_path, prefix, dialect):
    archive, name = ARCHIVES[prefix], f"{prefix}{'0001' if prefix in 'AQIS' else '00001'}"
    path = write_challenge(tmp_path, name, SAMPLES, dialect=dialect, sampling_rate=archive.sampling_rate)
    assert archive_of(read_header(path)) == archive
    path = write_challenge(tmp_path, name, SAMPLES, dialect=dialect, sampling_rate=250)
    assert archive_of(read_header(path)) is None


@pytest.mark.parametrize(
    ("name", "gain", "rate"), [("HR00001", "200/mV", 500), ("E00001", "4880/mV", 500), ("S0001", "2000000/mV", 1000)]
)
def test_known_wrong_gains_are_corrected_and_flagged(tmp_path, name, gain, rate):
    path = write_challenge(tmp_path, name, SAMPLES, gain=gain, sampling_rate=rate, dialect="old")
    samples, flags = read(path)
    np.testing.assert_array_equal(samples, SAMPLES)
    assert flags == [f"gain: {float(gain[:-3]):g}(0)/mV read as 1000(0)/mV"]


@pytest.mark.parametrize("name", ["HR00001", "S0001", "E00001", "I0001", "patient1"])
def test_an_own_file_is_read_by_its_own_gain_whatever_its_name(tmp_path, name):
    # An ECG in steps of 5 uV.
    path = write_challenge(tmp_path, name, SAMPLES // 5, gain="200(0)/mV")
    replace(path, "# Rx: Unknown\n# Hx: Unknown\n", "")
    samples, flags = read(path)
    np.testing.assert_array_equal(samples, SAMPLES // 5 * 5)
    assert flags == [] and archive_of(read_header(path)) is None
