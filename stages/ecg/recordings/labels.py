"""What labels.csv in a folder says of the recordings there."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from ecg.recordings.ecg_file import digest_of
from ecg.recordings.tables import match_rows, read_rows
from ecg.run.script import UsageError, warn

LABELS = "labels.csv"
COLUMNS = ("patient", "dx", "label", "age", "sex", "source", "sampling_rate", "units", "leads")


def labels_of(files: Iterable[Path], top: Path | None = None, *, lenient: bool = False) -> dict[Path, dict[str, Any]]:
    """Return what the nearest labels.csv, in a file's folder or above, says of each file.

    Files are all recordings below `top`; without it, some. A table that cannot be used is a UsageError; if `lenient`,
    or where it does not lie below `top`, it is a warning. Of patients only digests are returned.
    """
    top = top and top.absolute()
    nearest = cache(lambda folder: next((at for at in (folder, *folder.parents) if (at / LABELS).is_file()), None))
    names: dict[Path, dict[str, Path]] = {}
    for file in files:
        if folder := nearest(file.absolute().parent):
            names.setdefault(folder, {})[file.absolute().relative_to(folder).as_posix()] = file
    labels: dict[Path, dict[str, Any]] = {}
    for folder, paths in names.items():
        table, complete = folder / LABELS, top is not None and folder.is_relative_to(top)
        try:
            rows = read_rows(table.read_bytes(), str(table), ["file"], COLUMNS)
            matched = match_rows(rows, "file", list(paths), str(table), complete=complete)
        except (UsageError, OSError) as error:
            if complete and not lenient:
                raise
            warn(f"labels.csv is not used: {error}")
            continue
        for name, row in matched.items():
            known: dict[str, Any] = {column: cell for column, cell in row.items() if column not in ("file", "patient")}
            known |= {"dx": [row["dx"]]} if "dx" in row else {}
            patient = digest_of(row.get("patient", ""))
            labels[paths[name]] = known | ({"patient": patient} if patient else {})
    return labels
