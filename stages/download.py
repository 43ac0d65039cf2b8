"""Bring the recordings of one source into one store.

Reads   the source that `download.source` names
Writes  data/recordings/     the samples of every usable recording (see ecg/run/files.py)
        data/recordings.csv  a row for every recording found: what it is and where its samples are, or why it is refused
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from ecg.params import SCP, Download, read_params
from ecg.recordings.codes import CLASSES, SNOMED
from ecg.recordings.index import NO_PATIENT, index_of, read_recording
from ecg.recordings.labels import NOT_IN_TABLE
from ecg.recordings.sources import RecordingFile, from_directory, from_kaggle
from ecg.recordings.synthetic import write_recordings
from ecg.run.files import PART_BYTES, replacing, scratch, write_rows
from ecg.run.parallel import in_parallel
from ecg.run.paths import RECORDINGS, RECORDINGS_TABLE
from ecg.run.script import UsageError, run_stage, warn


def find(download: Download, temporary: Path) -> list[RecordingFile]:
    """Find the recordings of the source; synthetic ones are written to a temporary folder."""
    if download.source == "kaggle":
        return from_kaggle(download)
    if download.source == "synthetic":
        write_recordings(temporary, patients=download.synthetic_patients, seed=download.synthetic_seed)
        download = download.model_copy(update={"directory": str(temporary.resolve())})
    return from_directory(download)


def store_batch(batch: list[RecordingFile], part: Path, download: Download) -> list[dict]:
    """Read a batch of recordings, write the usable ones as one part, return the rows of all."""
    rows = []

    def usable() -> Iterator[np.ndarray]:
        start = 0
        for recording in batch:
            row, samples = read_recording(recording, download, verify_checksums=download.verify_checksums)
            rows.append(row)
            if samples is not None:
                row |= {"part": part.name, "start": start}
                start += len(samples)
                yield samples

    write_rows(part, usable(), dtype="<i2", row_shape=(12,))
    return rows


def print_summary(index: pd.DataFrame, files: list[str], download: Download) -> None:
    """Print what was found, kept and refused, an example of each kind, and warn of what a user should know."""
    kept = index[index.reason == ""]
    print(summary(index))
    refused = pd.Series(files, index.index)[index.reason != ""] + ": " + index.reason
    for kind, examples in refused.dropna().groupby(index.reason.str.split(":").str[0]):
        warn(f"{len(examples)} refused ({kind}), as {examples.iloc[0]}")
    if index.source.nunique() > 1:
        for source, rows in index.groupby("source"):
            print(f"  {source}: {summary(rows)}")
    for flag in (NO_PATIENT, NOT_IN_TABLE):
        flagged = kept[[flag in flags.split("; ") for flags in kept["flags"]]]
        if len(flagged):
            warn(f"{len(flagged)} recordings count as patients of their own: {flag} ({counts(flagged.source)})")
    known = SNOMED | SCP | CLASSES | {*download.ischemia, *download.normal, ""}  # "": no dx, labels.csv gives the class
    for source, rows in kept.groupby("source"):
        unknown = Counter(code for codes in rows.dx for code in codes.split("|") if code not in known)
        if unknown:
            most = ", ".join(f"{code} ({n})" for code, n in unknown.most_common(10))
            warn(f"{len(unknown)} codes in Dx of {source} are not known and count as abnormal: {most}")
    for source, rows in index.groupby("source"):
        wrong = int(rows.reason.str.startswith("wrong checksum").sum())
        if wrong > len(rows) / 100:
            warn(
                f"{wrong} of {len(rows)} recordings of {source} are refused for a wrong checksum; where its headers "
                "are known to be careless, set download.verify_checksums to false"
            )


def summary(index: pd.DataFrame) -> str:
    """Say how many recordings were found, kept and refused."""
    kept, refused = index[index.reason == ""], index[index.reason != ""].reason.str.split(":").str[0]
    text = f"{len(index)} recordings found, {len(kept)} kept"
    text += f": {counts(kept.label)}; {kept.patient.nunique()} patients" if len(kept) else ""
    return f"{text}; {len(refused)} refused: {counts(refused)}" if len(refused) else text


def counts(values: pd.Series) -> str:
    return ", ".join(f"{n} {value}" for value, n in sorted(Counter(values).items()))


def main() -> None:
    download = read_params().download
    # A store there gives way to the new one.
    if others := [path for path in RECORDINGS.glob("*") if not path.match("part-*.npy")]:
        raise UsageError(f"{others[0]} is no part of a store; move it out of {RECORDINGS}, which is made anew")
    # Below data/, where the workers of a cluster see it too.
    with scratch(RECORDINGS_TABLE.with_name("synthetic")) as temporary:
        recordings = find(download, temporary)
        if not recordings:
            raise UsageError("no recordings found in the source's folders")
        rows = []
        with replacing(RECORDINGS) as folder, tqdm(total=len(recordings), desc="recordings", disable=None) as progress:
            folder.mkdir()
            parts: dict[int, list[RecordingFile]] = {}
            size = 0
            for recording in recordings:
                parts.setdefault(size // PART_BYTES, []).append(recording)
                size += recording.size
            names = [folder.resolve() / f"part-{i:05d}.npy" for i in range(len(parts))]
            batches = [(batch, name, download) for batch, name in zip(parts.values(), names, strict=True)]
            for part in in_parallel(store_batch, batches):
                rows += part
                progress.update(len(part))
    index = index_of(rows)
    with replacing(RECORDINGS_TABLE) as temporary:
        index.to_csv(temporary, index=False, float_format="%.10g")
    print_summary(index, [str(one.header.relative_to(one.root or "")) for one in recordings], download)
    if (index.reason != "").all():
        raise UsageError(f"none of the recordings can be used; {RECORDINGS_TABLE} has the reason of each")


if __name__ == "__main__":
    run_stage(main)
