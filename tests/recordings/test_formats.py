import numpy as np
import pytest
import wfdb
from conftest import ecg_signal

from ecg.leads import LEADS, MISSING
from ecg.recordings.formats import FORMATS, decode
from ecg.recordings.header import read_header
from ecg.recordings.signals import read_samples

SAMPLES = ecg_signal(2)
BITS = {"16": 16, "24": 24, "32": 32, "61": 16, "80": 8, "160": 16, "212": 12}


def encode(form, values):
    """The bytes of a format as signal(5) says, sample by sample."""
    if form == "212":
        values = [value % 4096 for value in values]
        pairs = zip(values[::2], [*values[1::2], 0], strict=False)
        content = b"".join(bytes((a % 256, a // 256 + b // 256 * 16, b % 256)) for a, b in pairs)
        return content[: (3 * len(values) + 1) // 2]
    n_bytes = BITS[form] // 8
    if form in ("80", "160"):
        return b"".join((value + 2 ** (8 * n_bytes - 1)).to_bytes(n_bytes, "little") for value in values)
    order = "big" if form == "61" else "little"
    return b"".join(value.to_bytes(n_bytes, order, signed=True) for value in values)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 1000, 1001])
@pytest.mark.parametrize("form", FORMATS)
def test_each_format_gives_back_what_was_written(form, n):
    top = 2 ** (BITS[form] - 1)
    values = [FORMATS[form].missing, top - 1, -1, 0, 1, 1 - top] * 200
    content = encode(form, values[:n])
    assert len(content) == (n * FORMATS[form].half_bytes + 1) // 2
    assert decode(form, content)[:n].tolist() == values[:n]


@pytest.mark.parametrize("form", FORMATS)
def test_wfdb_reads_the_same(tmp_path, form):
    rng = np.random.default_rng(0)
    values = rng.integers(1 - 2 ** (BITS[form] - 1), 2 ** (BITS[form] - 1), (101, 3))
    (tmp_path / "r.dat").write_bytes(encode(form, values.ravel().tolist()))
    (tmp_path / "r.hea").write_text("r 3 500 101\n" + f"r.dat {form} 1000/mV 16 0 0 0 0 x\n" * 3)
    expected = wfdb.rdrecord(str(tmp_path / "r"), physical=False).d_signal
    np.testing.assert_array_equal(expected, values)
    decoded = decode(form, (tmp_path / "r.dat").read_bytes())[:303]
    np.testing.assert_array_equal(decoded.reshape(101, 3), expected)


def write(folder, form, digital):
    wfdb.wrsamp(
        "mine", 500, ["mV"] * 12, list(LEADS), d_signal=digital.astype(np.int64), fmt=[form] * 12,
        adc_gain=[1000.0] * 12, baseline=[0] * 12, write_dir=str(folder),
    )  # fmt: skip
    return read_samples(read_header(folder / "mine.hea"))[0]


@pytest.mark.parametrize("form", ["16", "212", "24", "32", "80"])
def test_what_wfdb_writes_is_read(tmp_path, form):
    quiet = SAMPLES // (40 if form == "80" else 4)
    np.testing.assert_array_equal(write(tmp_path, form, quiet), quiet)


@pytest.mark.parametrize("form", ["16", "212", "24", "32", "80"])
def test_missing_samples_of_each_format(tmp_path, form):
    digital = (SAMPLES // 40).astype(np.int64)
    digital[10:20, 4] = FORMATS[form].missing
    samples = write(tmp_path, form, digital)
    digital[10:20, 4] = MISSING
    np.testing.assert_array_equal(samples, digital)
