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
    assert (header.sampling_rate, flags) == (500, [])
    assert header.comments["age"] == ["60"] and header.comments["dx"] == ["426783006,426783006,"]


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
        ("mine 12 500 1000", "archive/mine/3 12 500 1000", "several segments"),
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
        (" V1\n", " VX\n", "missing lead: V1; found: I, II, III, aVR, aVL, aVF, VX, V2, V3, V4, V5, V6"),
    ],
)  # fmt: skip
def test_bad_headers_are_refused_with_a_reason(tmp_path, old, new, reason):
    path = replace(write_challenge(tmp_path, "mine", SAMPLES), old, new)
    with pytest.raises(BadRecording, match=reason.replace("(", r"\(")):
        read(path)


@pytest.mark.parametrize("name", ["medians_wfdb/mine", "a/b/mine_medians", "records500/00000/00001_hr"])
def test_a_record_name_with_a_path_is_one_segment(tmp_path, name):
    path = replace(write_challenge(tmp_path, "mine", SAMPLES), "mine 12", f"{name} 12", 1)
    np.testing.assert_array_equal(read(path)[0], SAMPLES)


def test_all_comments_of_one_key_are_kept(tmp_path):
    path = write_challenge(tmp_path, "mine", SAMPLES, dx="426783006")
    path.write_text(path.read_text() + "#DX: 164861001\n")
    assert read_header(path).comments["dx"] == ["426783006", "164861001"]


def test_what_is_no_header_by_its_name_is_not_opened(tmp_path):
    (tmp_path / "ecg.csv").write_text("mine 12 500 1000\n")
    with pytest.raises(BadRecording, match=r"^no WFDB record \(\.hea with \.dat or \.mat\)$"):
        read_header(tmp_path / "ecg.csv")


def test_leads_of_several_samples_a_frame_have_a_higher_rate(tmp_path):
    path = replace(write_challenge(tmp_path, "mine", SAMPLES), " 500 ", " 62.4725 ", 1)
    text = path.read_text()
    path.write_text(text.replace("16x1+24", "16x4+24"))
    assert read_header(path).sampling_rate == 249.89
    path.write_text(text.replace("62.4725", "50000").replace("16x1+24", "16x4+24"))
    with pytest.raises(BadRecording, match="sampling rate is 200000 Hz; allowed: to 100000"):
        read_header(path)
    # A pulse wave beside the ECG says nothing of the leads.
    path.write_text(text.replace("mine 12", "mine 13") + "pulse.dat 16x8 1/mmHg 16 0 0 0 0 PLETH\n")
    assert read_header(path).sampling_rate == 62.4725
