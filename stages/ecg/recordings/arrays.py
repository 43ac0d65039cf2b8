"""Reads tables of samples: CSV and TSV with pandas, NPY with NumPy. Rate and units come from elsewhere.

Also takes what a program has in memory.
"""

import io
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from numbers import Real
from pathlib import Path
from reprlib import repr as short
from tokenize import TokenError
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ecg.leads import LEADS, BadRecording, lead_of
from ecg.recordings.ecg_file import Ecg, content_of, file_size, millivolts, number, person, with_a_reason
from ecg.recordings.header import MAX_SIGNALS
from ecg.recordings.signals import MAX_VALUES

MAX_TABLE = 8 * 2**20  # bytes
SEPARATOR = re.compile(r"[,;\t]")
ORDER = "leads not named: taken for I, II, III, aVR, aVL, aVF, V1 to V6"


def read_array(path: Path, root: Path | None, told: Mapping[str, str]) -> Ecg:
    """Read a table of samples x leads; `told` has its sampling_rate (Hz) and units, and leads where it names none."""
    absent = [name for name in ("sampling_rate", "units") if not told.get(name)]
    if absent:
        raise BadRecording(f"not told: {' and '.join(absent)}; labels.csv beside the file has columns for them")
    scale = millivolts(1, told["units"])
    with with_a_reason(), path.open("rb") as file:
        is_npy = file.read(6) == b"\x93NUMPY"
    names, values = ([], read_npy(path, root)) if is_npy else read_table(content_of(path, root, MAX_TABLE))
    leads = names or [name for name in re.split(r"[,;\s]+", told.get("leads", "")) if name]
    flags = [] if leads else [ORDER]
    leads = leads or list(LEADS)
    if values.shape[1] != len(leads) and values.shape[0] == len(leads):
        values = values.T
    if values.shape[1] != len(leads):
        raise BadRecording(f"file: {values.shape[0]} x {values.shape[1]} values; allowed: samples x {len(leads)} leads")
    return Ecg(values * scale, number(told["sampling_rate"], "sampling rate"), leads, person(), flags=flags)


def read_npy(path: Path, root: Path | None) -> np.ndarray:
    """Read a matrix of numbers; nothing that needs pickle."""
    with with_a_reason():
        file_size(path, root or path.parent)
    try:
        # As a map, so that a shape larger than the file is seen before memory is asked for.
        with np.errstate(over="ignore"):
            stored = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, OverflowError, EOFError, SyntaxError, TypeError, TokenError) as error:
        raise BadRecording(f"file: no NPY that can be read ({type(error).__name__})") from None
    if stored.ndim != 2 or stored.dtype.kind not in "iuf":
        raise BadRecording(f"file: {stored.ndim} axes of {stored.dtype}; allowed: 2 of integers or floats")
    if stored.size > MAX_VALUES:
        raise BadRecording(f"too long: {stored.size} values; allowed: {MAX_VALUES}")
    with np.errstate(invalid="ignore"):
        return np.array(stored, np.float64)


def read_table(content: bytes) -> tuple[list[str], np.ndarray]:
    """Return the names in the first line, none where it holds numbers, and the numbers below."""
    first = content[:65536].decode("utf-8-sig", "replace").partition("\n")[0]
    separator = max(",;\t", key=first.count)
    stored = np.frombuffer(content, np.uint8)
    before = np.cumsum(stored == ord(separator))[stored == ord("\n")]
    widest = np.diff(before, prepend=0, append=content.count(separator.encode())).max()
    if widest >= MAX_SIGNALS:
        raise BadRecording(f"file: a table of {widest + 1} columns; allowed: {MAX_SIGNALS}")
    names = [name.strip('" \r') for name in first.split(separator)]
    named = any(map(lead_of, names))
    decimal = "," if separator == ";" and b"." not in content[len(first) :] else "."
    try:
        table = pd.read_csv(
            io.BytesIO(content), sep=separator, header=None, skiprows=int(named), decimal=decimal, encoding="utf-8-sig"
        )
        if named:
            table = table[[i for i, name in enumerate(names) if lead_of(name)]]
        values = table.to_numpy(np.float64, na_value=np.nan)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise BadRecording(f"file: no table of numbers ({type(error).__name__})") from None
    return [name for name in names if lead_of(name)] if named else [], values


def recording_of(signal: ArrayLike, sampling_rate: Any, leads: Iterable[str | bytes]) -> Ecg:
    """Return a recording of arrays (samples x leads, mV; Hz) of NumPy, pandas, h5py or torch; ValueError where none."""
    try:
        rate = sampling_rate.item() if hasattr(sampling_rate, "item") else sampling_rate
        rate = float(rate) if isinstance(rate, Real | Decimal) and not isinstance(rate, bool) else None
    except (ValueError, OverflowError, RuntimeError):
        rate = None
    if rate is None:
        raise ValueError(f"sampling rate is {short(sampling_rate)}; allowed: a number, in Hz")
    try:
        # A set has no order.
        names: list[Any] = [] if isinstance(leads, str | bytes | set | frozenset) else list(leads)
    except TypeError:
        names = []
    decoded = [name.decode("utf-8", "replace") if isinstance(name, bytes) else name for name in names]
    if not names or not all(isinstance(name, str) for name in decoded):
        raise ValueError(f"leads is {short(leads)}; allowed: a name for each column of the signal, as ['I', 'II']")
    values = numbers_of(signal)
    if values.ndim != 2 or values.shape[1] != len(decoded):
        raise ValueError(f"signal has the shape {values.shape}; allowed: samples x {len(decoded)} leads")
    return Ecg(values, rate, decoded, {})


def numbers_of(signal: Any) -> np.ndarray:
    """Return numbers of any array as float64, NaN where they are missing or masked; ValueError where it has others."""
    try:
        # A tensor may lie on a GPU, or belong to a network that is trained.
        values = np.ma.asarray(signal.detach().cpu() if hasattr(signal, "detach") else signal)
        if values.dtype == object:  # of pandas, say, with columns in which values are missing
            values = np.ma.asarray(np.where(pd.isna(values), np.nan, values).tolist())
        if values.dtype.kind not in "iuf":
            raise ValueError(f"values of the type {values.dtype}")
        return np.asarray(np.ma.filled(values.astype(np.float64), np.nan))
    except (ValueError, TypeError, RuntimeError) as error:
        what = f"{type(signal).__name__}: {' '.join(str(error).split())}"
        raise ValueError(f"signal is {what}; allowed: an array of integers or floats, in mV") from None
