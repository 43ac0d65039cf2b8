"""The index of recordings: a row for each, with its data, or with the reason of its refusal."""

import hashlib
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import DisjointSet

from ecg.leads import BadRecording
from ecg.params import Labels
from ecg.recordings.codes import class_of, parse_age, parse_codes, parse_label, parse_sex
from ecg.recordings.ecg_file import DIGEST, Person, digest_of
from ecg.recordings.labels import NOT_IN_TABLE
from ecg.recordings.read import read_ecg, standard_leads
from ecg.recordings.sources import RecordingFile
from ecg.run.script import printable

NO_PATIENT = "no patient id"

COLUMNS = [
    *("record", "source", "patient", "label", "dx", "age", "sex", "device", "site"),
    *("sampling_rate", "heart_rate", "part", "start", "samples", "sha256", "fold", "flags", "reason"),
]


def read_recording(
    recording: RecordingFile, labels: Labels, *, verify_checksums: bool
) -> tuple[dict, np.ndarray | None]:
    """Return a recording's row of the index and its samples, or the row with the reason and None."""
    row: dict[str, Any] = dict.fromkeys(COLUMNS, "") | {"record": recording.record, "samples": 0}
    person, samples, sample_flags = Person(), None, list[str]()
    try:
        ecg = read_ecg(recording.header, metadata=recording.metadata, verify_checksums=verify_checksums)
        person = ecg.person
        row |= {"sampling_rate": ecg.sampling_rate, "heart_rate": ecg.heart_rate or ""}
        samples, sample_flags = standard_leads(ecg)
    except BadRecording as error:
        row["reason"] = str(error)
    of_table = {key: value for key, value in recording.person._asdict().items() if value not in ("", ())}
    person = person._replace(**of_table)
    row |= {"source": person.source or recording.source, "device": person.device, "site": person.site}
    age, age_flags = parse_age(person.age)
    sex, sex_flags = parse_sex(person.sex)
    row |= {"age": "" if age is None else age, "sex": sex, "fold": person.fold}
    try:
        if "label" in recording.metadata:
            row["label"] = parse_label(recording.metadata["label"])
        else:
            codes = list(dict.fromkeys(code for text in person.dx for code in parse_codes(text)))
            row |= {"dx": "|".join(codes), "label": class_of(codes, labels.ischemia, labels.normal) if codes else ""}
        if not row["label"]:
            raise BadRecording("no Dx: give dx or label in labels.csv, # Dx in a header, or a row of PTB-XL's table")
    except BadRecording as error:
        samples, row["reason"] = None, row["reason"] or str(error)
    if samples is not None:
        row |= {"samples": len(samples), "sha256": hashlib.sha256(samples.tobytes()).hexdigest()}
    flags = [*person.flags, *age_flags, *sex_flags, *sample_flags]
    if person.patient:
        row["patient"] = f"{person.registry or row['source']}:{person.patient}"
    else:
        row["patient"] = recording.record
        flags += [] if NOT_IN_TABLE in flags else [NO_PATIENT]
    row["flags"] = "; ".join(flag.replace(";", ",") for flag in flags)
    return {key: printable(value) if isinstance(value, str) else value for key, value in row.items()}, samples


def merge_patients(patients: list[str], hashes: list[str]) -> list[str]:
    """Return the patients, with the first one's name for all that share a waveform; '' is no waveform."""
    groups, owner = DisjointSet(patients), dict[str, str]()
    for patient, waveform in zip(patients, hashes, strict=True):
        if waveform:
            groups.merge(owner.setdefault(waveform, patient), patient)
    names: dict[str, str] = {}
    return [names.setdefault(groups[patient], patient) for patient in patients]


def name_patients(patients: list[str]) -> list[str]:
    """Replace the digest of a patient's id by a running number, from 1 in each source.

    If another file of the source has the same id as text, both get the text: they are one patient.
    """
    names, counts = dict[str, str](), Counter[str]()
    for patient in patients:
        source, _, identity = patient.partition(":")
        if not identity.startswith(DIGEST):
            names[f"{source}:{digest_of(identity)}"] = patient
    for patient in patients:
        source, digest, _ = patient.partition(f":{DIGEST}")
        if digest and patient not in names:
            counts[source] += 1
            names[patient] = f"{source}:#{counts[source]}"
    return [names.get(patient, patient) for patient in patients]


def index_of(rows: list[dict]) -> pd.DataFrame:
    """Return the index of all rows; recordings with the same waveform are flagged and share a patient."""
    index = pd.DataFrame(rows, columns=COLUMNS, dtype=object)
    index["sampling_rate"] = pd.to_numeric(index.sampling_rate)
    index["patient"] = merge_patients(name_patients(list(index.patient)), list(index.sha256))
    kept = index[index.reason == ""]
    first = kept.groupby("sha256").record.transform("first")
    for i in kept.index[kept.record != first]:
        index.at[i, "flags"] = "; ".join(filter(None, [index.at[i, "flags"], f"same waveform as {first[i]}"]))
    return index
