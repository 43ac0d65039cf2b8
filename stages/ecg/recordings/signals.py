"""Reads the signals of a WFDB record as int16 microvolts in the 12 standard leads.

A file may hold anything: what its header says of sizes is checked against it before anything is read or allocated.
"""

from pathlib import Path

import numpy as np

from ecg.leads import LEADS, BadRecording, find_leads, to_microvolts
from ecg.recordings.challenge import correct_gains
from ecg.recordings.ecg_file import LARGEST_STEP, MAX_VALUES, UNITS, file_size, with_a_reason
from ecg.recordings.formats import FORMATS, decode
from ecg.recordings.header import Header, Signal

SMALLEST_RANGE = 1  # uV from the least number that a format holds to the largest
MATLAB_TYPES = {"16": 30, "32": 20, "80": 50}


def read_samples(header: Header, *, verify_checksums: bool = True) -> tuple[np.ndarray, list[str]]:
    """Return a recording's samples (samples x 12, int16, uV; -32768 is missing) and flags: what was odd.

    They are `header.sampling_rate` a second. Leads are found by name, and derived where two limb leads give a third.
    BadRecording says why a recording cannot be used.
    """
    columns = find_leads([signal.lead for signal in header.signals])
    signals, flags = correct_gains(header, [header.signals[column] for column in columns.values()])
    scales = [microvolts_per_unit(signal) for signal in signals]
    with with_a_reason():
        stored = read_leads(header, list(columns.values()))
    if stored[0].size == 0:
        raise BadRecording("no samples")
    # A checksum is of 16 bits, and overflows as this sum does.
    wrong = [
        signal.lead
        for signal, values in zip(signals, stored, strict=True)
        if signal.checksum is not None and (signal.checksum - int(values.sum(dtype=np.int16))) % 65536
    ]
    if wrong and verify_checksums:
        raise BadRecording(f"wrong checksum: {', '.join(wrong)}")
    if wrong:
        flags.append(f"wrong checksum: {', '.join(wrong)}")

    # How `samples` are stored in the end, as most are in their files.
    kinds = {(s.format, s.per_frame, s.skew, s.baseline, scale) for s, scale in zip(signals, scales, strict=True)}
    if len(columns) == len(LEADS) and kinds == {("16", 1, 0, 0, 1)}:
        # Each lead lies in contiguous memory, as here so in `median_beat`.
        samples, lead_flags = np.concatenate([values.T for values in stored]).T, list[str]()
    else:
        highest = max(signal.per_frame for signal in signals)
        leads = {
            lead: at_rate(physical(signal, values, scale), signal, highest)
            for lead, signal, values, scale in zip(columns, signals, stored, scales, strict=True)
        }
        samples, lead_flags = to_microvolts(leads)
    return samples, flags + lead_flags


def microvolts_per_unit(signal: Signal) -> float:
    """Return how many uV one ADC unit is; BadRecording where that cannot be an ECG's."""
    if signal.units.lower() not in UNITS:
        raise BadRecording(f"units: {signal.units!r} in lead {signal.lead}; allowed: uV, mV, V")
    if not signal.gain:
        raise BadRecording(f"gain: 0/{signal.units} or none in lead {signal.lead}: uncalibrated")
    step = UNITS[signal.units.lower()] / signal.gain
    numbers = -2 * FORMATS[signal.format].missing if signal.format in FORMATS else np.inf
    if not (step <= LARGEST_STEP and step * numbers >= SMALLEST_RANGE):
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
    n_frames, stored = header.frames, dict[int, np.ndarray]()
    for members in files.values():
        if set(members) & set(columns):
            frames = read_file(header, [header.signals[i] for i in members], n_frames)
            n_frames = len(frames)
            ends = np.cumsum([header.signals[i].per_frame for i in members])
            stored.update(zip(members, np.split(frames, ends[:-1], axis=1), strict=True))
    # Work along contiguous memory takes half the time.
    return [np.ascontiguousarray(stored[i]) for i in columns]


def read_file(header: Header, signals: list[Signal], n_frames: int | None) -> np.ndarray:
    """Read one file with all its signals, in ADC units: so many frames (None: all) x the samples of a frame."""
    first, n = signals[0], sum(signal.per_frame for signal in signals)
    if first.format not in FORMATS:
        raise BadRecording(f"signal format: {first.format}; allowed: {', '.join(FORMATS)}")
    if len({(signal.format, signal.offset) for signal in signals}) > 1:
        raise BadRecording(f"header: signals in {first.file} differ in format or byte offset")
    if min(signal.per_frame for signal in signals) < 1:
        raise BadRecording("header: samples a frame is 0")
    path, size = signal_file(header, first)
    half_bytes = FORMATS[first.format].half_bytes
    available = 2 * size // half_bytes // n
    length = available if n_frames is None else n_frames
    if available < length:
        raise BadRecording(f"signal file: {first.file} holds {available} samples a lead, the header says {length}")
    if length * n > MAX_VALUES:
        raise BadRecording(f"too long: {length * n} samples in {first.file}; allowed: {MAX_VALUES}")
    n_bytes = -(-length * n * half_bytes // 2)
    if n_frames is None and n_bytes < size:
        raise BadRecording(f"signal file: {first.file} ends within a sample")
    if path.suffix.lower() == ".mat":
        check_matlab(path, first, n, length)
    with path.open("rb") as file:
        file.seek(first.offset)
        content = file.read(n_bytes)
    return decode(first.format, content)[: length * n].reshape(length, n)


def signal_file(header: Header, signal: Signal) -> tuple[Path, int]:
    """Return the path of a signal's file and how many bytes of it are samples; BadRecording where it has none.

    Copies from systems that know no case may be in upper or lower case, whatever the header says.
    """
    written = Path(signal.file)
    for name in (signal.file, written.stem + written.suffix.swapcase(), signal.file.upper(), signal.file.lower()):
        path = header.path.parent / name
        try:
            size = file_size(path, header.root) - signal.offset
        except FileNotFoundError:
            continue
        if size < 0:
            raise BadRecording(f"signal file: {name} ends before the byte offset {signal.offset}")
        return path, size
    raise BadRecording(f"signal file: no {signal.file}")


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


def physical(signal: Signal, stored: np.ndarray, scale: float) -> np.ndarray:
    """Return a signal in uV (float, NaN is missing), without its skew: what lies beyond the end is missing."""
    skew = min(signal.skew, len(stored))
    values, kept = np.empty(stored.size), stored[skew:].ravel()
    values[kept.size :] = np.nan
    known = values[: kept.size]
    np.subtract(kept, signal.baseline, out=known, dtype=np.float64)
    known *= scale
    known[kept == FORMATS[signal.format].missing] = np.nan
    return values


def at_rate(values: np.ndarray, signal: Signal, per_frame: int) -> np.ndarray:
    """Return a signal with so many samples a frame; BadRecording where that is no multiple of its own number.

    What lies between its samples is band-limited; what is missing stays missing.
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
