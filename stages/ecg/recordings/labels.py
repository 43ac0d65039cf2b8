"""What labels.csv in a folder says of the recordings there."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from ecg.recordings.ecg_file import Person, digest_of
from ecg.recordings.tables import Row, match_rows, read_rows
from ecg.run.script import UsageError, warn

LABELS = "labels.csv"
COLUMNS = ("patient", "dx", "label", "age", "sex", "source", "sampling_rate", "units", "leads")


def read_labels(
    files: Iterable[Path], top: Path | None = None, *, lenient: bool = False
) -> dict[Path, tuple[Person, Row]]:
    """Return for each file the person in the nearest labels.csv, in its folder or above, and the row there.

    Files are all recordings below `top`; without it, some. A table that cannot be used is a UsageError; if `lenient`,
    or where it does not lie below `top`, it is a warning. Of patients only digests are returned.
    """
    top = top and top.absolute()
    nearest = cache(lambda folder: next((at for at in (folder, *folder.parents) if (at / LABELS).is_file()), None))
    names: dict[Path, dict[str, Path]] = {}
    for file in files:
        if folder := nearest(file.absolute().parent):
            names.setdefault(folder, {})[file.absolute().relative_to(folder).as_posix()] = file
    labels: dict[Path, tuple[Person, Row]] = {}
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
            person = Person(
                age=row.get("age", ""),
                sex=row.get("sex", ""),
                patient=digest_of(row.pop("patient", "")),
                dx=(row["dx"],) if "dx" in row else (),
                source=row.get("source", ""),
            )
            labels[paths[name]] = person, row
    return labels
