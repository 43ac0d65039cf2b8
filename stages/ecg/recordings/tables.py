"""Reads tables such as labels.csv: columns by their names, rows by the file that they name."""

import codecs
import csv
import io
import posixpath
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable

from ecg.run.script import UsageError, warn

Row = dict[str, str]  # the cells that are not empty, by column; also the line's number


def read_rows(content: bytes, where: str, required: Iterable[str], optional: Iterable[str] = ()) -> list[Row]:
    """Return the rows of a table with commas, semicolons or tabs: the required and optional columns, in any spelling.

    UsageError if a required column is absent, two have one name, or a row has more cells than the header.
    """
    text = decode(content).lstrip("\r\n")
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    lines = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    known = {plain_name(name): name for name in (*required, *optional)}
    rows = []
    try:
        header = list(lines.fieldnames or [])
        lines.fieldnames = names = [known.get(plain_name(name), "") for name in header]
        # The header is not shown: in a table without one it may be a patient's id.
        if missing := [name for name in required if name not in names]:
            raise UsageError(f"{where} has no column {', '.join(missing)}; allowed: {', '.join(known.values())}")
        if twice := [name for name in known.values() if names.count(name) > 1]:
            raise UsageError(f"{where} has the column {twice[0]} twice")
        for cells in lines:
            if any(cell.strip() for cell in cells.pop(None, [])):
                raise UsageError(f"{where}, line {lines.line_num}: more cells than the {len(header)} of the header")
            if row := {name: cell.strip() for name, cell in cells.items() if name and cell and cell.strip()}:
                rows.append(row | {"line": str(lines.line_num)})
    except csv.Error as error:
        raise UsageError(f"{where} is not a CSV table: line {lines.reader.line_num}: {error}") from None
    others = [name for name in header if name.strip() and plain_name(name) not in known]
    if others and not {*known.values()} <= {*names}:
        warn(f"{where}: columns that are not read: {', '.join(others)}")
    return rows


def decode(content: bytes) -> str:
    """Decode text in UTF-8, UTF-16 or Windows-1252, as spreadsheets write it."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return content.decode("utf-16" if utf16 else "cp1252", "replace")


def plain_name(column: str) -> str:
    return re.sub(r"[\W_]", "", column).casefold()


def match_rows(table: list[Row], column: str, files: list[str], where: str, *, complete: bool = True) -> dict[str, Row]:
    """Return for each file (a path in a folder) the row whose cell in `column` names it; UsageError if two rows do.

    With `complete`, `files` are all recordings of the folder. Leading folders may then be absent or added, if
    exactly one recording and one row fit. A warning counts rows and files without a match; UsageError if none has one.
    """
    whole, ending = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
    for file in files:
        whole[plain_path(file)].add(file)
        for end in ends(plain_path(file)):
            ending[end].add(file)
    cells = [row.get(column, "") for row in table]
    named, similar = defaultdict[str, list[int]](list), defaultdict[str, list[int]](list)
    for i, cell in enumerate(cells):
        path = plain_path(cell)
        claims, fits = named, whole.get(path, set())
        if complete and not fits:
            claims, fits = similar, ending[path].union(*(whole[end] for end in ends(path)))
        if len(fits) == 1:
            claims[min(fits)].append(i)
    for file, rows in named.items():
        if len(rows) > 1:
            raise UsageError(f"{where}, lines {' and '.join(table[i]['line'] for i in rows)} name {file!r}; keep one")
    matched = {file: rows[0] for file, rows in (similar | named).items() if len(rows) == 1}
    taken = {*matched.values()}
    rest = [cell for i, cell in enumerate(cells) if i not in taken]
    others = [file for file in files if file not in matched]
    if complete and files and (rest or others):
        parts = [(rest, cells, "rows name no recording"), (others, files, "recordings have no row")]
        found = [f"{len(some)} of {len(every)} {text}, such as {some[0]!r}" for some, every, text in parts if some]
        if cells and not matched:
            raise UsageError(f"{where}: {'; '.join(found)}; `{column}` is the path below the table's folder")
        warn(f"{where}: {'; '.join(found)}")
    return {file: table[i] for file, i in matched.items()}


def plain_path(path: str) -> str:
    """Return a path in one spelling: /, no ./ and no //, composed letters in lower case, no suffix of a WFDB record."""
    plain = posixpath.normpath(unicodedata.normalize("NFC", path).casefold().strip().replace("\\", "/"))
    return re.sub(r"\.(hea|dat|mat)$", "", plain)


def ends(path: str) -> list[str]:
    """Return all ends of a path: of a/b/c, these are a/b/c, b/c and c."""
    parts = path.split("/")
    return ["/".join(parts[i:]) for i in range(len(parts))]
