"""Reads the signals of a WFDB record as int16 microvolts in the 12 standard leads.

NumPy reads format 16, which the Challenge and PTB-XL have, and 61; wfdb reads the others. A file may hold anything:
sizes in its header are checked against it before anything is read or allocated.
"""

from pathlib import Path

import numpy as np

from ecg.leads import LEADS, BadRecording, find_leads, to_microvolts
from ecg.recordings.ecg_file import LARGEST_STEP, MAX_VALUES, UNITS, file_size, with_a_reason
from ecg.recordings.wfdb_header import Header, Signal, correct_gains

BITS = {"16": 16, "24": 24, "32": 32, "61": 16, "80": 8, "160": 16, "212": 12}  # a sample, by format
SMALLEST_RANGE = 1  # uV from the least number that a format holds to the largest
BY_NUMPY = {"16": "<i2", "61": ">i2"}  # 61, as wfdb 4.3.1 cannot return it sample by sample
MATLAB_TYPES = {"16": 30, "32": 20, "80": 50}


def read_samples(header: Header, *, verify_checksums: bool = True) -> tuple[np.ndarray, list[str]]:
    """Return a recording's samples (samples x 12, int16, uV; -32768 is missing) and flags: what was odd.

    They are `header.sampling_rate` a second. Leads are found by name, and derived where two limb leads give a third.
    BadRecording is the reason why a recording cannot be used.
    """
    columns = find_leads([signal.lead for signal in header.signals])
    signals, flags = correct_gains(header, [header.signals[column] for column in columns.values()])
    scales = [microvolts_per_unit(signal) for signal in signals]
    with with_a_reason():
        stored = read_leads(header, list(columns.values()))
    # A checksum is of 16 bits, and overflows as this sum does.
    wrong = [
        signal.lead
        for signal, values in zip(signals, stored, strict=True)
        if signal.checksum is not None and (signal.checksum - int(values.sum(dtype=np.int16))) % 65536
    ]
    if wrong:
        flags.append(f"wrong checksum: {', '.join(wrong)}")
        if verify_checksums:
            raise BadRecording(flags[-1])

    # `samples` are stored in this way in the end, and most files have it.
    kinds = {(s.format, s.per_frame, s.skew, s.baseline, scale) for s, scale in zip(signals, scales, strict=True)}
    if len(columns) == len(LEADS) and kinds == {("16", 1, 0, 0, 1)}:
        # Each lead lies in contiguous memory, as `median_beat` needs it to be fast.
        return np.concatenate([values.T for values in stored]).T, flags
    highest = max(signal.per_frame for signal in signals)
    leads = {
        lead: at_rate(physical(signal, values, scale), signal, highest)
        for lead, signal, values, scale in zip(columns, signals, stored, scales, strict=True)
    }
    samples, lead_flags = to_microvolts(leads)
    return samples, flags + lead_flags


def microvolts_per_unit(signal: Signal) -> float:
    """Return the uV of one ADC unit; BadRecording where that cannot be an ECG's."""
    if signal.units.lower() not in UNITS:
        raise BadRecording(f"units: {signal.units!r} in lead {signal.lead}; allowed: uV, mV, V")
    if not signal.gain:
        raise BadRecording(f"gain: 0/{signal.units} or none in lead {signal.lead}: uncalibrated")
    step = UNITS[signal.units.lower()] / signal.gain
    if not (step <= LARGEST_STEP and step * 2.0 ** BITS.get(signal.format, 64) >= SMALLEST_RANGE):
        raise BadRecording(
            f"gain: {signal.gain:g}/{signal.units} in lead {signal.lead}, steps of {step:g} uV; "
            f"allowed: to {LARGEST_STEP} uV, and at least {SMALLEST_RANGE} uV in all"
        )
    return step


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
    # Here, as few recordings need it and it takes 0.3 s to load.
    import wfdb

    name, length = str(header.path.with_suffix("")), header.frames and n_frames
    try:
        record = wfdb.rdrecord(
            name, sampto=length, channels=columns, physical=False, smooth_frames=False, ignore_skew=True
        )
    except ValueError as error:
        raise BadRecording(f"header: wfdb cannot read it ({type(error).__name__})") from None
    frames = [header.signals[i].per_frame for i in columns]
    if [len(values) for values in record.e_d_signal] != [n_frames * per_frame for per_frame in frames]:
        raise BadRecording("signal file: its leads differ in length")
    return [values.reshape(n_frames, -1) for values in record.e_d_signal]


def check_file(header: Header, signals: list[Signal], n_frames: int | None) -> int:
    """Check one file with all its signals; return the number of frames, by its size where `n_frames` is None."""
    first, n = signals[0], sum(signal.per_frame for signal in signals)
    if first.format not in BITS:
        raise BadRecording(f"signal format: {first.format}; allowed: {', '.join(BITS)}")
    if len({(signal.format, signal.offset) for signal in signals}) > 1:
        raise BadRecording(f"header: signals in {first.file} differ in format or byte offset")
    if min(signal.per_frame for signal in signals) < 1:
        raise BadRecording("header: samples a frame is 0")
    path = header.path.with_name(first.file)
    try:
        size = file_size(path, header.root) - first.offset
    except FileNotFoundError:
        raise BadRecording(f"signal file: no {first.file}") from None
    if size < 0:
        raise BadRecording(f"signal file: {first.file} ends before the byte offset {first.offset}")
    available = 8 * size // BITS[first.format] // n
    length = available if n_frames is None else n_frames
    if available < length:
        raise BadRecording(f"signal file: {first.file} holds {available} samples a lead, the header says {length}")
    if length * n > MAX_VALUES:
        raise BadRecording(f"too long: {length * n} samples in {first.file}; allowed: {MAX_VALUES}")
    if n_frames is None and -(-length * n * BITS[first.format] // 8) < size:
        raise BadRecording(f"signal file: {first.file} ends within a sample")
    if path.suffix.lower() == ".mat":
        check_matlab(path, first, n, length)
    return length


def check_matlab(path: Path, signal: Signal, n: int, samples: int) -> None:
    """Refuse a .mat file that does not begin as a MATLAB v4 matrix `val` of this format, n x samples."""
    with path.open("rb") as file:
        head = file.read(24)
    kind, rows, columns, imaginary, name = np.frombuffer(head[:20].ljust(20, b"\0"), "<i4").tolist()
    if signal.offset != 24 or (kind, imaginary, name) != (MATLAB_TYPES.get(signal.format), 0, 4):
        raise BadRecording(f"signal file: {path.name} is not a MATLAB v4 file of samples in format {signal.format}")
    if (rows, columns) != (n, samples):
        raise BadRecording(
            f"signal file: {path.name} holds {rows} x {columns} samples, the header says {n} x {samples}"
        )


def physical(signal: Signal, stored: np.ndarray, scale: float) -> np.ndarray:
    """Return a signal in uV (float, NaN is missing), without its skew: frames beyond the end are missing."""
    values = np.full(stored.size, np.nan)
    # The least number of a format is a missing sample.
    kept = np.where(stored == -(2 ** (BITS[signal.format] - 1)), np.nan, stored)[signal.skew :].ravel()
    values[: kept.size] = (kept - signal.baseline) * scale
    return values


def at_rate(values: np.ndarray, signal: Signal, per_frame: int) -> np.ndarray:
    """Return a signal with `per_frame` samples a frame; BadRecording where that is no multiple of its own number.

    The signal is band-limited between its samples; missing samples stay missing.
    """
    times, rest = divmod(per_frame, signal.per_frame)
    if rest:
        raise BadRecording(
            f"header: {signal.per_frame} samples a frame in lead {signal.lead}, {per_frame} in another; "
            "allowed: a multiple"
        )
    if times == 1:
        return values
    # Here, as few recordings need it and it takes half a second to load.
    from scipy.signal import resample_poly

    missing, at = np.isnan(values), np.arange(len(values))
    whole = np.interp(at, at[~missing], values[~missing]) if not missing.all() else np.zeros(len(values))
    # The line through both ends is taken out first: there is no jump at the ends.
    resampled = resample_poly(whole, times, 1, padtype="line")
    resampled[missing.repeat(times)] = np.nan
    return resampled
