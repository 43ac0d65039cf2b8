import numpy as np
import pandas as pd
import pytest

from ecg.evaluation.measures import operating_rows, predictive_values
from ecg.params import Evaluate

# Ischemic: two of three called; normal: none of four; other: one of two.
P = {"ischemia": [0.9, 0.3, 0.1], "normal": [0.0, 0.1, 0.1, 0.2], "other": [0.6, 0.2]}


def rates(classes):
    table = pd.DataFrame([(label, p) for label in classes for p in P[label]], columns=["label", "p_ischemia"])
    rows = operating_rows(table.assign(patient=np.arange(len(table))), 0.3, Evaluate(bootstrap=100, seed=1))
    return pd.DataFrame(rows).set_index("measure")


def test_predictive_values_by_hand():
    # Of 1,000 with prevalence 2 %: 18 of 20 ill are called, 98 of 980 healthy; 882 and 2 are not.
    ppv, npv = predictive_values(np.array(0.9), np.array(0.9), 0.02)
    assert ppv == pytest.approx(18 / 116)
    assert npv == pytest.approx(882 / 884)


def test_rates_by_hand_are_of_ischemia_against_everything_else():
    found = rates(P)
    expected = {"sensitivity": 2 / 3, "specificity": 5 / 6, "specificity_normal": 1, "specificity_other": 1 / 2}
    expected |= {"called": 3 / 9, "ppv": 2 / 3, "npv": 5 / 6}
    expected["brier"] = (0.1**2 + 0.7**2 + 0.9**2 + 0 + 0.1**2 + 0.1**2 + 0.2**2 + 0.6**2 + 0.2**2) / 9
    assert found.value[list(expected)].to_dict() == pytest.approx(expected)
    assert ((found.low <= found.value) & (found.value <= found.high)).all()
    counts = {"specificity": 6, "specificity_normal": 4, "specificity_other": 2}
    assert found.n_others[list(counts)].to_dict() == counts
    assert (found.n_ischemia == 3).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("classes", "absent"),
    [
        (["ischemia", "other"], {"specificity_normal"}),
        (["ischemia", "normal"], {"specificity_other"}),
        (["ischemia"], {"specificity", "specificity_normal", "specificity_other"}),
        (["normal", "other"], {"sensitivity"}),
    ],
)
def test_a_rate_without_such_records_has_a_reason(classes, absent):
    found = rates(classes)
    none = found[found.value.isna()]
    assert absent <= set(none.index)
    assert (none.reason[list(absent)] == "no such recording").all()
    assert found.value[["called", "brier"]].notna().all()
    assert none.reason.notna().all()
