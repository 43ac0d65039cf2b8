"""Reads the signals of a WFDB record as int16 microvolts in the 12 standard leads.

NumPy reads format 16, which the Challenge and PTB-XL have, and 61; wfdb reads the others. Sizes in the header are
checked against the file before anything is read or allocated.
"""

import numpy as np
import wfdb

from ecg.leads import LEADS, BadRecording, find_leads, to_microvolts
from ecg.recordings.ecg_file import MAX_VALUES, millivolts
from ecg.recordings.wfdb_header import Header, Signal, correct_gains

BITS = {"16": 16, "24": 24, "32": 32, "61": 16, "80": 8, "160": 16, "212": 12}  # a sample, by format
BY_NUMPY = {"16": "<i2", "61": ">i2"}  # 61, as wfdb 4.3.1 cannot return it sample by sample
MATLAB_TYPES = {"16": 30, "32": 20, "80": 50}


def read_samples(header: Header, *, verify_checksums: bool = True) -> tuple[np.ndarray, list[str]]:
    """Return a recording's samples (samples x 12, int16, uV; -32768 is missing) and flags: corrections and remarks.

    Leads are found by name, and derived where two limb leads give a third. BadRecording if they cannot be used.
    """
    columns = find_leads([signal.lead for signal in header.signals])
    signals, flags = correct_gains(header, [header.signals[column] for column in columns.values()])
    for signal in signals:
        if signal.gain <= 0:
            raise BadRecording(f"gain: {signal.gain:g}/{signal.units} in lead {signal.lead}; allowed: above 0")
    scales = [1000 * millivolts(1 / signal.gain, signal.units) for signal in signals]
    if len({signal.per_frame for signal in signals}) > 1:
        raise BadRecording("header: leads differ in samples a frame; allowed: one sampling rate")
    stored = read_leads(header, list(columns.values()))
    # A checksum has 16 bits and overflows, as this sum does.
    sums = [int(values.sum(dtype=np.int16)) for values in stored]
    stated = [(s.lead, s.checksum - total) for s, total in zip(signals, sums, strict=True) if s.checksum is not None]
    if wrong := [lead for lead, difference in stated if difference % 65536]:
        flags.append(f"wrong checksum: {', '.join(wrong)}")
        if verify_checksums:
            raise BadRecording(flags[-1])

    # Most files already have the form of the result.
    kinds = {(s.format, s.per_frame, s.skew, s.baseline, scale) for s, scale in zip(signals, scales, strict=True)}
    if len(columns) == len(LEADS) and kinds == {("16", 1, 0, 0, 1)}:
        # `median_beat` is fast if each lead lies in contiguous memory.
        return np.concatenate([values.T for values in stored]).T, flags
    leads = {}
    for lead, signal, values, scale in zip(columns, signals, stored, scales, strict=True):
        # The least number of a format is a missing sample. After a skew, samples are missing at the end.
        present = np.where(values == -(2 ** (BITS[signal.format] - 1)), np.nan, values)[signal.skew :].ravel()
        absent = (0, values.size - present.size)
        leads[lead] = np.pad((present - signal.baseline) * scale, absent, constant_values=np.nan)
    samples, lead_flags = to_microvolts(leads)
    return samples, flags + lead_flags


def read_leads(header: Header, columns: list[int]) -> list[np.ndarray]:
    """Read some signals as they are stored, each frames x samples a frame, in ADC units."""
    files: dict[str, list[int]] = {}
    for i, signal in enumerate(header.signals):
        files.setdefault(signal.file, []).append(i)
    used = [members for members in files.values() if set(members) & set(columns)]
    n_frames = header.frames
    for members in used:
        n_frames = check_file(header, [header.signals[i] for i in members], n_frames)
    if not n_frames:
        raise BadRecording("no samples")
    if any(header.signals[i].format not in BY_NUMPY for i in columns):
        return read_by_wfdb(header, columns, n_frames)
    stored: dict[int, np.ndarray] = {}
    for members in used:
        first, ends = header.signals[members[0]], np.cumsum([header.signals[i].per_frame for i in members])
        path, kind = header.path.with_name(first.file), BY_NUMPY[first.format]
        values = np.fromfile(path, kind, n_frames * int(ends[-1]), offset=first.offset)
        stored.update(zip(members, np.split(values.reshape(n_frames, -1), ends[:-1], axis=1), strict=True))
    # Work along contiguous memory takes half the time.
    return [np.ascontiguousarray(stored[i]) for i in columns]


def read_by_wfdb(header: Header, columns: list[int], n_frames: int) -> list[np.ndarray]:
    """Read signals as `read_leads` does, of any format that wfdb reads."""
    name = str(header.path.with_suffix(""))
    try:
        found = wfdb.rdheader(name)
        offsets = [offset or 0 for offset in found.byte_offset]
        layout = list(zip(found.file_name, found.fmt, found.samps_per_frame, offsets, strict=True))
        # wfdb splits lines at more characters and drops letters that are not ASCII; sizes were checked without that.
        expected = [(signal.file, signal.format, signal.per_frame, signal.offset) for signal in header.signals]
        if (found.sig_len, layout) != (header.frames, expected):
            raise ValueError("wfdb reads other files or sizes")
        record = wfdb.rdrecord(name, channels=columns, physical=False, smooth_frames=False, ignore_skew=True)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise BadRecording(f"header: wfdb cannot read it ({type(error).__name__})") from None
    if list(map(len, record.e_d_signal)) != [n_frames * header.signals[i].per_frame for i in columns]:
        raise BadRecording("signal file: files of leads differ in length")
    return [values.reshape(n_frames, -1) for values in record.e_d_signal]


def check_file(header: Header, signals: list[Signal], n_frames: int | None) -> int:
    """Check one file with all its signals; return the number of frames, by its size where `n_frames` is None."""
    first, n = signals[0], sum(signal.per_frame for signal in signals)
    if first.format not in BITS:
        raise BadRecording(f"signal format: {first.format}; allowed: {', '.join(BITS)}")
    if len({(signal.format, signal.offset) for signal in signals}) > 1:
        raise BadRecording(f"header: signals in {first.file} differ in format or byte offset")
    path = header.path.with_name(first.file)
    available = 8 * max(path.stat().st_size - first.offset, 0) // BITS[first.format] // n
    length = available if n_frames is None else n_frames
    if available < length:
        raise BadRecording(f"signal file: {first.file} contains {available} samples a lead, the header states {length}")
    if length * n > MAX_VALUES:
        raise BadRecording(f"too long: {length * n} samples in {first.file}; allowed: {MAX_VALUES}")
    if path.suffix.lower() == ".mat":
        # The head of a MATLAB v4 matrix. Of a later version, samples would begin elsewhere.
        expected = np.array([MATLAB_TYPES.get(first.format, -1), n, length, 0, 4], "<i4").tobytes() + b"val\0"
        with path.open("rb") as file:
            head = file.read(len(expected))
        if first.offset != len(expected) or head != expected:
            raise BadRecording(f"signal file: {path.name} is not a MATLAB v4 matrix val of {n} x {length} samples")
    return length
