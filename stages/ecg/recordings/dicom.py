"""Opens DICOM files. A file may hold anything: it is read, or refused at once."""

import io
import struct
import warnings
from pathlib import Path

from ecg.leads import BadRecording
from ecg.recordings.dicom_waveforms import from_dataset
from ecg.recordings.ecg_file import Ecg, content_of

MAX_DICOM = 2**21  # bytes: pydicom takes 5 us for each of eight that are an element
MAX_ITEMS = 20_000  # of sequences
HEAD, META = 132, 2  # bytes before the data; the group of elements that tell how it is written
ITEM = b"\xfe\xff\x00\xe0"
# Little endian, implicit and explicit. A deflated file may be a thousand times as long as it looks.
TRANSFER_SYNTAXES = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1")
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
