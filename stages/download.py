"""Read and check the recordings of a source; store the usable ones in one form.

Reads   the source that `download.source` names
Writes  data/recordings/     part-*.npy: the usable recordings one after another, samples x 12, int16, uV
        data/recordings.csv  a row for every recording found, with its data or the reason of its refusal
"""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from ecg.params import SCP, Download, read_params
from ecg.recordings.codes import CLASSES, SNOMED
from ecg.recordings.index import NO_PATIENT, index_of, read_recording
from ecg.recordings.sources import RecordingFile, from_folders, from_kaggle
from ecg.recordings.synthetic import write_recordings
from ecg.run.files import PART_BYTES, replacing, scratch, write
from ecg.run.parallel import in_parallel
from ecg.run.paths import RECORDINGS, RECORDINGS_TABLE
from ecg.run.script import UsageError, run_stage, warn


def find(download: Download, temporary: Path) -> list[RecordingFile]:
    """Return the recordings of the source; write synthetic ones to a temporary folder first."""
    if download.source == "kaggle":
        return from_kaggle(download)
    folders = [download.directory] if isinstance(download.directory, str) else download.directory
    if download.source == "synthetic":
        write_recordings(temporary, patients=download.synthetic_patients, seed=download.synthetic_seed)
        folders = [str(temporary.resolve())]
    return from_folders(folders, "download.directory")


def store_batch(batch: list[RecordingFile], part: Path, download: Download) -> list[dict]:
    """Read a batch of recordings, write the usable ones as one part, return the rows of all."""
    rows, kept, start = [], [], 0
    for recording in batch:
        row, samples = read_recording(recording, download, verify_checksums=download.verify_checksums)
        rows.append(row)
        if samples is not None:
            row |= {"part": part.name, "start": start}
            start += len(samples)
            kept.append(samples)
    np.save(part, np.concatenate([np.empty((0, 12), "<i2"), *kept]))
    return rows


def print_summary(index: pd.DataFrame, download: Download) -> None:
    """Print the numbers of recordings; warn of refusals, unknown patients and unknown codes, with examples."""
    kept, refused = index[index.reason == ""], index[index.reason != ""]
    print(summary(index))
    for kind, rows in refused.groupby(refused.reason.str.split(":").str[0]):
        warn(f"{len(rows)} refused ({kind}), for example {rows.record.iloc[0]}: {rows.reason.iloc[0]}")
    if index.source.nunique() > 1:
        for source, rows in index.groupby("source"):
            print(f"  {source}: {summary(rows)}")
    for flag, fault in ((NO_PATIENT, f"{NO_PATIENT} and count as a patient each"), (" is not ", "a wrong age or sex")):
        flagged = kept[kept["flags"].str.contains(flag)]
        if len(flagged):
            warn(f"{len(flagged)} recordings have {fault} ({counts(flagged.source)})")
    codes = kept.dx[kept.dx != ""].str.split("|").explode()
    unknown = codes[~codes.isin([*SNOMED, *SCP, *CLASSES, *download.ischemia, *download.normal])].value_counts()
    if len(unknown):
        most = ", ".join(f"{code} ({n})" for code, n in unknown.head(10).items())
        warn(f"{len(unknown)} unknown codes in Dx count as other: {most}")


def summary(index: pd.DataFrame) -> str:
    """Return a line on the numbers of recordings found, kept and refused."""
    kept, refused = index[index.reason == ""], index[index.reason != ""].reason.str.split(":").str[0]
    text = f"{len(index)} recordings found, {len(kept)} kept"
    text += f": {counts(kept.label)}; {kept.patient.nunique()} patients" if len(kept) else ""
    return f"{text}; {len(refused)} refused: {counts(refused.map(repr))}" if len(refused) else text


def counts(values: pd.Series) -> str:
    return ", ".join(f"{n} {value}" for value, n in sorted(Counter(values).items()))


def main() -> None:
    download = read_params().download
    # The new store replaces the old one, and nothing else.
    if others := [path for path in RECORDINGS.glob("*") if not path.match("part-*.npy")]:
        raise UsageError(f"{others[0]} is no part of the store; move it out of {RECORDINGS}, which download replaces")
    # Below data/, where the workers of a cluster see it too.
    with scratch(RECORDINGS_TABLE.with_name("synthetic")) as temporary:
        recordings = find(download, temporary)
        with replacing(RECORDINGS) as folder:
            folder.mkdir()
            parts: dict[int, list[RecordingFile]] = {}
            size = 0
            for recording in recordings:
                parts.setdefault(size // PART_BYTES, []).append(recording)
                size += recording.size
            names = (folder.resolve() / f"part-{i:05d}.npy" for i in range(len(parts)))
            batches = [(batch, name, download) for batch, name in zip(parts.values(), names, strict=True)]
            done = tqdm(in_parallel(store_batch, batches), "parts of the store", len(batches), disable=None)
            rows = [row for part in done for row in part]
    index = index_of(rows)
    write(RECORDINGS_TABLE, index.to_csv(index=False, float_format="%.10g"))
    print_summary(index, download)
    if (index.reason != "").all():
        raise UsageError(f"no recording can be used; {RECORDINGS_TABLE} has the reason of each")


if __name__ == "__main__":
    run_stage(main)
