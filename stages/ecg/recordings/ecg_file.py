"""The base of all readers of ECG files: the types that they return, and checks of files, units and fields."""

import hashlib
import math
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ecg.leads import MISSING, BadRecording
from ecg.recordings.codes import UNKNOWN

UNITS = {  # uV
    **dict.fromkeys(("uv", "µv", "μv", "microvolt", "microvolts", "uvperlsb"), 1),
    **dict.fromkeys(("mv", "millivolt", "millivolts", "mvperlsb"), 1000),
    "v": 1_000_000,
}
LARGEST_STEP = 1000  # uV between adjacent numbers
MAX_VALUES = 22_000_000  # stored samples of all signals: 12 leads of 1000 Hz for half an hour
MAX_SIGNALS = 1000
DIGEST = "sha256-"  # before the digest of a patient's id; the index replaces it by a number, so that no output has it
DAYS = {"y": 365.25, "m": 365.25 / 12, "w": 7, "d": 1}  # in each unit of age


class Person(NamedTuple):
    """The data of a person and of the recorder, from a file or a table; empty where unknown.

    age (years) and sex are unchecked. patient is an id, or its digest (`digest_of`). dx are texts with codes. registry
    is the source that gave the id, if it is not the source of the recording.
    """

    age: str | int = ""
    sex: str = ""
    patient: str = ""
    dx: tuple[str, ...] = ()
    source: str = ""
    registry: str = ""
    device: str = ""
    site: str = ""
    fold: int | str = ""
    flags: tuple[str, ...] = ()


class Ecg(NamedTuple):
    """A recording before conversion to the 12 standard leads.

    signal is samples x leads: from WFDB the 12 standard leads, int16, uV; from all others float, mV, NaN where missing.
    leads are the names in the file. heart_rate_text is the heart rate that the cart wrote into the file. flags are
    corrections and remarks. reason is set if the signal cannot be used, but the other data can.
    """

    signal: np.ndarray
    sampling_rate: float
    leads: Sequence[str]
    person: Person = Person()
    heart_rate_text: str | None = None
    flags: Sequence[str] = ()
    reason: str = ""

    @property
    def heart_rate(self) -> float | None:
        """The heart rate that the cart wrote into the file (beats/min); None if absent or implausible."""
        with suppress(ValueError):
            rate = float(self.heart_rate_text or "")
            return rate if 0 < rate < 1000 else None
        return None

    def in_mv(self) -> np.ndarray:
        """Return the signal in mV, samples x leads, float, NaN where missing; BadRecording if it cannot be used."""
        if self.reason:
            raise BadRecording(self.reason)
        return masked(self.signal / 1000, self.signal) if self.signal.dtype == np.int16 else self.signal


def content_of(path: Path, most: int) -> bytes:
    """Return a file's content; BadRecording if it is longer than `most` bytes, or not a regular file."""
    size = path.stat().st_size
    if size > most:
        raise BadRecording(f"too long: {size} bytes; allowed for this format: {most}")
    if not path.is_file():
        raise BadRecording(f"no regular file: {path.name}")
    return path.read_bytes()


def number(text: str | None, name: str) -> float:
    """Return a required number of a file; BadRecording if it is absent or not finite."""
    with suppress(ValueError):
        value = float(text or "")
        if math.isfinite(value):
            return value
    raise BadRecording(f"file: {name} is {text!r}; allowed: a number")


def microvolts_in(units: str | None) -> int:
    """Return a unit of voltage in uV; BadRecording for any other unit."""
    scale = UNITS.get(str(units or "").strip().lower())
    if scale is None:
        raise BadRecording(f"units: {units!r}; allowed: uV, mV, V")
    return scale


def millivolts(step: float, units: str | None) -> float:
    """Return the step between adjacent numbers of a file in mV; BadRecording if it is not above 0, or too large."""
    scale = microvolts_in(units)
    if not 0 < step * scale <= LARGEST_STEP:
        raise BadRecording(f"gain: {step:g} {units}, steps of {step * scale:g} uV; allowed: above 0, to {LARGEST_STEP}")
    return step * scale / 1000


def masked(values: np.ndarray, stored: np.ndarray) -> np.ndarray:
    """Return values, NaN where the stored integer is the least of int16: a missing sample."""
    return np.where(stored == MISSING, np.nan, values)


def allow_only(name: str, given: object, *allowed: object) -> None:
    """Raise BadRecording if a field has a value that the reader does not support."""
    if given not in allowed:
        raise BadRecording(f"file: {name} is {given!r}; allowed: {', '.join(map(str, allowed))}")


def person(sex: object, patient: object, age: object = "", unit: object = "", dates: Sequence[object] = ()) -> Person:
    """Return a person from a file's fields; `dates` of birth and of the recording give an absent age."""
    read = [int(day[1]) for date in dates if (day := re.match(r"(\d{8})", re.sub(r"\D", "", str(date or ""))))]
    years: str | int = str(age or "").strip() or ((read[1] - read[0]) // 10000 if len(read) == 2 else "")
    days = DAYS.get(str(unit or "y").strip().lower()[:1], 0)
    with suppress(ValueError, OverflowError):
        years = math.floor(float(years) * days / DAYS["y"] + 1e-9)
    return Person(age=years, sex=str(sex or ""), patient=digest_of(str(patient or "")))


def digest_of(patient: str) -> str:
    """Return the digest of a patient's id, which does not show the id; '' where it is unknown."""
    # Spreadsheets turn 7 into 7.0 if other cells are empty.
    text = re.sub(r"^(\d+)\.0+$", r"\1", patient.strip())
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return "" if text.lower() in UNKNOWN else DIGEST + digest
