"""Synthetic recordings: the files, their bytes, and that a heart shows the disease that it has."""

import numpy as np
import pytest
import wfdb
from scipy.spatial.transform import Rotation
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from ecg.leads import LEADS
from ecg.recordings.header import read_header
from ecg.recordings.hearts import OTHERS, abnormal, healthy_heart, infarct, ischemic, leads, turned
from ecg.recordings.signals import read_samples
from ecg.recordings.synthetic import HOSPITALS, write_record, write_recordings

TIMES = np.arange(-250, 400, 8)


def test_wfdb_and_the_own_reader_read_what_is_written(tmp_path):
    samples = np.random.default_rng(0).integers(-32767, 32767, (2000, 12), dtype=np.int16)
    write_record(tmp_path / "S0001-1", samples, 257, {"Age": 61, "Dx": "426783006"})
    record = wfdb.rdrecord(str(tmp_path / "S0001-1"), physical=False)
    np.testing.assert_array_equal(record.d_signal, samples)
    assert (record.fs, record.sig_name, record.comments) == (257, list(LEADS), ["Age: 61", "Dx: 426783006"])
    assert (record.units, record.adc_gain, record.baseline) == (["mV"] * 12, [1000] * 12, [0] * 12)
    assert record.init_value == list(samples[0])
    assert [value % 65536 for value in record.checksum] == record.calc_checksum()
    read, flags = read_samples(read_header(tmp_path / "S0001-1.hea"), verify_checksums=True)
    np.testing.assert_array_equal(read, samples)
    assert flags == []


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


def test_what_headers_say(tmp_path, monkeypatch):
    written(tmp_path, 1, monkeypatch)
    labels = {}
    for path in tmp_path.rglob("*.hea"):
        header = wfdb.rdheader(str(path.with_suffix("")))
        said = dict(line.split(": ") for line in header.comments)
        assert header.fs == HOSPITALS[said["Source"]].sampling_rate and header.sig_len == 10 * header.fs
        assert path.parent.name == said["Source"] and path.stem.startswith(f"S{said['Patient']}-")
        assert 18 <= int(said["Age"]) <= 95 and said["Sex"] in ("Male", "Female")
        labels.setdefault(said["Patient"], set()).add(said["Dx"])
    assert len(labels) == 60 and set().union(*labels.values()) == {"426783006", "426783006,164861001", "55827005"}
    # A patient's heart is normal or has a disease that stays; ischemia may come and go on top of either.
    assert not any({"426783006", "55827005"} <= shown for shown in labels.values())


def beats(kinds, n, seed):
    """The beats (mV) of so many hearts, each with one of the kinds of disease in turn, in V5 and in all leads."""
    rng = np.random.default_rng(seed)
    made = np.array([leads(TIMES, kinds[i % len(kinds)](healthy_heart(rng), rng)) for i in range(n)])
    return made[:, :, LEADS.index("V5")], made.reshape(n, -1)


def test_ischemia_depresses_st_and_lowers_t_and_is_lifted_in_no_territory():
    (normal, _), (ill, _) = beats([lambda heart, rng: heart], 300, 0), beats([ischemic], 300, 1)
    st, t = np.abs(TIMES - 100) < 10, np.abs(TIMES - 270) < 30
    assert np.mean(ill[:, st] - normal[:, st]) == pytest.approx(-0.08, abs=0.04)
    assert np.mean(ill[:, t] - normal[:, t]) < -0.2
    assert np.mean(ill[:, st].mean(axis=1) > np.quantile(normal[:, st].mean(axis=1), 0.95)) < 0.02


def test_a_straight_line_parts_most_of_the_ischemic_hearts_from_normal_ones_but_not_all():
    hearts = [beats([kind], 400, seed)[1] for seed, kind in enumerate([lambda heart, rng: heart, ischemic, abnormal])]

    def auc(one, other):
        x, y = StandardScaler().fit_transform(np.concatenate([one, other])), np.repeat([0, 1], 400)
        train = np.tile([True, False], 400)
        model = LogisticRegression(C=1e-3, max_iter=1000).fit(x[train], y[train])
        return roc_auc_score(y[~train], model.decision_function(x[~train]))

    assert 0.95 < auc(hearts[0], hearts[1]) < 1
    assert 0.85 < auc(hearts[2], hearts[1]) < auc(hearts[0], hearts[1])


def test_shares_of_diseases_add_up_and_an_infarct_takes_r_away():
    assert sum(OTHERS.values()) == pytest.approx(1)
    (normal, _), (ill, _) = beats([lambda heart, rng: heart], 300, 0), beats([infarct], 300, 1)
    assert np.mean(ill.max(axis=1)) < np.mean(normal.max(axis=1)) - 0.1


def test_a_heart_turns_round_an_axis_as_rotation_vectors_say():
    rng = np.random.default_rng(0)
    for vector, rotation in zip(rng.normal(size=(20, 3)), rng.normal(0, 60, (20, 3)), strict=True):
        expected = Rotation.from_rotvec(rotation, degrees=True).apply(vector)
        np.testing.assert_allclose(turned(vector, rotation), expected, atol=1e-12)
    np.testing.assert_allclose(turned(np.array((1.0, 0, 0)), np.array((0, 0, 90.0))), (0, 1, 0), atol=1e-12)
