import numpy as np
import pandas as pd
import pytest

from ecg.evaluation.measures import subgroups
from ecg.params import Evaluate

EVALUATE = Evaluate(bootstrap=100, seed=1)


def recordings(labels):
    n = len(labels)
    table = pd.DataFrame({"label": labels, "patient": np.arange(n), "source": "north", "sex": "", "noise_uv": 10.0})
    p = np.linspace(0.9, 0.1, n)
    return table.assign(p_ischemia=p, p_normal=1 - p, p_other=0.0, age=np.nan, heart_rate=70.0)


def test_groups_add_up_and_what_is_not_known_is_a_group():
    groups = subgroups(recordings(["ischemia"] * 6 + ["normal"] * 8 + ["other"]), np.array([9.0, 20.0]), EVALUATE)
    sums = groups.groupby("grouping")[["n_ischemia", "n_normal"]].sum()
    assert (sums == [6, 8]).all(axis=None)
    assert set(groups.group) == {"test", "north", "unknown", "60 – 99 /min", "9.0 – 20.0 uV"}
    assert (groups.roc_auc == 1).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("labels", "reasons"),
    [
        (["ischemia"] * 9 + ["other"] * 9, {"fewer than 5 patients with normal (none)"}),
        (["ischemia"] * 9 + ["normal"] * 4, {"fewer than 5 patients with normal"}),
        (["normal"] * 9 + ["other"] * 9, {"fewer than 5 patients with ischemia (none)"}),
        (["other"] * 9, set()),
    ],
)
def test_a_group_without_either_class_has_a_reason(labels, reasons):
    groups = subgroups(recordings(labels), np.array([9.0, 20.0]), EVALUATE)
    assert set(groups.reason) == reasons
    assert groups.roc_auc.isna().all()
