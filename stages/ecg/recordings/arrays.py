"""Reads arrays of samples: tables in text, such as CSV; NPY files; arrays in memory."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from reprlib import repr as short
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ecg.leads import LEADS, BadRecording, lead_of
from ecg.recordings.ecg_file import MAX_SIGNALS, MAX_VALUES, UNITS, Ecg, content_of, masked, microvolts_in, number
from ecg.recordings.tables import decode

ORDER = "leads not named: taken for I, II, III, aVR, aVL, aVF, V1 to V6"
MAX_TABLE = 8 * 2**20  # bytes
FEWEST = 8  # columns of numbers: the independent leads
PEEK, PEEK_WIDTH = 20, 2000  # lines, and characters of each, that decide on the dialect of a table
# Separator (None: blanks) and decimal mark; of several that fit, the first is taken.
DIALECTS = [("\t", "."), ("\t", ","), (";", "."), (";", ","), (",", "."), (None, "."), (None, ",")]
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
MISSING = ("", "-", "na", "nan", "null", "none", "n/a", "#n/a", "missing")  # in lower case
SWAP = str.maketrans(".,", ",.")
SECONDS = {"ms": 0.001, **dict.fromkeys(("s", "sec", "second", "seconds"), 1), "minutes": 60, "hours": 3600}


def read_array(path: Path, metadata: Mapping[str, str]) -> Ecg:
    """Read a table of samples x leads; `metadata` has sampling_rate (Hz), units and leads if the table lacks them."""
    with path.open("rb") as file:
        read = read_npy if file.read(6) == b"\x93NUMPY" else read_text
    # Not as a decorator, which does not reach the workers of a cluster.
    with np.errstate(all="ignore"):
        names, stored, stated_unit, stated_rate = read(path)
    rate, unit = metadata.get("sampling_rate") or stated_rate, metadata.get("units") or stated_unit
    if absent := [name for name, value in (("sampling_rate", rate), ("units", unit)) if not value]:
        options = " and ".join(f"--{name.replace('_', '-')}" for name in absent)
        raise BadRecording(f"no {' and '.join(absent)}: add to labels.csv, or give {options} to predict")
    scale, rate = microvolts_in(unit) / 1000, number(str(rate), "sampling rate")
    if stated_unit and microvolts_in(stated_unit) / 1000 != scale:
        raise BadRecording(f"units: {unit} given, {stated_unit} in the table")
    if stated_rate and abs(rate - stated_rate) > 0.01 * stated_rate:
        raise BadRecording(f"sampling rate: {rate:g} Hz given, {stated_rate:g} Hz by the times in the table")
    given = re.findall(r"[^,;\s]+", metadata.get("leads", ""))
    if count_leads(names) < 3 and names and not given:
        raise BadRecording(f"leads: columns {', '.join(names[:3])}, … name none; give --leads, or leads in labels.csv")
    if count_leads(names) >= 3 and given and [*map(lead_of, given)] != [*map(lead_of, names)]:
        raise BadRecording(f"leads: {' '.join(given)} given, {' '.join(names)} in the table")
    leads = given or names or list(LEADS)
    # Values may stem from WFDB's int16 whatever their type is now.
    values = masked(stored, stored)
    if values.shape[1] != len(leads) == values.shape[0]:
        values = values.T
    if values.shape[1] != len(leads):
        raise BadRecording(f"file: {values.shape[0]} x {values.shape[1]} values; allowed: samples x {len(leads)} leads")
    return Ecg(values * scale, rate, leads, flags=[] if given or names else [ORDER])


def split_table(content: bytes) -> list[list[str]]:
    """Return the cells of all lines that are not blank, with decimal points.

    Quotes and comment marks are dropped. Separator and decimal mark make most cells of the first lines numbers.
    """
    text = re.split(r"\r\n?|\n", re.sub("[\"']", "", decode(content)))
    lines = [line.lstrip("#% ") for line in text if line.strip(" ")]
    first = [line[:PEEK_WIDTH] for line in lines[:PEEK]]
    dialect = max(DIALECTS, key=lambda dialect: sum(count_numbers(cells_of(line, *dialect)) for line in first))
    return [cells_of(line, *dialect) for line in lines]


def cells_of(line: str, separator: str | None, decimal: str) -> list[str]:
    plain = line.translate(SWAP) if decimal == "," else line
    return [cell.strip() for cell in plain.split(separator)]


def count_leads(cells: Sequence[str]) -> int:
    """Return the number of different leads that cells name: none in R's default names, V1 to V12."""
    return 0 if "V12" in cells else len({lead_of(cell) for cell in cells} - {None})


def count_numbers(cells: Sequence[str]) -> int:
    """Return the number of samples among cells; 0 if they are few, or if pandas numbered its columns by them."""
    numbers = sum(NUMBER.fullmatch(cell) is not None for cell in cells)
    n = numbers + sum(cell.lower() in MISSING for cell in cells)
    is_numbered = any(cells[1:] == [str(k + i) for i in range(len(cells) - 1)] for k in range(3))
    return n if n >= FEWEST and (numbers or n == len(cells)) and not is_numbered else 0


def count_above(rows: Sequence[Sequence[str]]) -> int:
    """Return the number of rows above the samples: of all rows if there are no samples."""
    return next((i for i, row in enumerate(rows[:PEEK]) if count_numbers(row[:PEEK])), len(rows))


def is_table_of_samples(head: bytes) -> bool:
    """Return whether a file with these first bytes is a table of samples, even if it cannot be read.

    Its rows have 8 numbers or more. The names above them, if any, are leads, differ by a number only, or are 12 or 13.
    """
    rows = split_table(head)
    n_above = count_above(rows)
    if n_above == len(rows):
        return False
    above, cells = [row for row in rows[:n_above] if len(row) >= FEWEST], rows[n_above][:PEEK]
    if above:
        alike = any(len({re.sub(r"\d", "", cell) for cell in row[1:]}) == 1 for row in above)
        return alike or any(count_leads(row) >= 3 for row in above) or count_numbers(cells) == len(cells) in (12, 13)
    return count_numbers(cells) >= len(cells) - (":" in cells[0]) or lead_of(cells[0]) is not None


def read_text(path: Path) -> tuple[list[str], np.ndarray, str | None, float | None]:
    """Read a table of samples in text, with a lead in each column or each row.

    Return the names of leads, samples x leads, and the unit and sampling rate (Hz) that the table states, or None.
    """
    rows, place = split_table(content_of(path, MAX_TABLE)), "line"
    is_even = len({len(row) for row in rows}) == 1 and FEWEST <= len(rows) <= MAX_SIGNALS
    if is_even and (count_leads([row[0] for row in rows]) >= 3 or len(rows[0]) > MAX_SIGNALS):
        rows, place = [list(column) for column in zip(*rows, strict=True)], "column"
    n_above = count_above(rows)
    width = max(map(len, rows[n_above:]), default=0)
    if not 0 < width <= MAX_SIGNALS:
        raise BadRecording(f"file: {width} columns of numbers; allowed: {MAX_SIGNALS}")
    # Cells that a row lacks are None and count as words.
    cells = pd.DataFrame(rows[n_above:])
    values = cells.apply(pd.to_numeric, errors="coerce").astype(np.float64)
    is_word = values.isna() & ~cells.apply(lambda column: column.str.lower()).isin(MISSING)
    is_empty = values.isna().all() & ~is_word.any()
    has_row_names = is_word[0].all() or times_of(cells[0], values[0]) is not None
    above = [row for row in rows[:n_above] if len(row) >= FEWEST]
    for row in above:
        # R does not name the column of row names; some tools end all lines but the header with a separator.
        if len(row) == width - 1 and (has_row_names or is_empty[width - 1]):
            row.insert(0 if has_row_names else width, "")
        if len(row) != width:
            raise BadRecording(f"file: {len(row)} cells above {width} columns of numbers; allowed: one a column")
    units = next((row for row in above if is_of_units(row)), [""] * width)
    # Without the numbers that pandas gives to columns.
    rows_of_names = [row for row in above if row is not units and not row[-1].isdigit()]
    names = max(rows_of_names, key=count_leads, default=[""] * width)
    units = [unit.strip("()[] ") or unit_in(name) for unit, name in zip(units, names, strict=True)]
    leads = [i for i, name in enumerate(names) if lead_of(name) and count_leads(names) >= 3]
    before = range(leads[0] if leads else 1)
    rates = {i: rate_by(times, units[i]) for i in before if (times := times_of(cells[i], values[i])) is not None}
    used = leads or [i for i in cells if i not in rates and (i < width - 1 or not is_empty[i])]
    for row_number, i in np.argwhere(is_word[used])[:1]:
        word, n = cells[used[i]][row_number], len(rows[n_above + row_number])
        fault = f"contains {word[:20]!r}; allowed: numbers" if word else f"has {n} of {width} values"
        raise BadRecording(f"file: {place} {n_above + row_number + 1} {fault}")
    stated = {units[i] for i in used} - {""}
    if len(stated) > 1:
        raise BadRecording(f"units: {', '.join(sorted(stated))} in one table; allowed: one")
    rate = next(filter(None, rates.values()), None)
    return [names[i] for i in used if names[i]], values[used].to_numpy(), min(stated, default=None), rate


def times_of(cells: pd.Series, values: pd.Series) -> np.ndarray | None:
    """Return the times since the first row from a column that rises from row to row; None if it does not.

    The column has numbers in any unit, or times of day (h:mm:ss), which become seconds.
    """
    steps = np.diff(values)
    if values.isna().all():
        parts = cells.str.extract(r"(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)").fillna("0")
        steps = np.diff(parts.astype(float) @ [3600, 60, 1]) % 86400
    return np.cumsum(np.r_[0, steps]) if len(steps) and (steps > 0).mean() > 0.9 else None


def is_of_units(cells: list[str]) -> bool:
    """Return whether a row above the samples states units: all cells are equal, or one is a unit of voltage."""
    bare = {cell.strip("()[]").lower() for cell in cells}
    is_one_word = len(set(cells[1:])) == 1 and cells[1] != ""
    return not count_leads(cells) and (is_one_word or not bare.isdisjoint(UNITS))


def unit_in(name: str) -> str:
    """Return the unit in a column's name, such as I (mV), time (s) or t_ms; '' if it has none."""
    bracket = re.search(r"[(\[_]([^\W_]+)[)\]]?$", name)
    return bracket[1] if bracket and bracket[1].lower() in UNITS | SECONDS else ""


def rate_by(times: np.ndarray, unit: str) -> float | None:
    """Return the sampling rate (Hz) of a column of times, None if their unit is unknown; refuse gaps."""
    factor, _, name = unit.lower().rpartition(" ")  # as in 0.002 sec
    known = name in SECONDS and (not factor or NUMBER.fullmatch(factor))
    seconds = times * (SECONDS[name] * float(factor or 1) if known else 1)
    rate = (len(times) - 1) / seconds[-1]
    if abs(rate - np.round(rate)) < 0.001 * rate:  # times are rounded
        rate = np.round(rate)
    drift = np.abs(seconds * rate - np.arange(len(times)))  # samples
    if not drift.max() < 0.75:
        raise BadRecording(f"file: times do not rise evenly near {times[drift.argmax()]:g}; allowed: no gaps")
    # Sample numbers and milliseconds rise faster than seconds.
    return rate if known or 20 <= rate <= 10_000 else None


def read_npy(path: Path) -> tuple[list[str], np.ndarray, None, None]:
    """Read a matrix of numbers as `read_text` does, without pickle; it states neither leads nor unit nor rate."""
    try:
        # As a map: a shape larger than the file then fails before memory is allocated.
        stored = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # NumPy raises errors of many kinds on a broken header
        raise BadRecording(f"file: not readable as NPY ({type(error).__name__})") from None
    if stored.ndim != 2 or stored.dtype.kind not in "iuf":
        raise BadRecording(f"file: {stored.ndim} axes of {stored.dtype}; allowed: 2 of integers or floats")
    if stored.size > MAX_VALUES:
        raise BadRecording(f"too long: {stored.size} values; allowed: {MAX_VALUES}")
    return [], numbers_of(stored), None, None


def recording_of(signal: ArrayLike, sampling_rate: Any, leads: Any, units: str = "mV") -> Ecg:
    """Return a recording from arrays (samples x leads; Hz) of NumPy, pandas, h5py or torch; ValueError for others."""
    rate = np.asarray(sampling_rate)
    if rate.dtype.kind not in "iuf" or rate.size != 1:
        raise ValueError(f"sampling rate is {short(sampling_rate)}; allowed: a number, in Hz")
    names = np.asarray(leads.tolist() if hasattr(leads, "tolist") else leads)
    if names.dtype.kind not in "US" or names.ndim != 1:
        raise ValueError(f"leads is {short(leads)}; allowed: a name for each column, such as ['I', 'II']")
    values = numbers_of(signal)
    if values.ndim != 2 or values.shape[1] != len(names):
        raise ValueError(f"signal has the shape {values.shape}; allowed: samples x {len(names)} leads")
    return Ecg(values * (microvolts_in(units) / 1000), float(rate.item()), names.astype(str).tolist())


def numbers_of(signal: Any) -> np.ndarray:
    """Return any array of numbers as float64, NaN where missing or masked; ValueError if it has other values.

    The least integer of a signed type is a missing sample, as in files.
    """
    try:
        values = np.ma.asarray(signal)
        if values.dtype == object:  # of pandas, where values are missing
            values = np.ma.asarray(np.where(pd.isna(values), np.nan, values).tolist())
        if values.dtype.kind not in "iuf":
            raise ValueError(f"values of type {values.dtype}")
    except (ValueError, TypeError, RuntimeError) as error:
        what = f"{type(signal).__name__}: {' '.join(str(error).split())}"
        raise ValueError(f"signal is {what}; allowed: an array of integers or floats") from None
    if values.dtype.kind == "i":
        values = np.ma.masked_equal(values, np.iinfo(values.dtype).min)
    return np.ma.filled(values.astype(np.float64), np.nan)
