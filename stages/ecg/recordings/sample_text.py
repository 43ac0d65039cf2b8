"""Reads tables of samples in text, such as CSV, as tools write them: names, units, sampling rate and samples."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from ecg.leads import BadRecording, lead_of
from ecg.recordings.ecg_file import MAX_SIGNALS, UNITS, microvolts_in
from ecg.recordings.tables import decode

MAX_TABLE = 8 * 2**20  # bytes
FEWEST = 8  # columns of numbers: the independent leads
PEEK, PEEK_WIDTH = 20, 2000  # lines, and cells and characters of each, that show how a table is written
# Separator (None: blanks) and decimal mark; of several that fit, the first is taken.
WAYS = [("\t", "."), ("\t", ","), (";", "."), (";", ","), (",", "."), (None, "."), (None, ",")]
FRONT = re.compile(r"\s*(?:[#%]|sep=.$)")  # a comment, and the line that tells Excel the separator
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
WORDS = ("", "-", "na", "nan", "null", "none", "n/a", "#n/a", "missing")  # a missing sample
MISSING = {case(word) for word in WORDS for case in (str.lower, str.upper, str.title)} | {"NaN"}
SWAP = str.maketrans(".,", ",.")
SECONDS = {"ms": 0.001, **dict.fromkeys(("s", "sec", "second", "seconds"), 1), "minutes": 60, "hours": 3600}


class Table(NamedTuple):
    """Names of leads, samples x leads, and the unit and sampling rate (Hz) that a table states, or None."""

    names: list[str]
    values: np.ndarray
    unit: str | None = None
    rate: float | None = None


def split_table(lines: list[str]) -> tuple[list[list[str]], int, int, str]:
    """Split lines into cells with the separator and decimal mark that make most cells of the first lines numbers.

    Return the rows, those of names and units included; the index of the first one's line; how many rows stand above
    the numbers; the decimal mark.
    """
    start = next((i for i, line in enumerate(lines) if not FRONT.match(line)), len(lines))
    first = [line[:PEEK_WIDTH] for line in lines[start : start + PEEK]]

    def fit(way: tuple[str | None, str]) -> tuple[int, int]:
        rows = [cells_of(line, way[0])[:PEEK] for line in first]
        return sum(count_numbers(row, way[1]) for row in rows), count_leads(rows[0]) if rows else 0

    separator, decimal = max(WAYS, key=fit)
    rows = [cells_of(line, separator) for line in lines[start:]]
    n_above = count_above(rows, decimal)
    if start and not n_above:
        names = cells_of(lines[start - 1].strip("#% "), separator)
        if count_leads(names) >= 3:  # np.savetxt writes names as a comment
            return [names, *rows], start - 1, 1, decimal
    return rows, start, n_above, decimal


def cells_of(line: str, separator: str | None) -> list[str]:
    return [cell.strip() for cell in line.split(separator)]


def count_leads(cells: Sequence[str]) -> int:
    """Return how many different leads cells name."""
    return len({lead_of(cell) for cell in cells} - {None})


def count_numbers(cells: Sequence[str], decimal: str) -> int:
    """Return how many cells are numbers or missing; 0 where they are few, or words and no number."""
    numbers = sum(NUMBER.fullmatch(cell.translate(SWAP) if decimal == "," else cell) is not None for cell in cells)
    missing = sum(cell in MISSING for cell in cells)
    return numbers + missing if numbers + missing >= FEWEST and (numbers or missing == len(cells)) else 0


def count_above(rows: Sequence[Sequence[str]], decimal: str) -> int:
    """Return how many rows stand above the numbers: all where there are no numbers."""
    first = range(int(bool(rows) and is_numbered(rows[0])), min(len(rows), PEEK))
    return next((i for i in first if count_numbers(rows[i][:PEEK], decimal)), len(rows))


def is_numbered(cells: Sequence[str]) -> bool:
    """Return whether cells are the numbers of columns, from 0 or 1; the first may be of a column of row names."""
    return any(list(cells[1:]) == [str(k + i) for i in range(len(cells) - 1)] for k in range(3))


def lines_of(content: bytes) -> dict[int, str]:
    """Return the lines of a text that are not blank, without quotes, by their numbers."""
    lines = re.split(r"\r\n?|\n", re.sub("[\"']", "", decode(content)))
    return {i: line for i, line in enumerate(lines, 1) if line.strip(" ")}


def is_table_of_samples(head: bytes) -> bool:
    """Return whether a file with these first bytes is a table of samples, whether it can be read or not.

    Its rows have 8 numbers or more and stand below no names, names of leads, or names that differ by a number; other
    names are those of metadata.
    """
    rows, _, n_above, decimal = split_table(list(lines_of(head).values()))
    if n_above == len(rows):
        return any(count_leads(row) >= FEWEST for row in rows[:1])
    if n_above:
        alike = [
            len(row) >= FEWEST and len({re.sub(r"\d", "", cell) for cell in row[1:]}) == 1 for row in rows[:n_above]
        ]
        return any(alike) or any(count_leads(row) >= 3 for row in rows[:n_above])
    cells = rows[0][:PEEK]
    return count_numbers(cells, decimal) >= len(cells) - (":" in cells[0]) or lead_of(cells[0]) is not None


def read_sample_table(content: bytes) -> Table:
    """Read a table of samples in text, a lead a column or a row; BadRecording names the cell that is no sample."""
    lines = lines_of(content)
    rows: Sequence[Sequence[str]]
    rows, start, n_above, decimal = split_table(list(lines.values()))
    places = [f"line {i}" for i in lines][start:]
    n_leads = count_leads([row[0] for row in rows])
    if FEWEST <= len(rows) <= MAX_SIGNALS and (n_leads >= 3 or len(rows[0]) > MAX_SIGNALS):
        check_widths(rows, places)
        rows = list(zip(*rows, strict=True))
        places = [f"column {i}" for i in range(1, len(rows) + 1)]
        n_above = count_above(rows, decimal)
    if n_above == len(rows):
        below = (
            [repr(cell[:20]) for name, cell in zip(rows[0], rows[-1], strict=False) if lead_of(name)] if rows else []
        )
        raise BadRecording(f"file: no numbers below the names, but {', '.join(below[:3]) or 'nothing'}")
    width = len(rows[n_above])
    if width > MAX_SIGNALS:
        raise BadRecording(f"file: a table of {width} columns; allowed: {MAX_SIGNALS}")
    check_widths(rows[n_above:], places[n_above:])
    cells = pd.DataFrame(rows[n_above:])
    numbers = cells.apply(lambda column: column.str.translate(SWAP)) if decimal == "," else cells
    values = numbers.apply(pd.to_numeric, errors="coerce").astype(np.float64)
    is_word = values.isna() & ~cells.isin(MISSING)
    is_empty = values.isna().all() & ~is_word.any()
    has_row_names = is_word[0].all() or times_of(cells[0], values[0], is_word[0].any()) is not None
    names, units = names_and_units(rows[:n_above], width, has_row_names, is_empty[width - 1], places)
    leads = [i for i, name in enumerate(names) if lead_of(name)]
    used = leads or [i for i in cells if names or i < width - 1 or not is_empty[i]]
    rate = None
    for i in range(leads[0]) if leads else [0]:
        times = times_of(cells[i], values[i], is_word[i].any())
        if times is not None:
            rate = rate or rate_by(times, "s" if is_word[i].any() else unit_of(i, names, units))
            used = [column for column in used if column != i]
    for row, i in np.argwhere(is_word[used])[:1]:
        word = cells[used[i]][row][:20]
        raise BadRecording(f"file: {places[n_above + row]} holds {word!r}; allowed: numbers")
    stated = {unit for i in used if (unit := unit_of(i, names, units))}
    if len({microvolts_in(unit) for unit in stated}) > 1:
        raise BadRecording(f"units: {', '.join(sorted(stated))} in one table; allowed: one")
    return Table([names[i] for i in used if names], values[used].to_numpy(), min(stated, default=None), rate)


def check_widths(rows: Sequence[Sequence[str]], places: list[str]) -> None:
    """Refuse rows that differ in their number of cells."""
    for place, row in zip(places, rows, strict=True):
        if len(row) != len(rows[0]):
            raise BadRecording(f"file: {places[0]} of {len(rows[0])} cells, {place} of {len(row)}")


def times_of(cells: pd.Series, values: pd.Series, is_text: bool) -> np.ndarray | None:
    """Return the time since the first row in a column that rises from row to row; None where it does not.

    It is a number in any unit, or a time of day as h:mm:ss, which becomes seconds.
    """
    steps = np.diff(values)
    if is_text:
        parts = cells.str.extract(r"(?:(\d+):)?(\d+):(\d+(?:[.,]\d+)?)").fillna("0")
        steps = np.diff(parts.apply(lambda part: part.str.replace(",", ".").astype(float)) @ [3600, 60, 1]) % 86400
    return np.cumsum(np.r_[0, steps]) if len(steps) and (steps > 0).mean() > 0.9 else None


def names_and_units(
    above: Sequence[Sequence[str]], width: int, has_row_names: bool, ends_empty: bool, places: list[str]
) -> tuple[list[str], list[str]]:
    """Return the names and units of `width` columns by the rows above their numbers, each [] where it has none.

    `places` are what a reason calls these rows and the first one of the numbers.
    """
    names, units = list[str](), list[str]()
    for place, row in zip(places, above, strict=False):
        cells = list(row)
        if len(row) == width - 1 and has_row_names:
            cells = ["", *row]  # R does not name the column of the rows' names
        elif len(row) == width - 1 and ends_empty:
            cells = [*row, ""]  # only the other lines end with a separator
        if len(cells) != width:
            raise BadRecording(f"file: {place} of {len(row)} cells, {places[len(above)]} of {width}")
        bare = {cell.strip("()[]").lower() for cell in cells}
        # All alike: a unit, known or not.
        if not count_leads(cells) and (len(set(cells[1:])) == 1 or bare & set(UNITS)):
            units = cells
        elif names:
            raise BadRecording(f"file: {place} holds words; allowed: one line of names, one of units")
        elif not is_numbered(cells):
            names = cells
    return names, units


def unit_of(column: int, names: list[str], units: list[str]) -> str:
    """Return the unit that a row of units or a name, as I (mV) or time (s), states of a column; '' where none does."""
    bracket = re.search(r"[(\[](\w+)[)\]]$", names[column]) if names else None
    named = bracket[1] if bracket and bracket[1].lower() in UNITS | SECONDS else ""
    return (units[column].strip("()[] ") if units else "") or named


def rate_by(times: np.ndarray, unit: str) -> float | None:
    """Return the sampling rate (Hz) of a column of times, None where their unit is unknown; they have no gaps."""
    factor, _, name = unit.lower().rpartition(" ")  # as of 0.002 sec
    known = name in SECONDS and (not factor or NUMBER.fullmatch(factor))
    seconds = times * (SECONDS[name] * float(factor or 1) if known else 1)
    rate = (len(times) - 1) / seconds[-1]
    if abs(rate - np.round(rate)) < 0.001 * rate:  # times are rounded
        rate = np.round(rate)
    if not np.abs(seconds * rate - np.arange(len(times))).max() < 0.75:  # a sample
        steps = np.diff(times)
        usual = np.nanmedian(steps)
        i = np.nanargmax(np.abs(steps - usual))
        raise BadRecording(f"file: times go on by {steps[i]:g} after {times[i]:g}, else by {usual:g}; allowed: no gaps")
    # Numbers of samples and milliseconds go on by more than seconds.
    return rate if known or 20 <= rate <= 10_000 else None
