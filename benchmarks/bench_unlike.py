"""How many beats are told as unlike those of training: of ordinary recordings, and of some that were spoilt on purpose.

    python benchmarks/bench_unlike.py ARCHIVE... [--elsewhere ARCHIVE...] [--splits N] [--model FILE] [--json]

ARCHIVE is a folder as download.directory names one. N times, 70% of its patients are learnt from, as train does, 10%
are val, and the recordings of 20% are judged, as they are and with their samples spoilt; of these, only what no other
check refuses. So are those of archives elsewhere, by the same N models. With --model nothing is learnt: that model file
judges all recordings, which should be none that it has seen.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent / "stages")]

import numpy as np
import pandas as pd
import torch
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from ecg.beats.median import median_beat
from ecg.leads import INDEPENDENT, MISSING
from ecg.network.faults import ARMS, CHEST, EXCHANGED, LIMBS, NEIGHBOURS, RIGHT_ARM_AND_LEG, UPSIDE_DOWN
from ecg.network.model_file import load_model
from ecg.network.novelty import Novelty, fit_novelty, in_batches
from ecg.params import Extract, read_params
from ecg.recordings.archives import from_folders
from ecg.recordings.hearts import twelve_leads
from ecg.recordings.index import index_of, read_recording
from ecg.recordings.sources import RecordingFile
from ecg.stage.parallel import in_parallel

BATCH = 20  # recordings
NAMES = ("here", "elsewhere")
ORDINARY, ANY = "as it is", "any two of nine electrodes swapped"


def name_exchange(pair: tuple) -> str:
    """Return the row of the table that counts this exchange of two electrodes."""
    if pair in (ARMS, RIGHT_ARM_AND_LEG, LIMBS[1:]):
        return f"{pair[0]} and {pair[1]}"
    if pair[0] in LIMBS:
        return "a limb and a chest electrode"
    return "neighbouring chest electrodes" if pair in NEIGHBOURS else "other chest electrodes"


EXCHANGES = {name_exchange(pair) for pair in EXCHANGED}


def spoilt(leads: np.ndarray, sampling_rate: float, rng: np.random.Generator) -> Iterator[tuple[str, np.ndarray]]:
    """Yield what was done to a recording's independent leads (samples x 8, uV), and what they are then."""

    def with_lead(lead: int, values: np.ndarray) -> np.ndarray:
        changed = leads.copy()
        changed[:, lead] = values
        return changed

    for pair, matrix in EXCHANGED.items():
        yield name_exchange(pair), leads @ matrix.T
    one, other = rng.permutation(CHEST)[:2]
    for noise in (20, 10):
        copy = with_lead(one, leads[:, other] + noise * rng.normal(size=len(leads)))
        yield f"a chest lead copies another, {noise} uV of noise", copy
    one, other = rng.permutation(rng.permutation(NEIGHBOURS)[0])
    copy = with_lead(one, leads[:, other] + 20 * rng.normal(size=len(leads)))
    yield "a chest lead copies its neighbour, 20 uV of noise", copy
    phase = 2 * np.pi * (rng.uniform(1, 8) * np.arange(len(leads)) / sampling_rate + rng.random())
    yield "a chest lead is a sine", with_lead(rng.choice(CHEST), 1000 * rng.uniform(0.2, 1.5) * np.sin(phase))
    yield "a chest lead upside down", leads @ UPSIDE_DOWN[1:][rng.integers(len(CHEST))].T
    yield "all leads upside down", leads @ UPSIDE_DOWN[0].T
    for factor in (2, 4, 10):
        yield f"{factor} times as high", factor * leads


def beats_of(batch: list[tuple[int, RecordingFile]], extract: Extract) -> tuple[list[dict], list[str], np.ndarray]:
    """Return the index's rows of the recordings, and of all that no check refuses what was done to it and its beat."""
    rows, kinds, beats = [], [], []
    with threadpool_limits(limits=1):
        for number, recording in batch:
            row, samples = read_recording(recording, verify_checksums=True)
            rate = float(row["sampling_rate"] or 0)
            beat = None if samples is None else median_beat(samples, rate, extract).beat
            if samples is None or beat is None:
                continue
            found = [(ORDINARY, beat)]
            missing = (samples == MISSING).any(axis=1)
            for kind, leads in spoilt(samples[:, INDEPENDENT].astype(float), rate, np.random.default_rng([1, number])):
                changed = np.rint(twelve_leads(leads)).clip(MISSING + 1, -MISSING - 1).astype(np.int16)
                changed[missing] = MISSING
                if (beat := median_beat(changed, rate, extract).beat) is not None:
                    found.append((kind, beat))
            rows += [row] * len(found)
            kinds += [kind for kind, _ in found]
            beats += [beat for _, beat in found]
    return rows, kinds, np.array(beats, np.float32)


def read(folders: list[str], extract: Extract) -> tuple[pd.DataFrame, np.ndarray]:
    """Return patient and kind of each beat of the archives, and the beats."""
    recordings = list(enumerate(from_folders(folders, "ARCHIVE")[0]))
    calls = [(recordings[i : i + BATCH], extract) for i in range(0, len(recordings), BATCH)]
    found = list(tqdm(in_parallel(beats_of, calls), "archives", len(calls), disable=None))
    kinds = [kind for _, kinds, _ in found for kind in kinds]
    rows = [row for rows, _, _ in found for row in rows]
    index = index_of([row for row, kind in zip(rows, kinds, strict=True) if kind == ORDINARY])
    table = pd.DataFrame({"record": [row["record"] for row in rows], "kind": kinds})
    table["patient"] = table.record.map(index.set_index("record").patient)
    return table, np.concatenate([beats for *_, beats in found if len(beats)])


def seen(model: Novelty, kinds: pd.Series, beats: np.ndarray) -> pd.Series:
    """Return the share of each kind that is beyond the limit, of exchanges also together."""
    with torch.no_grad():
        beyond = pd.Series((in_batches(model, beats) > 1).numpy(), index=kinds.to_numpy())
    shares = beyond.groupby(level=0).mean()
    shares[ANY] = beyond[beyond.index.isin(EXCHANGES)].mean()
    return shares


def learn_and_judge(table: pd.DataFrame, beats: np.ndarray, others: list[tuple], pool: int, number: int) -> list:
    """Return what is seen of the test patients of one split, and of other archives."""
    patients = table.patient.unique()
    place = pd.Series(np.random.default_rng([2, number]).permutation(len(patients)) / len(patients), index=patients)
    place = place[table.patient].to_numpy()
    ordinary = (table.kind == ORDINARY).to_numpy()
    train, val, test = ordinary & (place >= 0.3), ordinary & (place >= 0.2) & (place < 0.3), place < 0.2
    model = fit_novelty(pool, beats[train], table.patient[train].to_numpy(), beats[val], number)
    return [seen(model, table.kind[test], beats[test]), *(seen(model, other.kind, b) for other, b in others)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archives", nargs="+", metavar="ARCHIVE")
    parser.add_argument("--elsewhere", nargs="+", default=[], metavar="ARCHIVE")
    parser.add_argument("--splits", type=int, default=6, metavar="N")
    parser.add_argument("--model", type=Path, metavar="FILE")
    parser.add_argument("--json", action="store_true", help="one JSON value instead of a table")
    options = parser.parse_args()
    params = read_params()
    extract = params.extract
    if options.model:
        model, description = load_model(options.model)
        extract = description.extract
    table, beats = read(options.archives, extract)
    others = [read(options.elsewhere, extract)] if options.elsewhere else []
    if options.model:
        runs = [[seen(model.novelty, rows.kind, b) for rows, b in [(table, beats), *others]]]
    else:
        splits = tqdm(range(options.splits), "splits", disable=None)
        runs = [learn_and_judge(table, beats, others, params.train.pool, number) for number in splits]
    columns, tables = {}, [table, *(rows for rows, _ in others)]
    for name, rows, found in zip(NAMES[: len(runs[0])], tables, zip(*runs, strict=True), strict=True):
        columns[f"{name}_n"] = rows.kind.value_counts()
        columns[f"{name}_n"][ANY] = rows.kind.isin(EXCHANGES).sum()
        columns[f"{name}_seen"] = pd.concat(found, axis=1).mean(axis=1)
    kinds = dict.fromkeys(kind for kind, _ in spoilt(np.zeros((2, len(INDEPENDENT))), 500, np.random.default_rng(0)))
    result = pd.DataFrame(columns).reindex([ORDINARY, ANY, *kinds]).round(3)
    counts = [column for column in result if column.endswith("_n")]
    result[counts] = result[counts].fillna(0).astype(int)
    if options.json:
        print(result.to_json(orient="index"))
    else:
        print(result.to_string(na_rep=""))


if __name__ == "__main__":
    main()
