"""Reads a WFDB recording as int16 microvolts in the 12 standard leads.

A file may hold anything: what it says of sizes is checked against the file before anything is read or allocated.
wfdb 4.3.1 decodes unusual formats only: it refuses some of the Challenge's record lines, checks no checksum and no
size, and turns a gain of 0 into 200 and a negative sampling rate into 250 without a word.
"""

import math
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ecg.leads import MAX_RATE, MISSING, BadRecording, derive_leads, find_leads

MAX_HEADER = 2**20  # bytes
MAX_SIGNALS = 1000
MAX_VALUES = 22_000_000  # stored samples of all signals: 12 leads of 1000 Hz for half an hour

MICROVOLTS = {"uv": 1, "µv": 1, "μv": 1, "mv": 1000, "v": 1_000_000}

# Record names of the PhysioNet/CinC Challenges 2020 and 2021.
CHALLENGE_NAME = re.compile(r"(A|Q|I|S)\d{4}|(HR|E|JS)\d{5}")
CHALLENGE_SOURCES = {
    "A": "cpsc",
    "Q": "cpsc-extra",
    "I": "incart",
    "S": "ptb",
    "HR": "ptb-xl",
    "E": "georgia",
    "JS": "chapman-ningbo",
}

SIGNAL_FORMAT = re.compile(r"(\d+)(?:x(\d+))?(?::(\d+))?(?:\+(\d+))?")
FORMATS = ("8", "16", "24", "32", "61", "80", "160", "212", "310", "311")
MATLAB_TYPES = {"16": 30, "32": 20, "80": 50}
GAIN = re.compile(r"([^(/]*)(?:\(([^)]*)\))?(?:/(.*))?")


class Signal(NamedTuple):
    """One signal line of a header: `per_frame` samples a frame, `skew` in frames, `offset` in bytes, `first` sample."""

    file: str
    format: str
    per_frame: int
    skew: int
    offset: int
    gain: float
    baseline: int
    units: str
    first: int
    checksum: int | None
    lead: str


class Header(NamedTuple):
    """A header: sampling rate in Hz, number of samples (None: not stated), signals and `# key: value` comments."""

    path: Path
    root: Path
    sampling_rate: float
    samples: int | None
    signals: list[Signal]
    comments: dict[str, str]

    @property
    def challenge_source(self) -> str | None:
        """The source that the record's name stands for where its file is one of the Challenge's .mat files."""
        name = CHALLENGE_NAME.fullmatch(self.path.stem)
        if not name or not all(signal.file.endswith(".mat") for signal in self.signals):
            return None
        return CHALLENGE_SOURCES[name.group(1) or name.group(2)]


@contextmanager
def with_a_reason() -> Iterator[None]:
    """Turn what the operating system says of a file into BadRecording."""
    try:
        yield
    except (OSError, UnicodeEncodeError) as error:
        what = f"{error.strerror} ({Path(error.filename).name})" if getattr(error, "filename", None) else str(error)
        raise BadRecording(f"unreadable: {what}") from None


def number(text: str, what: str, kind: type = int) -> float:
    try:
        value = kind(text)
    except ValueError:
        value = math.inf
    if kind is int and abs(value) >= 2**31:
        raise BadRecording(f"header: {what} is {text!r}")
    return value


def decode(content: bytes) -> str:
    """Headers are ASCII by the standard; some hold names and µV in UTF-8 or Latin-1."""
    if b"\0" in content:
        raise BadRecording("header: it holds NUL bytes, as UTF-16 and binary files do")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def file_size(path: Path, root: Path) -> int:
    """Return a file's size in bytes; BadRecording where it is no regular file, or a link that leads out of `root`."""
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        # Not Path.resolve: it raises RuntimeError on a link to itself.
        if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
            raise BadRecording(f"link: {path.name} leads out of the source's folder")
        status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise BadRecording(f"no regular file: {path.name}")
    return status.st_size


def read_header(path: Path, root: Path | None = None) -> Header:
    """Read a single-segment WFDB header (header(5) of the WFDB Applications Guide); BadRecording says what is wrong.

    Neither the header nor its signal files may be links that lead out of `root`: by default the header's own folder.
    """
    root = root or path.parent
    with with_a_reason():
        size = file_size(path, root)
        if size > MAX_HEADER:
            raise BadRecording(f"header: {size} bytes; allowed: {MAX_HEADER}")
        content = path.read_bytes()
    # Not splitlines: it also ends a line at characters that a comment may hold, … in Windows-1252 among them.
    lines = [line.strip() for line in re.split(r"[\r\n]+", decode(content))]
    plain = [line.split() for line in lines if line and not line.startswith("#")]
    comments = {}
    for line in lines:
        if line.startswith("#") and ":" in line:
            key, value = line.lstrip("# \t").split(":", 1)
            comments.setdefault(key.strip().lower(), value.strip())
    if not plain:
        raise BadRecording("header: empty")
    # Fields after the number of samples are a time and a date, in whatever form; nothing here needs them.
    record = plain[0]
    if len(record) < 3:
        raise BadRecording("header: no number of signals or no sampling rate")
    if "/" in record[0]:
        raise BadRecording("header: a record of several segments")
    n_signals = number(record[1], "number of signals")
    sampling_rate = number(re.split(r"[/(]", record[2])[0], "sampling rate", float)
    if not 0 < sampling_rate <= MAX_RATE:
        raise BadRecording(f"header: sampling rate is {record[2]}")
    samples = number(record[3], "number of samples") if len(record) > 3 else None
    if samples is not None and samples < 0:
        raise BadRecording(f"header: number of samples is {samples}")
    if n_signals != len(plain) - 1:
        raise BadRecording(f"header: {n_signals} signals announced, {len(plain) - 1} described")
    if n_signals > MAX_SIGNALS:
        raise BadRecording(f"header: {n_signals} signals; allowed: {MAX_SIGNALS}")
    signals = [parse_signal(fields) for fields in plain[1:]]
    return Header(path, root, sampling_rate, samples or None, signals, comments)


def parse_signal(fields: list[str]) -> Signal:
    file = fields[0]
    layout = SIGNAL_FORMAT.fullmatch(fields[1]) if len(fields) > 1 else None
    if not layout:
        raise BadRecording(f"header: no signal format in line {' '.join(fields)!r}")
    if "/" in file or file in (".", "..") or len(file.encode()) > 255:
        raise BadRecording(f"header: not a plain file name: {file!r}")
    calibration = GAIN.fullmatch(fields[2] if len(fields) > 2 else "0")
    if not calibration:
        raise BadRecording(f"header: gain is {fields[2]!r}")
    gain, baseline, units = calibration.groups()
    adc_zero = number(fields[4], "ADC zero") if len(fields) > 4 else 0
    return Signal(
        file=file,
        format=layout[1],
        per_frame=number(layout[2], "samples a frame") if layout[2] else 1,
        skew=number(layout[3], "skew") if layout[3] else 0,
        offset=number(layout[4], "byte offset") if layout[4] else 0,
        gain=number(gain, "gain", float),
        baseline=adc_zero if baseline is None else number(baseline, "baseline"),
        units=units or "mV",
        first=number(fields[5], "initial value") if len(fields) > 5 else adc_zero,
        checksum=number(fields[6], "checksum") if len(fields) > 6 else None,
        lead=" ".join(fields[8:]),
    )


def read_samples(header: Header, *, verify_checksums: bool = True) -> tuple[np.ndarray, list[str]]:
    """Return a recording's samples (samples x 12, int16, uV; -32768 is missing) and flags: what was odd.

    Leads are found by name and derived where two limb leads give a third. Samples of the Challenge's .mat files
    are microvolts, whatever the gain in the header says: headers from before August 2020 are wrong. BadRecording
    says why a recording cannot be used.
    """
    columns = find_leads([signal.lead for signal in header.signals])
    used = [header.signals[column] for column in columns.values()]
    flags = []
    if header.challenge_source and header.challenge_source != "incart":
        wrong = next((s for s in used if (s.gain, s.baseline, s.units.lower()) != (1000, 0, "mv")), None)
        if wrong:
            flags.append(f"gain: {wrong.gain:g}({wrong.baseline})/{wrong.units[:40]} read as 1000(0)/mV")
            used = [s._replace(gain=1000.0, baseline=0, units="mV") for s in used]
    for signal in used:
        if not 1e-9 < signal.gain < 1e9:
            raise BadRecording(f"gain: {signal.gain:g} in lead {signal.lead}")
        if signal.units.lower() not in MICROVOLTS:
            raise BadRecording(f"units: {signal.units!r} in lead {signal.lead}; allowed: uV, mV, V")

    # File, format, samples a frame, skew and offset.
    layouts = {signal[:5] for signal in header.signals}
    with with_a_reason():
        if len(layouts) == 1 and layouts.pop()[1:4] == ("16", 1, 0):
            digital, checksums = read_plain(header)
            digital, checksums = digital[:, list(columns.values())], checksums[list(columns.values())]
            missing = digital == MISSING
        else:
            digital, checksums, missing = read_other(header, list(columns.values()))

    if len(digital) == 0:
        raise BadRecording("no samples")
    wrong = [
        s.lead for s, c in zip(used, checksums, strict=True) if s.checksum is not None and (s.checksum - c) % 65536
    ]
    if wrong and verify_checksums:
        raise BadRecording(f"wrong checksum: {', '.join(wrong)}")
    if wrong:
        flags.append(f"wrong checksum: {', '.join(wrong)}")

    microvolts, clipped = to_microvolts(digital, missing, used)
    if clipped:
        flags.append("clipped: beyond 32.767 mV")
    samples, derived = derive_leads(dict(zip(columns, microvolts.T, strict=True)))
    flags += derived
    if not (samples != samples[0]).any():
        raise BadRecording("flat")
    return samples, flags


def signal_size(header: Header, signal: Signal) -> tuple[Path, int]:
    """Return the path of a signal's file and how many bytes of it are samples; BadRecording where it has none."""
    path = header.path.parent / signal.file
    try:
        size = file_size(path, header.root) - signal.offset
    except FileNotFoundError:
        raise BadRecording(f"signal file: no {signal.file}") from None
    if size < 0:
        raise BadRecording(f"signal file: {signal.file} ends before the byte offset {signal.offset}")
    return path, size


def check_length(file: str, available: int, samples: int, n: int) -> None:
    """Refuse samples a lead that the file does not hold, and more of all `n` a frame than are to be read."""
    if available < samples:
        raise BadRecording(f"signal file: {file} holds {available} samples a lead, the header says {samples}")
    if samples * n > MAX_VALUES:
        raise BadRecording(f"too long: {samples} samples of {n} signals; allowed: {MAX_VALUES} in all")


def read_plain(header: Header) -> tuple[np.ndarray, np.ndarray]:
    """Read 16-bit samples of all signals from one file; return them and their sums."""
    signal, n = header.signals[0], len(header.signals)
    path, size = signal_size(header, signal)
    available, rest = divmod(size, 2 * n)
    samples = available if header.samples is None else header.samples
    if rest and header.samples is None:
        raise BadRecording(f"signal file: {signal.file} ends within a sample")
    check_length(signal.file, available, samples, n)
    if path.suffix.lower() == ".mat":
        check_matlab(path, signal, n, samples)
    digital = np.fromfile(path, "<i2", samples * n, offset=signal.offset).reshape(samples, n)
    # Sums along contiguous memory take half the time.
    return digital, np.ascontiguousarray(digital.T).sum(axis=1, dtype=np.int64)


def check_matlab(path: Path, signal: Signal, n: int, samples: int) -> None:
    """Refuse a .mat file whose first bytes are not those of a MATLAB v4 matrix `val` of this format, n x samples."""
    with path.open("rb") as file:
        head = file.read(24)
    kind, rows, columns, imaginary, name = np.frombuffer(head[:20].ljust(20, b"\0"), "<i4").tolist()
    if signal.offset != 24 or (kind, imaginary, name) != (MATLAB_TYPES.get(signal.format), 0, 4):
        raise BadRecording(f"signal file: {path.name} is not a MATLAB v4 file of samples in format {signal.format}")
    if (rows, columns) != (n, samples):
        raise BadRecording(
            f"signal file: {path.name} holds {rows} x {columns} samples, the header says {n} x {samples}"
        )


def read_other(header: Header, columns: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read some signals of any other layout: samples, their sums as stored, and which of them are missing.

    Several samples a frame give their mean; skew is taken out, and what lies beyond the end is missing.
    """
    files, samples, leads = {}, header.samples, {}
    for i, signal in enumerate(header.signals):
        files.setdefault(signal.file, []).append(i)
    for members in files.values():
        if set(members) & set(columns):
            stored, gap = read_file(header, [header.signals[i] for i in members], samples)
            leads |= {i: (header.signals[i], values, gap) for i, values in zip(members, stored, strict=True)}
            if samples is None:
                samples = len(stored[0]) // header.signals[members[0]].per_frame
    sums = np.array([leads[i][1].sum(dtype=np.int64) for i in columns])
    aligned = [frames(*leads.pop(i), samples) for i in columns]
    digital = np.column_stack([values for values, _ in aligned])
    missing = np.column_stack([gone for _, gone in aligned])
    if digital.dtype == np.int16:
        digital[missing] = MISSING  # these may already be microvolts
    return digital, sums, missing


def read_file(header: Header, signals: list[Signal], samples: int | None) -> tuple[list[np.ndarray], int | None]:
    """Read all signals of one file, as they are stored; also return the value that means missing."""
    # Not rdrecord: it parses the header again, in its own way, opens what it finds there and allocates what that says.
    from wfdb.io import _signal

    signal, per_frame = signals[0], [signal.per_frame for signal in signals]
    if signal.format not in FORMATS:
        raise BadRecording(f"signal format: {signal.format}; allowed: {', '.join(FORMATS)}")
    if len({(s.format, s.offset) for s in signals}) > 1:
        raise BadRecording(f"header: signals in {signal.file} differ in format or byte offset")
    if min(per_frame) < 1:
        raise BadRecording("header: samples a frame is 0")
    path, size = signal_size(header, signal)
    n = sum(per_frame)
    available = int(size / _signal.BYTES_PER_SAMPLE[signal.format]) // n
    samples = available if samples is None else samples
    check_length(signal.file, available, samples, n)
    if path.suffix.lower() == ".mat":
        check_matlab(path, signal, n, samples)
    dtype = np.dtype(_signal.DATA_LOAD_TYPES[signal.format])
    count = _signal._required_byte_num("read", signal.format, samples * n) // dtype.itemsize
    content = np.fromfile(path, dtype, count, offset=signal.offset)
    if len(content) < count:
        raise BadRecording(f"signal file: {signal.file} ends within a sample")
    stored = _signal._rd_dat_signals(
        *(None, None, None, signal.format, len(signals), samples, 0, per_frame),
        skew=[0] * len(signals),
        init_value=[s.first for s in signals],
        sampfrom=0,
        sampto=samples,
        no_file=True,
        sig_data=content,
    )
    return stored, _signal.INVALID_SAMPLE_VALUE[signal.format]


def frames(signal: Signal, stored: np.ndarray, gap: int | None, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Return one value a frame of a signal as it is stored, without its skew, and where it is missing."""
    stored = stored.reshape(samples, signal.per_frame)
    values = stored[:, 0] if signal.per_frame == 1 else stored.mean(axis=1)
    missing = (stored == gap).any(axis=1) if gap is not None else np.zeros(samples, dtype=bool)
    skew = min(signal.skew, samples)
    return np.r_[values[skew:], values[:skew]], np.r_[missing[skew:], np.ones(skew, dtype=bool)]


def to_microvolts(digital: np.ndarray, missing: np.ndarray, signals: list[Signal]) -> tuple[np.ndarray, bool]:
    """Scale ADC units to int16 uV; also say whether any value was out of range."""
    scale = np.array([MICROVOLTS[s.units.lower()] / s.gain for s in signals])
    baseline = np.array([s.baseline for s in signals], dtype=np.float64)
    if digital.dtype == np.int16 and (scale == 1).all() and not baseline.any():
        return digital, False
    microvolts, clipped = np.empty(digital.shape, np.int16), False
    # In blocks that stay in the processor's cache.
    for start in range(0, len(digital), 2**13):
        rows = slice(start, start + 2**13)
        exact = digital[rows] - baseline
        exact *= scale
        exact[missing[rows]] = 0
        clipped |= bool(max(exact.max(), -exact.min()) >= 32767.5)
        microvolts[rows] = np.clip(np.rint(exact, out=exact), -32767, 32767, out=exact)
    microvolts[missing] = MISSING
    return microvolts, clipped
