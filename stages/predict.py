"""Score recordings with a trained model: a command, not a stage. It needs only the model file.

    python stages/predict.py my-ecgs --csv scores.csv --plot pictures

RECORD is a WFDB record with or without its suffix, a file of another format, or a folder with recordings of any kind.
Each is scored, or refused with a reason and without a score. The default output is a line for each. --csv writes a
hundred rows at a time, which stay if the run ends early. Exit code 3: some recordings are refused. From Python:

    from predict import predict
    predict(signal, sampling_rate, leads)["probability"]
"""

import json
import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from ecg.beats.median import MedianBeat
from ecg.evaluation.answers import Reading, answer, in_words, reduce_ecg
from ecg.evaluation.names import SYNTHETIC, data_kind, define_ischemia
from ecg.model.description import Description, read_description
from ecg.params import Extract
from ecg.recordings.arrays import recording_of
from ecg.recordings.read import read_ecg
from ecg.recordings.sources import RecordingFile, find_named
from ecg.run.files import output_file, output_folder
from ecg.run.parallel import in_parallel
from ecg.run.paths import RELEASED
from ecg.run.script import UsageError, argument_parser, refuse_input, run, warn

if TYPE_CHECKING:
    from ecg.model.model import Model

BATCH = 100  # recordings
OF_TABLES = {"sampling_rate": ("HZ", "in Hz"), "units": ("UNIT", "uV, mV or V"), "leads": ("NAMES", "such as I,II,III")}


def read_batch(batch: list[RecordingFile], extract: Extract) -> list[Reading]:
    """Make the median beats of recordings; keep the samples of refused ones, for their pictures."""
    readings = []
    # Sums must not depend on the number of threads.
    with threadpool_limits(limits=1):
        for recording in batch:
            reading = reduce_ecg(partial(read_ecg, recording.header, metadata=recording.metadata), extract)
            readings.append(reading if reading.beat.reason else reading._replace(samples=None))
    return readings


@threadpool_limits.wrap(limits=1)
def score_beats(beats: list[MedianBeat], names: list[str], model: "Model", description: Description) -> list[dict]:
    """Return the answer for each recording, with the keys of --json."""
    from ecg.model.model import distances, probabilities

    found = np.array([beat.beat for beat in beats if beat.beat is not None])
    scored = zip(probabilities(model, found), distances(model, found), strict=True) if len(found) else iter([])
    pairs = zip(names, beats, strict=True)
    return [answer(name, beat, None if beat.beat is None else next(scored), description) for name, beat in pairs]


@cache
def load(path: Path, written: float) -> "tuple[Model, Description]":
    """Return a model and its description; load them again only if the time `written` of the file changes."""
    from ecg.model.fcn import choose_device
    from ecg.model.model import load_model

    model, description = load_model(path)
    return model.to(choose_device()), description


def predict(
    signal: ArrayLike, sampling_rate: float, leads: Sequence[str], *, units: str = "mV", model: Path = RELEASED
) -> dict:
    """Score one recording: `signal` is samples x `leads`, NaN where missing, in `units` uV, mV or V; the rate is in Hz.

    Returns the keys of --json but `record`: probability (that of ischemia), ischemia (the decision: probability >=
    threshold), threshold, p_CLASS for each class, n_used beats, heart_rate (beats/min), flags, reason (None where
    scored), trained_on. Arguments may be arrays of NumPy, pandas, h5py or torch; ValueError where they are not numeric,
    or where signal and leads differ in number.
    """
    loaded, description = load(Path(model), Path(model).stat().st_mtime)
    ecg = recording_of(signal, sampling_rate, leads, units)
    with threadpool_limits(limits=1):
        beat = reduce_ecg(lambda: ecg, description.extract).beat
    (row,) = score_beats([beat], [""], loaded, description)
    return {key: value for key, value in row.items() if key != "record"}


def parse_arguments() -> tuple[Namespace, list[RecordingFile]]:
    """Return the options and the recordings to score."""
    parser = argument_parser(__doc__)
    parser.add_argument("records", nargs="+", metavar="RECORD", help="record, file or folder")
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print a JSON object for each recording")
    output.add_argument("--csv", type=output_file, metavar="FILE", help="write a row for each recording")
    parser.add_argument("--plot", type=output_folder, metavar="DIR", help="draw beat and evidence of each recording")
    parser.add_argument("--model", type=Path, default=RELEASED, metavar="FILE", help=f"default: {RELEASED}")
    for name, (unit, form) in OF_TABLES.items():
        parser.add_argument(f"--{name.replace('_', '-')}", metavar=unit, help=f"{form}; of tables without labels.csv")
    options = parser.parse_args()
    try:
        recordings = find_named(options.records, {key: value for key in OF_TABLES if (value := getattr(options, key))})
    except UsageError as error:
        parser.error(str(error))
    refuse_input(parser, options.csv, [options.model, *[recording.header for recording in recordings]])
    return options, recordings


def main() -> None:
    options, recordings = parse_arguments()
    description = read_description(options.model)
    if data_kind(description.sources) == SYNTHETIC:
        warn(f"this model was trained on {SYNTHETIC}; do not use its scores")
    counts, lost = Counter[str](), list[str]()
    batches = [recordings[i : i + BATCH] for i in range(0, len(recordings), BATCH)]
    calls = [(batch, description.extract) for batch in batches]
    with tqdm(total=len(recordings), desc="recordings", disable=None) as progress:
        for batch, readings in zip(batches, in_parallel(read_batch, calls), strict=True):
            # The model loads while workers read.
            model, _ = load(options.model, options.model.stat().st_mtime)
            beats, names = [reading.beat for reading in readings], [recording.record for recording in batch]
            rows = score_beats(beats, names, model, description)
            if options.csv:
                table = pd.DataFrame(rows, dtype=object).assign(flags=["; ".join(row["flags"]) for row in rows])
                table.to_csv(options.csv, mode="a" if counts else "w", header=not counts, index=False)
            for row in rows:
                counts["refused" if row["reason"] else "ischemia" if row["ischemia"] else "no ischemia"] += 1
                if not options.csv:
                    words = "; ".join(in_words(row, description))
                    tqdm.write(json.dumps(row) if options.json else f"{row['record']}: {words}")
            if options.plot:
                from ecg.reporting.scored import draw

                with threadpool_limits(limits=1):  # faster, as its convolutions are small
                    lost += draw(options.plot, readings, rows, model, description)
            progress.update(len(batch))
    if len(recordings) > 1:
        outcomes = ", ".join(f"{n} {outcome}" for outcome, n in sorted(counts.items()))
        print(f"predict: {len(recordings)} recordings: {outcomes}", file=sys.stderr)
    about = f"model trained on {data_kind(description.sources)}; ischemia means {define_ischemia(description)}"
    print(f"predict: {about}", file=sys.stderr)
    if lost:
        warn(f"pictures that cannot be written: {len(lost)}; the first: {lost[0]}")
    if lost or counts["refused"]:
        raise SystemExit(1 if lost else 3)


if __name__ == "__main__":
    run(main)
