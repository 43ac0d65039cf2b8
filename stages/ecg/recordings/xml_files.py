"""Reads ECGs in XML: GE MUSE, GE CardioSoft, HL7 aECG, Philips (its compression is in philips.py).

The rhythm is read, never a median beat. What carts say of a diagnosis is left where it is.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ecg.leads import LEADS, BadRecording
from ecg.recordings.ecg_file import (
    Ecg,
    allow_only,
    masked,
    microvolts_in,
    millivolts,
    number,
    person,
    rate_told,
    side_by_side,
    years_between,
)
from ecg.recordings.philips import MAX_XLI, xli_leads
from ecg.recordings.xml_tree import bytes_in, numbers_in, only, read_tree, value_at

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}


def read_xml(path: Path, root: Path | None) -> Ecg:
    """Read a recording in one of the XML formats; its root element says which."""
    tree = read_tree(path, root)
    read = XML_FORMATS.get(tree.tag)
    if not read:
        raise BadRecording("file: the XML of none of MUSE, CardioSoft, aECG and Philips")
    return read(tree)


def read_muse(tree: "Element") -> Ecg:
    """Read GE MUSE's RestingECG: int16 in base64; most have eight leads, of which the others follow."""
    waves = [wave for wave in tree.findall("Waveform") if wave.findtext("WaveformType", "").strip().lower() == "rhythm"]
    wave = only(waves, "rhythm waveforms")
    exponent = number(wave.findtext("SampleExponent") or "0", "SampleExponent")
    rate = number(wave.findtext("SampleBase"), "SampleBase") * 10.0 ** max(-9, min(exponent, 9))
    names, leads = [], []
    for lead in wave.findall("LeadData"):
        content, width = bytes_in(lead.findtext("WaveFormData")), lead.findtext("LeadSampleSize") or "2"
        n = number(lead.findtext("LeadSampleCountTotal") or str(len(content) / 2), "LeadSampleCountTotal")
        if width.strip() != "2" or len(content) != 2 * n:
            raise BadRecording(f"file: {len(content)} bytes for {n:g} samples of {width} bytes; allowed: 2 bytes each")
        step = number(lead.findtext("LeadAmplitudeUnitsPerBit"), "LeadAmplitudeUnitsPerBit")
        scale = millivolts(step, lead.findtext("LeadAmplitudeUnits") or "MICROVOLTS")
        off = lead.findtext("LeadOff", "").strip().upper() == "TRUE"
        names.append(lead.findtext("LeadID", ""))
        for field in ("LeadTimeOffset", "LeadOffsetFirstSample", "FirstSampleBaseline"):
            allow_only(f"{field} of {names[-1]}", number(lead.findtext(field) or "0", field), 0)
        stored = np.frombuffer(content, "<i2")
        leads.append(masked(stored * (np.nan if off else scale), stored))
    fields = ("PatientAge", "AgeUnits", "Gender", "PatientID")
    age, unit, sex, patient = (tree.findtext(f"PatientDemographics/{field}") for field in fields)
    about = person(age=age, unit=unit, sex=sex, patient=patient)
    told = rate_told(tree.findtext("RestingECGMeasurements/VentricularRate"))
    return Ecg(side_by_side(leads), rate, names, about, told)


def read_cardiosoft(tree: "Element") -> Ecg:
    """Read GE CardioSoft's CardiologyXML: its strip, not the full disclosure nor the median samples."""
    strip = only(tree.findall("StripData"), "StripData")
    step = number(strip.findtext("Resolution"), "Resolution")
    scale = millivolts(step, value_at(strip, "Resolution", "units"))
    allow_only("unit of SampleRate", value_at(strip, "SampleRate", "units") or "Hz", "Hz")
    names = [wave.get("lead", "") for wave in strip.findall("WaveformData")]
    stored = side_by_side([numbers_in(wave.text, ",") for wave in strip.findall("WaveformData")])
    signal = masked(stored * scale, stored)
    who = {key: tree.findtext(f"PatientInfo/{key}") for key in ("Age", "Gender", "PID")}
    unit = value_at(tree, "PatientInfo/Age", "units")
    about = person(age=who["Age"], unit=unit, sex=who["Gender"], patient=who["PID"])
    told = rate_told(tree.findtext("RestingECGMeasurements/VentricularRate"))
    return Ecg(signal, number(strip.findtext("SampleRate"), "SampleRate"), names, about, told)


def read_aecg(tree: "Element") -> Ecg:
    """Read HL7's annotated ECG: the one series of rhythm, not what is derived from it."""
    series = tree.findall("component/series")
    rhythm = [one for one in series if value_at(one, "code", "code") == "RHYTHM"]
    sequences = only(only(rhythm, "series of rhythm").findall("component/sequenceSet"), "sets of sequences")
    intervals, names, leads = set[float](), [], []
    for sequence in sequences.findall("component/sequence"):
        code, increment = value_at(sequence, "code", "code") or "", sequence.find("value/increment")
        if increment is not None:
            interval = number(increment.get("value"), "increment") * SECONDS.get(increment.get("unit") or "", 0)
            intervals.add(round(interval, 12))
            for field in ("period", "denominator"):
                allow_only(f"{field} of {code}", value_at(sequence, "value", field) or "1", "1")
        elif sequence.find("value/digits") is not None:
            step, origin = (value_at(sequence, f"value/{key}", "value") for key in ("scale", "origin"))
            scale = millivolts(number(step, "scale"), value_at(sequence, "value/scale", "unit"))
            zero = number(origin or "0", "origin")
            offset = zero * (microvolts_in(value_at(sequence, "value/origin", "unit")) / 1000) if zero else 0
            names.append(code)
            stored = numbers_in(sequence.findtext("value/digits"), " ")
            leads.append(masked(stored * scale + offset, stored))
    if len(intervals) != 1 or min(intervals) <= 0:
        raise BadRecording(
            f"file: increments of time are {sorted(intervals) or 'none'}; allowed: one above 0, in s, ms or us"
        )
    whose = "componentOf/timepointEvent/componentOf/subjectAssignment/subject/trialSubject"
    who, identity = f"{whose}/subjectDemographicPerson", tree.find(f"{whose}/id")
    when = value_at(tree, "effectiveTime/center", "value") or value_at(tree, "effectiveTime/low", "value")
    about = person(
        age=years_between(value_at(tree, f"{who}/birthTime", "value"), when),
        sex=value_at(tree, f"{who}/administrativeGenderCode", "code"),
        patient=identity is not None and f"{identity.get('root')} {identity.get('extension')}",
    )
    rates = [one for one in tree.iter() if value_at(one, "code", "code") == "MDC_ECG_HEART_RATE"]
    told = rate_told(value_at(rates[0], "value", "value")) if rates else None
    return Ecg(side_by_side(leads), 1 / interval, names, about, told)


def read_philips(tree: "Element") -> Ecg:
    """Read Philips' restingecgdata 1.03 and 1.04, whose waveforms are compressed."""
    version = tree.findtext("documentinfo/documentversion") or ""
    wave = only(tree.findall("waveforms/parsedwaveforms"), "parsedwaveforms")
    method = wave.get("compressmethod") or wave.get("compression")
    if version not in ("1.03", "1.04", "1.04.01") or method != "XLI" or wave.get("dataencoding") != "Base64":
        raise BadRecording(f"file: Philips XML {version}, {method} compression; allowed: 1.03 and 1.04, XLI in Base64")
    # The waveform's own word counts, where it has one.
    told = {one.tag: one.text for one in tree.iterfind("dataacquisition/signalcharacteristics/*")} | wave.attrib
    rate = number(told.get("samplespersecond") or told.get("samplingrate"), "samplingrate")
    for field, usual in {"signaloffset": "0", "signalsigned": "true", "bitspersample": "16"}.items():
        allow_only(field, (told.get(field) or usual).strip().lower(), usual)
    names = (wave.get("leadlabels") or " ".join(LEADS)).split()
    if tuple(names[:12]) != LEADS:
        raise BadRecording(f"file: leads {', '.join(names)}; allowed: the 12 standard leads")
    duration = number(wave.get("durationperchannel"), "durationperchannel")  # ms
    content = bytes_in(wave.text)
    if len(content) > MAX_XLI:
        raise BadRecording(f"too long: {len(content)} bytes of compressed samples; allowed: {MAX_XLI}")
    stored = xli_leads(content, duration / 1000 * rate)
    step = number(told.get("resolution") or told.get("signalresolution"), "resolution")
    signal = masked(stored * millivolts(step, "uV"), stored)
    who = "patient/generalpatientdata"
    born = years_between(tree.findtext(f"{who}/age/dateofbirth"), value_at(tree, "dataacquisition", "date"))
    about = person(
        age=tree.findtext(f"{who}/age/years") or born,
        sex=tree.findtext(f"{who}/sex"),
        patient=tree.findtext(f"{who}/patientid"),
    )
    heart_rate = tree.findtext(".//heartrate") or tree.findtext(".//meanventrate")
    return Ecg(signal, rate, LEADS, about, rate_told(heart_rate))


XML_FORMATS: "dict[str, Callable[[Element], Ecg]]" = {
    "RestingECG": read_muse,
    "CardiologyXML": read_cardiosoft,
    "AnnotatedECG": read_aecg,
    "restingecgdata": read_philips,
}
