"""The function predict(): signals, rates and leads of any type, and errors that name what is of no use."""

import os

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import noisy_signal
from predict import predict

from ecg.leads import LEADS
from ecg.model.model import load_model, save_model

SAMPLES = noisy_signal(10)
SIGNAL = SAMPLES / 1000
MASK = np.zeros(SIGNAL.shape, bool)
MASK[1200:2220, 3] = True


@pytest.fixture(scope="module")
def model(finished):
    return finished / "data/model.safetensors"


@pytest.mark.parametrize(
    "signal",
    [
        *(SIGNAL.tolist(), SIGNAL.astype(">f8"), np.asfortranarray(SIGNAL), SIGNAL.astype(object)),
        *(pd.DataFrame(SIGNAL, columns=LEADS), pd.DataFrame(SIGNAL).astype("Float64")),
        *(torch.tensor(SIGNAL), memoryview(SIGNAL)),
    ],
    ids=lambda signal: type(signal).__name__,
)
def test_a_signal_of_any_type(model, signal):
    assert predict(signal, 500, LEADS, model=model) == predict(SIGNAL, 500, LEADS, model=model)


def test_rates_and_leads_of_any_type_and_missing_values(model):
    expected = predict(SIGNAL, 500, LEADS, model=model)
    for rate in (np.int16(500), np.array([500]), torch.tensor(500)):
        assert predict(SIGNAL, rate, LEADS, model=model) == expected
    for leads in (np.array(LEADS), pd.Index(LEADS), [lead.encode() for lead in LEADS]):
        assert predict(SIGNAL, 500, leads, model=model) == expected
    assert predict(SAMPLES, 500, LEADS, units="uV", model=model) == expected
    missing = predict(np.where(MASK, np.nan, SIGNAL), 500, LEADS, model=model)
    for signal in (np.ma.masked_array(SIGNAL, MASK), np.where(MASK, None, SIGNAL)):
        assert predict(signal, 500, LEADS, model=model) == missing


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        *[((SIGNAL, rate, LEADS), r"sampling rate is .+; allowed: a number, in Hz$") for rate in ("500", None, True)],
        *[((signal, 500, LEADS), r"signal (is|has the shape) .+; allowed: ") for signal in (None, [[1], [2, 3]], [1])],
        *[((SIGNAL, 500, leads), "leads is .+; allowed: a name for each") for leads in ("I,II", None, range(12))],
        ((SIGNAL.T, 500, LEADS), "allowed: samples x 12 leads"),
    ],
)
def test_an_error_names_what_is_of_no_use(model, arguments, words):
    with pytest.raises(ValueError, match=words):
        predict(*arguments, model=model)


def test_a_model_that_was_written_anew_is_loaded_anew(model, tmp_path):
    path, (loaded, description) = tmp_path / "m.safetensors", load_model(model)
    for threshold in (0, 1):
        save_model(path, loaded, description.model_copy(update={"threshold": threshold}))
        os.utime(path, (threshold, threshold))
        assert predict(SIGNAL, 500, LEADS, model=path)["threshold"] == threshold


def test_a_function_that_takes_a_signal(model):
    whole = predict(SAMPLES / 1000, 500, LEADS, model=model)
    assert whole["reason"] is None
    assert whole["trained_on"] == "synthetic recordings"
    # Leads are found by name, and limb leads derived.
    order = [1, 0, *range(11, 5, -1)]
    fewer = predict(SAMPLES[:, order] / 1000, 500, [LEADS[i].lower() for i in order], model=model)
    assert fewer["probability"] == pytest.approx(whole["probability"], abs=0.005)
    assert fewer["flags"] == ["derived lead: III, aVR, aVL, aVF"]
    # A limb lead is derived where it is missing; of another the beats there are lost.
    for lead, fewer_beats in ((3, False), (9, True)):
        gap = SAMPLES / 1000
        gap[1200:2220, lead] = np.nan
        found = predict(gap, 500, LEADS, model=model)
        assert (found["n_used"] < whole["n_used"]) == fewer_beats
        assert any(flag.startswith("limb leads missing: aVR from ") for flag in found["flags"]) != fewer_beats
    assert predict(SAMPLES / 1000, 500, ["I"] * 12, model=model)["reason"].startswith("duplicate lead: I")
    assert predict(SAMPLES / 1000, float("nan"), LEADS, model=model)["reason"].startswith("sampling rate: nan Hz")
