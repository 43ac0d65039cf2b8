"""Tables of samples as text, such as CSV: how tools write them, and the names, units, rate and samples in them."""

import csv
import io
import re
from typing import NamedTuple

import numpy as np
import pandas as pd

from ecg.leads import BadRecording, lead_of
from ecg.recordings.ecg_file import MAX_SIGNALS, UNITS, microvolts_in
from ecg.recordings.tables import decode

MAX_TABLE = 8 * 2**20  # bytes
FEWEST = 8  # columns of numbers: the independent leads
PEEK = 20  # lines, and cells of each, that tell how a table is written
# Separator (None: blanks) and decimal mark; of several that fit, the first is taken.
WAYS = [("\t", "."), ("\t", ","), (";", "."), (";", ","), (",", "."), (None, "."), (None, ",")]
FRONT = re.compile(r"\s*(?:[#%]|sep=.$)")  # a comment, and the line that tells Excel the separator
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
MISSING = ("", "-", "na", "nan", "null", "none", "n/a", "#n/a", "missing")
SWAP = str.maketrans(".,", ",.")
SECONDS = {"ms": 0.001, **dict.fromkeys(("s", "sec", "second", "seconds"), 1), "minutes": 60, "hours": 3600}


class Table(NamedTuple):
    """What a table holds: names, samples x columns, and the unit and sampling rate (Hz) that it states, or None."""

    names: list[str]
    values: np.ndarray
    unit: str | None = None
    rate: float | None = None


def lines_of(content: bytes) -> list[str]:
    """Return the lines of a text without quotes."""
    return re.split(r"\r\n?|\n", re.sub("[\"']", "", decode(content)))


def cells_of(line: str, separator: str | None, most: int = MAX_TABLE) -> list[str]:
    """Return the cells of a line, at most so many."""
    return [cell.strip() for cell in line.split(separator, most)[:most]]


def count_leads(cells: list[str]) -> int:
    """Return how many different leads cells name."""
    return len({lead_of(cell) for cell in cells} - {None})


def count_numbers(line: str, separator: str | None, decimal: str) -> int:
    """Return how many of a line's first cells are numbers or missing; 0 where they are few, or words and no number."""
    cells = [cell.translate(SWAP if decimal == "," else {}) for cell in cells_of(line, separator, PEEK)]
    missing = sum(cell.lower() in MISSING for cell in cells)
    numbers = sum(NUMBER.fullmatch(cell) is not None for cell in cells)
    return numbers + missing if numbers + missing >= FEWEST and (numbers or missing == len(cells)) else 0


def is_numbered(cells: list[str]) -> bool:
    """Say whether cells are the numbers of columns, from 0 or 1; the first may be of a column of row names."""
    return any(cells[1:] == [str(k + i) for i in range(len(cells) - 1)] for k in range(3))


def layout_of(lines: list[str]) -> tuple[str | None, str, list[list[str]], int]:
    """Find out how a table is written: so that most cells of its first lines are numbers.

    Return the separator, the decimal mark, the cells of the rows above the numbers, the first line of these from 0.
    """
    start = next((i for i, line in enumerate(lines) if not FRONT.match(line)), len(lines))
    peek = lines[start : start + PEEK]
    leads = {way: [count_leads(cells_of(line, way[0], PEEK)) for line in peek[:1]] for way in WAYS}
    separator, decimal = max(WAYS, key=lambda way: (sum(count_numbers(line, *way) for line in peek), leads[way]))
    rows = [bool(count_numbers(line, separator, decimal)) for line in peek]
    if rows and is_numbered(cells_of(peek[0], separator)):
        rows[0] = False
    end = rows.index(True) if True in rows else len(rows)
    # np.savetxt writes names as a comment.
    if start > 0 == end and count_leads(cells_of(lines[start - 1].strip("#% "), separator)) >= 3:
        start, end = start - 1, 1
    header = [cells_of(line.strip("#% "), separator) for line in lines[start : start + end]]
    return separator, decimal, header, start + end if True in rows else len(lines)


def is_table_of_samples(head: bytes) -> bool:
    """Say whether a file that begins so is a table of samples, whether it can be read or not.

    Its rows have 8 numbers or more and stand below no names, names of leads, or names that differ by a number; other
    names are those of metadata.
    """
    lines = [line for line in lines_of(head) if line.strip(" ")]
    separator, decimal, header, first = layout_of(lines)
    if first == len(lines):
        return any(count_leads(row) >= FEWEST for row in header[:1])
    if header:
        alike = [len(row) >= FEWEST and len({re.sub(r"\d", "", cell) for cell in row[1:]}) == 1 for row in header]
        return any(alike) or any(count_leads(row) >= 3 for row in header)
    cells = cells_of(lines[first], separator, PEEK)
    whole = count_numbers(lines[first], separator, decimal) >= len(cells) - (":" in cells[0])
    return whole or lead_of(cells[0]) is not None


def read_sample_table(content: bytes) -> Table:
    """Read a table of samples in text, a lead a column or a row; BadRecording says what it holds otherwise."""
    lines = lines_of(content)
    places = np.flatnonzero([line.strip(" ") != "" for line in lines]) + 1
    lines, line = [lines[i - 1] for i in places], "line"
    separator, decimal, header, first = layout_of(lines)
    rows = lines[first - len(header) :]
    if FEWEST <= len(rows) <= MAX_SIGNALS:
        names = [cells_of(row, separator, 1)[0] for row in rows]
        if count_leads(names) >= 3 or len(rows[0].split(separator)) > MAX_SIGNALS:
            cells = [cells_of(row, separator) for row in rows]
            lengths = ", ".join(map(str, sorted(set(map(len, cells)))))
            if "," in lengths:
                raise BadRecording(f"file: a lead a row, of {lengths} cells; allowed: as many in each")
            lines, line = ["\t".join(column) for column in zip(*cells, strict=True)], "column"
            places = np.arange(1, len(lines) + 1)
            separator, decimal, header, first = layout_of(lines)
    if first == len(lines):
        both = zip(*header[:2], strict=False) if len(header) > 1 else []
        below = ", ".join([repr(cell[:20]) for name, cell in both if lead_of(name)][:3])
        raise BadRecording(f"file: no numbers below the names, but {below or 'nothing'}")
    widths = [len(text.split(separator)) for text in lines[first:]]
    if widths[0] > MAX_SIGNALS:
        raise BadRecording(f"file: a table of {widths[0]} columns; allowed: {MAX_SIGNALS}")
    for place, width in zip(places[first:], widths, strict=True):
        if width != widths[0]:
            raise BadRecording(f"file: {line} {places[first]} of {widths[0]} cells, {line} {place} of {width}")
    try:
        table = pd.read_csv(
            io.StringIO("\n".join(lines[first:])), sep=separator or r"\s+", header=None, decimal=decimal,
            na_values=["-", "NONE", "missing"], skipinitialspace=True, skip_blank_lines=False,
            quoting=csv.QUOTE_NONE, low_memory=False,
        )  # fmt: skip
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise BadRecording(f"file: no table of numbers ({type(error).__name__})") from None
    names, units = names_and_units(header, table, [f"{line} {i}" for i in places[first - len(header) : first + 1]])
    leads = [i for i, name in enumerate(names) if lead_of(name)]
    columns = leads or [i for i in table if names or i < widths[0] - 1 or table[i].notna().any()]
    rate = None
    for i in range(leads[0]) if leads else [0]:
        times = times_of(table[i])
        if times is not None:
            rate = rate or rate_by(times, "s" if is_text(table[i]) else unit_of(i, names, units))
            columns = [column for column in columns if column != i]
    for i in columns:
        if is_text(table[i]):
            words = table[i][pd.to_numeric(table[i], errors="coerce").isna() & table[i].notna()]
            if len(words):
                place = places[first + words.index[0]]
                raise BadRecording(f"file: {line} {place} holds {str(words.iloc[0])[:20]!r}; allowed: numbers")
    values = table[columns].apply(pd.to_numeric).to_numpy(np.float64)
    stated = {unit for i in columns if (unit := unit_of(i, names, units))}
    if len({microvolts_in(unit) for unit in stated}) > 1:
        raise BadRecording(f"units: {', '.join(sorted(stated))} in one table; allowed: one")
    return Table([names[i] for i in columns if names], values, min(stated, default=None), rate)


def names_and_units(header: list[list[str]], table: pd.DataFrame, lines: list[str]) -> tuple[list[str], list[str]]:
    """Return names and units of a table's columns by the rows above them, each [] where it has none.

    `lines` is what a reason calls these rows and the first one of the table.
    """
    names, units, width = list[str](), list[str](), table.shape[1]
    for line, row in zip(lines, header, strict=False):
        cells = row
        if len(row) == width - 1:
            words = is_text(table[0]) and pd.to_numeric(table[0], errors="coerce").isna().all()
            if words or times_of(table[0]) is not None:
                cells = ["", *row]  # R does not name the column of the rows' names
            elif table[width - 1].isna().all():
                cells = [*row, ""]  # only the other lines end with a separator
        if len(cells) != width:
            raise BadRecording(f"file: {line} of {len(row)} cells, {lines[-1]} of {width}")
        bare = {cell.strip("()[]").lower() for cell in cells}
        # All alike: a unit, known or not.
        if not count_leads(cells) and (len(set(cells[1:])) == 1 or bare & set(UNITS)):
            units = cells
        elif names:
            raise BadRecording(f"file: {line} holds words; allowed: one line of names, one of units")
        elif not is_numbered(cells):
            names = cells
    return names, units


def is_text(column: pd.Series) -> bool:
    return not pd.api.types.is_numeric_dtype(column)


def unit_of(column: int, names: list[str], units: list[str]) -> str:
    """Return the unit that a row of units or a name, as I (mV) or time (s), states of a column; '' where none does."""
    bracket = re.search(r"[(\[](\w+)[)\]]$", names[column]) if names else None
    named = bracket[1] if bracket and bracket[1].lower() in UNITS | SECONDS else ""
    return (units[column].strip("()[] ") if units else "") or named


def times_of(column: pd.Series) -> np.ndarray | None:
    """Return the time since the first row in a column that rises from row to row; None where it does not.

    It holds numbers in any unit, or times of day as h:mm:ss, which become seconds.
    """
    if is_text(column):
        parts = column.astype(str).str.extract(r"(?:(\d+):)?(\d+):(\d+(?:[.,]\d+)?)").fillna("0")
        hours, minutes, seconds = (pd.to_numeric(parts[i].str.replace(",", ".")).to_numpy(np.float64) for i in range(3))
        steps = np.diff(3600 * hours + 60 * minutes + seconds) % 86400
    else:
        steps = np.diff(column.to_numpy(np.float64))
    return np.cumsum(np.r_[0, steps]) if len(steps) and (steps > 0).mean() > 0.9 else None


def rate_by(times: np.ndarray, unit: str) -> float | None:
    """Return the sampling rate (Hz) by a column of times, None where their unit is not known; they have no gaps."""
    factor, _, name = unit.lower().rpartition(" ")  # as of 0.002 sec
    known = name in SECONDS and (not factor or NUMBER.fullmatch(factor))
    seconds = times * (SECONDS[name] * float(factor or 1) if known else 1)
    rate = (len(times) - 1) / seconds[-1]
    if abs(rate - np.round(rate)) < 0.001 * rate:  # times are rounded
        rate = np.round(rate)
    if not np.abs(seconds * rate - np.arange(len(times))).max() < 0.75:  # a sample
        steps = np.diff(times)
        usual = np.nanmedian(steps)
        i = int(np.argmax(np.abs(np.nan_to_num(steps) - usual)))
        raise BadRecording(f"file: times go on by {steps[i]:g} after {times[i]:g}, else by {usual:g}; allowed: no gaps")
    # Numbers of samples and milliseconds go on by more than seconds.
    return rate if known or 20 <= rate <= 10_000 else None
