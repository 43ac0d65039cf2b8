"""What a DICOM data set holds: 12-lead and general ECG waveforms, and what it says of the person."""

import re
from typing import TYPE_CHECKING

import numpy as np

from ecg.leads import LEADS, BadRecording, lead_of
from ecg.recordings.ecg_file import Ecg, allow_only, microvolts_in, millivolts, number, person, rate_told, years_between
from ecg.recordings.xml_tree import only

if TYPE_CHECKING:
    from pydicom import Dataset

TYPES = {"SB8": "i1", "UB8": "u1", "SS16": "<i2", "US16": "<u2", "SL32": "<i4", "UL32": "<u4"}  # by the bits allocated
# MDC 2:1 or SCPECG 5.6.3-9-1 is lead I.
LEAD_CODES = dict(zip((1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 8), LEADS, strict=True))
MAX_SKEW = 1e-3  # s: what whole samples may leave of it
HEART_RATES = ("8867-4", "2:16016")  # LOINC, MDC


def from_dataset(dataset: "Dataset") -> Ecg:
    """Return the rhythm of a data set, and what it says of the person."""
    group = only([one for one in dataset.get("WaveformSequence", []) if is_rhythm(one)], "groups of rhythm waveforms")
    channels = group.ChannelDefinitionSequence
    n_samples, n_channels = int(group.NumberOfWaveformSamples), len(channels)
    coded = f"{group.WaveformSampleInterpretation}{group.WaveformBitsAllocated}"
    if coded not in TYPES:
        raise BadRecording(f"file: samples {coded}; allowed: {', '.join(TYPES)}")
    content, kind = bytes(group.WaveformData), TYPES[coded]
    stored = np.frombuffer(content, kind, n_samples * n_channels).reshape(n_samples, n_channels)
    padding = np.frombuffer(group.get("WaveformPaddingValue") or b"", kind)[:1]
    # Where the padding is 0, most that are 0 are samples.
    missing = np.isin(stored, [np.iinfo(kind).min, *padding[padding != 0]])
    rate = number(str(group.SamplingFrequency), "sampling frequency")
    names = [lead_name(channel) for channel in channels]
    delays = {i: delay_of(channel, rate) for i, channel in enumerate(channels) if lead_of(names[i])}
    signal = np.full(stored.shape, np.nan)
    for i in delays:
        lead, channel = lead_of(names[i]), channels[i]
        check_channel(channel, f"lead {lead}", stored[~missing[:, i], i])
        step = field(channel, "ChannelSensitivity") * field(channel, "ChannelSensitivityCorrectionFactor", 1)
        units = next((str(one.CodeValue) for one in channel.get("ChannelSensitivityUnitsSequence", [])), None)
        baseline = field(channel, "ChannelBaseline", 0) * (microvolts_in(units) / 1000)
        values = stored[:, i] * millivolts(step, units) + baseline
        values[missing[:, i]] = np.nan
        delay = delays[i] - min(delays.values())
        whole = min(round(delay), n_samples)
        if abs(delay - round(delay)) > MAX_SKEW * abs(rate):
            raise BadRecording(f"file: skew of {delay:g} samples in lead {lead}; allowed: whole ones, to 1 ms")
        signal[whole:, i] = values[: n_samples - whole]
    when = dataset.get("AcquisitionDateTime") or dataset.get("StudyDate")
    age = re.fullmatch(r"(\d{1,3})([YMWD])", str(dataset.get("PatientAge") or ""))
    about = person(
        age=age[1] if age else years_between(str(dataset.get("PatientBirthDate") or ""), str(when or "")),
        unit=age[2] if age else "y",
        sex=dataset.get("PatientSex"),
        patient=dataset.get("PatientID"),
    )
    return Ecg(signal, rate, names, about, heart_rate_in(dataset))


def field(channel: "Dataset", keyword: str, default: float | None = None) -> float:
    """Return a number of a channel, the default where it is absent or empty."""
    told = channel.get(keyword)
    return number(str(default if told in (None, "") else told), keyword)


def delay_of(channel: "Dataset", rate: float) -> float:
    """Return how many samples after the group's first one a channel's was taken."""
    # A file has the one or the other, or both of them.
    skew = field(channel, "ChannelSampleSkew", 0) or field(channel, "ChannelTimeSkew", 0) * rate
    return skew + field(channel, "ChannelOffset", 0) * rate


def check_channel(channel: "Dataset", name: str, stored: np.ndarray) -> None:
    """Refuse a channel whose samples are not what its lead's name and its unit say; `stored` are all not missing."""
    for status in re.findall(r"\w[\w ]*", str(channel.get("ChannelStatus") or "")):
        allow_only(f"status of {name}", status.strip(), "OK", "COMPARISONABLE", "UNZEROED")
    allow_only(f"number of source modifiers of {name}", len(channel.get("ChannelSourceModifiersSequence") or ()), 0)
    bits = int(channel.get("WaveformBitsStored") or 64)
    low, high = (0, 2**bits) if stored.dtype.kind == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1))
    if len(stored) and not low <= stored.min() <= stored.max() < high:
        raise BadRecording(f"file: samples from {stored.min()} to {stored.max()} in {name}; allowed: {bits} bits")


def is_rhythm(group: "Dataset") -> bool:
    """Say whether a group of waveforms is what was recorded, not a beat made of it."""
    label = str(group.get("MultiplexGroupLabel") or "").upper()
    return "MEDIAN" not in label and str(group.get("WaveformOriginality") or "ORIGINAL").upper() == "ORIGINAL"


def lead_name(channel: "Dataset") -> str:
    """Return a channel's lead as the meaning of its code, the code or the channel's label names it."""
    source = channel.ChannelSourceSequence[0]
    coded = re.fullmatch(r"(?:2:|5\.6\.3-9-)(\d{1,3})", str(source.get("CodeValue", "")))
    told = (source.get("CodeMeaning"), source.get("CodeValue"), channel.get("ChannelLabel"))
    names = [str(name or "") for name in told]
    return next((name for name in names if lead_of(name)), LEAD_CODES.get(int(coded[1]), "") if coded else names[0])


def heart_rate_in(dataset: "Dataset") -> float | None:
    for note in dataset.get("WaveformAnnotationSequence", []):
        for concept in note.get("ConceptNameCodeSequence", []):
            if concept.get("CodeValue") in HEART_RATES:
                return rate_told(str(note.get("NumericValue")))
    return None
