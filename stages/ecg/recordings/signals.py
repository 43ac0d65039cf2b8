"""Reads the signals of a WFDB record as int16 microvolts in the 12 standard leads.

A file may hold anything: what its header says of sizes is checked against it before anything is read or allocated.
"""

from pathlib import Path

import numpy as np

from ecg.leads import MISSING, BadRecording, derive_leads, find_leads
from ecg.recordings.formats import FORMATS, bytes_of, decode, samples_in
from ecg.recordings.header import Header, Signal, file_size, with_a_reason

MAX_VALUES = 22_000_000  # stored samples of all signals: 12 leads of 1000 Hz for half an hour

MICROVOLTS = {"uv": 1, "µv": 1, "μv": 1, "mv": 1000, "v": 1_000_000}
MATLAB_TYPES = {"16": 30, "32": 20, "80": 50}


def read_samples(header: Header, *, verify_checksums: bool = True) -> tuple[np.ndarray, list[str]]:
    """Return a recording's samples (samples x 12, int16, uV; -32768 is missing) and flags: what was odd.

    Leads are found by name and derived where two limb leads give a third. Samples of the Challenge's .mat files
    are microvolts, whatever the gain in the header says: headers from before August 2020 are wrong. BadRecording
    says why a recording cannot be used.
    """
    columns = find_leads([signal.lead for signal in header.signals])
    used = [header.signals[column] for column in columns.values()]
    used, flags = calibrated(used, header.challenge_source)
    with with_a_reason():
        digital, checksums, missing = read_leads(header, list(columns.values()))
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


def calibrated(signals: list[Signal], challenge_source: str | None) -> tuple[list[Signal], list[str]]:
    """Return the signals with gains and units to be used, and flags; BadRecording where there are none."""
    flags = []
    if challenge_source and challenge_source != "incart":
        wrong = next((s for s in signals if (s.gain, s.baseline, s.units.lower()) != (1000, 0, "mv")), None)
        if wrong:
            flags.append(f"gain: {wrong.gain:g}({wrong.baseline})/{wrong.units[:40]} read as 1000(0)/mV")
            signals = [s._replace(gain=1000.0, baseline=0, units="mV") for s in signals]
    for signal in signals:
        if not 1e-9 < signal.gain < 1e9:
            raise BadRecording(f"gain: {signal.gain:g} in lead {signal.lead}")
        if signal.units.lower() not in MICROVOLTS:
            raise BadRecording(f"units: {signal.units!r} in lead {signal.lead}; allowed: uV, mV, V")
    return signals, flags


def read_leads(header: Header, columns: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read some signals: samples (samples x signals) in ADC units, their sums as stored, and which are missing.

    Several samples a frame give their mean; skew is taken out, and what lies beyond the end is missing.
    """
    files: dict[str, list[int]] = {}
    for i, signal in enumerate(header.signals):
        files.setdefault(signal.file, []).append(i)
    samples, stored = header.samples, {}
    for members in files.values():
        if set(members) & set(columns):
            frames = read_file(header, [header.signals[i] for i in members], samples)
            samples = len(frames)
            ends = np.cumsum([header.signals[i].per_frame for i in members])
            stored |= dict(zip(members, np.split(frames, ends[:-1], axis=1), strict=True))
    # Sums and comparisons along contiguous memory take half the time.
    leads = [np.ascontiguousarray(stored[i]) for i in columns]
    sums = np.array([lead.sum(dtype=np.int64) for lead in leads])
    aligned = [align(header.signals[i], lead) for i, lead in zip(columns, leads, strict=True)]
    digital = np.column_stack([values for values, _ in aligned])
    missing = np.column_stack([gone for _, gone in aligned])
    if digital.dtype == np.int16:
        digital[missing] = MISSING  # these may already be microvolts
    return digital, sums, missing


def read_file(header: Header, signals: list[Signal], length: int | None) -> np.ndarray:
    """Read one file with all its signals, in ADC units: so many frames (None: all) x the samples of a frame."""
    first, n = signals[0], sum(signal.per_frame for signal in signals)
    if first.format not in FORMATS:
        raise BadRecording(f"signal format: {first.format}; allowed: {', '.join(FORMATS)}")
    if len({(signal.format, signal.offset) for signal in signals}) > 1:
        raise BadRecording(f"header: signals in {first.file} differ in format or byte offset")
    if min(signal.per_frame for signal in signals) < 1:
        raise BadRecording("header: samples a frame is 0")
    path = header.path.parent / first.file
    try:
        size = file_size(path, header.root) - first.offset
    except FileNotFoundError:
        raise BadRecording(f"signal file: no {first.file}") from None
    if size < 0:
        raise BadRecording(f"signal file: {first.file} ends before the byte offset {first.offset}")
    available = samples_in(first.format, size) // n
    samples = available if length is None else length
    if available < samples:
        raise BadRecording(f"signal file: {first.file} holds {available} samples a lead, the header says {samples}")
    if samples * n > MAX_VALUES:
        raise BadRecording(f"too long: {samples} samples of {n} signals; allowed: {MAX_VALUES} in all")
    n_bytes = bytes_of(first.format, samples * n)
    if length is None and n_bytes < size:
        raise BadRecording(f"signal file: {first.file} ends within a sample")
    if path.suffix.lower() == ".mat":
        check_matlab(path, first, n, samples)
    with path.open("rb") as file:
        file.seek(first.offset)
        content = file.read(n_bytes)
    return decode(first.format, content)[: samples * n].reshape(samples, n)


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


def align(signal: Signal, stored: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return one value a frame of a signal (frames x samples a frame), without its skew, and where it is missing."""
    values = stored[:, 0] if signal.per_frame == 1 else stored.mean(axis=1)
    missing = (stored == FORMATS[signal.format].missing).any(axis=1)
    if signal.skew:
        skew = min(signal.skew, len(stored))
        values = np.concatenate([values[skew:], values[:skew]])
        missing = np.concatenate([missing[skew:], np.ones(skew, dtype=bool)])
    return values, missing


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
