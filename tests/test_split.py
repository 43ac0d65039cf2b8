import numpy as np
import pandas as pd
import pytest
from split import assign_folds, assign_splits, check_classes, main, split_patients

from ecg.params import Split
from ecg.recordings.index import COLUMNS
from ecg.run import paths
from ecg.run.files import read_table
from ecg.run.script import UsageError

SPLIT = Split(folds=10, val_fold=9, test_fold=10, holdout_source="", seed=1)


def holding_out(source):
    return SPLIT.model_copy(update={"holdout_source": source})


def records(n=600, seed=0):
    rng = np.random.default_rng(seed)
    patient = rng.integers(0, n // 2, n).astype(str)
    source = np.array(["a", "b", "c"])[np.char.str_len(patient) % 3]
    label = rng.choice(["normal", "ischemia", "other"], n, p=(0.6, 0.2, 0.2))
    return pd.DataFrame({"patient": patient, "source": source, "label": label})


def fold_of(table, given=None, folds=10, seed=1):
    given = np.full(len(table), np.nan) if given is None else given
    strata = (table.label + table.source).to_numpy()
    return assign_folds(table.patient.to_numpy(), strata, given, folds=folds, seed=seed)


def test_no_patient_is_in_two_folds_and_strata_are_even():
    table = records()
    table["fold"] = fold_of(table)
    assert (table.groupby("patient").fold.nunique() == 1).all()
    assert set(table.fold) == set(range(1, 11))
    share = pd.crosstab(table.fold, table.label == "ischemia", normalize="index")[True]
    assert share.between(0.1, 0.3).all()
    np.testing.assert_array_equal(fold_of(table), table.fold)
    assert (fold_of(table, seed=2) != table.fold).any()


def test_given_folds_are_kept_and_shared_by_the_patient():
    table = records(40)
    table["patient"] = [str(i // 2) for i in range(40)]
    given = np.where(np.arange(40) % 4 == 0, np.arange(40) % 10 + 1.0, np.nan)
    fold = fold_of(table, given, folds=10)
    np.testing.assert_array_equal(fold[::4], given[::4])
    np.testing.assert_array_equal(fold[1::4], given[::4])


def test_an_archive_without_folds_is_dealt_beside_one_with_them():
    table = records(600)
    ours = np.arange(600) >= 300
    table["patient"] = np.where(ours, "ours:", "ptb-xl:") + table.patient
    table["source"] = np.where(ours, "ours", "ptb-xl")
    given = np.where(ours, np.nan, pd.factorize(table.patient)[0] % 10 + 1.0)
    table["fold"] = fold_of(table, given)
    np.testing.assert_array_equal(table.fold[~ours], given[~ours])
    assert (table.groupby("patient").fold.nunique() == 1).all()
    assert table[ours].fold.value_counts().between(20, 40).all() and table[ours].fold.nunique() == 10
    ischemic = table[ours & (table.label == "ischemia")]
    assert ischemic.fold.nunique() == 10


def test_ten_given_folds_make_five_and_few_patients_are_dealt_too():
    table = pd.DataFrame({"patient": [str(i) for i in range(10)], "source": "a", "label": "normal"})
    np.testing.assert_array_equal(fold_of(table, np.arange(1.0, 11), folds=5), [1, 1, 2, 2, 3, 3, 4, 4, 5, 5])
    assert set(fold_of(table[:3], folds=10)) <= set(range(1, 11))


def test_every_recording_has_a_split_or_the_reason_why_it_has_none(project):
    index = records().rename_axis("record").reset_index().reindex(columns=COLUMNS, fill_value="")
    index.loc[3, "reason"] = "no Dx"
    index.to_csv(paths.RECORDINGS_TABLE, index=False)
    numbers = dict.fromkeys(("row", "n_beats", "n_used", "heart_rate", "noise_uv"), 9)
    beats = index[["record"]].drop(3).assign(**numbers, reason="")
    beats.loc[7, ["row", "reason"]] = np.nan, "flat lead: V1"
    beats.to_csv(paths.BEATS_TABLE, index=False)
    main()
    table = read_table(paths.SPLIT)
    assert list(table.record) == [str(i) for i in range(600)]
    assert table.reason[(table.split == "") | (table.reason != "")].to_dict() == {3: "no Dx", 7: "flat lead: V1"}


def test_assign():
    table = pd.DataFrame({"patient": list("abcde"), "source": list("xxxyy"), "fold": [1, 9, 10, 9, 10]})
    assert list(assign_splits(table, SPLIT)) == ["train", "val", "test", "val", "test"]
    assert list(assign_splits(table, holding_out("y"))) == ["train", "val", "train", "test", "test"]
    # A patient of the held-out source is nowhere else.
    shared = pd.DataFrame({"patient": list("aab"), "source": list("xyx"), "fold": [1, 1, 1]})
    assert list(assign_splits(shared, holding_out("y"))) == ["test", "test", "train"]
    with pytest.raises(UsageError, match="'z'; allowed: '' or one of x, y"):
        assign_splits(table, holding_out("z"))
    with pytest.raises(UsageError, match=r"^split\.test_fold is 11; allowed: 0 to 10$"):
        assign_splits(table, SPLIT.model_copy(update={"test_fold": 11}))


def test_folds_that_leave_no_test_split_stop():
    dealt = split_patients(records().assign(fold=np.nan), SPLIT.model_copy(update={"val_fold": 10}))
    with pytest.raises(UsageError, match=r"no ischemia recording in the test split; .*split\.val_fold"):
        check_classes(dealt, without_test=False)


def test_a_class_that_a_split_lacks_stops():
    table = pd.DataFrame({"label": ["normal", "ischemia"] * 3, "split": ["train"] * 2 + ["val"] * 2 + ["test"] * 2})
    check_classes(table, without_test=False)
    with pytest.raises(UsageError, match="no ischemia recording in the test split"):
        check_classes(table[:5], without_test=False)
    with pytest.raises(UsageError, match="none of 3 recordings with a beat is ischemia; check the labels"):
        check_classes(table[::2], without_test=False)
    with pytest.raises(UsageError, match="no other recording in the val split"):
        check_classes(pd.concat([table, pd.DataFrame({"label": ["other"], "split": ["train"]})]), without_test=False)
