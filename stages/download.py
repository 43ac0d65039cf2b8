"""Bring the recordings of one source into one store.

Reads   the source that `download.source` names
Writes  data/recordings/     the samples of every usable recording (see ecg.store)
        data/recordings.csv  a row for every recording found: what it is and where its samples are, or why it is refused
"""

import hashlib
import math
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from tqdm import tqdm

from ecg.leads import BadRecording
from ecg.params import read_params
from ecg.recordings.codes import label
from ecg.recordings.sources import NO_PATIENT, NOT_IN_TABLE, Found, from_directory, from_kaggle
from ecg.recordings.synthetic import write_recordings
from ecg.recordings.wfdb_io import read_header, read_samples
from ecg.stage.files import replacing, scratch
from ecg.stage.parallel import in_parallel
from ecg.stage.script import UsageError, run_stage, warn
from ecg.stage.store import PART_BYTES, write_rows
from ecg.stage.text import printable

RECORDINGS = Path("data/recordings")
INDEX = Path("data/recordings.csv")

UNKNOWN = ("", "unknown", "nan", "na", "n/a", "none", "-1")  # what headers say where they know nothing

COLUMNS = [
    *("record", "source", "patient", "label", "dx", "age", "sex", "sampling_rate"),
    *("part", "start", "samples", "sha256", "fold", "flags", "reason"),
]


def parse_codes(text: str) -> list[str]:
    """Split a Dx comment into codes; they may repeat, and the list may end in a comma."""
    codes = [code.strip() for code in text.split(",")]
    return [code for code in dict.fromkeys(codes) if code.lower() not in UNKNOWN]


def parse_age(value: str | float) -> tuple[int | None, list[str]]:
    """Return an age in years (None: unknown, also where -1 says so) and flags. PTB-XL writes 300 for over 89."""
    try:
        age = float(value)
    except ValueError:
        return None, [] if value.lower() in UNKNOWN else [f"age: {value[:40]} is not believed"]
    if math.isnan(age) or age == -1:
        return None, []
    if age == 300:
        return 90, ["age: over 89"]
    return (round(age), []) if 0 <= age <= 120 else (None, [f"age: {age:g} is not believed"])


def parse_sex(text: str) -> str:
    return {"m": "male", "male": "male", "f": "female", "female": "female"}.get(text.strip().lower(), "")


def read_recording(found: Found, *, verify_checksums: bool) -> tuple[dict, np.ndarray | None]:
    """Return a recording's row of the index and its samples, or the row with the reason and None."""
    row = dict.fromkeys(COLUMNS, "") | {"record": found.record, "source": found.known["source"], "samples": 0}
    flags, samples = list(found.known.get("flags", [])), None
    try:
        header = read_header(found.header, found.root)
        said = header.comments
        about = {
            "source": said.get("source") or header.challenge_source or row["source"],
            "dx": parse_codes(said.get("dx", "")),
            "age": said.get("age", ""),
            "sex": parse_sex(said.get("sex", "")),
        }
        if said.get("patient", "").lower() not in UNKNOWN:
            about["patient"] = f"{about['source']}:{said['patient']}"
        about |= {key: value for key, value in found.known.items() if key not in ("source", "flags")}
        age, odd_age = parse_age(about["age"])
        flags += odd_age
        row |= about | {"age": "" if age is None else age, "dx": "|".join(about["dx"])}
        row["sampling_rate"] = f"{header.sampling_rate:g}"
        if not about["dx"]:
            raise BadRecording("no Dx")
        row["label"] = label(about["dx"])
        samples, odd = read_samples(header, verify_checksums=verify_checksums)
        flags += odd
        row |= {"samples": len(samples), "sha256": hashlib.sha256(samples.tobytes()).hexdigest()}
    except BadRecording as error:
        row["reason"] = str(error)
    if not row["patient"]:
        row["patient"] = found.record
        flags += [] if NOT_IN_TABLE in flags else [NO_PATIENT]
    row["flags"] = "; ".join(flags)
    return {key: printable(value) if isinstance(value, str) else value for key, value in row.items()}, samples


def store_batch(batch: list[Found], part: Path, verify_checksums: bool) -> list[dict]:
    """Read a batch of recordings, write the usable ones as one part, return the rows of all."""
    rows = []

    def usable() -> Iterator[np.ndarray]:
        start = 0
        for found in batch:
            row, samples = read_recording(found, verify_checksums=verify_checksums)
            rows.append(row)
            if samples is not None:
                row |= {"part": part.name, "start": start}
                start += len(samples)
                yield samples

    write_rows(part, usable(), dtype="<i2", row_shape=(12,))
    return rows


def cut(sizes: list[int], most: int) -> list[slice]:
    """Cut a list of sizes in bytes into runs of at most `most`, or of one where that one is larger."""
    starts, total = [0], 0
    for i, size in enumerate(sizes):
        if total and total + size > most:
            starts.append(i)
            total = 0
        total += size
    return [slice(a, b) for a, b in zip(starts, [*starts[1:], len(sizes)], strict=True)]


def merge_patients(patients: list[str], hashes: list[str]) -> list[str]:
    """Give patients that share a waveform one name: the first one's. A hash of '' is no waveform."""
    known = [i for i, value in enumerate(hashes) if value]
    patient, names = pd.factorize(pd.Series(patients, dtype=str))
    waveform, _ = pd.factorize(pd.Series([hashes[i] for i in known], dtype=str))
    n = len(names) + waveform.max(initial=-1) + 1
    edges = coo_array((np.ones(len(known)), (patient[known], len(names) + waveform)), shape=(n, n))
    _, group = connected_components(edges, directed=False)
    first = {}
    for i in range(len(names)):
        first.setdefault(group[i], names[i])
    return [first[group[i]] for i in patient]


def index(rows: list[dict]) -> pd.DataFrame:
    """Make the index of all rows; flag duplicated waveforms and let them share a patient."""
    table = pd.DataFrame(rows, columns=COLUMNS, dtype=object)
    table["patient"] = merge_patients(list(table.patient), list(table.sha256))
    first = {}
    for i, row in table[table.reason == ""].iterrows():
        if first.setdefault(row.sha256, row.record) != row.record:
            table.at[i, "flags"] = "; ".join(filter(None, [row["flags"], f"same waveform as {first[row.sha256]}"]))
    return table


def report(table: pd.DataFrame) -> None:
    """Print what was found, kept and refused, and warn of what a user should know."""
    kept = table[table.reason == ""]
    print(f"{len(table)} recordings found, {len(kept)} kept: {counts(kept.label)}; {kept.patient.nunique()} patients")
    refused = table[table.reason != ""].reason.str.split(":").str[0]
    if len(refused):
        print(f"{len(refused)} refused: {counts(refused)}")
    for flag in (NO_PATIENT, NOT_IN_TABLE):
        flagged = sum(flag in flags.split("; ") for flags in kept["flags"])
        if flagged:
            warn(f"{flagged} recordings count as patients of their own: {flag}")
    for source, rows in table.groupby("source"):
        wrong = int(rows.reason.str.startswith("wrong checksum").sum())
        if wrong > len(rows) / 100:
            warn(
                f"{wrong} of {len(rows)} recordings of {source} are refused for a wrong checksum; where its headers "
                "are known to be careless, set download.verify_checksums to false"
            )


def counts(values: pd.Series) -> str:
    return ", ".join(f"{n} {value}" for value, n in sorted(Counter(values).items()))


def below_root(where: str) -> str:
    """Return a relative path from the main repository, also where DVC runs an experiment in a copy of it."""
    return where if not where or "://" in where else str(Path(os.environ.get("DVC_ROOT", ""), where))


def main() -> None:
    download = read_params().download
    # Below data/, where the workers of a cluster see it too.
    with scratch(INDEX.with_name("synthetic")) as temporary:
        if download.source == "synthetic":
            write_recordings(temporary, patients=download.synthetic_patients, seed=download.synthetic_seed)
            found, sizes = from_directory(temporary.resolve())
        elif download.source == "kaggle":
            found, sizes = from_kaggle(download.kaggle, below_root(download.ptbxl_patients))
        else:
            if not download.directory:
                raise UsageError("download.directory is ''; for download.source=directory it names a folder")
            found, sizes = from_directory(Path(below_root(download.directory)).absolute())
        if not found:
            raise UsageError("no recordings found: no .hea, .mat or .dat file in the source's folders")
        rows = []
        with replacing(RECORDINGS) as folder, tqdm(total=len(found), desc="recordings", disable=None) as progress:
            folder.mkdir()
            batches = [
                (found[run], folder.resolve() / f"part-{i:05d}.npy", download.verify_checksums)
                for i, run in enumerate(cut(sizes, PART_BYTES))
            ]
            for part in in_parallel(store_batch, batches):
                rows += part
                progress.update(len(part))
    table = index(rows)
    report(table)
    if (table.reason != "").all():
        raise UsageError("none of the recordings can be used")
    with replacing(INDEX) as temporary:
        table.to_csv(temporary, index=False)


if __name__ == "__main__":
    run_stage(main)
