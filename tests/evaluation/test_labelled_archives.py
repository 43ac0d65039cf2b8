import numpy as np
import pandas as pd
import pytest
import torch
from small_models import DESCRIPTION

from ecg.evaluation.labelled_archives import halves, recalibrate
from ecg.model.comparisons import reference_numbers, scored_table
from ecg.model.description import Description
from ecg.model.fcn import FCN
from ecg.model.model import Model, probabilities, uncalibrated_logits
from ecg.model.ood import OutOfDistribution
from ecg.params import Architecture
from ecg.run.script import UsageError

CLASSES = ["normal", "ischemia", "other"]
ARCHITECTURE = Architecture(filters=[8], kernels=[3], dropout=[0], parts=1, trees=0)
ABOUT = Description.model_validate(DESCRIPTION | {"members": 1, "classes": CLASSES, "threshold": 0.5})


@pytest.fixture(scope="module")
def site():
    """A model, and beats of a hospital where its log odds of ischemia are right but for slope and intercept."""
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    network = FCN(ARCHITECTURE, leads=12, classes=3)
    model = Model([network], None, OutOfDistribution(94), torch.arange(3), CLASSES.index("ischemia")).eval()
    beats = rng.normal(size=(1200, 12, 94)).astype(np.float32)
    torch.nn.init.normal_(network.classifier.weight, std=100)
    network.classifier.bias.data -= torch.from_numpy(uncalibrated_logits(model, beats).mean(axis=0)).float()
    # The model already has a calibration; the new one is applied on top of it.
    model.slope.fill_(2), model.intercept.fill_(-1)
    p = probabilities(model, beats)
    odds = 0.4 * np.log(p[:, 1] / (p[:, 0] + p[:, 2])) + 1.5
    third = np.where(p[:, 0] > p[:, 2], "normal", "other")
    labels = np.where(rng.random(len(p)) < 1 / (1 + np.exp(-odds)), "ischemia", third)
    sha256 = [f"{i:016x}{0:048x}" for i in range(10, 1210)]
    patient = [f"p{i // 2}" for i in range(1200)]
    rows = pd.DataFrame({"label": labels, "patient": patient, "source": "there", "sha256": sha256})
    return model, beats, rows


def test_probabilities_are_mended_and_the_order_stays(site):
    model, beats, rows = site
    half = halves(rows.label, rows.patient, seed=1)
    checked = half == "checked"
    new, about = recalibrate(model, ABOUT, beats, rows, half)
    assert float(new.slope) == pytest.approx(0.4 * 2, rel=0.25)
    assert float(new.intercept) == pytest.approx(0.4 * -1 + 1.5, abs=0.25)
    before = reference_numbers(scored_table(rows[checked], CLASSES, probabilities(model, beats[checked])), 0.5)
    after = reference_numbers(scored_table(rows[checked], CLASSES, probabilities(new, beats[checked])), about.threshold)
    assert about.reference == after
    assert after["roc_auc_vs_rest"] == pytest.approx(before["roc_auc_vs_rest"], abs=1e-4)
    assert after["brier"] < 0.9 * before["brier"]
    assert after["specificity"] == pytest.approx(ABOUT.specificity, abs=0.07)
    # Weights stay; the hashes of training now include the fitted recordings.
    assert torch.equal(new.members[0].classifier.weight, model.members[0].classifier.weight)
    assert float(model.slope) == 2
    assert about.recordings == len(new.hashes) == 3 + (~checked).sum()
    sizes = {"fitted": int((~checked).sum()), "checked": int(checked.sum())}
    assert {name: part.recordings for name, part in about.recalibrated.items()} == sizes


def test_no_normal_recording_is_needed(site):
    model, beats, rows = site
    some = (rows.label != "normal").to_numpy()
    rows, beats = rows[some], beats[some]
    half = halves(rows.label, rows.patient, seed=1)
    _, about = recalibrate(model, ABOUT, beats, rows, half)
    assert "roc_auc" not in about.reference
    # The description is valid without it.
    assert Description.model_validate(about.model_dump()) == about


def test_halves_keep_patients_apart_and_classes_even(site):
    rows = site[2]
    half = pd.Series(halves(rows.label, rows.patient, seed=1))
    assert half.groupby(rows.patient).nunique().max() == 1
    counts = pd.crosstab(rows.label, half)
    assert (abs(counts.fitted - counts.checked) < 0.2 * counts.sum(axis=1)).all()
    assert (half == halves(rows.label, rows.patient, seed=1)).all()
    assert (half != halves(rows.label, rows.patient, seed=2)).any()


@pytest.mark.parametrize(("label", "name"), [("ischemia", "with"), ("other", "without")])
def test_a_class_has_too_few_patients(label, name):
    labels = pd.Series([label] * 9 + ["ischemia" if label == "other" else "normal"] * 30)
    patients = pd.Series([f"p{i}" for i in range(len(labels))])
    with pytest.raises(UsageError, match=f"needs 10 patients {name} ischemia, found 9; add recordings"):
        halves(labels, patients, seed=1)
