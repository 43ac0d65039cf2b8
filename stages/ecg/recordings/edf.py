"""Reads EDF and EDF+C (edfplus.info) with edfio; also checks records, units and ranges, as edfio does not."""

import io
import warnings
from pathlib import Path

import edfio
import numpy as np

from ecg.leads import BadRecording, lead_of
from ecg.recordings.ecg_file import MAX_VALUES, Ecg, content_of, masked, microvolts_in, millivolts, number, person


def read_edf(path: Path) -> Ecg:
    """Read the leads of a file; skip other signals, such as annotations."""
    content = content_of(path, 2 * MAX_VALUES)
    if content[192:197] == b"EDF+D":
        raise BadRecording("file: EDF+D, with gaps between its records; allowed: EDF, EDF+C")
    n_records = int(number(content[236:244].decode("latin-1"), "records"))
    try:
        # edfio warns where the number of records is not that of the header, which is checked below.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            edf = edfio.read_edf(io.BytesIO(content), header_encoding="latin-1")
        if edf.num_data_records < n_records:
            raise BadRecording(f"file: {edf.num_data_records} records; the header states {n_records}")
        used = [signal for signal in edf.signals if lead_of(signal.label)]
        if len({signal.samples_per_data_record for signal in used}) > 1:
            raise BadRecording("file: leads with different sampling rates; allowed: one rate")
        leads = [lead_in_millivolts(signal) for signal in used]
    except BadRecording:
        raise
    except (ValueError, ArithmeticError, LookupError, NameError) as error:
        raise BadRecording(f"file: not readable as EDF ({type(error).__name__})") from None
    # EDF+ writes X for unknown; plain EDF has any text.
    about = person(edf.patient.sex, "" if edf.patient.code == "X" else edf.patient.code)
    rate = used[0].sampling_frequency if used else 0
    n_samples = n_records * used[0].samples_per_data_record if used and n_records >= 0 else None
    return Ecg(np.array(leads).T[:n_samples], rate, [signal.label.strip() for signal in used], about)


def lead_in_millivolts(signal: edfio.EdfSignal) -> np.ndarray:
    """Return the samples of a lead in mV. A physical minimum above the maximum inverts it."""
    least, most = signal.digital_range
    millivolts(abs(signal.physical_max - signal.physical_min) / (most - least), signal.physical_dimension)
    return masked(signal.data * (microvolts_in(signal.physical_dimension) / 1000), signal.digital)
