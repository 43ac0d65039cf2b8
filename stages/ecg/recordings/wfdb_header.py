"""Parses WFDB headers (header(5) of the WFDB Applications Guide), also of the PhysioNet/CinC Challenges.

wfdb 4.3.1 cannot parse them all: it refuses record lines that name NAME.mat, as some of the Challenge's do, and turns a
gain of 0 into 200 and a negative sampling rate into 250 without a warning.
"""

import re
from pathlib import Path
from typing import NamedTuple

from ecg.leads import LEADS, BadRecording, lead_of
from ecg.recordings.ecg_file import content_of
from ecg.recordings.tables import decode

MAX_HEADER = 2**20  # bytes

NUMBER = r"([-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)"
# Number of signals, sampling rate, number of samples; a time and a date may follow.
RECORD = re.compile(rf"\S+\s+(\d{{1,9}})\s+{NUMBER}(?:[/(]\S*)?(?:\s+(\d{{1,9}})(?:\s.*)?)?", re.ASCII)
# Format, samples a frame, skew, byte offset.
LAYOUT = re.compile(r"(\d{1,9})(?:x([1-9]\d{0,8}))?(?::(\d{1,9}))?(?:\+(\d{1,9}))?", re.ASCII)
GAIN = re.compile(rf"{NUMBER}(?:\(([-+]?\d{{1,10}})\))?(?:/(.*))?", re.ASCII)  # gain, baseline, units
INTEGER = re.compile(r"(?:[-+]?\d{1,10})?", re.ASCII)
OMITTED = ["", "", "0", "", "", "", "", "", ""]  # the fields of a signal that a line may lack


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
    """A header: sampling rate of the leads (Hz), number of frames (None: not stated), signals, comments by key."""

    path: Path
    sampling_rate: float
    frames: int | None
    signals: list[Signal]
    comments: dict[str, list[str]]


class Archive(NamedTuple):
    """One archive of the Challenge. The gain is 1000/mV; headers from before August 2020 may state `wrong_gain`."""

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
CHALLENGE_COMMENTS = {"age", "sex", "dx", "rx", "hx"}


def read_header(path: Path) -> Header:
    """Read the header of a record of one segment."""
    # ASCII by the standard, but some have names and µV. Not splitlines, which also splits at other characters.
    lines = [line.strip() for line in re.split(r"[\r\n]+", decode(content_of(path, MAX_HEADER)))]
    record, *described = [line for line in lines if line and not line.startswith("#")] or [""]
    comments: dict[str, list[str]] = {}
    for line in lines:
        key, colon, value = line.lstrip("# \t").partition(":")
        if line.startswith("#") and colon:
            comments.setdefault(key.strip().lower(), []).append(value.strip())
    if not (fields := RECORD.fullmatch(record)):
        raise BadRecording(f"header: cannot read {record!r}; expected: name, number of signals, sampling rate, samples")
    announced, frame_rate, frames = fields.groups()
    if int(announced) != len(described):
        raise BadRecording(f"header: {announced} signals announced, {len(described)} described")
    signals = [parse_signal(line) for line in described]
    per_frame = max((signal.per_frame for signal in signals if lead_of(signal.lead)), default=1)
    return Header(path, float(frame_rate) * per_frame, int(frames or 0) or None, signals, comments)


def parse_signal(line: str) -> Signal:
    fields = line.split(maxsplit=8)
    file, layout, gain, _, zero, _, checksum, _, lead = fields + OMITTED[len(fields) :]
    stored, calibration = LAYOUT.fullmatch(layout), GAIN.fullmatch(gain)
    if not (stored and calibration and INTEGER.fullmatch(zero) and INTEGER.fullmatch(checksum)):
        raise BadRecording(f"header: cannot read {line!r}; expected: file, format, gain, bits, zero, first, checksum")
    if Path(file).name != file or "\0" in file:
        raise BadRecording(f"header: not a plain file name: {file!r}")
    per_frame, skew, offset = int(stored[2] or 1), int(stored[3] or 0), int(stored[4] or 0)
    scale, baseline, units = float(calibration[1]), int(calibration[2] or zero or 0), calibration[3] or "mV"
    checked = int(checksum) if checksum else None
    return Signal(file, stored[1], per_frame, skew, offset, scale, baseline, units, checked, lead)


def archive_of(header: Header) -> Archive | None:
    """Return the Challenge's archive of a record; None if name, files, leads, rate or comments differ from it."""
    name = RECORD_NAME.fullmatch(header.path.stem)
    files = {(signal.file.lower()[-4:], signal.format, signal.offset) for signal in header.signals}
    if not name or files != {(".mat", "16", 24)} or [lead_of(s.lead) for s in header.signals] != list(LEADS):
        return None
    archive = ARCHIVES[name[1] or name[2]]
    is_alike = header.sampling_rate == archive.sampling_rate and header.comments.keys() >= CHALLENGE_COMMENTS
    return archive if is_alike else None


def correct_gains(header: Header, signals: list[Signal]) -> tuple[list[Signal], list[str]]:
    """Return the signals with 1000/mV in place of the wrong gain of the Challenge's archive, and flags."""
    archive = archive_of(header)
    wrong = [s for s in signals if archive and (s.gain, s.units.lower()) == (archive.wrong_gain, "mv")]
    flags = [f"gain: {wrong[0].gain:g}({wrong[0].baseline})/mV read as 1000(0)/mV"] if wrong else []
    return [s._replace(gain=1000.0, baseline=0) if s in wrong else s for s in signals], flags
