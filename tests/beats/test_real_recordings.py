"""Real recordings give beats, reasons and flags that agree with their annotations."""

import numpy as np
import pandas as pd
import pytest
from drawn import EXTRACT, TIMES, with_arms_exchanged
from reference import read_real

from ecg.beats.median import median_beat
from ecg.beats.plausibility import ARMS_REVERSED


@pytest.fixture(scope="module")
def real(real_data):
    """The samples, the sampling rate and the median beat of real recordings, by header."""
    paths = [path for name in ("ptb-xl", "challenge") for path in sorted((real_data / name).rglob("*.hea"))]
    read = {path: read_real(path) for path in paths}
    return {path: (*found, median_beat(*found, EXTRACT)) for path, found in read.items()}


def test_they_give_a_beat_or_a_reason(real):
    assert len(real) == 550
    refused = {}
    for path, (_, _, found) in real.items():
        assert (found.beat is None) == bool(found.reason)
        if found.reason:
            refused[path.stem] = found.reason
            continue
        assert np.isfinite(found.beat).all()
        assert 25 < found.heart_rate < 220
        # Sinus bradycardia and tachycardia, SNOMED CT.
        header = path.read_text(encoding="utf-8")
        assert "426177001" not in header or found.heart_rate < 75
        assert "427084000" not in header or found.heart_rate > 95
    refused = {record: reason for record, reason in refused.items() if not reason.startswith("paced")}
    assert len(refused) <= 9, refused


def test_the_r_peak_is_the_same_point_in_both_halves(real):
    moved, n = [], 0
    for path, (samples, rate, whole) in list(real.items())[::2]:
        halves = [median_beat(part, rate, EXTRACT).beat for part in np.array_split(samples, 2)]
        if whole.beat is None or any(beat is None for beat in halves):
            continue
        n += 1
        # The shift of one half's beat that fits the other's best.
        qrs = np.abs(TIMES) <= 120
        errors = [np.mean((np.roll(halves[0], k, axis=1) - halves[1])[:, qrs] ** 2) for k in range(-5, 6)]
        if abs(int(np.argmin(errors)) - 5) >= 2:
            moved.append(path.stem)
    assert n > 245
    assert len(moved) <= 1, moved


def test_exchanged_arm_electrodes_are_flagged(real):
    flagged = []
    for samples, rate, found in real.values():
        exchanged = median_beat(with_arms_exchanged(samples), rate, EXTRACT)
        if found.beat is not None and exchanged.beat is not None:
            flagged.append([ARMS_REVERSED in each.flags for each in (found, exchanged)])
    as_recorded, exchanged = np.mean(flagged, axis=0)
    assert len(flagged) > 530
    assert as_recorded <= 0.005
    assert exchanged >= 0.85


def test_pacemakers_are_refused(real, real_data):
    table = pd.read_csv(real_data / "ptb-xl/ptbxl_database.csv").set_index("ecg_id")
    paced = set(table.index[table.scp_codes.str.contains("PACE")])
    ids = {int(path.stem[:5]): found for path, (_, _, found) in real.items() if path.stem.endswith("_hr")}
    seen = {number for number, found in ids.items() if found.reason.startswith("paced")}
    # One of the six has spikes of 0.07 mV.
    assert seen <= paced
    assert len(seen) >= 5
