"""The index of recordings: a row for each, what it is and where its samples are, or why it is refused."""

import hashlib
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ecg.leads import BadRecording
from ecg.recordings.challenge import challenge_source
from ecg.recordings.codes import UNKNOWN, class_of, parse_age, parse_codes, parse_sex
from ecg.recordings.header import read_header
from ecg.recordings.ptbxl import NOT_IN_TABLE
from ecg.recordings.signals import read_samples
from ecg.recordings.sources import RecordingFile
from ecg.stage.text import printable

NO_PATIENT = "no patient id"

COLUMNS = [
    *("record", "source", "patient", "label", "dx", "age", "sex", "device", "site"),
    *("sampling_rate", "part", "start", "samples", "sha256", "fold", "flags", "reason"),
]


def read_recording(recording: RecordingFile, *, verify_checksums: bool) -> tuple[dict, np.ndarray | None]:
    """Return a recording's row of the index and its samples, or the row with the reason and None."""
    known = recording.known
    row = dict.fromkeys(COLUMNS, "") | {"record": recording.record, "source": known["source"], "samples": 0}
    flags, samples = list(known.get("flags", [])), None
    try:
        header = read_header(recording.header, recording.root)
        comments = {key: values[0] for key, values in header.comments.items()}
        about: dict[str, Any] = {
            "source": comments.get("source") or challenge_source(header) or row["source"],
            "dx": header.comments.get("dx", []),
            "age": comments.get("age", ""),
            "sex": parse_sex(comments.get("sex", "")),
        }
        if comments.get("patient", "").lower() not in UNKNOWN:
            about["patient"] = f"{about['source']}:{comments['patient']}"
        about |= {key: value for key, value in known.items() if key not in ("source", "flags")}
        age, age_flags = parse_age(about["age"])
        flags += age_flags
        row |= about | {"age": "" if age is None else age, "dx": ""}
        row["sampling_rate"] = f"{header.sampling_rate:g}"
        codes = list(dict.fromkeys(code for text in about["dx"] for code in parse_codes(text)))
        if not codes:
            raise BadRecording("no Dx")
        row |= {"dx": "|".join(codes), "label": class_of(codes)}
        samples, sample_flags = read_samples(header, verify_checksums=verify_checksums)
        flags += sample_flags
        row |= {"samples": len(samples), "sha256": hashlib.sha256(samples.tobytes()).hexdigest()}
    except BadRecording as error:
        row["reason"] = str(error)
    if not row["patient"]:
        row["patient"] = recording.record
        flags += [] if NOT_IN_TABLE in flags else [NO_PATIENT]
    row["flags"] = "; ".join(flags)
    return {key: printable(value) if isinstance(value, str) else value for key, value in row.items()}, samples


def merge_patients(patients: list[str], hashes: list[str]) -> list[str]:
    """Give patients that share a waveform one name: the first one's. A hash of '' is no waveform."""
    known = [i for i, value in enumerate(hashes) if value]
    patient, names = pd.factorize(pd.Series(patients, dtype=str))
    waveform, _ = pd.factorize(pd.Series([hashes[i] for i in known], dtype=str))
    n = len(names) + waveform.max(initial=-1) + 1
    edges = coo_array((np.ones(len(known)), (patient[known], len(names) + waveform)), shape=(n, n))
    _, group = connected_components(edges, directed=False)
    first: dict[int, str] = {}
    for i in range(len(names)):
        first.setdefault(group[i], names[i])
    return [first[group[i]] for i in patient]


def index_of(rows: list[dict]) -> pd.DataFrame:
    """Make the index of all rows; flag duplicated waveforms and let them share a patient."""
    index = pd.DataFrame(rows, columns=COLUMNS, dtype=object)
    index["patient"] = merge_patients(list(index.patient), list(index.sha256))
    first: dict[str, str] = {}
    for i, row in index[index.reason == ""].iterrows():
        if first.setdefault(row.sha256, row.record) != row.record:
            index.at[i, "flags"] = "; ".join(filter(None, [row["flags"], f"same waveform as {first[row.sha256]}"]))
    return index
