"""Score recordings with the trained model: a command, not a stage. The model file is all that it needs.

    python stages/predict.py RECORD... [--json | --csv FILE] [--plot DIR] [--model FILE] [--sampling-rate HZ ...]

RECORD is a WFDB record with or without its suffix, a file of another format, or a folder in which all are found. Each
is scored, or refused with the reason; a refused one never has a score. Without an option, a line for each is printed.
FILE is written anew, a hundred rows at a time as they come: what ends the run later, Ctrl-C too, leaves them there.
Exit status: 0 all were scored, 3 some were refused, 2 wrong usage, 1 no usable model or a picture is not written.

    from predict import predict
    predict(signal, sampling_rate, leads)["probability"]
"""

import argparse
import csv
import json
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from ecg.beats.median import MedianBeat, median_beat
from ecg.beats.plausibility import compare_heart_rates
from ecg.evaluation.answers import Reading, answer, in_words
from ecg.evaluation.names import SYNTHETIC, data_kind, names_of
from ecg.leads import BadRecording
from ecg.model.description import Description, read_description
from ecg.params import Extract
from ecg.recordings.arrays import recording_of
from ecg.recordings.read import read_ecg, standard_leads
from ecg.recordings.sources import RecordingFile, find_named
from ecg.run.files import output_file, output_folder
from ecg.run.parallel import in_parallel
from ecg.run.paths import RELEASED
from ecg.run.script import UsageError, refuse_input, run, warn

if TYPE_CHECKING:
    from ecg.model.model import Model

BATCH = 100  # recordings
TOLD = {"sampling_rate": "in Hz", "units": "uV, mV or V", "leads": "names, as I,II,III,..."}


def read(recording: RecordingFile, extract: Extract) -> Reading:
    """Read a recording and reduce it to its median beat, or to the reason why there is none."""
    try:
        ecg = read_ecg(recording.header, recording.root, told=recording.told)
        samples, flags = standard_leads(ecg)
    except BadRecording as error:
        return Reading(MedianBeat(None, reason=str(error)), [])
    beat = median_beat(samples, ecg.sampling_rate, extract)
    return Reading(beat, flags + compare_heart_rates(beat.heart_rate, ecg.heart_rate), samples, ecg.sampling_rate)


def read_batch(batch: list[RecordingFile], extract: Extract, keep: bool) -> list[Reading]:
    """Read recordings; keep the samples only of refused ones that are to be drawn."""
    # As in extract: sums must not depend on how many threads there are.
    with threadpool_limits(limits=1):
        readings = [read(recording, extract) for recording in batch]
    return [r if keep and r.beat.reason else r._replace(samples=None) for r in readings]


def score(readings: list[Reading], names: list[str], model: "Model", description: Description) -> list[dict]:
    """Return what is said of each recording, as in --json."""
    from ecg.model.model import distances, probabilities

    beats = np.array([reading.beat.beat for reading in readings if reading.beat.beat is not None])
    scored = iter(zip(probabilities(model, beats), distances(model, beats), strict=True) if len(beats) else [])
    return [
        answer(name, beat, [*flags, *beat.flags], None if beat.beat is None else next(scored), description)
        for name, (beat, flags, *_) in zip(names, readings, strict=True)
    ]


@cache
def model_of(path: Path, written: int) -> "tuple[Model, Description]":
    """Load a model and its description once for each time that its file was written (ns)."""
    from ecg.model.fcn import choose_device
    from ecg.model.model import load_model

    model, description = load_model(path)
    return model.to(choose_device()), description


def current_model(path: Path) -> "tuple[Model, Description]":
    return model_of(path, path.stat().st_mtime_ns if path.exists() else 0)


def load_for_one_thread(path: Path) -> "Model":
    """Load the model for the command: the cores are for the median beats, and threads would wait for one another."""
    import torch

    torch.set_num_threads(1)
    return current_model(path)[0]


def predict(
    signal: ArrayLike, sampling_rate: float, leads: Sequence[str], *, units: str = "mV", model: Path = RELEASED
) -> dict:
    """Score one recording (samples x leads, NaN is missing, at `sampling_rate` Hz; units uV, mV or V), leads by name.

    Returns the keys of --json but `record`: probability (that of ischemia), ischemia (the decision: probability >=
    threshold), threshold, p_CLASS for each class, n_used beats, heart_rate (beats/min), flags, reason (None where
    scored), trained_on. Arguments may be what NumPy, pandas, h5py and torch give; ValueError where they are of no
    use, or signal and leads do not fit.
    """
    network, description = current_model(Path(model))
    ecg = recording_of(signal, sampling_rate, leads, units)
    try:
        samples, flags = standard_leads(ecg)
        with threadpool_limits(limits=1):
            reading = Reading(median_beat(samples, ecg.sampling_rate, description.extract), flags)
    except BadRecording as error:
        reading = Reading(MedianBeat(None, reason=str(error)), [])
    (row,) = score([reading], [""], network, description)
    return {key: value for key, value in row.items() if key != "record"}


def write_rows(path: Path, rows: list[dict], *, first: bool) -> None:
    """Write the first rows of a table, or append more."""
    with path.open("w" if first else "a", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]))
        if first:
            table.writeheader()
        table.writerows(row | {"flags": "; ".join(row["flags"])} for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", nargs="+", metavar="RECORD")
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="one JSON object a line and recording")
    output.add_argument("--csv", type=output_file, metavar="FILE", help="one row a recording")
    parser.add_argument("--plot", type=output_folder, metavar="DIR", help="one PNG a recording: the beat and evidence")
    parser.add_argument("--model", type=Path, default=RELEASED, metavar="FILE", help=f"default: {RELEASED}")
    for name, said in TOLD.items():
        parser.add_argument(f"--{name.replace('_', '-')}", help=f"{said}, of CSV, TSV and NPY without labels.csv")
    options = parser.parse_args()
    try:
        recordings = find_named(options.records, {key: value for key in TOLD if (value := getattr(options, key))})
    except UsageError as error:
        parser.error(f"RECORD is {error}")
    refuse_input(parser, options.csv, [options.model, *[recording.header for recording in recordings]])
    description = read_description(options.model)
    if data_kind(description.sources) == SYNTHETIC:
        print(f"predict: trained on {SYNTHETIC}: not for any use", file=sys.stderr)
    counts, lost = Counter[str](), list[str]()
    with ExitStack() as stack:
        progress = stack.enter_context(tqdm(total=len(recordings), desc="recordings", disable=None))
        starts = range(0, len(recordings), BATCH)
        batches = [(recordings[i : i + BATCH], description.extract, bool(options.plot)) for i in starts]
        # Torch takes a second and more to load: meanwhile recordings are read and reduced.
        loading = stack.enter_context(ThreadPoolExecutor()).submit(load_for_one_thread, options.model)
        for (batch, *_), readings in zip(batches, in_parallel(read_batch, batches), strict=True):
            rows = score(readings, [recording.record for recording in batch], loading.result(), description)
            if options.csv:
                write_rows(options.csv, rows, first=not counts)
            for row in rows:
                counts["refused" if row["reason"] else "ischemia" if row["ischemia"] else "no ischemia"] += 1
                if not options.csv:
                    words = "; ".join(in_words(row, description))
                    tqdm.write(json.dumps(row) if options.json else f"{row['record']}: {words}")
            if options.plot:
                from ecg.reporting.scored import draw

                lost += draw(options.plot, readings, rows, loading.result(), description)
            progress.update(len(batch))
    print(f"predict: ischemia means {names_of(description.labels.ischemia)}", file=sys.stderr)
    if len(recordings) > 1:
        outcomes = ", ".join(f"{n} {outcome}" for outcome, n in sorted(counts.items()))
        print(f"predict: {len(recordings)} recordings: {outcomes}", file=sys.stderr)
    if lost:
        warn(f"{len(lost)} pictures are not written; the first: {lost[0]}")
    if lost or counts["refused"]:
        raise SystemExit(1 if lost else 3)


if __name__ == "__main__":
    run(main)
