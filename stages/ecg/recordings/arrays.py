"""Reads arrays of samples: tables in text, NPY files, and arrays in memory."""

import re
from collections.abc import Mapping
from pathlib import Path
from reprlib import repr as short
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ecg.leads import LEADS, BadRecording, lead_of
from ecg.recordings.ecg_file import (
    MAX_VALUES,
    Ecg,
    Person,
    content_of,
    masked,
    microvolts_in,
    number,
)
from ecg.recordings.sample_text import MAX_TABLE, Table, read_sample_table

ORDER = "leads not named: taken for I, II, III, aVR, aVL, aVF, V1 to V6"


def read_array(path: Path, told: Mapping[str, str]) -> Ecg:
    """Read a table of samples x leads; `told` has sampling_rate (Hz), units and leads where the table states none."""
    with path.open("rb") as file:
        is_npy = file.read(6) == b"\x93NUMPY"
    # Not as a decorator, which does not travel to the workers of a cluster.
    with np.errstate(all="ignore"):
        table = Table([], read_npy(path)) if is_npy else read_sample_table(content_of(path, MAX_TABLE))
    rate, unit = told.get("sampling_rate") or table.rate, told.get("units") or table.unit
    absent = ", ".join(f"no {name}" for name, value in (("sampling_rate", rate), ("units", unit)) if not value)
    if absent:
        raise BadRecording(f"{absent}: columns of labels.csv above the file, or options of predict")
    scale, rate = microvolts_in(unit) / 1000, number(str(rate), "sampling rate")
    if table.unit and microvolts_in(table.unit) / 1000 != scale:
        raise BadRecording(f"units: {unit} given, {table.unit} in the table")
    if table.rate and abs(rate - table.rate) > 0.01 * table.rate:
        raise BadRecording(f"sampling rate: {rate:g} Hz given, {table.rate:g} Hz by the times in the table")
    given = re.findall(r"[^,;\s]+", told.get("leads", ""))
    flags = [] if given or table.names else [ORDER]
    leads = table.names if any(map(lead_of, table.names)) else given or table.names or list(LEADS)
    # Values that were WFDB's int16 may have any type.
    values = masked(table.values, table.values)
    if values.shape[1] != len(leads) == values.shape[0]:
        values = values.T
    if values.shape[1] != len(leads):
        raise BadRecording(f"file: {values.shape[0]} x {values.shape[1]} values; allowed: samples x {len(leads)} leads")
    return Ecg(values * scale, rate, leads, Person(), flags=flags)


def read_npy(path: Path) -> np.ndarray:
    """Read a matrix of numbers, without pickle; the least integer of a type with a sign is missing."""
    try:
        # As a map, so that a shape larger than the file is seen before memory is asked for.
        stored = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # NumPy raises errors of many kinds on a broken header
        raise BadRecording(f"file: no NPY that can be read ({type(error).__name__})") from None
    if stored.ndim != 2 or stored.dtype.kind not in "iuf":
        raise BadRecording(f"file: {stored.ndim} axes of {stored.dtype}; allowed: 2 of integers or floats")
    if stored.size > MAX_VALUES:
        raise BadRecording(f"too long: {stored.size} values; allowed: {MAX_VALUES}")
    return numbers_of(stored)


def recording_of(signal: ArrayLike, sampling_rate: Any, leads: Any, units: str = "mV") -> Ecg:
    """Return a recording of arrays (samples x leads; Hz) of NumPy, pandas, h5py or torch; ValueError where none."""
    rate = np.asarray(sampling_rate)
    if rate.dtype.kind not in "iuf" or rate.size != 1:
        raise ValueError(f"sampling rate is {short(sampling_rate)}; allowed: a number, in Hz")
    names = np.asarray(leads.tolist() if hasattr(leads, "tolist") else leads)
    if names.dtype.kind not in "US" or names.ndim != 1:
        raise ValueError(f"leads is {short(leads)}; allowed: a name for each column of the signal, as ['I', 'II']")
    values = numbers_of(signal)
    if values.ndim != 2 or values.shape[1] != len(names):
        raise ValueError(f"signal has the shape {values.shape}; allowed: samples x {len(names)} leads")
    return Ecg(values * (microvolts_in(units) / 1000), float(rate.item()), names.astype(str).tolist(), Person())


def numbers_of(signal: Any) -> np.ndarray:
    """Return numbers of any array as float64, NaN where missing or masked; ValueError where it holds others.

    The least integer of a type with a sign is missing, as in files.
    """
    try:
        values = np.ma.asarray(signal)
        if values.dtype == object:  # of pandas, with columns in which values are missing
            values = np.ma.asarray(np.where(pd.isna(values), np.nan, values).tolist())
        if values.dtype.kind not in "iuf":
            raise ValueError(f"values of the type {values.dtype}")
    except (ValueError, TypeError, RuntimeError) as error:
        what = f"{type(signal).__name__}: {' '.join(str(error).split())}"
        raise ValueError(f"signal is {what}; allowed: an array of integers or floats") from None
    if values.dtype.kind == "i":
        values = np.ma.masked_equal(values, np.iinfo(values.dtype).min)
    return np.ma.filled(values.astype(np.float64), np.nan)
