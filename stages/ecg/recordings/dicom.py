"""Reads DICOM waveforms, 12-lead and general ECG, with pydicom. Any file is read or refused."""

import io
import re
import warnings
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.filereader import read_file_meta_info
from pydicom.waveforms import multiplex_array

from ecg.leads import LEADS, BadRecording, lead_of
from ecg.recordings.ecg_file import Ecg, allow_only, content_of, microvolts_in, millivolts, number, person

MAX_DICOM = 2**21  # bytes; pydicom takes 20 us for each item of eight bytes
# Little endian, implicit and explicit. A deflated file may expand by a factor of a thousand.
TRANSFER_SYNTAXES = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1")
SAMPLE_TYPES = ("SB8", "UB8", "SS16", "US16", "SL32", "UL32")  # with the bits allocated; others are compressed
# MDC 2:1 or SCPECG 5.6.3-9-1 is lead I.
LEAD_CODES = dict(zip((1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 8), LEADS, strict=True))
HEART_RATES = ("8867-4", "2:16016")  # LOINC, MDC


def read_dicom(path: Path) -> Ecg:
    """Read the one rhythm waveform of a DICOM file."""
    content = content_of(path, MAX_DICOM)
    try:
        # Warnings would quote the file.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            syntax = str(read_file_meta_info(path).get("TransferSyntaxUID", "none"))
            if syntax not in TRANSFER_SYNTAXES:
                raise BadRecording(f"file: transfer syntax {syntax}; allowed: {', '.join(TRANSFER_SYNTAXES)}")
            return from_dataset(dcmread(io.BytesIO(content)))
    except BadRecording:
        raise
    except Exception as error:  # pydicom raises errors of many kinds, some at the first use of an element
        # Without the error's text, which may quote the file.
        raise BadRecording(f"file: not readable as DICOM ({type(error).__name__})") from None


def from_dataset(dataset: Dataset) -> Ecg:
    """Return the rhythm waveform of a data set, in mV, and the person."""
    groups = dataset.get("WaveformSequence", [])
    rhythms = [i for i, group in enumerate(groups) if is_rhythm(group)]
    if len(rhythms) != 1:
        raise BadRecording(f"file: {len(rhythms)} groups of rhythm waveforms; allowed: one")
    group = groups[rhythms[0]]
    channels, rate = group.ChannelDefinitionSequence, number(str(group.SamplingFrequency), "sampling frequency")
    allow_only("type of samples", f"{group.WaveformSampleInterpretation}{group.WaveformBitsAllocated}", *SAMPLE_TYPES)
    stored = multiplex_array(dataset, rhythms[0])
    padding = np.frombuffer(group.get("WaveformPaddingValue") or b"", stored.dtype)[:1]
    # If the padding is 0, most zeros are samples.
    missing = np.isin(stored, [np.iinfo(stored.dtype).min, *padding[padding != 0]])
    names = [lead_name(channel) for channel in channels]
    signal = np.full(stored.shape, np.nan)
    for i, channel in enumerate(channels):
        if lead_of(names[i]) is None:
            continue
        check_channel(channel, f"lead {lead_of(names[i])}")
        step = field(channel, "ChannelSensitivity") * field(channel, "ChannelSensitivityCorrectionFactor", 1)
        units = next((str(one.CodeValue) for one in channel.get("ChannelSensitivityUnitsSequence", [])), None)
        baseline = field(channel, "ChannelBaseline", 0) * (microvolts_in(units) / 1000)
        signal[:, i] = np.where(missing[:, i], np.nan, stored[:, i] * millivolts(step, units) + baseline)
    dates = (dataset.get("PatientBirthDate"), dataset.get("AcquisitionDateTime") or dataset.get("StudyDate"))
    age = re.fullmatch(r"(\d{1,3})([YMWD])", str(dataset.get("PatientAge") or ""))
    years, unit = age.groups() if age else ("", "")
    about = person(dataset.get("PatientSex"), dataset.get("PatientID"), years, unit, dates)
    heart_rates = [
        str(note.get("NumericValue"))
        for note in dataset.get("WaveformAnnotationSequence", [])
        if any(concept.get("CodeValue") in HEART_RATES for concept in note.get("ConceptNameCodeSequence", []))
    ]
    return Ecg(signal, rate, names, about, next(iter(heart_rates), None))


def field(channel: Dataset, keyword: str, default: float | None = None) -> float:
    """Return a number of a channel, or the default if it is absent or empty."""
    value = channel.get(keyword)
    return number(str(default if value in (None, "") else value), keyword)


def check_channel(channel: Dataset, name: str) -> None:
    """Raise BadRecording for a channel that is not the lead of its name, or that is shifted in time."""
    for status in re.findall(r"\w[\w ]*", str(channel.get("ChannelStatus") or "")):
        allow_only(f"status of {name}", status.strip(), "OK", "QUESTIONABLE", "UNZEROED")
    allow_only(f"number of source modifiers of {name}", len(channel.get("ChannelSourceModifiersSequence") or ()), 0)
    for keyword in ("ChannelSampleSkew", "ChannelTimeSkew", "ChannelOffset"):
        allow_only(f"{keyword} of {name}", field(channel, keyword, 0), 0)


def is_rhythm(group: Dataset) -> bool:
    """Return whether a group of waveforms is a recording, not a median beat."""
    label = str(group.get("MultiplexGroupLabel") or "").upper()
    return "MEDIAN" not in label and str(group.get("WaveformOriginality") or "ORIGINAL").upper() == "ORIGINAL"


def lead_name(channel: Dataset) -> str:
    """Return a channel's lead by the meaning or value of its code, by its label, or by the code's number."""
    source = channel.ChannelSourceSequence[0]
    coded = re.fullmatch(r"(?:2:|5\.6\.3-9-)(\d{1,3})", str(source.get("CodeValue", "")))
    texts = (source.get("CodeMeaning"), source.get("CodeValue"), channel.get("ChannelLabel"))
    names = [str(text or "") for text in texts]
    return next((name for name in names if lead_of(name)), LEAD_CODES.get(int(coded[1]), "") if coded else names[0])
