"""Recordings of the PhysioNet/CinC Challenges 2020 and 2021: which they are, and which of their gains are wrong."""

import re
from typing import NamedTuple

from ecg.leads import LEADS, BadRecording, lead_of
from ecg.recordings.header import Header, Signal


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


def archive_of(header: Header) -> Archive | None:
    """Return the archive whose records have such a name and such .mat files: no proof, others may have them too."""
    name = RECORD_NAME.fullmatch(header.path.stem)
    if not name or any((s.file.lower()[-4:], s.format, s.offset) != (".mat", "16", 24) for s in header.signals):
        return None
    return ARCHIVES[name[1] or name[2]]


def is_complete(header: Header, archive: Archive, comments: set[str]) -> bool:
    """Say whether leads, sampling rate and comments are those of the Challenge's headers."""
    leads = [lead_of(signal.lead) for signal in header.signals]
    return leads == list(LEADS) and header.sampling_rate == archive.sampling_rate and comments <= header.comments.keys()


def challenge_source(header: Header) -> str | None:
    """Return the source of a record of the Challenge, None of any other, whatever its name."""
    archive = archive_of(header)
    complete = archive and is_complete(header, archive, {"age", "sex", "dx", "rx", "hx"})
    return archive.source if archive and complete else None


def correct_gains(header: Header, signals: list[Signal]) -> tuple[list[Signal], list[str]]:
    """Return the signals with 1000/mV in place of their archive's wrong gain, and flags.

    BadRecording where a record that may well be another's has its name and that gain.
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
