import numpy as np
import pandas as pd
import pytest
import torch
from conftest import ROOT

from ecg.evaluation.home import home_numbers
from ecg.evaluation.questions import scored_table
from ecg.evaluation.recalibration import halves, recalibrate
from ecg.leads import LEADS
from ecg.network.description import FORMAT, Description
from ecg.network.ensemble import Ensemble, logits, probabilities
from ecg.network.fcn import FCN
from ecg.network.novelty import Novelty
from ecg.params import Architecture, read_params
from ecg.stage.script import UsageError

CLASSES = ["normal", "ischemia", "other"]
ARCHITECTURE = Architecture(filters=[8], kernels=[3], dropout=[0], pool=2, parts=1, random_convolutions=0, trees=0)
ABOUT = Description(
    format=FORMAT,
    architecture=ARCHITECTURE,
    members=1,
    trees={"nodes": 1, "depth": 0},
    novelty={"nodes": 1, "depth": 0},
    classes=CLASSES,
    leads=list(LEADS),
    samples=163,
    unit="mV",
    extract=read_params(ROOT / "params.yaml").extract,
    sources=["home"],
    recordings=3,
    home={"roc_auc": 0.9, "sensitivity": 0.8, "specificity": 0.9, "brier": 0.1},
    recalibrated={},
    specificity=0.9,
    threshold=0.5,
)


@pytest.fixture(scope="module")
def site():
    """A model, and beats of a hospital where its log odds are right but for the temperature and the class shares."""
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    network = FCN(ARCHITECTURE, leads=12, classes=3)
    model = Ensemble([network], None, None, Novelty(pool=2, samples=163), torch.arange(3)).eval()
    beats = rng.normal(size=(600, 12, 163)).astype(np.float32)
    torch.nn.init.normal_(network.classifier.weight, std=100)
    model.log_shares.copy_(torch.tensor([0.89, 0.01, 0.1]).log())
    equal = (logits(model, beats).double() - model.log_shares).numpy()
    equal -= equal.mean(axis=0)
    noisy = 0.5 * equal + np.log([0.2, 0.7, 0.1]) + rng.gumbel(size=equal.shape)
    labels = np.array(CLASSES)[noisy.argmax(axis=1)]
    sha256 = [f"{i:016x}{0:048x}" for i in range(10, 610)]
    patient = [f"p{i // 2}" for i in range(600)]
    rows = pd.DataFrame({"label": labels, "patient": patient, "source": "there", "sha256": sha256})
    return model, beats, rows


def test_brier_improves_and_auc_stays(site):
    model, beats, rows = site
    half = halves(rows.label, rows.patient, seed=1)
    checked = half == "checked"
    new, about = recalibrate(model, ABOUT, beats, rows, half)
    before = home_numbers(scored_table(rows[checked], CLASSES, probabilities(model, beats[checked])), 0.5)
    after = home_numbers(scored_table(rows[checked], CLASSES, probabilities(new, beats[checked])), about.threshold)
    assert about.home == after
    assert after["roc_auc"] == before["roc_auc"] > 0.55
    assert after["brier"] < before["brier"] / 2
    # Weights stay; what tells the recordings of training now knows those that it was fitted to.
    assert torch.equal(new.members[0].classifier.weight, model.members[0].classifier.weight)
    assert len(new.hashes) > len(model.hashes)
    assert about.recordings == len(new.hashes)
    assert {name: part.recordings for name, part in about.recalibrated.items()} == {
        "fitted": int((~checked).sum()),
        "checked": int(checked.sum()),
    }


def test_halves_keep_patients_apart_and_classes_even(site):
    rows = site[2]
    half = pd.Series(halves(rows.label, rows.patient, seed=1))
    assert half.groupby(rows.patient).nunique().max() == 1
    counts = pd.crosstab(rows.label, half)
    assert (abs(counts.fitted - counts.checked) < 0.2 * counts.sum(axis=1)).all()
    assert (half == halves(rows.label, rows.patient, seed=1)).all()
    assert (half != halves(rows.label, rows.patient, seed=2)).any()


def test_too_few_patients_are_told(site):
    rows = site[2]
    few = pd.concat([rows[rows.label == "ischemia"][:9], rows[rows.label != "ischemia"]])
    with pytest.raises(UsageError, match=r"too few patients with ischemia to recalibrate: \d, at least 10"):
        halves(few.label, few.patient, seed=1)
