"""Synthetic recordings: the files, their bytes, and that a heart shows the disease that it has."""

import numpy as np
import pytest
import synthesise
import wfdb
from conftest import leads
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ecg.leads import LEADS
from ecg.recordings.hearts import abnormal, healthy_heart, ischemic
from ecg.recordings.read import read_ecg, standard_leads
from ecg.recordings.synthetic import HOSPITALS, write_recordings

TIMES = np.arange(-250, 400, 8)


def written(folder, workers, monkeypatch, patients=60):
    monkeypatch.setenv("WORKERS", str(workers))
    write_recordings(folder, patients=patients, seed=3)
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")}


def test_the_same_bytes_for_any_number_of_workers_and_patients(tmp_path, monkeypatch):
    one = written(tmp_path / "one", 1, monkeypatch)
    assert one == written(tmp_path / "two", 2, monkeypatch)
    assert len({content for path, content in one.items() if path.suffix == ".dat"}) == len(one) / 2
    fewer = written(tmp_path / "fewer", 1, monkeypatch, patients=5)
    assert fewer.items() <= one.items() and len(fewer) >= 10


def test_what_is_written(tmp_path, monkeypatch):
    written(tmp_path, 1, monkeypatch)
    labels = {}
    for path in tmp_path.rglob("*.hea"):
        record = wfdb.rdrecord(str(path.with_suffix("")), physical=False)
        samples, flags = standard_leads(read_ecg(path))
        np.testing.assert_array_equal(record.d_signal, samples)
        assert flags == [] and set(record.adc_gain) == {1000} and set(record.baseline) == {0}
        comments = dict(line.split(": ") for line in record.comments)
        assert record.fs == HOSPITALS[comments["Source"]].sampling_rate and len(samples) == 10 * record.fs
        assert path.parent.name == comments["Source"] and path.stem.startswith(f"S{comments['Patient']}-")
        assert 18 <= int(comments["Age"]) <= 95 and comments["Sex"] in ("Male", "Female")
        labels.setdefault(comments["Patient"], set()).add(comments["Dx"])
    assert len(labels) == 60 and set().union(*labels.values()) == {"426783006", "426783006,164861001", "55827005"}
    # A patient's heart is normal or has a disease that stays; ischemia may come and go on top of either.
    assert not any({"426783006", "55827005"} <= shown for shown in labels.values())


def beats(kinds, n, seed):
    """The beats (mV) of n hearts, each with one of the kinds of disease in turn, in V5 and in all leads."""
    rng = np.random.default_rng(seed)
    made = np.array([leads(TIMES, kinds[i % len(kinds)](healthy_heart(rng), rng)) for i in range(n)])
    return made[:, :, LEADS.index("V5")], made.reshape(n, -1)


def healthy(heart, rng):
    return heart


def test_ischemia_depresses_st_and_lowers_t_and_is_lifted_in_no_territory():
    (normal, _), (ill, _) = beats([healthy], 300, 0), beats([ischemic], 300, 1)
    st, t = np.abs(TIMES - 100) < 10, np.abs(TIMES - 270) < 30
    assert np.mean(ill[:, st] - normal[:, st]) == pytest.approx(-0.08, abs=0.04)
    assert np.mean(ill[:, t] - normal[:, t]) < -0.15
    assert np.mean(ill[:, st].mean(axis=1) > np.quantile(normal[:, st].mean(axis=1), 0.95)) < 0.04


@pytest.mark.parametrize("other", [healthy, abnormal])
def test_ischemic_hearts_and_others_overlap_by_one_measurement_and_for_a_straight_line(other):
    (v5, x), (v5_ill, x_ill) = beats([other], 800, 0), beats([ischemic], 800, 1)
    v5, x, y = np.concatenate([v5, v5_ill]), np.concatenate([x, x_ill]), np.repeat([0, 1], 800)
    st, t = (v5[:, np.abs(TIMES - at) < 20].mean(axis=1) for at in (100, 270))
    train = np.tile([True, False], 800)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1e-3, max_iter=1000)).fit(x[train], y[train])
    one = max(roc_auc_score(y[~train], -st[~train]), roc_auc_score(y[~train], -t[~train]))
    assert 0.6 < one < roc_auc_score(y[~train], model.decision_function(x[~train])) < 0.97
    # Some ischemic hearts have an ordinary ST.
    assert np.mean(st[y == 1] > np.median(st[y == 0])) > 0.1


@pytest.mark.parametrize("option", ["--patients=0", "--seed=-1"])
def test_numbers_that_make_no_recordings_are_refused(tmp_path, monkeypatch, option):
    monkeypatch.setattr("sys.argv", ["synthesise.py", f"{tmp_path}/new", option])
    with pytest.raises(SystemExit, match="2"):
        synthesise.main()
