"""Reads tables of samples: text such as CSV with pandas, NPY with NumPy, and what a program has in memory."""

import io
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from numbers import Real
from pathlib import Path
from reprlib import repr as short
from tokenize import TokenError
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ecg.leads import LEADS, BadRecording, lead_of
from ecg.recordings.ecg_file import UNITS, Ecg, content_of, file_size, millivolts, number, person, with_a_reason
from ecg.recordings.header import MAX_SIGNALS
from ecg.recordings.signals import MAX_VALUES

MAX_TABLE = 8 * 2**20  # bytes
FEWEST = 8  # columns of numbers: the independent leads
PEEK = 20  # lines, and cells of each, that tell how a table is written
# Separator (None: blanks) and decimal mark; of several that fit the first is taken.
DIALECTS = [("\t", "."), ("\t", ","), (";", "."), (";", ","), (",", "."), (None, "."), (None, ",")]
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
SWAP = str.maketrans(".,", ",.")
MISSING = ("", "-", "na", "nan", "null", "none", "n/a", "#n/a")
UTF16 = (b"\xff\xfe", b"\xfe\xff")
FRONT = re.compile(r"\s*(?:[#%]|sep=.$)")  # a comment, and what Excel reads of the separator
SECONDS = {
    **dict.fromkeys(("ms", "msec", "milliseconds"), 0.001),
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1),
    **{"minutes": 60, "hours": 3600},
}
ORDER = "leads not named: taken for I, II, III, aVR, aVL, aVF, V1 to V6"


class Layout(NamedTuple):
    """How a table is written: from line `start` on (counted from 0), with header rows, and numbers from line `first`."""

    separator: str | None
    decimal: str
    start: int
    header: list[list[str]]
    first: int


class Table(NamedTuple):
    """What a table holds: names, samples x columns, and the unit and sampling rate (Hz) that it states, or None."""

    names: list[str]
    values: np.ndarray
    unit: str | None = None
    rate: float | None = None


def read_array(path: Path, root: Path | None, told: Mapping[str, str]) -> Ecg:
    """Read a table of samples x leads; `told` has sampling_rate (Hz), units and leads where the table states none."""
    with with_a_reason(), path.open("rb") as file:
        is_npy = file.read(6) == b"\x93NUMPY"
    table = Table([], read_npy(path, root)) if is_npy else read_table(content_of(path, root, MAX_TABLE))
    rate, unit = told.get("sampling_rate") or table.rate, told.get("units") or table.unit
    absent = [name for name, value in (("sampling_rate", rate), ("units", unit)) if not value]
    if absent:
        raise BadRecording(f"not told: {' and '.join(absent)}; labels.csv beside the file has columns for them")
    scale, rate = millivolts(1, unit), number(str(rate), "sampling rate")
    if table.unit and millivolts(1, table.unit) != scale:
        raise BadRecording(f"units: {unit} given, {table.unit} in the table")
    if table.rate and abs(rate - table.rate) > 0.01 * table.rate:
        raise BadRecording(f"sampling rate: {rate:g} Hz given, {table.rate:g} Hz by the times in the table")
    named, values = any(map(lead_of, table.names)), table.values
    leads = [name for name in re.split(r"[,;\s]+", told.get("leads", "")) if name]
    flags = [] if leads or table.names else [ORDER]
    leads = table.names if named else leads or table.names or list(LEADS)
    if values.shape[1] != len(leads) and values.shape[0] == len(leads):
        values = values.T
    if values.shape[1] != len(leads):
        raise BadRecording(f"file: {values.shape[0]} x {values.shape[1]} values; allowed: samples x {len(leads)} leads")
    return Ecg(values * scale, rate, leads, person(), flags=flags)


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


def lines_of(content: bytes) -> list[str]:
    """Return the lines of a text in UTF-8, UTF-16 or Latin-1, without quotes."""
    try:
        text = content.decode("utf-16" if content.startswith(UTF16) else "utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    for old, new in (("\r\n", "\n"), ("\r", "\n"), ('"', ""), ("'", "")):
        text = text.replace(old, new)
    return text.split("\n")


def cells_of(line: str, separator: str | None, most: int = -1) -> list[str]:
    """Return the cells of a line, or the first `most`."""
    cells = line.split(separator, most)
    return [cell.strip() for cell in (cells[:most] if most > 0 else cells)]


def count_leads(cells: list[str]) -> int:
    """Return how many different leads cells name."""
    return len({lead_of(cell) for cell in cells} - {None})


def is_numbered(cells: list[str]) -> bool:
    """Say whether cells are the numbers of columns, from 0 or 1; the first may be that of row names."""
    return any(cells[1:] == [str(k + i) for i in range(len(cells) - 1)] for k in range(3))


def count_numbers(line: str, separator: str | None, decimal: str) -> int:
    """Return how many of a line's first cells are numbers or missing; 0 where one after the first is neither."""
    cells = cells_of(line, separator, PEEK)
    pointed = [cell if decimal == "." else cell.translate(SWAP) for cell in cells[1:]]
    whole = all(cell.lower() in MISSING or NUMBER.fullmatch(cell) for cell in pointed)
    return len(cells) if whole and len(cells) >= FEWEST else 0


def layout_of(lines: list[str]) -> Layout:
    """Find out how a table is written: so that most cells of its first lines are numbers."""
    start = next((i for i, line in enumerate(lines) if not FRONT.match(line)), len(lines))
    peek = lines[start : start + PEEK]
    leads = {way: count_leads(cells_of(peek[0], way[0], PEEK)) if peek else 0 for way in DIALECTS}
    way = max(DIALECTS, key=lambda way: (sum(count_numbers(line, *way) for line in peek), leads[way]))
    rows = [bool(count_numbers(line, *way)) for line in peek]
    if rows and rows[0] and is_numbered(cells_of(peek[0], way[0])):
        rows[0] = False
    first = rows.index(True) if True in rows else len(rows)
    return Layout(*way, start, [cells_of(line, way[0]) for line in peek[:first]], start + first)


def is_table_of_samples(head: bytes) -> bool:
    """Say whether a file that begins so is a table of samples, whether it can be read or not.

    Its rows are of 8 numbers or more, and stand below no names, names of leads, or names that differ by a number; other
    names are those of metadata.
    """
    lines = [line for line in lines_of(head) if line]
    layout = layout_of(lines)
    named = [count_leads(row) for row in layout.header]
    if max(named[:1], default=0) >= FEWEST:
        return True
    if layout.first == len(lines):
        return False
    if layout.header:
        return max(named) >= 3 or any(len({re.sub(r"\d", "", cell) for cell in row[1:]}) == 1 for row in layout.header)
    cell = cells_of(lines[layout.first], layout.separator, 1)[0]
    return bool(NUMBER.fullmatch(cell.replace(",", ".")) or cell.lower() in MISSING or lead_of(cell) or ":" in cell)


def read_table(content: bytes) -> Table:
    """Read a table of samples in text; BadRecording names the line where it is none."""
    lines = lines_of(content)
    at = np.flatnonzero([line != "" for line in lines])
    lines, place = [lines[i] for i in at], "line"
    layout = layout_of(lines)
    rows = lines[layout.start :]
    if FEWEST <= len(rows) <= MAX_SIGNALS:
        heads = [cells_of(line, layout.separator, 1)[0] for line in rows]
        if count_leads(heads) >= 3 or len(cells_of(rows[-1], layout.separator)) > MAX_SIGNALS:
            # A lead a row.
            leads = [cells_of(line, layout.separator) for line in rows]
            check_widths(list(map(len, leads)), "line", at[layout.start :])
            lines, place = ["\t".join(cells) for cells in zip(*leads, strict=True)], "column"
            layout, at = layout_of(lines), np.arange(len(lines))
    separator, decimal, start, header, first = layout
    at = at + 1
    if first == len(lines):
        raise BadRecording(f"file: no rows of {FEWEST} numbers or more in the first lines")
    counts = [len(line.split()) if separator is None else line.count(separator) + 1 for line in lines[first:]]
    width = check_widths(counts, place, at[first:])
    if width > MAX_SIGNALS:
        raise BadRecording(f"file: a table of {width} columns; allowed: {MAX_SIGNALS}")
    try:
        table = pd.read_csv(
            io.StringIO("\n".join(lines[first:])), sep=separator or r"\s+", header=None, decimal=decimal, quoting=3,
            na_values=["-", "NONE"], skipinitialspace=True, skip_blank_lines=False,
        )  # fmt: skip
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise BadRecording(f"file: no table of numbers ({type(error).__name__})") from None
    names, units = names_and_units(layout, lines, table, place, at)
    leads = [i for i, name in enumerate(names) if lead_of(name)]
    columns = leads or [i for i in table if names or i < width - 1 or table[i].notna().any()]
    rate = None
    for i in range(leads[0]) if leads else [0]:
        times = times_of(table[i])
        if times is not None:
            unit = 1 if is_text(table[i]) else seconds_in(units[i] if units else "", names[i] if names else "")
            rate = rate_by(times, unit, place, at[first:]) or rate
            columns = [column for column in columns if column != i]
    values = table[columns].apply(pd.to_numeric, errors="coerce")
    wrong = values.isna() & table[columns].notna()
    if wrong.any(axis=None):
        row = int(wrong.any(axis=1).argmax())
        words = ", ".join(map(repr, table[columns].loc[row, wrong.loc[row]].astype(str).str[:20].head(3)))
        raise BadRecording(f"file: {place} {at[first + row]} holds words: {words}; allowed: numbers")
    stated = {unit_of(units[i] if units else "", names[i] if names else "") for i in columns} - {""}
    if len({millivolts(1, unit) for unit in stated}) > 1:
        raise BadRecording(f"units: {', '.join(sorted(stated))} in one table; allowed: one")
    named = [names[i] for i in columns] if names else []
    return Table(named, values.to_numpy(np.float64), min(stated, default=None), rate)


def check_widths(counts: list[int], place: str, at: np.ndarray) -> int:
    """Return the number of cells that all lines have; BadRecording names the first that has another than line 1."""
    for i, count in enumerate(counts):
        if count != counts[0]:
            raise BadRecording(f"file: {place} {at[0]} of {counts[0]} cells, {place} {at[i]} of {count}")
    return counts[0]


def names_and_units(
    layout: Layout, lines: list[str], table: pd.DataFrame, place: str, at: np.ndarray
) -> tuple[list[str], list[str]]:
    """Return the names and the units of a table's columns, by the lines above its numbers; [] where it has none."""
    width, found = table.shape[1], dict[str, list[str]]()
    for i, row in enumerate(layout.header):
        cells = row
        if len(cells) == width - 1:
            is_named = times_of(table[0]) is not None or pd.to_numeric(table[0], errors="coerce").isna().all()
            # A separator at the end of lines; or, as R writes, names of rows, whose column has none.
            cells = [*row, ""] if table[width - 1].isna().all() else ["", *row] if is_named else row
        if len(cells) != width:
            numbers = at[layout.start + i], at[layout.first]
            raise BadRecording(f"file: {place} {numbers[0]} of {len(row)} cells, {place} {numbers[1]} of {width}")
        known = any(UNITS.get(cell.strip("()[]").lower()) for cell in cells)
        kind = "units" if not count_leads(cells) and (known or len(set(cells[1:])) == 1) else "names"
        if kind in found:
            raise BadRecording(
                f"file: {place} {at[layout.start + i]} holds words; allowed: names of leads, units, numbers"
            )
        found[kind] = cells
    names = found.get("names", [])
    for line in lines[: layout.start]:
        comment = line.strip("#% ")
        for cells in (cells_of(comment, layout.separator), re.split(r"[,;\s]+", comment)):
            if not names and len(cells) == width and count_leads(cells) >= 3:
                names = cells
    return [] if is_numbered(names) else names, found.get("units", [])


def unit_of(unit: str, name: str) -> str:
    """Return the unit that a row of units or a name, as of I (mV), states; '' where neither does."""
    bracket = re.search(r"[(\[]([^)\]]*)[)\]]$", name)
    return unit.strip("()[] ") or (bracket[1] if bracket else "")


def seconds_in(unit: str, name: str) -> float | None:
    """Return the seconds in the unit of a column of times that a row of units or its name states: 0.002 sec, time_ms."""
    for text in (unit, name):
        match = re.search(r"(\d[\d.]*(?:e-\d+)?)?\s*([a-z]+)\W*$", text.lower())
        if match and match[2] in SECONDS:
            return float(match[1] or 1) * SECONDS[match[2]]
    return None


def is_text(column: pd.Series) -> bool:
    return not pd.api.types.is_numeric_dtype(column)


def times_of(column: pd.Series) -> np.ndarray | None:
    """Return the time since the first row of a column that rises from row to row; None where it does not.

    It holds numbers in any unit, or times of day as h:mm:ss, which become seconds.
    """
    if is_text(column):
        parts = column.astype(str).str.extract(r"(?:(\d+):)?(\d+):(\d+(?:[.,]\d+)?)").fillna("0")
        hours, minutes, seconds = (pd.to_numeric(parts[i].str.replace(",", ".")).to_numpy(np.float64) for i in range(3))
        steps = np.diff(3600 * hours + 60 * minutes + seconds) % 86400
    else:
        steps = np.diff(column.to_numpy(np.float64))
    if not len(steps) or (steps > 0).mean() <= 0.9:
        return None
    return np.cumsum(np.r_[0, steps])


def rate_by(times: np.ndarray, unit: float | None, place: str, at: np.ndarray) -> float | None:
    """Return the sampling rate (Hz) by a column of times, None where their unit (s) is not known; they have no gaps."""
    seconds = times * (unit or 1)
    rate = (len(times) - 1) / seconds[-1]
    if abs(rate - round(rate)) < 0.001 * rate:  # times are rounded
        rate = round(rate)
    if not np.abs(seconds * rate - np.arange(len(times))).max() < 0.5:
        steps = np.diff(times)
        usual = np.nanmedian(steps)
        i = int(np.argmax(np.abs(np.nan_to_num(steps) - usual)))
        raise BadRecording(
            f"file: {place} {at[i + 1]}: a step of {steps[i]:g} in the first column, elsewhere {usual:g}; allowed: no gaps"
        )
    # Numbers of samples and ms rise by more in a sample.
    return rate if unit or 20 <= rate <= 10_000 else None


def recording_of(signal: ArrayLike, sampling_rate: Any, leads: Iterable[str | bytes]) -> Ecg:
    """Return a recording of arrays (samples x leads, mV; Hz) of NumPy, pandas, h5py or torch; ValueError where none."""
    try:
        rate = sampling_rate.item() if hasattr(sampling_rate, "item") else sampling_rate
        rate = float(rate) if isinstance(rate, Real | Decimal) and not isinstance(rate, bool) else None
    except (ValueError, OverflowError, RuntimeError):
        rate = None
    if rate is None:
        raise ValueError(f"sampling rate is {short(sampling_rate)}; allowed: a number, in Hz")
    # A set has no order.
    ordered = isinstance(leads, Iterable) and not isinstance(leads, str | bytes | set | frozenset)
    names: list[Any] = list(leads) if ordered else []
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
        return np.ma.filled(values.astype(np.float64), np.nan)
    except (ValueError, TypeError, RuntimeError) as error:
        what = f"{type(signal).__name__}: {' '.join(str(error).split())}"
        raise ValueError(f"signal is {what}; allowed: an array of integers or floats, in mV") from None
