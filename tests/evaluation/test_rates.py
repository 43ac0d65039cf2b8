import numpy as np
import pytest

from ecg.evaluation.rates import predictive_values


def test_predictive_values_by_hand():
    # Of 1,000 with prevalence 2 %: 18 of 20 ill are called, 98 of 980 healthy; 882 and 2 are not.
    ppv, npv = predictive_values(np.array(0.9), np.array(0.9), 0.02)
    assert ppv == pytest.approx(18 / 116)
    assert npv == pytest.approx(882 / 884)
