import numpy as np
import pytest
import wfdb
from conftest import ecg_signal, write_challenge

from ecg.leads import LEADS, MISSING, BadRecording
from ecg.recordings.header import read_header
from ecg.recordings.signals import read_samples

SAMPLES = ecg_signal(2)


def read(path, **knobs):
    return read_samples(read_header(path), **knobs)


@pytest.mark.parametrize(
    ("prefix", "gain"), [("A0001", "200/mV"), ("E00001", "4880/mV"), ("S0001", "0/mV"), ("Q0001", "nan")]
)
def test_challenge_samples_are_microvolts_whatever_the_gain(tmp_path, prefix, gain):
    samples, flags = read(write_challenge(tmp_path, prefix, SAMPLES, gain=gain))
    np.testing.assert_array_equal(samples, SAMPLES)
    assert len(flags) == 1
    assert "read as 1000(0)/mV" in flags[0]


def test_gain_counts_where_the_record_is_not_of_the_challenge(tmp_path):
    samples, flags = read(write_challenge(tmp_path, "mine", SAMPLES, gain="500(100)/mV"))
    np.testing.assert_array_equal(samples, (SAMPLES.astype(int) - 100) * 2)
    assert flags == []


@pytest.mark.parametrize(("gain", "factor"), [("1/uV", 1), ("0.5/uV", 2), ("1000000/V", 1), ("250/mV", 4)])
def test_units(tmp_path, gain, factor):
    np.testing.assert_array_equal(
        read(write_challenge(tmp_path, "mine", SAMPLES // 8, gain=gain))[0], SAMPLES // 8 * factor
    )


def test_values_beyond_16_bits_of_microvolts_are_clipped_and_flagged(tmp_path):
    loud = SAMPLES.copy()
    loud[7, 3] = 30000
    samples, flags = read(write_challenge(tmp_path, "mine", loud, gain="100/mV"))
    assert samples[7, 3] == 32767
    assert flags == ["clipped: beyond 32.767 mV"]


def test_leads_are_found_by_name(tmp_path):
    order = np.random.default_rng(0).permutation(12)
    names = tuple(LEADS[i].upper() for i in order)
    np.testing.assert_array_equal(read(write_challenge(tmp_path, "mine", SAMPLES[:, order], names=names))[0], SAMPLES)


@pytest.mark.parametrize("kept", [("I", "II"), ("I", "III"), ("II", "III")])
def test_limb_leads_are_derived(tmp_path, kept):
    columns = [LEADS.index(lead) for lead in (*kept, *LEADS[6:])]
    names = tuple(LEADS[i] for i in columns)
    samples, flags = read(write_challenge(tmp_path, "mine", SAMPLES[:, columns], names=names))
    # The recording's own leads were rounded one by one.
    assert np.abs(samples.astype(int) - SAMPLES).max() <= 2
    assert flags == [f"derived lead: {', '.join(lead for lead in LEADS[:6] if lead not in kept)}"]


def test_checksums_of_several_samples_a_frame_are_of_what_is_stored(tmp_path):
    # Lead I is stored twice a frame; wfdb gives its mean.
    twice = np.column_stack([SAMPLES[:, 0] + 10, SAMPLES[:, 0] - 10, SAMPLES[:, 1:]]).astype("<i2")
    (tmp_path / "mine.dat").write_bytes(twice.tobytes())
    sums = [int(twice[:, :2].sum(dtype=np.int64)), *SAMPLES[:, 1:].sum(axis=0, dtype=np.int64).tolist()]
    lines = [
        f"mine.dat 16{'x2' if lead == 'I' else ''} 1000/mV 16 0 {SAMPLES[0, i]} {sums[i] % 65536} 0 {lead}"
        for i, lead in enumerate(LEADS)
    ]
    (tmp_path / "mine.hea").write_text("\n".join([f"mine 12 500 {len(SAMPLES)}", *lines]) + "\n")
    np.testing.assert_array_equal(read(tmp_path / "mine.hea")[0], SAMPLES)


def test_missing_samples_stay_missing(tmp_path):
    gap = SAMPLES.copy()
    gap[10:20, 4] = MISSING
    for gain in ("1000/mV", "500/mV"):
        samples, _ = read(write_challenge(tmp_path, "mine", gap, gain=gain))
        np.testing.assert_array_equal(samples == MISSING, gap == MISSING)


def test_skew_is_taken_out_and_what_lies_beyond_the_end_is_missing(tmp_path):
    late = SAMPLES.copy()
    late[:, 1] = np.r_[SAMPLES[-7:, 1], SAMPLES[:-7, 1]]
    path = write_challenge(tmp_path, "mine", late)
    lines = path.read_text().splitlines()
    lines[2] = lines[2].replace("16x1+24", "16x1:7+24")
    path.write_text("\n".join(lines))
    samples, _ = read(path)
    expected = SAMPLES.copy()
    expected[-7:, 1] = MISSING
    np.testing.assert_array_equal(samples, expected)


def test_wrong_checksum_refuses_unless_told_otherwise(tmp_path):
    path = write_challenge(tmp_path, "mine", SAMPLES, checksums=False)
    with pytest.raises(BadRecording, match="wrong checksum"):
        read(path)
    samples, flags = read(path, verify_checksums=False)
    np.testing.assert_array_equal(samples, SAMPLES)
    assert flags[0].startswith("wrong checksum")


def test_bad_signal_files_are_refused_with_a_reason(tmp_path):
    path = write_challenge(tmp_path, "mine", SAMPLES)
    whole = path.with_suffix(".mat").read_bytes()
    for content, reason in [
        (whole[:-2], "holds 999 samples"),
        (b"MATLAB 5.0 MAT-file, Platform: PCWIN64" + whole[38:], "not a MATLAB v4 file"),
        (b"", "ends before the byte offset 24"),
    ]:
        path.with_suffix(".mat").write_bytes(content)
        with pytest.raises(BadRecording, match=reason):
            read(path)
    with pytest.raises(BadRecording, match="flat"):
        read(write_challenge(tmp_path, "flat", np.full_like(SAMPLES, 7)))


def test_real_recordings_equal_wfdb(real_data):
    headers = sorted(real_data.rglob("*.hea"))
    assert len(headers) == 500 + 737 + 50 + 269
    for path in headers:
        header = read_header(path)
        samples, flags = read_samples(header)
        # wfdb refuses the record line that ends in a date; the same record without it is read.
        if "05-Feb-2020" in path.read_text():
            continue
        record = wfdb.rdrecord(str(path.with_suffix("")), physical=False)
        np.testing.assert_array_equal(samples, record.d_signal)
        assert (header.sampling_rate, flags) == (record.fs, [])
        assert [name.lower() for name in record.sig_name] == [lead.lower() for lead in LEADS]


def test_real_old_dialect_equals_wfdb_without_the_date(real_data, tmp_path):
    dated = [path for path in sorted(real_data.rglob("*.hea")) if "05-Feb-2020" in path.read_text()]
    assert dated
    for path in dated:
        text = path.read_text().replace(" 05-Feb-2020 11:39:16", "")
        (tmp_path / path.name).write_text(text)
        (tmp_path / path.with_suffix(".mat").name).write_bytes(path.with_suffix(".mat").read_bytes())
        record = wfdb.rdrecord(str(tmp_path / path.stem), physical=False)
        np.testing.assert_array_equal(read(path)[0], record.d_signal)
