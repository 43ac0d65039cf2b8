"""What labels.csv in a folder says of the recordings there."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from ecg.recordings.ecg_file import digest_of
from ecg.stage.script import UsageError

LABELS = "labels.csv"
COLUMNS = ("file", "patient", "dx", "age", "sex", "source", "sampling_rate", "units", "leads")


def read_labels(folder: Path) -> dict[str, dict[str, Any]]:
    """Return what a folder's labels.csv says, by file; nothing where it has none. Of patients it gives digests."""
    path = folder / LABELS
    if not path.is_file():
        return {}
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is no CSV table: {' '.join(str(error).split())}") from None
    if "file" not in table:
        raise UsageError(f"{path} has no column file; allowed: {', '.join(COLUMNS)}")
    labels: dict[str, dict[str, Any]] = {}
    for row in table[[name for name in COLUMNS if name in table]].to_dict("records"):
        known = {name: value.strip() for name, value in row.items() if value.strip()}
        file = known.pop("file", "").replace("\\", "/").removeprefix("./")
        if file in labels:
            raise UsageError(f"{path} has {file!r} more than once")
        known |= {"dx": [known["dx"]]} if "dx" in known else {}
        known |= {"patient": digest_of(known["patient"])} if "patient" in known else {}
        labels[file] = known
    return labels


def labels_of(folder: Path) -> Callable[[Path], dict[str, Any]]:
    """Return a function that tells what labels.csv in a folder says of a recording below it, {} where nothing.

    A WFDB record may be named there by its header, by a signal file or without a suffix.
    """
    labels = read_labels(folder)

    def known(path: Path) -> dict[str, Any]:
        file = path.relative_to(folder).as_posix()
        stem = file.removesuffix(path.suffix)
        names = [file, stem, f"{stem}.dat", f"{stem}.mat"] if path.suffix.lower() == ".hea" else [file]
        return {"labels": next((labels[name] for name in names if name in labels), {})}

    return known
