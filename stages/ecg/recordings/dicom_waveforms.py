"""What a DICOM data set holds: 12-lead and general ECG waveforms, and what it says of the person."""

import re
from typing import TYPE_CHECKING

import numpy as np

from ecg.leads import LEADS, BadRecording, lead_of
from ecg.recordings.ecg_file import Ecg, millivolts, number, person, rate_told, years_between

if TYPE_CHECKING:
    from pydicom import Dataset

TYPES = {"SB8": "i1", "UB8": "u1", "SS16": "<i2", "US16": "<u2", "SL32": "<i4", "UL32": "<u4"}  # by the bits allocated
# MDC 2:1 or SCPECG 5.6.3-9-1 is lead I.
LEAD_CODES = dict(zip((1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 8), LEADS, strict=True))
HEART_RATES = ("8867-4", "2:16016")  # LOINC, MDC


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
