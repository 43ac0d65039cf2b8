"""Reads tables that people keep, as labels.csv: columns by their names, rows by the file that they name."""

import codecs
import csv
import io
import posixpath
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import PurePosixPath

from ecg.run.script import UsageError, warn

Row = dict[str, str]  # the cells that are not empty, by column


def read_rows(content: bytes, where: str, required: Iterable[str], optional: Iterable[str] = ()) -> dict[int, Row]:
    """Return the rows of a CSV table by the number of their line, with the required and optional columns alone.

    Commas, semicolons or tabs part the cells. Names of columns count in any case, with or without blanks, - and _. A
    warning names columns whose names are similar. UsageError where a required column is absent, two columns have one
    name, a row has more cells than the header, or the content is no such table.
    """
    text = decode(content)
    first = next((line for line in text.splitlines() if line.strip()), "")
    lines = csv.reader(
        io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count), skipinitialspace=True, strict=True
    )
    if "\0" in text:
        raise UsageError(f"{where} is no CSV table: it holds NUL bytes; allowed: text in UTF-8, UTF-16 or Windows-1252")
    try:
        rows = [(lines.line_num, [cell.strip() for cell in cells]) for cells in lines if any(map(str.strip, cells))]
    except csv.Error as error:
        raise UsageError(f"{where} is no CSV table: line {lines.line_num}: {error}") from None
    header = rows.pop(0)[1] if rows else []
    while header and not header[-1]:
        header.pop()
    columns = find_columns(header, where, list(required), list(optional))
    for line, cells in rows:
        if any(cells[len(header) :]):
            raise UsageError(f"{where}, line {line}: {len(cells)} cells under a header of {len(header)}")
    return {
        line: {name: cells[i] for name, i in columns.items() if i < len(cells) and cells[i]} for line, cells in rows
    }


def decode(content: bytes) -> str:
    """Decode text as spreadsheets write it."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def find_columns(header: list[str], where: str, required: list[str], optional: list[str]) -> dict[str, int]:
    """Return the positions of the required and optional columns in a header."""
    plain = {re.sub(r"\W|_", "", name): name for name in (*required, *optional)}
    columns, others = dict[str, int](), list[str]()
    for i, name in enumerate(header):
        folded = unicodedata.normalize("NFKC", name).casefold()
        known = plain.get(re.sub(r"\W|_", "", folded))
        if known in columns:
            raise UsageError(f"{where} has the column {known} twice: {header[columns[known]]!r} and {name!r}")
        if known:
            columns[known] = i
        else:
            others.append(name)
    absent = {key: name for key, name in plain.items() if name not in columns}
    near = []
    for name in others:
        words = re.split(r"[\W_]+", name.casefold())
        like = [key for key in absent if key in words] or get_close_matches("".join(words), absent, n=1)
        near += [(f"{name!r} ({absent[like[0]]}?)", absent[like[0]])] if like else []
    missing = [name for name in required if name not in columns]
    if missing:
        # No more is shown: in a table without a header it may be a patient's id.
        there = ", ".join(text for text, known in near if known in missing)
        allowed = f"allowed: {', '.join([*required, *optional])}"
        raise UsageError(f"{where} has no column {', '.join(missing)}{': ' * bool(there)}{there}; {allowed}")
    if near:
        warn(f"{where}: columns that are not read: {', '.join(text for text, _ in near)}")
    return columns


def match_rows(
    table: Mapping[int, Row], column: str, files: list[str], where: str, *, complete: bool = True
) -> dict[str, Row]:
    """Return by file the row whose cell in a column names it; files are paths in a folder.

    A WFDB record, given by its header, may be named without a suffix or by a signal file. Paths may differ in slashes,
    composed letters and case. They may have more or fewer folders before them, where one recording and one row fit.
    With `complete`, `files` are all recordings of the folder: a warning counts rows and files without each other, and
    it is a UsageError if all are. Otherwise folders count. UsageError also where two rows name one file.
    """
    cells = {row: table[row].get(column, "") for row in table}
    if table and not any(cells.values()):
        raise UsageError(f"{where}: {column} is empty in all rows")
    names = {file: [plain_path(name) for name in names_of(file)] for file in files}
    left = {row: plain_path(cell) for row, cell in cells.items() if cell}
    matched = dict[str, int]()
    for ends in (only, tails)[: 2 if complete else 1]:
        whole, ending = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
        for file in files:
            for name in names[file]:
                whole[name].add(file)
                for end in ends(name):
                    ending[end].add(file)
        claims = defaultdict[str, list[int]](list)
        for row, name in left.items():
            fits = ending[name].union(*(whole[end] for end in ends(name)))
            if len(fits) == 1:
                claims[fits.pop()].append(row)
        for file, rows in claims.items():
            if file not in matched and len(rows) == 1:
                matched[file] = rows[0]
            elif file not in matched and ends is only:
                one, two = (cells[row] for row in rows[:2])
                raise UsageError(f"{where} names {file!r} in {len(rows)} rows, as {one!r} and {two!r}")
        taken = set(matched.values())
        left = {row: name for row, name in left.items() if row not in taken}
    if complete and files:
        report_matches(cells, files, matched, where)
    return {file: table[row] for file, row in matched.items()}


def report_matches(cells: Mapping[int, str], files: list[str], matched: Mapping[str, int], where: str) -> None:
    """Warn of rows that name no file and of files that no row names; UsageError where none is matched."""
    rows = [cells[row] for row in sorted(cells.keys() - matched.values())]
    others = [file for file in files if file not in matched]
    if cells and not matched:
        raise UsageError(f"no row of {where} names a recording: {rows[0]!r} there, {others[0]!r} here")
    parts = [f"{len(rows)} of {len(cells)} rows name no recording, as {rows[0]!r}"] if rows else []
    parts += [f"{len(others)} of {len(files)} recordings have no row, as {others[0]!r}"] if others else []
    if parts:
        warn(f"{where}: {'; '.join(parts)}")


def plain_path(path: str) -> str:
    """Return a path in one spelling: /, no ./ and no //, composed letters in lower case."""
    return posixpath.normpath(unicodedata.normalize("NFC", path).casefold().strip().replace("\\", "/"))


def names_of(file: str) -> list[str]:
    """Return the names of a recording: its file, of a WFDB record also its name and its signal files."""
    path = PurePosixPath(file)
    return [file, *(f"{path.with_suffix(suffix)}" for suffix in ("", ".dat", ".mat") if path.suffix.lower() == ".hea")]


def only(path: str) -> list[str]:
    return [path]


def tails(path: str) -> list[str]:
    """Return the ends of a path, each from a folder or the file's name on."""
    parts = path.split("/")
    return ["/".join(parts[i:]) for i in range(len(parts))]
