"""Reads DICOM waveforms: 12-lead and general ECG. A file may hold anything: it is read, or refused at once."""

import io
import re
import struct
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ecg.leads import LEADS, BadRecording, lead_of
from ecg.recordings.ecg_file import Ecg, content_of, millivolts, number, person, rate_told, years_between

if TYPE_CHECKING:
    from pydicom import Dataset

MAX_DICOM = 2**21  # bytes: pydicom takes 5 us for each of eight that are an element
MAX_ITEMS = 20_000  # of sequences
HEAD, META = 132, 2  # bytes before the data; the group of elements that tell how it is written
ITEM = b"\xfe\xff\x00\xe0"
# Little endian, implicit and explicit. A deflated file may be a thousand times as long as it looks.
TRANSFER_SYNTAXES = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1")
TYPES = {"SB8": "i1", "UB8": "u1", "SS16": "<i2", "US16": "<u2", "SL32": "<i4", "UL32": "<u4"}  # by the bits allocated
# MDC 2:1 or SCPECG 5.6.3-9-1 is lead I.
LEAD_CODES = dict(zip((1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 8), LEADS, strict=True))
HEART_RATES = ("8867-4", "2:16016")  # LOINC, MDC
PERSON = ["PatientAge", "PatientSex", "PatientID", "PatientBirthDate", "StudyDate", "AcquisitionDateTime"]
WAVEFORMS = ["WaveformSequence", "WaveformAnnotationSequence"]
# What pydicom raises on what is no DICOM; LookupError and ValueError have more below them.
ERRORS = (
    *(AttributeError, EOFError, LookupError, NotImplementedError, OSError, OverflowError),
    *(RecursionError, TypeError, ValueError, struct.error),
)


def read_dicom(path: Path, root: Path | None) -> Ecg:
    """Read the one group of rhythm of a DICOM file, in the units of its channels."""
    from pydicom.errors import BytesLengthException
    from pydicom.filereader import read_dataset
    from pydicom.tag import BaseTag, Tag

    content = content_of(path, root, MAX_DICOM)
    items = content.count(ITEM)
    if items > MAX_ITEMS:
        raise BadRecording(f"too long: {items} items of sequences; allowed: {MAX_ITEMS}")
    try:
        # Warnings would show what a file holds.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Not dcmread: it unpacks what is deflated.
            file = io.BytesIO(content)
            file.seek(HEAD)
            meta = read_dataset(file, False, True, stop_when=lambda tag, vr, length: tag.group != META)
            syntax = str(meta.get("TransferSyntaxUID", "none"))
            if syntax not in TRANSFER_SYNTAXES:
                raise BadRecording(f"file: transfer syntax {syntax}; allowed: {', '.join(TRANSFER_SYNTAXES)}")
            wanted: list[BaseTag | int] = [Tag(keyword) for keyword in PERSON + WAVEFORMS]
            return from_dataset(read_dataset(file, syntax == TRANSFER_SYNTAXES[0], True, specific_tags=wanted))
    except BadRecording:
        raise
    except (*ERRORS, BytesLengthException) as error:
        # Not what it says: that may be a piece of the file.
        raise BadRecording(f"file: no DICOM that can be read ({type(error).__name__})") from None


def from_dataset(dataset: "Dataset") -> Ecg:
    """Return the rhythm of a data set, and what it says of the person."""
    groups = [group for group in dataset.get("WaveformSequence", []) if is_rhythm(group)]
    if len(groups) != 1:
        raise BadRecording(f"file: {len(groups)} groups of rhythm waveforms; allowed: one")
    group = groups[0]
    channels = group.ChannelDefinitionSequence
    n_samples, n_channels = int(group.NumberOfWaveformSamples), len(channels)
    coded = f"{group.WaveformSampleInterpretation}{group.WaveformBitsAllocated}"
    if coded not in TYPES:
        raise BadRecording(f"file: samples {coded}; allowed: {', '.join(TYPES)}")
    content, kind = bytes(group.WaveformData), TYPES[coded]
    stored = np.frombuffer(content, kind, n_samples * n_channels).reshape(n_samples, n_channels)
    signal = stored.astype(np.float64)
    for i, channel in enumerate(channels):
        step = number(str(channel.ChannelSensitivity), "channel sensitivity")
        step *= number(str(channel.get("ChannelSensitivityCorrectionFactor", 1)), "correction factor")
        units = str(channel.ChannelSensitivityUnitsSequence[0].CodeValue)
        offset = number(str(channel.get("ChannelBaseline") or 0), "channel baseline")
        signal[:, i] = signal[:, i] * millivolts(step, units) + offset * millivolts(1, units)
    padding = np.frombuffer(group.get("WaveformPaddingValue") or b"", kind)[:1]
    if np.isin(padding, (np.iinfo(kind).min, np.iinfo(kind).max)).any():
        signal[stored == padding] = np.nan
    when = dataset.get("AcquisitionDateTime") or dataset.get("StudyDate")
    age = re.fullmatch(r"(\d{1,3})([YMWD])", str(dataset.get("PatientAge") or ""))
    about = person(
        age=age[1] if age else years_between(str(dataset.get("PatientBirthDate") or ""), str(when or "")),
        unit=age[2] if age else "y",
        sex=dataset.get("PatientSex"),
        patient=dataset.get("PatientID"),
    )
    rate = number(str(group.SamplingFrequency), "sampling frequency")
    return Ecg(signal, rate, [lead_name(channel) for channel in channels], about, heart_rate_in(dataset))


def is_rhythm(group: "Dataset") -> bool:
    """Say whether a group of waveforms is what was recorded, not a beat made of it."""
    label = str(group.get("MultiplexGroupLabel") or "").upper()
    return "MEDIAN" not in label and str(group.get("WaveformOriginality") or "ORIGINAL").upper() == "ORIGINAL"


def lead_name(channel: "Dataset") -> str:
    """Return a channel's lead as the meaning of its code, the code or the channel's label names it."""
    source = channel.ChannelSourceSequence[0]
    coded = re.fullmatch(r"(?:2:|5\.6\.3-9-)(\d{1,3})", str(source.get("CodeValue", "")))
    names = [
        str(name or "") for name in (source.get("CodeMeaning"), source.get("CodeValue"), channel.get("ChannelLabel"))
    ]
    return next((name for name in names if lead_of(name)), LEAD_CODES.get(int(coded[1]), "") if coded else names[0])


def heart_rate_in(dataset: "Dataset") -> float | None:
    for note in dataset.get("WaveformAnnotationSequence", []):
        for concept in note.get("ConceptNameCodeSequence", []):
            if concept.get("CodeValue") in HEART_RATES:
                return rate_told(str(note.get("NumericValue")))
    return None
