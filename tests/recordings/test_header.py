import numpy as np
import pytest
from conftest import ecg_signal, write_challenge

from ecg.leads import BadRecording
from ecg.recordings.header import read_header
from ecg.recordings.signals import read_samples

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
    assert (header.sampling_rate, flags, header.challenge_source) == (500, [], "ptb-xl")
    assert header.comments == {"age": "60", "sex": "Male", "dx": "426783006,426783006,"}


def test_latin_1_header(tmp_path):
    path = write_challenge(tmp_path, "mine", SAMPLES, gain="1/uV")
    path.write_bytes(path.read_bytes().replace(b"uV", b"\xb5V"))
    np.testing.assert_array_equal(read(path)[0], SAMPLES)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("mine 12 500 1000", "mine 12 -500 1000", "sampling rate"),
        ("mine 12 500 1000", "mine 12 inf 1000", "sampling rate"),
        ("mine 12 500 1000", "mine 12 500 -1", "number of samples"),
        ("mine 12 500 1000", "mine 12 500 1001", "holds 1000 samples a lead"),
        ("mine 12 500 1000", "mine 12 500 999", "holds 12 x 1000"),
        ("mine 12 500 1000", "mine 11 500 1000", "11 signals announced, 12 described"),
        ("mine 12 500 1000", "mine/3 12 500 1000", "several segments"),
        ("mine 12 500 1000", "mine", "no number of signals"),
        ("mine 12 500 1000", "\x01\x02 junk here", "number of signals is 'junk'"),
        ("1000.0(0)/mv", "0/mV", "gain: 0"),
        ("1000.0(0)/mv", "1000.0(0/mv", "gain is"),
        ("16 0 ", f"16 {10**40} ", "ADC zero is"),
        ("1000.0(0)/mv", "nan/mV", "gain: nan"),
        ("1000.0(0)/mv", "-5/mV", "gain: -5"),
        ("1000.0(0)/mv", "1000/kPa", "units: 'kPa'"),
        ("mine.mat", "other.mat", "no other.mat"),
        ("mine.mat", "../mine.mat", "not a plain file name"),
        (" V1\n", " V2\n", "duplicate lead: V2"),
        (" V1\n", " VX\n", "missing lead: V1"),
    ],
)  # fmt: skip
def test_bad_headers_are_refused_with_a_reason(tmp_path, old, new, reason):
    path = replace(write_challenge(tmp_path, "mine", SAMPLES), old, new)
    with pytest.raises(BadRecording, match=reason.replace("(", r"\(")):
        read(path)
