"""What the readers of files from carts and archives share: what they return, and the checks of what a file says."""

import hashlib
import math
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ecg.leads import MISSING, BadRecording
from ecg.recordings.codes import UNKNOWN, parse_sex
from ecg.recordings.header import file_size, with_a_reason
from ecg.recordings.signals import LARGEST_STEP, MICROVOLTS

UNITS = MICROVOLTS | {
    **dict.fromkeys(("microvolt", "microvolts", "uvperlsb"), 1),
    **dict.fromkeys(("millivolt", "millivolts", "mvperlsb"), 1000),
}
DIGEST = "sha256-"  # before the digest of a patient's id, which no output holds: the index puts a number in its place
DAYS = {"y": 365.25, "m": 365.25 / 12, "w": 7, "d": 1}  # in a unit of age


class Ecg(NamedTuple):
    """A recording as its file has it.

    signal is samples x leads, mV, NaN where missing; leads are their names in the file. `about` is what the file says
    of the person, in the words of the index: age (years), sex, patient; of a WFDB record dx and source too. heart_rate
    is the cart's own (beats/min), None where the file has none; flags say what was odd. microvolts is signal as samples
    x 12 leads, int16, uV, where the reader has it so anyway.
    """

    signal: np.ndarray
    sampling_rate: float
    leads: Sequence[str]
    about: dict[str, Any]
    heart_rate: float | None = None
    flags: Sequence[str] = ()
    microvolts: np.ndarray | None = None


def content_of(path: Path, root: Path | None, most: int) -> bytes:
    """Return a file's content; BadRecording where it is longer than `most` bytes, or no file of the folder `root`."""
    with with_a_reason():
        size = file_size(path, root or path.parent)
        if size > most:
            raise BadRecording(f"too long: {size} bytes; allowed for this format: {most}")
        return path.read_bytes()


def number(text: str | None, name: str) -> float:
    """Parse a number that a file must have."""
    with suppress(ValueError):
        value = float(text or "")
        if math.isfinite(value):
            return value
    raise BadRecording(f"file: {name} is {text!r}; allowed: a number")


def rate_told(text: str | None) -> float | None:
    """Parse a heart rate (beats/min) that a file may have."""
    with suppress(ValueError):
        value = float(text or "")
        return value if 0 < value < 1000 else None
    return None


def microvolts_in(units: str | None) -> int:
    """Return how many uV a unit is; BadRecording where it is none of voltage."""
    scale = UNITS.get(str(units or "").strip().lower())
    if scale is None:
        raise BadRecording(f"units: {units!r}; allowed: uV, mV, V")
    return scale


def millivolts(step: float, units: str | None) -> float:
    """Return in mV what a file's step of so many units is; BadRecording where that cannot be an ECG's."""
    scale = microvolts_in(units)
    if not 0 < step * scale <= LARGEST_STEP:
        raise BadRecording(f"gain: {step:g} {units}, steps of {step * scale:g} uV; allowed: to {LARGEST_STEP} uV")
    return step * scale / 1000


def masked(values: np.ndarray, stored: np.ndarray) -> np.ndarray:
    """Return values, NaN where the integers that they were stored as are the least of int16: a missing sample."""
    return np.where(stored == MISSING, np.nan, values)


def allow_only(name: str, given: object, *allowed: object) -> None:
    """Raise BadRecording where a field is not what the reader takes it for."""
    if given not in allowed:
        raise BadRecording(f"file: {name} is {given!r}; allowed: {', '.join(map(str, allowed))}")


def side_by_side(leads: list[np.ndarray]) -> np.ndarray:
    """Return leads as samples x leads; BadRecording where they differ in length."""
    if len({len(lead) for lead in leads}) > 1:
        raise BadRecording(f"file: leads of {', '.join(str(len(lead)) for lead in leads)} samples")
    return np.column_stack(leads) if leads else np.empty((0, 0))


def person(*, age: object = "", unit: object = "y", sex: object = "", patient: object = "") -> dict[str, Any]:
    """Return what is kept of a person: age in years, sex, and a digest of the id that tells patients apart."""
    years: object = str(age if age is not None else "").strip()
    days = DAYS.get(str(unit or "y").strip().lower()[:1], 0)
    with suppress(ValueError):
        years = math.floor(float(str(years)) * days / DAYS["y"] + 1e-9)
    return {"age": years, "sex": parse_sex(str(sex or "")), "patient": digest_of(str(patient or ""))}


def digest_of(patient: str) -> str:
    """Return what tells a patient's id from others and does not show it; '' where it is unknown."""
    # A spreadsheet makes 7.0 of 7 where other cells are empty.
    known = re.sub(r"^(\d+)\.0+$", r"\1", patient.strip())
    digest = hashlib.sha256(known.encode("utf-8", "surrogatepass")).hexdigest()
    return "" if known.lower() in UNKNOWN else DIGEST + digest


def years_between(born: str | None, recorded: str | None) -> str:
    """Return the whole years between two dates that begin with year, month and day; '' where one is unknown."""
    dates = [re.sub(r"\D", "", text or "")[:8] for text in (born, recorded)]
    if not all(len(date) == 8 for date in dates):
        return ""
    return str((int(dates[1]) - int(dates[0])) // 10000)
