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
LARGEST_STEP = 1000  # uV from one number to the next
MAX_VALUES = 22_000_000  # stored samples of all signals: 12 leads of 1000 Hz for half an hour
MAX_SIGNALS = 1000
DIGEST = "sha256-"  # before the digest of a patient's id, which no output holds: the index puts a number in its place
DAYS = {"y": 365.25, "m": 365.25 / 12, "w": 7, "d": 1}  # in a unit of age


class Person(NamedTuple):
    """The data of a person and of the recorder in a file or a table beside it; empty where unknown.

    age (years) and sex are not yet checked. patient is an id, or the digest of one (`digest_of`). dx are texts with
    codes. `registry` is the source whose ids patient is one of, where it is not that of the recording.
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
    """A recording as its file has it.

    signal is samples x leads: in the reader of WFDB int16, uV, of the 12 standard leads; in all others float, mV, NaN
    where missing. leads are their names in the file. heart_rate_text is the cart's own heart rate as the file has it.
    flags are corrections and oddities. reason is why the signal cannot be used, of a file whose other data can.
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
        """The cart's own heart rate (beats/min); None where the file has none, or no plausible one."""
        with suppress(ValueError):
            rate = float(self.heart_rate_text or "")
            return rate if 0 < rate < 1000 else None
        return None

    def in_mv(self) -> np.ndarray:
        """Return the signal in mV, samples x leads, float, NaN where missing; BadRecording where it cannot be used."""
        if self.reason:
            raise BadRecording(self.reason)
        return masked(self.signal / 1000, self.signal) if self.signal.dtype == np.int16 else self.signal


def content_of(path: Path, most: int) -> bytes:
    """Return a file's content; BadRecording where it is longer than `most` bytes, or no regular file."""
    size = path.stat().st_size
    if size > most:
        raise BadRecording(f"too long: {size} bytes; allowed for this format: {most}")
    if not path.is_file():
        raise BadRecording(f"no regular file: {path.name}")
    return path.read_bytes()


def number(text: str | None, name: str) -> float:
    """Parse a number that a file must have."""
    with suppress(ValueError):
        value = float(text or "")
        if math.isfinite(value):
            return value
    raise BadRecording(f"file: {name} is {text!r}; allowed: a number")


def microvolts_in(units: str | None) -> int:
    """Return how many uV a unit is; BadRecording where it is none of voltage."""
    scale = UNITS.get(str(units or "").strip().lower())
    if scale is None:
        raise BadRecording(f"units: {units!r}; allowed: uV, mV, V")
    return scale


def millivolts(step: float, units: str | None) -> float:
    """Return a file's step, in its units, in mV; BadRecording where it cannot be an ECG's."""
    scale = microvolts_in(units)
    if not 0 < step * scale <= LARGEST_STEP:
        raise BadRecording(f"gain: {step:g} {units}, steps of {step * scale:g} uV; allowed: to {LARGEST_STEP} uV")
    return step * scale / 1000


def masked(values: np.ndarray, stored: np.ndarray) -> np.ndarray:
    """Return values, NaN where the integers that they were stored as are the least of int16: a missing sample."""
    return np.where(stored == MISSING, np.nan, values)


def allow_only(name: str, given: object, *allowed: object) -> None:
    """Raise BadRecording where a field has another value than those that the reader supports."""
    if given not in allowed:
        raise BadRecording(f"file: {name} is {given!r}; allowed: {', '.join(map(str, allowed))}")


def person(sex: object, patient: object, age: object = "", unit: object = "", dates: Sequence[object] = ()) -> Person:
    """Return a person of a file's fields; `dates` of birth and of the recording give an age that is not stated."""
    read = [int(day[1]) for date in dates if (day := re.match(r"(\d{8})", re.sub(r"\D", "", str(date or ""))))]
    years: str | int = str(age or "").strip() or ((read[1] - read[0]) // 10000 if len(read) == 2 else "")
    days = DAYS.get(str(unit or "y").strip().lower()[:1], 0)
    with suppress(ValueError, OverflowError):
        years = math.floor(float(years) * days / DAYS["y"] + 1e-9)
    return Person(age=years, sex=str(sex or ""), patient=digest_of(str(patient or "")))


def digest_of(patient: str) -> str:
    """Return the digest of a patient's id, which does not show the id; '' where it is unknown."""
    # A spreadsheet makes 7.0 of 7 where other cells are empty.
    text = re.sub(r"^(\d+)\.0+$", r"\1", patient.strip())
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return "" if text.lower() in UNKNOWN else DIGEST + digest
