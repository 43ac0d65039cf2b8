"""Whose gain is to be believed: that of a header, or what is known of the Challenge's archives."""

import numpy as np
import pytest
from conftest import ecg_signal, write_challenge

from ecg.leads import BadRecording
from ecg.recordings.challenge import challenge_source
from ecg.recordings.header import read_header
from ecg.recordings.signals import read_samples

SAMPLES = ecg_signal(2)


def read(path):
    return read_samples(read_header(path))


def without(path, *keys):
    """Leave comments out of a header."""
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line for line in lines if line.strip("# ").split(":")[0] not in keys) + "\n")
    return path


@pytest.mark.parametrize("dialect", ["old", "new"])
@pytest.mark.parametrize(
    ("name", "source", "rate"),
    [
        ("A0001", "cpsc", 500),
        ("Q0001", "cpsc-extra", 500),
        ("I0001", "incart", 257),
        ("S0001", "ptb", 1000),
        ("HR00001", "ptb-xl", 500),
        ("E00001", "georgia", 500),
        ("JS00001", "chapman-ningbo", 500),
    ],
)
def test_records_of_the_challenge_are_of_their_archive(tmp_path, name, source, rate, dialect):
    header = read_header(write_challenge(tmp_path, name, SAMPLES, dialect=dialect, sampling_rate=rate))
    assert challenge_source(header) == source


@pytest.mark.parametrize(
    ("name", "gain", "rate"), [("HR00001", "200/mV", 500), ("E00001", "4880/mV", 500), ("S0001", "2000000/mV", 1000)]
)
def test_known_wrong_gains_are_corrected_and_flagged(tmp_path, name, gain, rate):
    path = write_challenge(tmp_path, name, SAMPLES, gain=gain, sampling_rate=rate, dialect="old")
    samples, flags = read(path)
    np.testing.assert_array_equal(samples, SAMPLES)
    assert flags == [f"gain: {float(gain[:-3]):g}(0)/mV read as 1000(0)/mV"]


@pytest.mark.parametrize("name", ["S0001", "A0001", "E00001", "Q0001", "JS00001", "I0001", "patient1"])
@pytest.mark.parametrize("comments", ["none", "some", "all"])
def test_an_own_file_is_read_by_its_own_gain_whatever_its_name(tmp_path, name, comments):
    # An ECG in steps of 5 uV.
    path = write_challenge(tmp_path, name, SAMPLES // 5, gain="200(0)/mV")
    if comments != "all":
        without(path, "Rx", "Hx", "Sx", *(("Age", "Sex") if comments == "none" else ()))
    samples, flags = read(path)
    np.testing.assert_array_equal(samples, SAMPLES // 5 * 5)
    assert flags == []
    if comments != "all":
        assert challenge_source(read_header(path)) is None


def test_what_may_be_either_is_refused(tmp_path):
    # 200/mV is wrong in PTB-XL's early headers, and WFDB's usual gain.
    path = without(write_challenge(tmp_path, "HR00001", SAMPLES, gain="200/mV"), "Rx", "Hx")
    with pytest.raises(BadRecording, match=r"^gain: 200\(0\)/mV is wrong in the Challenge's ptb-xl, and this may be"):
        read(path)
    path = write_challenge(tmp_path, "E00001", SAMPLES, gain="4880/mV", sampling_rate=250)
    with pytest.raises(BadRecording, match=r"^gain: 4880\(0\)/mV is wrong in the Challenge's georgia"):
        read(path)
    assert challenge_source(read_header(path)) is None


def test_a_dat_file_is_none_of_the_challenge(tmp_path):
    path = write_challenge(tmp_path, "HR00001", SAMPLES // 5, gain="200/mV")
    path.write_text(path.read_text().replace(".mat 16x1+24", ".dat 16"))
    (tmp_path / "HR00001.dat").write_bytes((SAMPLES // 5).astype("<i2").tobytes())
    np.testing.assert_array_equal(read(path)[0], SAMPLES // 5 * 5)
    assert challenge_source(read_header(path)) is None


def test_real_recordings_keep_source_and_gain(real_data):
    headers = [read_header(path) for path in sorted((real_data / "challenge").glob("*.hea"))]
    expected = {"E": "georgia", "HR": "ptb-xl", "JS": "chapman-ningbo"}
    assert [challenge_source(h) for h in headers] == [expected[h.path.stem.rstrip("0123456789")] for h in headers]


@pytest.mark.parametrize(("prefix", "gain"), [("HR", 200), ("E", 4880)])
def test_real_headers_with_the_wrong_gain_are_corrected(real_data, tmp_path, prefix, gain):
    path = next((real_data / "challenge").glob(f"{prefix}*.hea"))
    (tmp_path / path.name).write_text(path.read_text().replace("1000.0(0)/m", f"{gain}/m"))
    (tmp_path / f"{path.stem}.mat").write_bytes(path.with_suffix(".mat").read_bytes())
    samples, flags = read(tmp_path / path.name)
    np.testing.assert_array_equal(samples, read(path)[0])
    assert flags == [f"gain: {gain}(0)/mV read as 1000(0)/mV"]
