"""Reads the rhythm waveform of ECGs in XML: GE MUSE, GE CardioSoft, HL7 aECG, Philips; no median beat, no diagnosis.

No entity is expanded and no other file opened; the size of a file is checked before it is parsed.
"""

from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

import numpy as np
from defusedxml.ElementTree import fromstring

from ecg.leads import LEADS, BadRecording
from ecg.recordings.ecg_file import Ecg, allow_only, content_of, masked, microvolts_in, millivolts, number, person

MAX_XML = 8 * 2**20  # bytes
VENTRICULAR_RATE = "RestingECGMeasurements/VentricularRate"
SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
# Philips' XLI: samples a lead, bits of a code, the last code, bias of a second difference.
MAX_SAMPLES, CODE_BITS, END, BIAS = 200_000, 10, 1023, 64


def read_xml(path: Path) -> Ecg:
    """Read a recording in one of the XML formats; its root element names the format."""
    content = content_of(path, MAX_XML)
    try:
        tree = fromstring(content)
        for element in tree.iter():
            element.tag = element.tag.rpartition("}")[2]  # without its namespace
        return XML_FORMATS[tree.tag](tree)
    except BadRecording:
        raise
    except (ParseError, ValueError, LookupError) as error:
        # Without the error's text, which may quote the file.
        raise BadRecording(f"file: not readable as XML ({type(error).__name__})") from None


def value_at(tree: Element, path: str, name: str) -> str | None:
    """Return an attribute of the first element on a path."""
    found = tree.find(path)
    return None if found is None else found.get(name)


def only(found: list[Element], name: str) -> Element:
    if len(found) != 1:
        raise BadRecording(f"file: {len(found)} {name}; allowed: one")
    return found[0]


def numbers_in(text: str | None, separator: str | None) -> np.ndarray:
    """Parse a text of numbers; a comma may end it."""
    return np.array((text or "").strip().removesuffix(",").split(separator), np.float64)


def side_by_side(leads: list[np.ndarray]) -> np.ndarray:
    """Return leads as samples x leads; BadRecording if they differ in length."""
    if len({len(lead) for lead in leads}) > 1:
        raise BadRecording(f"file: leads of {', '.join(str(len(lead)) for lead in leads)} samples; allowed: one length")
    return np.column_stack(leads) if leads else np.empty((0, 0))


def read_muse(tree: Element) -> Ecg:
    """Read GE MUSE's RestingECG: int16 in base64; most have eight leads, from which the others follow."""
    waves = [wave for wave in tree.findall("Waveform") if wave.findtext("WaveformType", "").strip().lower() == "rhythm"]
    wave = only(waves, "rhythm waveforms")
    rate = number(wave.findtext("SampleBase"), "SampleBase")
    allow_only("SampleExponent", number(wave.findtext("SampleExponent") or "0", "SampleExponent"), 0)
    names, leads = [], []
    for lead in wave.findall("LeadData"):
        name = lead.findtext("LeadID", "")
        content, width = b64decode(lead.findtext("WaveFormData", "")), lead.findtext("LeadSampleSize") or "2"
        n = number(lead.findtext("LeadSampleCountTotal") or str(len(content) / 2), "LeadSampleCountTotal")
        if width.strip() != "2" or len(content) != 2 * n:
            raise BadRecording(f"file: {len(content)} bytes for {n:g} samples of {width} bytes; allowed: 2 bytes each")
        for field in ("LeadTimeOffset", "LeadOffsetFirstSample", "FirstSampleBaseline"):
            allow_only(f"{field} of {name}", number(lead.findtext(field) or "0", field), 0)
        step = number(lead.findtext("LeadAmplitudeUnitsPerBit"), "LeadAmplitudeUnitsPerBit")
        scale = millivolts(step, lead.findtext("LeadAmplitudeUnits") or "MICROVOLTS")
        off = lead.findtext("LeadOff", "").strip().upper() == "TRUE"
        stored = np.frombuffer(content, "<i2")
        names.append(name)
        leads.append(masked(stored * (np.nan if off else scale), stored))
    fields = ("PatientAge", "AgeUnits", "Gender", "PatientID")
    age, unit, sex, patient = (tree.findtext(f"PatientDemographics/{field}") for field in fields)
    about = person(sex, patient, age, unit)
    return Ecg(side_by_side(leads), rate, names, about, tree.findtext(VENTRICULAR_RATE))


def read_cardiosoft(tree: Element) -> Ecg:
    """Read GE CardioSoft's CardiologyXML: its strip, not the full disclosure nor the median samples."""
    strip = only(tree.findall("StripData"), "StripData")
    step = number(strip.findtext("Resolution"), "Resolution")
    scale = millivolts(step, value_at(strip, "Resolution", "units"))
    allow_only("unit of SampleRate", value_at(strip, "SampleRate", "units") or "Hz", "Hz")
    names = [wave.get("lead", "") for wave in strip.findall("WaveformData")]
    stored = side_by_side([numbers_in(wave.text, ",") for wave in strip.findall("WaveformData")])
    age, sex, patient = (tree.findtext(f"PatientInfo/{key}") for key in ("Age", "Gender", "PID"))
    about = person(sex, patient, age, value_at(tree, "PatientInfo/Age", "units"))
    rate = number(strip.findtext("SampleRate"), "SampleRate")
    return Ecg(masked(stored * scale, stored), rate, names, about, tree.findtext(VENTRICULAR_RATE))


def read_aecg(tree: Element) -> Ecg:
    """Read HL7's annotated ECG: the one series of rhythm, not a series derived from it."""
    series = [one for one in tree.findall("component/series") if value_at(one, "code", "code") == "RHYTHM"]
    sequences = only(only(series, "series of rhythm").findall("component/sequenceSet"), "sets of sequences")
    increment = only(sequences.findall("component/sequence/value/increment"), "increments of time")
    allow_only("unit of increment", increment.get("unit"), *SECONDS)
    interval = round(number(increment.get("value"), "increment") * SECONDS[increment.get("unit", "")], 12)
    names, leads = [], []
    for sequence in sequences.findall("component/sequence"):
        if sequence.find("value/digits") is not None:
            step = number(value_at(sequence, "value/scale", "value"), "scale")
            scale = millivolts(step, value_at(sequence, "value/scale", "unit"))
            origin = number(value_at(sequence, "value/origin", "value") or "0", "origin")
            unit = value_at(sequence, "value/origin", "unit") if origin else "mV"
            stored = numbers_in(sequence.findtext("value/digits"), None)
            names.append(value_at(sequence, "code", "code") or "")
            leads.append(masked(stored * scale + origin * microvolts_in(unit) / 1000, stored))
    subject = "componentOf/timepointEvent/componentOf/subjectAssignment/subject/trialSubject"
    who, identity = f"{subject}/subjectDemographicPerson", tree.find(f"{subject}/id")
    when = value_at(tree, "effectiveTime/center", "value") or value_at(tree, "effectiveTime/low", "value")
    sex = value_at(tree, f"{who}/administrativeGenderCode", "code")
    patient = identity is not None and f"{identity.get('root')} {identity.get('extension')}"
    about = person(sex, patient, dates=(value_at(tree, f"{who}/birthTime", "value"), when))
    rates = [one for one in tree.iter() if value_at(one, "code", "code") == "MDC_ECG_HEART_RATE"]
    heart_rate = value_at(rates[0], "value", "value") if rates else None
    return Ecg(side_by_side(leads), 1 / interval if interval else 0, names, about, heart_rate)


def read_philips(tree: Element) -> Ecg:
    """Read Philips' restingecgdata 1.03 and 1.04, whose waveforms are compressed."""
    version = tree.findtext("documentinfo/documentversion") or ""
    wave = only(tree.findall("waveforms/parsedwaveforms"), "parsedwaveforms")
    method = wave.get("compressmethod") or wave.get("compression")
    if version not in ("1.03", "1.04", "1.04.01") or method != "XLI" or wave.get("dataencoding") != "Base64":
        raise BadRecording(f"file: Philips XML {version}, {method} compression; allowed: 1.03 and 1.04, XLI in Base64")
    # Attributes of the waveform itself come first.
    fields = {one.tag: one.text for one in tree.iterfind("dataacquisition/signalcharacteristics/*")} | wave.attrib
    rate = number(fields.get("samplespersecond") or fields.get("samplingrate"), "samplingrate")
    allow_only("signaloffset", number(fields.get("signaloffset") or "0", "signaloffset"), 0)
    names = (wave.get("leadlabels") or " ".join(LEADS)).split()
    allow_only("order of leads", " ".join(names[:12]), " ".join(LEADS))
    duration = number(wave.get("durationperchannel"), "durationperchannel")  # ms
    stored = xli_leads(b64decode(wave.text or ""), duration / 1000 * rate)
    step = number(fields.get("resolution") or fields.get("signalresolution"), "resolution")
    who = "patient/generalpatientdata"
    dates = (tree.findtext(f"{who}/age/dateofbirth"), value_at(tree, "dataacquisition", "date"))
    sex, patient = (tree.findtext(f"{who}/{key}") for key in ("sex", "patientid"))
    about = person(sex, patient, tree.findtext(f"{who}/age/years"), dates=dates)
    heart_rate = tree.findtext(".//heartrate") or tree.findtext(".//meanventrate")
    return Ecg(masked(stored * millivolts(step, "uV"), stored), rate, LEADS, about, heart_rate)


def xli_leads(content: bytes, samples: float) -> np.ndarray:
    """Return the 12 leads (samples x 12, int64) of Philips' XLI; `samples` is the expected number of each lead.

    XLI, by the documentation of sierra-ecg-tools (github.com/sixlettervariables/sierra-ecg-tools): each lead is a chunk
    of the length of its codes (int32), a constant, the first second difference (int16), and the codes. Leads III to aVF
    are stored as residuals of Einthoven's and Goldberger's laws. Chunks after the twelfth belong to no lead.
    """
    if not 2 <= samples <= MAX_SAMPLES:
        raise BadRecording(f"file: {samples:g} samples a lead; allowed: 2 to {MAX_SAMPLES}")
    n, at, leads = round(samples), 0, []
    for lead in LEADS:
        size, start = int.from_bytes(content[at : at + 4], "little"), content[at + 6 : at + 8]
        at += 8 + size
        if not size or at > len(content):
            raise BadRecording(f"file: compressed samples of lead {lead} end early")
        # The high bytes of all second differences come first, then the low bytes.
        high, low = unpack(content[at - size : at], 2 * n).reshape(2, n).astype(np.int64)
        stored = (high << 8 | low).astype(np.int16).astype(np.int64)
        slope, constant = stored[1] - stored[0], int.from_bytes(start, "little", signed=True)
        falls = np.cumsum(np.r_[constant, stored[2:-1] - BIAS])[: n - 2]
        leads.append(np.cumsum(np.r_[stored[0], slope, slope - falls]).astype(np.int16).astype(np.int64))
    one, two, rest_three, rest_right, rest_left, rest_foot, *chest = leads
    three = two - one - rest_three
    right, left, foot = -rest_right - (one + two) // 2, (one - three) // 2 - rest_left, (two + three) // 2 - rest_foot
    return np.column_stack([one, two, three, right, left, foot, *chest])


def unpack(content: bytes, n_bytes: int) -> np.ndarray:
    """Undo LZW with codes of 10 bits: return the bytes (uint8) of a lead; BadRecording where they are not `n_bytes`."""
    bits = np.unpackbits(np.frombuffer(content, np.uint8))
    codes = bits[: len(bits) // CODE_BITS * CODE_BITS].reshape(-1, CODE_BITS) @ (1 << np.arange(CODE_BITS)[::-1])
    table = [bytes([value]) for value in range(256)]
    found, length, last = [], 0, b""
    for code in codes.tolist():
        if code == END or length > n_bytes:
            break
        entry = last + last[:1] if code == len(table) else table[code]
        if last and len(table) < END:
            table.append(last + entry[:1])
        found.append(entry)
        length += len(entry)
        last = entry
    if length != n_bytes:
        raise BadRecording(f"file: compressed samples of {length} bytes a lead or more; expected: {n_bytes}")
    return np.frombuffer(b"".join(found), np.uint8)


XML_FORMATS: dict[str, Callable[[Element], Ecg]] = {
    "RestingECG": read_muse,
    "CardiologyXML": read_cardiosoft,
    "AnnotatedECG": read_aecg,
    "restingecgdata": read_philips,
}
