"""A small model for the tests, its description, and beats to train it on."""

import numpy as np
import torch
from projects import DEFAULTS

from ecg.leads import LEADS
from ecg.model.description import FORMAT
from ecg.model.fcn import FCN, Beats
from ecg.model.model import Model
from ecg.model.ood import OutOfDistribution
from ecg.model.trees import fit_trees
from ecg.params import Architecture, Labels, read_params

PARAMS = read_params(DEFAULTS)
ARCHITECTURE = {"filters": [16, 24, 8], "kernels": [8, 5, 3], "dropout": [0.1, 0.1, 0.2], "parts": 3, "trees": 0}
DESCRIPTION = {
    "format": FORMAT,
    "architecture": ARCHITECTURE,
    "members": 2,
    "classes": ["normal", "ischemia"],
    "leads": list(LEADS),
    "n_samples": 94,
    "unit": "mV",
    "extract": PARAMS.extract.model_dump() | {"window_end": 500},
    "labels": {key: getattr(PARAMS.download, key) for key in Labels.model_fields},
    "labelled": 0.25,
    "sources": ["Zürich"],
    "recordings": 3,
    "reference": {"roc_auc_vs_rest": 0.9, "sensitivity": 0.8, "specificity": 0.9, "brier": 0.1},
    "trees": {"nodes": 1, "depth": 0},
    "recalibrated": {},
    "specificity": 0.9,
    "threshold": 0.25,
}


def small_model(leads: int = 3, classes: int = 2, ischemia: int = 1, **changes) -> Model:
    """Two networks, trees for beats of 94 samples where the changes of the architecture have any, a calibration."""
    torch.manual_seed(0)
    architecture = Architecture(**ARCHITECTURE | changes)
    members = [FCN(architecture, leads=leads, classes=classes) for _ in range(2)]
    for member in members:
        member.mean.normal_()
    trees = None
    if architecture.trees:
        beats = np.random.default_rng(0).normal(size=(60, leads, 94)).astype(np.float32)
        trees = fit_trees(architecture.trees, Beats(beats, np.arange(60) % classes), classes, 33, seed=1)
    model = Model(members, trees, OutOfDistribution(94), torch.arange(3), ischemia)
    for name, value in {"temperature": 1.7, "slope": 0.8, "intercept": -0.3}.items():
        getattr(model, name).fill_(value)
    model.log_prior.copy_(torch.tensor([-0.5, -1.2, -2.3])[:classes])
    return model.eval()


def description_of(model: Model, **architecture) -> dict:
    """The description of a small model with these changes of the architecture."""
    trees = model.trees
    grown = {"trees": {"nodes": len(trees.feature), "depth": trees.depth}} if trees else {}
    return DESCRIPTION | grown | {"architecture": ARCHITECTURE | architecture}


def made_beats(n: int, seed: int, signal: float = 1.0) -> Beats:
    """Noise, with a bump in the leads that belong to the class."""
    rng = np.random.default_rng(seed)
    target = rng.permutation(np.arange(n) % 3)
    x = rng.normal(0, 1, (n, 12, 60)).astype(np.float32)
    for i, place in enumerate(target):
        x[i, 4 * place : 4 * place + 4, 20:28] += signal
    return Beats(x, target)
