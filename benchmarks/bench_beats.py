"""Error of the median beat and of a notebook's NeuroKit route against known beats, under noise and ectopic beats.

    python benchmarks/bench_beats.py [--recordings N] [--json]

Prints for each condition and method the median RMSE of the beat (uV) and its ratio to the notebook's, the bias of ST at
J + 60 ms (uV, in the lead with the largest mean error), and the shares of normal beats kept and of ectopic beats
rejected. Where a method finds no beat in some lead, that recording does not count in its RMSE. The known beats are real
where ECG_REAL_DATA is set, else of the dipole model.

With LUDB (ludb/ in ECG_REAL_DATA), also QRS complexes and durations against the annotations of its cardiologists.
"""

import argparse
import json
import os
import sys
import warnings
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent / "stages")]

import neurokit2
import numpy as np
import pandas as pd
import wfdb
from reference import CONDITIONS, EXTRACT, RATE, beat_at, known_beats, read_real, recording
from scipy.signal import resample
from tqdm import tqdm

from ecg.beats.measurements import measure_beats
from ecg.beats.median import clean_leads, filter_leads, find_beats, median_beat
from ecg.beats.r_peaks import find_r_peaks
from ecg.beats.windows import beat_times
from ecg.leads import LEADS

TIMES = beat_times(EXTRACT)
ST = 100  # ms from R: 60 ms after a J point at 40 ms
NEAR, APART = 0.15, 0.1  # s, maximum distance of two peaks of one beat, and minimum distance of two beats
BEYOND = 0.3  # s; peaks farther outside the annotated beats do not count as false


def ours(samples):
    found = find_beats(clean_leads(samples, RATE, EXTRACT)[0], RATE, EXTRACT)
    return np.median(found.beats[found.used], axis=0).T, 1000 * found.r_peaks[found.used]


def find_peaks(lead):
    return np.asarray(neurokit2.ecg_findpeaks(lead, sampling_rate=RATE)["ECG_R_Peaks"], dtype=int)


def notebook(samples):
    """The median of segments around the peaks of lead II, one RR interval long, each resampled to 250 samples."""
    signal = [neurokit2.ecg_clean(lead / 1000, sampling_rate=RATE) for lead in samples.T]
    peaks = find_peaks(signal[LEADS.index("II")])
    columns = []
    for lead in signal:
        segments = neurokit2.ecg_segment(lead, peaks, sampling_rate=RATE)
        times = 1000 * next(iter(segments.values())).index.to_numpy()
        beats = [resample(np.nan_to_num(segment.Signal.to_numpy(float)), 250) for segment in segments.values()]
        columns.append(np.interp(TIMES, np.linspace(times[0], times[-1], 250), np.median(beats, axis=0)))
    return np.column_stack(columns), 1000 * peaks / RATE


def isoelectric(beat):
    return beat - np.median(beat[(TIMES >= -100) & (TIMES <= -60)], axis=0)


def errors(found, known):
    """The error (times x 12, uV) at the best shift within 40 ms, since definitions of R differ."""
    shifts = np.arange(-40, 40.5, 1)
    candidates = [isoelectric(found) - isoelectric(beat_at(known, TIMES + shift)) for shift in shifts]
    best = min(range(len(shifts)), key=lambda i: np.mean(candidates[i] ** 2))
    return 1000 * candidates[best], np.abs(TIMES + shifts[best] - ST).argmin()


def share_found(peaks, used):
    """The share of true peaks (ms) that have a used peak within 100 ms, of those with a window inside the recording."""
    inside = peaks[(peaks > 320) & (peaks < 9420)]
    if not len(inside):
        return np.nan
    return np.mean(np.abs(inside[:, None] - used).min(axis=1, initial=np.inf) < 100)


def bench(n):
    known = known_beats(n)
    rows = []
    for condition, knobs in CONDITIONS.items():
        for method, function in {"ours": ours, "notebook": notebook}.items():
            rmse, st, kept, rejected = [], [], [], []
            for seed, beat in enumerate(tqdm(known, desc=f"{condition}, {method}", disable=None, leave=False)):
                made = recording(beat, seed=seed, **knobs)
                found, used = function(made.samples)
                error, at = errors(found, beat)
                rmse.append(np.sqrt(np.mean(error**2)))
                st.append(error[at])
                kept.append(share_found(made.normal, used))
                rejected.append(1 - share_found(made.ectopic, used))
            rows.append(
                {
                    "condition": condition,
                    "method": method,
                    "rmse_uv": round(float(np.nanmedian(rmse)), 2),
                    "st_bias_uv": round(float(max(np.nanmean(st, axis=0), key=abs)), 2),
                    "normal_kept": round(float(np.nanmean(kept)), 4),
                    "ectopic_rejected": round(float(np.nanmean(rejected)), 4) if len(made.ectopic) else None,
                }
            )
    theirs = {row["condition"]: row["rmse_uv"] for row in rows if row["method"] == "notebook"}
    return [row | {"rmse_over_notebook": round(row["rmse_uv"] / theirs[row["condition"]], 3)} for row in rows]


def annotated_qrs(record):
    """The onsets, peaks and ends (s) of the QRS complexes that LUDB annotates, for each lead."""
    complexes = []
    for lead in LEADS:
        found = wfdb.rdann(str(record), lead.lower())
        at = [i for i in range(1, len(found.symbol) - 1) if "".join(found.symbol[i - 1 : i + 2]) == "(N)"]
        complexes.append(found.sample[np.add.outer(at, [-1, 0, 1]).astype(int)] / RATE)
    return complexes


def annotated_duration(complexes):
    """The QRS duration (ms), a median over beats: from the third onset of the leads to the third end from last.

    The first and the last of twelve annotations are the extremes of their scatter: with them half of the normal QRS
    complexes would be 120 ms wide.
    """
    every = np.concatenate(complexes)
    every = every[every[:, 1].argsort()]
    beats = np.split(every, np.flatnonzero(np.diff(every[:, 1]) > APART) + 1)
    limits = [(np.sort(beat[:, 0])[2], np.sort(beat[:, 2])[-3]) for beat in beats if len(beat) >= 9]
    return 1000 * np.median(np.diff(limits)) if limits else np.nan


def count_matches(found, known):
    """The numbers of known peaks (s) found and of false ones; peaks beyond the known ones do not count."""
    found = found[(found > known[0] - BEYOND) & (found < known[-1] + BEYOND)]
    distance = np.abs(found[:, None] - known)
    hits = distance.min(axis=0, initial=np.inf) <= NEAR
    return np.array([hits.sum(), len(found) - hits.sum()])


def bench_ludb(folder):
    """QRS complexes, ours and NeuroKit's on lead II, against LUDB's annotations of lead II; QRS durations (ms)."""
    n, counts, errors = 0, np.zeros((2, 2), int), []
    for path in tqdm(sorted(folder.glob("*.hea")), desc="LUDB", disable=None, leave=False):
        samples, _ = read_real(path)
        complexes = annotated_qrs(path.with_suffix(""))
        known = wfdb.rdann(str(path.with_suffix("")), "ii")
        known = known.sample[np.array(known.symbol) == "N"] / RATE
        _, _, qrs_band, _ = filter_leads(clean_leads(samples, RATE, EXTRACT)[0], RATE, EXTRACT)
        found = find_r_peaks(qrs_band, EXTRACT.sampling_rate, EXTRACT.detector) / EXTRACT.sampling_rate
        theirs = find_peaks(neurokit2.ecg_clean(samples[:, LEADS.index("II")] / 1000, sampling_rate=RATE)) / RATE
        counts += [count_matches(found, known), count_matches(theirs, known)]
        n += len(known)
        beat, duration = median_beat(samples, RATE, EXTRACT).beat, annotated_duration(complexes)
        if beat is not None and duration == duration:
            errors.append(measure_beats(beat[None], TIMES).qrs[0] - duration)
    (hits, false), (their_hits, their_false) = counts.tolist()
    return {
        "beats": n,
        "sensitivity": round(hits / n, 4),
        "predictive_value": round(hits / (hits + false), 4),
        "neurokit_sensitivity": round(their_hits / n, 4),
        "neurokit_predictive_value": round(their_hits / (their_hits + their_false), 4),
        "qrs_recordings": len(errors),
        "qrs_error_ms": round(float(np.mean(errors)), 1),
        "qrs_error_sd_ms": round(float(np.std(errors)), 1),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=int, default=40, help="number for each condition")
    parser.add_argument("--json", action="store_true", help="one JSON value instead of a table")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = bench(arguments.recordings)
    ludb = Path(os.environ.get("ECG_REAL_DATA", ""), "ludb")
    against = bench_ludb(ludb) if os.environ.get("ECG_REAL_DATA") and ludb.is_dir() else None
    if arguments.json:
        return print(json.dumps([*rows, against] if against else rows))
    kind = "real beats" if os.environ.get("ECG_REAL_DATA") else "beats of the dipole model"
    print(f"{arguments.recordings} recordings of {kind} for each condition\n")
    print(pd.DataFrame(rows).to_string(index=False))
    print("\nAgainst LUDB's annotations" + ("" if against else ": skipped, no folder ludb/ in ECG_REAL_DATA"))
    for name, value in (against or {}).items():
        print(f"{name:<27}{value:>9}")


if __name__ == "__main__":
    main()
