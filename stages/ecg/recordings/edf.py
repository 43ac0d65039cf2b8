"""Reads EDF and EDF+C (edfplus.info): a header of text, then records of int16, signal after signal."""

import re
from pathlib import Path

import numpy as np

from ecg.leads import BadRecording, lead_of
from ecg.recordings.ecg_file import (
    MAX_SIGNALS,
    MAX_VALUES,
    Ecg,
    allow_only,
    content_of,
    masked,
    microvolts_in,
    millivolts,
    number,
    person,
)

FIXED = 256  # bytes of the header, and as many for each signal
WIDTHS = {
    **{"label": 16, "transducer": 80, "unit": 8, "physical_min": 8, "physical_max": 8, "digital_min": 8},
    **{"digital_max": 8, "filter": 80, "per_record": 8, "reserved": 32},
}
MAX_GAP = 0.01  # s


def read_edf(path: Path, root: Path | None) -> Ecg:
    """Read the leads of a file; other signals, such as annotations, are left out."""
    content = content_of(path, root, 2 * MAX_VALUES)
    text = content[:FIXED].decode("latin-1")
    if text[192:197] == "EDF+D":
        raise BadRecording("file: EDF+D, with gaps between its records; allowed: EDF, EDF+C")
    n_records, n_signals = int(number(text[236:244], "records")), int(number(text[252:256], "signals"))
    if not 0 < n_signals <= MAX_SIGNALS:
        raise BadRecording(f"file: {n_signals} signals; allowed: 1 to {MAX_SIGNALS}")
    start = FIXED * (1 + n_signals)
    allow_only("length of the header", number(text[184:192], "length of the header"), start)
    # Each field of all signals, one field after the other.
    signals: list[dict[str, str]] = [{} for _ in range(n_signals)]
    at = FIXED
    for name, width in WIDTHS.items():
        for signal in signals:
            signal[name] = content[at : at + width].decode("latin-1").strip()
            at += width
    per_record = [int(number(signal["per_record"], "samples a record")) for signal in signals]
    if min(per_record) < 0 or not sum(per_record):
        raise BadRecording("file: no samples in a record")
    available = (len(content) - start) // (2 * sum(per_record))
    if n_records < -1 or available < n_records:
        raise BadRecording(f"file: {n_records} records announced, {available} there")
    n_records = available if n_records == -1 else n_records
    values = np.frombuffer(content, "<i2", n_records * sum(per_record), start).reshape(n_records, -1)
    ends, names, leads = np.cumsum(per_record), [], []
    used = [i for i, signal in enumerate(signals) if lead_of(signal["label"])]
    if len({per_record[i] for i in used}) > 1:
        raise BadRecording("file: leads with different sampling rates; allowed: one")
    for i in used:
        low, high, least, most = (
            number(signals[i][f"{kind}_{end}"], kind) for kind in ("physical", "digital") for end in ("min", "max")
        )
        if least >= most:
            raise BadRecording(f"file: digital minimum is {least:g}; allowed: below the maximum, {most:g}")
        # A physical minimum above the maximum is a turned polarity.
        step = millivolts(abs(high - low) / (most - least), signals[i]["unit"]) * (1 if low < high else -1)
        stored = values[:, ends[i] - per_record[i] : ends[i]].ravel()
        leads.append(masked((stored - least) * step + low * (microvolts_in(signals[i]["unit"]) / 1000), stored))
        names.append(signals[i]["label"])
    duration = number(text[244:252], "duration of a record")
    if not duration > 0:
        raise BadRecording(f"file: records of {duration:g} s")
    for signal, n, end in zip(signals, per_record, ends, strict=True):
        gap = longest_step(values[:, end - n : end]) - duration if signal["label"] == "EDF Annotations" else 0
        if gap > MAX_GAP:
            raise BadRecording(f"file: a gap of {gap:g} s between records; allowed: none")
    # The code, the sex, the date of birth and the name, X where unknown; plain EDF has any text.
    code, sex = [*re.split(r" +", text[8:88].strip()), "", ""][:2]
    about = person(sex=sex, patient="" if code == "X" else code)
    rate = per_record[used[0]] / duration if used else 0
    return Ecg(np.array(leads).T, rate, names, about)


def longest_step(notes: np.ndarray) -> float:
    """Return the longest time (s) from one record to the next, as EDF+'s annotations say: +0, +1 and so on.

    It is 0 where they do not say. `notes` is records x int16.
    """
    try:
        texts = np.ascontiguousarray(notes).view(f"S{2 * notes.shape[1]}").ravel()
        with np.errstate(invalid="ignore"):
            return float(np.diff(np.char.partition(texts, b"\x14")[:, 0].astype(float)).max(initial=0))
    except ValueError:
        return 0.0
