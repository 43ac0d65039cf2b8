"""WFDB headers (header(5) of the WFDB Applications Guide), and the headers of the PhysioNet/CinC Challenges.

wfdb 4.3.1 does not parse them: it refuses record lines that name NAME.mat, as some of the Challenge's do, and turns a
gain of 0 into 200 and a negative sampling rate into 250 without a warning. A header may hold anything: BadRecording is
the reason why one cannot be used.
"""

import math
import re
from pathlib import Path
from typing import NamedTuple

from ecg.leads import LEADS, MAX_RATE, BadRecording, lead_of
from ecg.recordings.ecg_file import MAX_SIGNALS, file_size, with_a_reason
from ecg.recordings.tables import decode

MAX_HEADER = 2**20  # bytes

SIGNAL_FORMAT = re.compile(r"(\d+)(?:x(\d+))?(?::(\d+))?(?:\+(\d+))?")
GAIN = re.compile(r"([^(/]*)(?:\(([^)]*)\))?(?:/(.*))?")


class Signal(NamedTuple):
    """One signal line of a header: `per_frame` samples a frame, `skew` in frames, `offset` in bytes."""

    file: str
    format: str
    per_frame: int
    skew: int
    offset: int
    gain: float
    baseline: int
    units: str
    checksum: int | None
    lead: str


class Header(NamedTuple):
    """A header: frames a second, number of frames (None: not stated), signals and `# key: value` comments."""

    path: Path
    root: Path
    frame_rate: float
    frames: int | None
    signals: list[Signal]
    comments: dict[str, list[str]]

    @property
    def sampling_rate(self) -> float:
        """The leads' sampling rate (Hz): of leads with different numbers of samples a frame, the highest."""
        # Most have one sample a frame, whatever they are called.
        several = [s.per_frame for s in self.signals if s.per_frame > 1 and lead_of(s.lead)]
        return self.frame_rate * max(several, default=1)


class Archive(NamedTuple):
    """One archive of the Challenge: samples are 1000 a mV, though headers from before August 2020 may say otherwise."""

    source: str
    sampling_rate: int  # Hz
    wrong_gain: float | None = None  # a mV


ARCHIVES = {
    "A": Archive("cpsc", 500),
    "Q": Archive("cpsc-extra", 500),
    "I": Archive("incart", 257),
    "S": Archive("ptb", 1000, 2_000_000),
    "HR": Archive("ptb-xl", 500, 200),
    "E": Archive("georgia", 500, 4880),
    "JS": Archive("chapman-ningbo", 500),
}
RECORD_NAME = re.compile(r"(?:([AQIS])\d{4}|(HR|E|JS)\d{5})")


def read_header(path: Path, root: Path | None = None) -> Header:
    """Read the header of a record of one segment.

    Neither the header nor its signal files may be links that lead out of `root`: by default the header's own folder.
    """
    root = root or path.parent
    if path.suffix.lower() != ".hea":
        raise BadRecording("no WFDB record (.hea with .dat or .mat)")
    with with_a_reason():
        size = file_size(path, root)
        if size > MAX_HEADER:
            raise BadRecording(f"header: {size} bytes; allowed: {MAX_HEADER}")
        content = path.read_bytes()
    if b"\0" in content:
        raise BadRecording("header: it holds NUL bytes, as UTF-16 and binary files do")
    # ASCII by the standard; some hold names and µV. Not splitlines: it also ends a line at characters of comments.
    lines = [line.strip() for line in re.split(r"[\r\n]+", decode(content))]
    record, *signals = [line.split() for line in lines if line and not line.startswith("#")] or [[]]
    comments: dict[str, list[str]] = {}
    for key, value in re.findall(r"^#[# \t]*([^:\n]*):(.*)$", "\n".join(lines), re.MULTILINE):
        comments.setdefault(key.strip().lower(), []).append(value.strip())
    frame_rate, frames = parse_record(record, len(signals))
    header = Header(path, root, frame_rate, frames, [parse_signal(fields) for fields in signals], comments)
    if header.sampling_rate > MAX_RATE:
        raise BadRecording(f"header: sampling rate is {header.sampling_rate:g} Hz; allowed: to {MAX_RATE}")
    return header


def parse_number(text: str, name: str) -> int:
    """Parse a whole number of 32 bits."""
    try:
        value = int(text)
    except ValueError:
        value = 2**31
    if not -(2**31) <= value < 2**31:
        raise BadRecording(f"header: {name} is {text!r}")
    return value


def parse_float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.inf


def parse_record(fields: list[str], n_signals: int) -> tuple[float, int | None]:
    """Return frames a second and the number of frames, None if not stated, of the header's first line."""
    if not fields:
        raise BadRecording("header: empty")
    # Fields after the number of frames are a time and a date, which are not needed.
    if len(fields) < 3:
        raise BadRecording("header: no number of signals or no sampling rate")
    # NAME/NUMBER; any other slash is that of a path.
    if re.search(r"/\d+$", fields[0]):
        raise BadRecording("header: a record of several segments")
    announced = parse_number(fields[1], "number of signals")
    frame_rate = parse_float(re.split(r"[/(]", fields[2])[0])
    if not 0 < frame_rate <= MAX_RATE:
        raise BadRecording(f"header: sampling rate is {fields[2]}")
    frames = parse_number(fields[3], "number of samples") if len(fields) > 3 else 0
    if frames < 0:
        raise BadRecording(f"header: number of samples is {frames}")
    if announced != n_signals:
        raise BadRecording(f"header: {announced} signals announced, {n_signals} described")
    if n_signals > MAX_SIGNALS:
        raise BadRecording(f"header: {n_signals} signals; allowed: {MAX_SIGNALS}")
    return frame_rate, frames or None


def parse_signal(fields: list[str]) -> Signal:
    file = fields[0]
    layout = SIGNAL_FORMAT.fullmatch(fields[1]) if len(fields) > 1 else None
    if not layout:
        raise BadRecording(f"header: no signal format in line {' '.join(fields)!r}")
    # wfdb opens files by fsspec, which chains what "::" parts.
    if "/" in file or "::" in file or file in (".", "..") or len(file.encode()) > 255:
        raise BadRecording(f"header: not a plain file name: {file!r}")
    calibration = GAIN.fullmatch(fields[2] if len(fields) > 2 else "0")
    if not calibration:
        raise BadRecording(f"header: gain is {fields[2]!r}")
    gain, baseline, units = calibration.groups()
    adc_zero = parse_number(fields[4], "ADC zero") if len(fields) > 4 else 0
    return Signal(
        file=file,
        format=layout[1],
        per_frame=parse_number(layout[2], "samples a frame") if layout[2] else 1,
        skew=parse_number(layout[3], "skew") if layout[3] else 0,
        offset=parse_number(layout[4], "byte offset") if layout[4] else 0,
        gain=parse_float(gain),
        baseline=adc_zero if baseline is None else parse_number(baseline, "baseline"),
        units=units or "mV",
        checksum=parse_number(fields[6], "checksum") if len(fields) > 6 else None,
        lead=" ".join(fields[8:]),
    )


def archive_of(header: Header) -> Archive | None:
    """Return the archive whose records have such a name and such .mat files: no proof, others may have them too."""
    name = RECORD_NAME.fullmatch(header.path.stem)
    if not name or any((s.file.lower()[-4:], s.format, s.offset) != (".mat", "16", 24) for s in header.signals):
        return None
    return ARCHIVES[name[1] or name[2]]


def is_complete(header: Header, archive: Archive, comments: set[str]) -> bool:
    """Return whether leads, sampling rate and comments are those of the Challenge's headers."""
    leads = [lead_of(signal.lead) for signal in header.signals]
    return leads == list(LEADS) and header.sampling_rate == archive.sampling_rate and comments <= header.comments.keys()


def challenge_source(header: Header) -> str:
    """Return the source of a record of the Challenge, '' of any other, whatever its name."""
    archive = archive_of(header)
    complete = archive and is_complete(header, archive, {"age", "sex", "dx", "rx", "hx"})
    return archive.source if archive and complete else ""


def correct_gains(header: Header, signals: list[Signal]) -> tuple[list[Signal], list[str]]:
    """Return the signals with 1000/mV in place of their archive's wrong gain, and flags.

    BadRecording where a record that may be another's has its name and that gain.
    """
    archive = archive_of(header)
    wrong = [s for s in signals if archive and (s.gain, s.units.lower()) == (archive.wrong_gain, "mv")]
    if not archive or not wrong:
        return signals, []
    # 200 is also the usual gain of WFDB: more must speak for the Challenge.
    comments = {"age", "sex", "dx"} | ({"rx", "hx"} if archive.wrong_gain == 200 else set())
    gain = f"gain: {wrong[0].gain:g}({wrong[0].baseline})/mV"
    if not is_complete(header, archive, comments):
        raise BadRecording(f"{gain} is wrong in the Challenge's {archive.source}, and this may be one; else rename it")
    return [s._replace(gain=1000.0, baseline=0) if s in wrong else s for s in signals], [f"{gain} read as 1000(0)/mV"]
