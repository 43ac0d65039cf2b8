"""Writes one recording in each format that is read, as carts do: with a median beat, names, ids, dates, a diagnosis."""

import base64
import io

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, TwelveLeadECGWaveformStorage

from ecg.leads import LEADS

SECRETS = ("Miller", "Joan", "ID4711", "1961", "2024")
PERSON = {"age": 62, "sex": "female"}
DOCTYPE = '<?xml version="1.0" encoding="ISO-8859-1"?>\n<!DOCTYPE RestingECG SYSTEM "restecg.dtd">\n'


def muse(samples, rate, step=4.88, rhythms=1):
    """GE MUSE: samples x 12, uV."""

    def wave(kind, values):
        leads = "".join(
            f"<LeadData><LeadSampleCountTotal>{len(values)}</LeadSampleCountTotal>"
            f"<LeadAmplitudeUnitsPerBit>{step}</LeadAmplitudeUnitsPerBit>"
            f"<LeadAmplitudeUnits>MICROVOLTS</LeadAmplitudeUnits><LeadID>{LEADS[i]}</LeadID>"
            f"<LeadSampleSize>2</LeadSampleSize><LeadOff>FALSE</LeadOff>"
            f"<WaveFormData>\n{base64.encodebytes(np.rint(values[:, i] / step).astype('<i2').tobytes()).decode()}"
            "</WaveFormData></LeadData>"
            for i in (0, 1, *range(6, 12))
        )
        head = f"<WaveformType>{kind}</WaveformType><SampleBase>{rate}</SampleBase><SampleExponent>0</SampleExponent>"
        return f"<Waveform>{head}{leads}</Waveform>"

    text = (
        f"{DOCTYPE}<RestingECG><PatientDemographics><PatientID>ID4711</PatientID><DateofBirth>01-02-1961</DateofBirth>"
        "<PatientAge>62</PatientAge><AgeUnits>YEARS</AgeUnits><Gender>FEMALE</Gender>"
        "<PatientLastName>Miller</PatientLastName><PatientFirstName>Joan</PatientFirstName></PatientDemographics>"
        "<RestingECGMeasurements><VentricularRate>60</VentricularRate></RestingECGMeasurements>"
        "<Diagnosis><DiagnosisStatement><StmtText>Anterior ischemia</StmtText></DiagnosisStatement></Diagnosis>"
        f"{wave('Median', samples[:600] * 2)}{wave('Rhythm', samples) * rhythms}</RestingECG>"
    )
    return text.encode("latin-1")


def cardiosoft(samples, rate, step=5):
    def waves(values):
        return "".join(
            f'<WaveformData lead="{lead}">{",".join(map(str, column))}</WaveformData>'
            for lead, column in zip(LEADS, np.rint(values / step).astype(int).T.tolist(), strict=True)
        )

    def part(name, values):
        return (
            f'<{name}><NumberOfLeads>12</NumberOfLeads><SampleRate units="Hz">{rate}</SampleRate>'
            f'<Resolution units="uVperLsb">{step}</Resolution>{waves(values)}</{name}>'
        )

    text = (
        '<?xml version="1.0" encoding="ISO8859-1"?><CardiologyXML><ObservationType>RestECG</ObservationType>'
        "<PatientInfo><PID>ID4711</PID><Name><FamilyName>Miller</FamilyName><GivenName>Joan</GivenName></Name>"
        '<Age units="years">62</Age><Gender>FEMALE</Gender></PatientInfo>'
        '<RestingECGMeasurements><VentricularRate units="BPM">60</VentricularRate>'
        f"{part('MedianSamples', samples[:600] * 2)}</RestingECGMeasurements>{part('StripData', samples)}"
        f"{part('FullDisclosure', samples * 3)}</CardiologyXML>"
    )
    return text.encode("latin-1")


def aecg(samples, rate, step=2.5):
    def series(name, code, values):
        leads = "".join(
            f'<component><sequence><code code="MDC_ECG_LEAD_{lead.upper()}"/><value xsi:type="SLIST_PQ">'
            f'<origin value="0" unit="uV"/><scale value="{step}" unit="uV"/>'
            f"<digits>{' '.join(map(str, column))}</digits></value></sequence></component>"
            for lead, column in zip(LEADS, np.rint(values / step).astype(int).T.tolist(), strict=True)
        )
        return (
            f'<{name}><code code="{code}"/><component><sequenceSet><component><sequence><code code="TIME_ABSOLUTE"/>'
            f'<value xsi:type="GLIST_TS"><head value="20240203"/><increment value="{1 / rate!r}" unit="s"/></value>'
            f"</sequence></component>{leads}</sequenceSet></component>"
            f"{series('derivedSeries', 'REPRESENTATIVE_BEAT', values[:600] * 2) if name == 'series' else ''}</{name}>"
        )

    person = (
        '<componentOf><timepointEvent><componentOf><subjectAssignment><subject><trialSubject><id root="1.2" '
        'extension="ID4711"/><subjectDemographicPerson><name>Miller, Joan</name><administrativeGenderCode code="F"/>'
        '<birthTime value="19610304"/></subjectDemographicPerson></trialSubject></subject></subjectAssignment>'
        "</componentOf></timepointEvent></componentOf>"
    )
    rate_told = '<annotation><code code="MDC_ECG_HEART_RATE"/><value value="60" unit="bpm"/></annotation>'
    return (
        '<?xml version="1.0"?><AnnotatedECG xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
        f'<effectiveTime><center value="20240203101500"/></effectiveTime>{person}'
        f"<component>{series('series', 'RHYTHM', samples)}</component>{rate_told}</AnnotatedECG>"
    ).encode()


def lzw(content):
    """Compress bytes to codes of 10 bits."""
    table, codes, word = {bytes([value]): value for value in range(256)}, [], b""
    for value in content:
        longer = word + bytes([value])
        if longer not in table:
            codes.append(table[word])
            if len(table) < 1023:
                table[longer] = len(table)
            longer = bytes([value])
        word = longer
    bits = "".join(f"{code:010b}" for code in [*codes, table[word], 1023])
    return int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")


def xli(samples, step=5):
    """Philips' compressed samples: 12 leads, and one that is none."""
    one, two, three, avr, avl, avf, *chest = np.rint(samples / step).astype(int).T
    left = [two - one - three, -avr - (one + two) // 2, (one - three) // 2 - avl, (two + three) // 2 - avf]
    content = b""
    for lead in [one, two, *left, *chest, np.zeros_like(one)]:
        slope = np.diff(lead)
        second = np.r_[lead[:2], 64 - np.diff(slope)[1:], 64].astype("<i2")
        start = int(slope[0] - slope[1])
        halves = np.r_[second.view(np.uint8)[1::2], second.view(np.uint8)[::2]].tobytes()
        codes = lzw(halves)
        content += len(codes).to_bytes(4, "little") + b"\1\0" + start.to_bytes(2, "little", signed=True) + codes
    return content


def philips(samples, rate, step=5, version="1.04", pulse=True):
    """Philips, with a last second that holds a calibration pulse, as all have that were seen."""
    if pulse:
        last = np.zeros((int(rate), 12))
        last[int(0.3 * rate) : int(0.5 * rate)] = 1000
        samples = np.concatenate([samples, last])
    method = (
        "compressmethod" if version == "1.03" else 'leadlabels="I II III aVR aVL aVF V1 V2 V3 V4 V5 V6" compression'
    )
    text = (
        f'<?xml version="1.0" encoding="utf-16"?><restingecgdata xmlns="http://www3.medical.philips.com"><documentinfo>'
        f'<documentversion>{version}</documentversion></documentinfo><dataacquisition date="2024-02-03">'
        f"<signalcharacteristics><samplingrate>{rate}</samplingrate><resolution>{step}</resolution>"
        "<acquisitiontype>STD-12</acquisitiontype></signalcharacteristics></dataacquisition><patient>"
        "<generalpatientdata><patientid>ID4711</patientid><name><lastname>Miller</lastname><firstname>Joan</firstname>"
        "</name><age><dateofbirth>1961-03-04</dateofbirth></age><sex>Female</sex></generalpatientdata></patient>"
        "<interpretations><interpretation><heartrate>60</heartrate><statement>Inferior ischemia</statement>"
        f'</interpretation></interpretations><waveforms><parsedwaveforms {method}="XLI" dataencoding="Base64" '
        f'durationperchannel="{1000 * len(samples) / rate:g}">{base64.encodebytes(xli(samples, step)).decode()}'
        "</parsedwaveforms><repbeats/></waveforms></restingecgdata>"
    )
    return text.encode("utf-16")


def coded(value, scheme, meaning):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def dicom_group(samples, rate, label, step):
    group = Dataset()
    group.WaveformOriginality = "ORIGINAL" if label == "RHYTHM" else "DERIVED"
    group.MultiplexGroupLabel, group.SamplingFrequency = label, str(rate)
    group.NumberOfWaveformChannels, group.NumberOfWaveformSamples = 12, len(samples)
    group.WaveformBitsAllocated, group.WaveformSampleInterpretation = 16, "SS"
    channels = []
    for number, lead in zip((1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 8), LEADS, strict=True):
        channel = Dataset()
        channel.ChannelSourceSequence = [coded(f"2:{number}", "MDC", f"Lead {lead}")]
        channel.ChannelSensitivity, channel.ChannelSensitivityCorrectionFactor = str(step), "1"
        channel.ChannelSensitivityUnitsSequence = [coded("uV", "UCUM", "microvolt")]
        channel.ChannelBaseline, channel.WaveformBitsStored = "0", 16
        channels.append(channel)
    group.ChannelDefinitionSequence = channels
    group.add_new("WaveformPaddingValue", "OW", bytes(2))
    group.add_new("WaveformData", "OW", np.rint(samples / step).astype("<i2").tobytes())
    return group


def dicom(samples, rate, step=4.88, groups=("MEDIAN BEAT", "RHYTHM"), syntax=ExplicitVRLittleEndian, change=None):
    """`change` is a function of the last group, which is that of the rhythm."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = TwelveLeadECGWaveformStorage, "1.2.2024.1"
    meta.TransferSyntaxUID = syntax
    file = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    file.SOPClassUID, file.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    file.PatientName, file.PatientID, file.PatientSex, file.PatientAge = "Miller^Joan", "ID4711", "F", "062Y"
    file.PatientBirthDate, file.StudyDate = "19610304", "20240203"
    note = Dataset()
    note.ConceptNameCodeSequence, note.NumericValue = [coded("2:16016", "MDC", "Ventricular Heart Rate")], "60"
    file.WaveformAnnotationSequence = [note]
    file.WaveformSequence = [
        dicom_group(samples if label == "RHYTHM" else samples[:600] * 2, rate, label, step) for label in groups
    ]
    if change:
        change(file.WaveformSequence[-1])
    content = io.BytesIO()
    pydicom.dcmwrite(content, file, enforce_file_format=True)
    return content.getvalue()


def edf(samples, rate, step=1, kind="EDF+C", unit="uV"):
    """EDF+: records of a second, with a signal of annotations."""
    names = [*(f"ECG {lead}" for lead in LEADS), "EDF Annotations"]
    n, limits = len(names), [f"{step * -32768 / (1000 if unit == 'mV' else 1):g}", f"{step * 32767:g}"]
    if unit == "mV":
        limits[1] = f"{step * 32.767:g}"
    rows = [names, [""] * n, [unit] * n, [limits[0]] * n, [limits[1]] * n, ["-32768"] * n, ["32767"] * n, [""] * n]
    rows += [[str(rate)] * 12 + ["30"], [""] * n]
    widths = (16, 80, 8, 8, 8, 8, 8, 80, 8, 32)
    head = "0".ljust(8) + "ID4711 F 04-MAR-1961 Miller_Joan".ljust(80) + "Startdate 03-FEB-2024 X X X".ljust(80)
    head += "03.02.2410.15.00" + str(256 * (n + 1)).ljust(8) + kind.ljust(44)
    head += str(len(samples) // rate).ljust(8) + "1".ljust(8) + str(n).ljust(4)
    head += "".join(cell.ljust(width) for row, width in zip(rows, widths, strict=True) for cell in row)
    stored = np.rint(samples / step).astype("<i2")
    records = (
        stored[i : i + rate].T.tobytes() + f"+{i // rate}\x14\x14Miller\x14".encode().ljust(60, b"\0")
        for i in range(0, len(samples) - rate + 1, rate)
    )
    return head.encode("latin-1") + b"".join(records)


def csv(samples, rate):
    rows = [",".join(LEADS)] + [",".join(f"{value / 1000:.3f}" for value in row) for row in samples]
    return "\n".join(rows).encode()


def npy(samples, rate):
    content = io.BytesIO()
    np.save(content, samples.astype(np.float32) / 1000)
    return content.getvalue()


WRITERS = {"muse.xml": muse, "cardiosoft.xml": cardiosoft, "aecg.xml": aecg, "philips.xml": philips}
WRITERS |= {"dicom.dcm": dicom, "edf.edf": edf, "table.csv": csv, "array.npy": npy}
METADATA = {"sampling_rate": "500", "units": "mV"}
