"""The index of recordings: a row for each, what it is and where its samples are, or why it is refused."""

import hashlib
from typing import Any

import numpy as np
import pandas as pd

from ecg.leads import BadRecording
from ecg.params import Labels
from ecg.recordings.codes import class_of, parse_age, parse_codes, parse_label, parse_sex, shown
from ecg.recordings.ecg_file import DIGEST, digest_of
from ecg.recordings.ptbxl import NOT_IN_TABLE
from ecg.recordings.read import read_ecg, twelve_leads
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
    known = recording.known
    row = dict.fromkeys(COLUMNS, "") | {"record": recording.record, "source": known["source"], "samples": 0}
    told, about, samples, sample_flags = known.get("labels", {}), dict[str, Any](), None, list[str]()
    try:
        ecg = read_ecg(recording.header, recording.root, told=told, verify_checksums=verify_checksums)
        about = ecg.about | {"sampling_rate": f"{ecg.sampling_rate:g}", "heart_rate": ecg.heart_rate or ""}
        samples, sample_flags = twelve_leads(ecg)
    except BadRecording as error:
        about, row["reason"] = about or error.about, str(error)
    about = {key: value for key, value in about.items() if value} | told
    if "patient" in about:
        about["patient"] = f"{about.get('source', row['source'])}:{about['patient']}"
    about |= {key: value for key, value in known.items() if key not in ("source", "flags", "labels")}
    age, person_flags = parse_age(about.get("age", ""))
    row |= {key: value for key, value in about.items() if key in COLUMNS and key not in ("dx", "label")}
    sex = parse_sex(about.get("sex", ""))
    if sex not in ("male", "female", ""):
        sex, person_flags = "", [*person_flags, f"sex: {shown(sex)} is not understood"]
    row |= {"age": "" if age is None else age, "sex": sex}
    try:
        if "label" in told:
            row["label"] = parse_label(told["label"])
        else:
            codes = list(dict.fromkeys(code for text in about.get("dx", []) for code in parse_codes(text)))
            row |= {"dx": "|".join(codes), "label": class_of(codes, labels.ischemia, labels.normal) if codes else ""}
        if not row["label"]:
            raise BadRecording("no Dx")
    except BadRecording as error:
        samples, row["reason"] = None, row["reason"] or str(error)
    if samples is not None:
        row |= {"samples": len(samples), "sha256": hashlib.sha256(samples.tobytes()).hexdigest()}
    flags = [*known.get("flags", []), *person_flags, *sample_flags]
    if not row["patient"]:
        row["patient"] = recording.record
        flags += [] if NOT_IN_TABLE in flags else [NO_PATIENT]
    row["flags"] = "; ".join(flags)
    return {key: printable(value) if isinstance(value, str) else value for key, value in row.items()}, samples


def merge_patients(patients: list[str], hashes: list[str]) -> list[str]:
    """Give patients that share a waveform one name: the first one's. A hash of '' is no waveform."""
    # Here, as of the many processes that read recordings none needs it.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

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


def number_patients(patients: list[str], sources: list[str]) -> list[str]:
    """Put a running number, from 1 in each source, where a patient is known by the digest of an id alone.

    Where another file of the source has that id as text, the text stands for both: they are one patient.
    """
    texts = {
        f"{source}:{digest_of(patient.removeprefix(f'{source}:'))}": patient
        for patient, source in zip(patients, sources, strict=True)
        if patient.startswith(f"{source}:") and f":{DIGEST}" not in patient
    }
    numbers: dict[str, dict[str, int]] = {}
    numbered = []
    for patient in [texts.get(patient, patient) for patient in patients]:
        source, digest, _ = patient.partition(f":{DIGEST}")
        known = numbers.setdefault(source, {})
        numbered.append(f"{source}:#{known.setdefault(patient, len(known) + 1)}" if digest else patient)
    return numbered


def index_of(rows: list[dict]) -> pd.DataFrame:
    """Make the index of all rows; flag duplicated waveforms and let them share a patient."""
    index = pd.DataFrame(rows, columns=COLUMNS, dtype=object)
    index["patient"] = merge_patients(number_patients(list(index.patient), list(index.source)), list(index.sha256))
    kept = index[index.reason == ""]
    first = kept.groupby("sha256").record.transform("first")
    for i in kept.index[kept.record != first]:
        index.at[i, "flags"] = "; ".join(filter(None, [index.at[i, "flags"], f"same waveform as {first[i]}"]))
    return index
