"""Reads a WFDB recording as int16 microvolts in the 12 standard leads.

wfdb 4.3.1 is the reader for unusual formats only: it refuses some of the Challenge's record lines, checks no
checksum, and turns a gain of 0 into 200 and a negative sampling rate into 250 without a word.
"""

import math
import re
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
MISSING = -32768

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
GAIN = re.compile(r"([^(/]*)(?:\(([^)]*)\))?(?:/(.*))?")


class BadRecording(ValueError):
    """Why a recording cannot be used: a category, or `category: detail`."""


class Signal(NamedTuple):
    """One signal line of a header; `plain` is 16-bit, one sample a frame, no skew."""

    file: str
    format: str
    plain: bool
    offset: int
    gain: float
    baseline: int
    units: str
    checksum: int | None
    lead: str


class Header(NamedTuple):
    """A header: sampling rate in Hz, number of samples (None: not stated), signals and `# key: value` comments."""

    path: Path
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


def number(text: str, what: str, kind: type = int) -> float:
    try:
        value = kind(text)
    except ValueError:
        value = math.inf
    if kind is int and abs(value) > 2**31:
        raise BadRecording(f"header: {what} is {text[:40]!r}")
    return value


def decode(content: bytes) -> str:
    """Headers are ASCII by the standard; some hold names and µV in UTF-8 or Latin-1."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def read_header(path: Path) -> Header:
    """Read a single-segment WFDB header (header(5) of the WFDB Applications Guide); BadRecording says what is wrong."""
    lines = [line.strip() for line in decode(path.read_bytes()).splitlines()]
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
    if not (math.isfinite(sampling_rate) and sampling_rate > 0):
        raise BadRecording(f"header: sampling rate is {record[2]}")
    samples = number(record[3], "number of samples") if len(record) > 3 else None
    if samples is not None and samples < 0:
        raise BadRecording(f"header: number of samples is {samples}")
    if n_signals != len(plain) - 1:
        raise BadRecording(f"header: {n_signals} signals announced, {len(plain) - 1} described")
    signals = [parse_signal(fields) for fields in plain[1:]]
    return Header(path, sampling_rate, samples or None, signals, comments)


def parse_signal(fields: list[str]) -> Signal:
    file = fields[0]
    layout = SIGNAL_FORMAT.fullmatch(fields[1]) if len(fields) > 1 else None
    if not layout:
        raise BadRecording(f"header: no signal format in line {' '.join(fields)!r}")
    if file != Path(file).name or file in (".", ".."):
        raise BadRecording(f"header: signal file {file!r} is not a plain file name")
    calibration = GAIN.fullmatch(fields[2] if len(fields) > 2 else "0")
    if not calibration:
        raise BadRecording(f"header: gain is {fields[2][:40]!r}")
    gain, baseline, units = calibration.groups()
    adc_zero = number(fields[4], "ADC zero") if len(fields) > 4 else 0
    return Signal(
        file=file,
        format=layout[1],
        plain=layout[1] == "16" and layout[2] in (None, "1") and layout[3] in (None, "0"),
        offset=int(layout[4] or 0),
        gain=number(gain, "gain", float),
        baseline=adc_zero if baseline is None else number(baseline, "baseline"),
        units=units or "mV",
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
            flags.append(f"gain: {wrong.gain:g}({wrong.baseline})/{wrong.units} read as 1000(0)/mV")
            used = [s._replace(gain=1000.0, baseline=0, units="mV") for s in used]
    for signal in used:
        if not 1e-9 < signal.gain < 1e9:
            raise BadRecording(f"gain: {signal.gain:g} in lead {signal.lead}")
        if signal.units.lower() not in MICROVOLTS:
            raise BadRecording(f"units: {signal.units!r} in lead {signal.lead}; allowed: uV, mV, V")

    one_file = len({(signal.file, signal.offset) for signal in header.signals}) == 1
    if one_file and all(signal.plain for signal in header.signals):
        digital, checksums = read_plain(header)
        digital, checksums = digital[:, list(columns.values())], checksums[list(columns.values())]
        missing = digital == MISSING
    else:
        digital, checksums, missing = read_with_wfdb(header, list(columns.values()))

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
    if derived:
        flags.append(f"derived lead: {', '.join(derived)}")
    if not (samples != samples[0]).any():
        raise BadRecording("flat")
    return samples, flags


def find_leads(names: list[str]) -> dict[str, int]:
    """Map each standard lead to its column, by name whatever its case; BadRecording where one is there twice."""
    columns = {}
    for lead in LEADS:
        found = [i for i, name in enumerate(names) if name.strip().lower() == lead.lower()]
        if len(found) > 1:
            raise BadRecording(f"duplicate lead: {lead}")
        if found:
            columns[lead] = found[0]
    absent = [lead for lead in LEADS[6:] if lead not in columns]
    if sum(lead in columns for lead in ("I", "II", "III")) < 2:
        absent = [lead for lead in ("I", "II", "III") if lead not in columns] + absent
    if absent:
        raise BadRecording(f"missing lead: {', '.join(absent)}")
    return columns


def signal_path(header: Header, file: str) -> Path:
    path = header.path.parent / file
    if not path.is_file():
        raise BadRecording(f"signal file: no {file}")
    return path


def read_plain(header: Header) -> tuple[np.ndarray, np.ndarray]:
    """Read 16-bit samples of all signals from one file; return them and their sums."""
    file, offset, n = header.signals[0].file, header.signals[0].offset, len(header.signals)
    path = signal_path(header, file)
    available, rest = divmod(path.stat().st_size - offset, 2 * n)
    samples = header.samples or max(available, 0)
    if available < samples or (rest and not header.samples):
        raise BadRecording(f"signal file: {file} holds {available} samples a lead, the header says {samples}")
    if path.suffix == ".mat":
        check_matlab(path, n, samples, offset)
    digital = np.fromfile(path, "<i2", samples * n, offset=offset).reshape(samples, n)
    # Sums along contiguous memory take half the time.
    return digital, np.ascontiguousarray(digital.T).sum(axis=1, dtype=np.int64)


def check_matlab(path: Path, n: int, samples: int, offset: int) -> None:
    """Refuse a .mat file whose first bytes are not those of a MATLAB v4 matrix `val` of int16, n x samples."""
    with path.open("rb") as file:
        head = file.read(24)
    kind, rows, columns, imaginary, name = np.frombuffer(head[:20].ljust(20, b"\0"), "<i4").tolist()
    if offset != 24 or (kind, imaginary, name) != (30, 0, 4):
        raise BadRecording(f"signal file: {path.name} is not a MATLAB v4 file of 16-bit samples")
    if (rows, columns) != (n, samples):
        raise BadRecording(
            f"signal file: {path.name} holds {rows} x {columns} samples, the header says {n} x {samples}"
        )


def read_with_wfdb(header: Header, columns: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read any other format with wfdb: samples, their sums, and which of them are missing."""
    import wfdb

    for signal in header.signals:
        signal_path(header, signal.file)
    try:
        read = partial(wfdb.rdrecord, str(header.path.with_suffix("")), channels=columns, physical=False, return_res=64)
        record = read()
        # A checksum is of the samples as they are stored: several a frame, and each lead with its skew.
        checksums = np.array(read(smooth_frames=False, ignore_skew=True).calc_checksum(expanded=True))
        missing = np.isnan(record.dac(return_res=64))
    except Exception as error:  # whatever wfdb stumbles over is the reason
        raise BadRecording(f"wfdb: {type(error).__name__}: {' '.join(str(error).split())}") from error
    return record.d_signal, checksums, missing


def to_microvolts(digital: np.ndarray, missing: np.ndarray, signals: list[Signal]) -> tuple[np.ndarray, bool]:
    """Scale ADC units to int16 uV; also say whether any value was out of range."""
    scale = np.array([MICROVOLTS[s.units.lower()] / s.gain for s in signals])
    baseline = np.array([s.baseline for s in signals], dtype=np.float64)
    if digital.dtype == np.int16 and (scale == 1).all() and not baseline.any():
        return digital, False
    microvolts = np.rint((digital - baseline) * scale)
    clipped = bool((np.abs(microvolts) > 32767)[~missing].any())
    microvolts = np.clip(microvolts, -32767, 32767).astype(np.int16)
    microvolts[missing] = MISSING
    return microvolts, clipped


def derive_leads(leads: dict[str, np.ndarray]) -> tuple[np.ndarray, list[str]]:
    """Put the leads (int16, uV) in order, samples x 12; derive absent limb leads from two of I, II and III.

    Einthoven's law and Goldberger's definitions: III = II - I, aVR = -(I + II) / 2, aVL = I - II / 2, aVF = II - I / 2.
    """
    absent = [lead for lead in LEADS if lead not in leads]
    if absent:
        limb = {
            lead: np.where(leads[lead] == MISSING, np.nan, leads[lead]) for lead in ("I", "II", "III") if lead in leads
        }
        if "I" not in limb:
            limb["I"] = limb["II"] - limb["III"]
        if "II" not in limb:
            limb["II"] = limb["I"] + limb["III"]
        one, two = limb["I"], limb["II"]
        formulas = {
            "I": one,
            "II": two,
            "III": two - one,
            "aVR": -(one + two) / 2,
            "aVL": one - two / 2,
            "aVF": two - one / 2,
        }
        for lead in absent:
            value = np.clip(np.rint(formulas[lead]), -32767, 32767)
            leads[lead] = np.where(np.isnan(value), MISSING, value).astype(np.int16)
    return np.column_stack([leads[lead] for lead in LEADS]), absent
