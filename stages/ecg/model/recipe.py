"""The recipe from median beats and their labels to a calibrated model and its description."""

import numpy as np
import pandas as pd
import torch
from threadpoolctl import threadpool_limits

from ecg.beats.windows import beat_times
from ecg.leads import LEADS
from ecg.model.decision import fit_calibration, threshold_for
from ecg.model.description import FORMAT, Description, Grown
from ecg.model.fcn import Beats, choose_device, create, fit_network
from ecg.model.model import Model, first_bytes, probabilities, uncalibrated_logits
from ecg.model.ood import fit_ood
from ecg.model.trees import first_sample, fit_trees
from ecg.params import Architecture, Extract, Labels, Params, Train
from ecg.run.files import CLASSES


def classes_of(labels: pd.Series) -> list[str]:
    """Return the classes that occur in labels, in the order of the model's outputs."""
    return [name for name in CLASSES if name in set(labels)]


@threadpool_limits.wrap(limits=1)  # the sums of a convolution depend on the number of threads
def fit_model(
    beats: np.ndarray, rows: pd.DataFrame, classes: list[str], extract: Extract, train: Train, val: Beats | None = None
) -> tuple[Model, pd.DataFrame]:
    """Fit a model, not yet calibrated, to beats (n x 12 x samples, mV); return it and the networks' epochs.

    `rows` have label, patient and sha256. `val` only adds its loss to the epochs.
    """
    torch.use_deterministic_algorithms(True)
    device = choose_device()
    data = Beats(beats, rows.label.map(classes.index).to_numpy())
    members, history = [], []
    for number in range(1, train.members + 1):
        seed = int(np.random.SeedSequence([train.seed, number]).generate_state(1)[0])
        network = create(train, beats, classes=len(classes), seed=seed).to(device)
        history += fit_network(network, data, train, val)
        members.append(network)
    trees = fit_trees(train.trees, data, len(classes), first_sample(extract), train.seed) if train.trees else None
    ood = fit_ood(beats, rows.patient.to_numpy())
    hashes = torch.from_numpy(first_bytes(rows.sha256))
    return Model(members, trees, ood, hashes, classes.index("ischemia")).to(device), pd.DataFrame(history)


def train_model(
    beats: np.ndarray, rows: pd.DataFrame, extract: Extract, settings: Train
) -> tuple[Model, list[str], float, np.ndarray, pd.DataFrame]:
    """Fit a model to the beats (n x 12 x samples, mV) of split train; calibrate it and set its threshold on val.

    With `train.refit` the weights are then fitted anew to both. Return model, classes and threshold, and p(val)
    (n x classes) and epochs from before the refit.
    """
    train, val = (np.flatnonzero(rows.split == name) for name in ("train", "val"))
    labels = rows.label.iloc[train]
    classes = classes_of(labels)
    ischemia = classes.index("ischemia")
    val_data = Beats(beats[val], rows.label.iloc[val].map(classes.index).to_numpy())
    model, history = fit_model(beats[train], rows.iloc[train], classes, extract, settings, val_data)
    shares = labels.value_counts(normalize=True)[classes].to_numpy()
    calibration = fit_calibration(uncalibrated_logits(model, val_data.beats), val_data.target, shares, ischemia)
    model.calibrate(calibration)
    # The model's own outputs: their last digits decide about the recording that sets the threshold.
    p = probabilities(model, val_data.beats)
    threshold = threshold_for(settings.specificity, p[val_data.target != ischemia, ischemia])
    if settings.refit:
        both = np.concatenate([train, val])
        model, _ = fit_model(beats[both], rows.iloc[both], classes, extract, settings)
        model.calibrate(calibration)
    remember(model, rows.sha256.iloc[val])
    return model, classes, threshold, p, history


def remember(model: Model, sha256: pd.Series) -> None:
    """Add recordings to those that the model was fitted to, by the SHA-256 (hex) of their samples."""
    model.hashes = torch.nn.Buffer(torch.from_numpy(np.union1d(model.hashes.cpu().numpy(), first_bytes(sha256))))


def describe(
    model: Model, rows: pd.DataFrame, classes: list[str], params: Params, threshold: float, reference: dict[str, float]
) -> Description:
    """Return the description of a calibrated model that was fitted to the recordings of `rows` (source and dx)."""
    trees = model.trees
    size = Grown(nodes=len(trees.feature), depth=trees.depth) if trees else Grown(nodes=1, depth=0)
    return Description(
        format=FORMAT,
        architecture=Architecture(**params.train.model_dump(include=set(Architecture.model_fields))),
        members=len(model.members),
        trees=size,
        classes=classes,
        leads=list(LEADS),
        n_samples=len(beat_times(params.extract)),
        unit="mV",
        extract=params.extract,
        labels=Labels(**params.download.model_dump(include=set(Labels.model_fields))),
        labelled=float(rows.dx.str.lower().str.split("|").map({"", *CLASSES}.issuperset).mean()),  # no code
        sources=sorted(set(rows.source)),
        recordings=len(model.hashes),
        reference=reference,
        recalibrated={},
        specificity=params.train.specificity,
        threshold=threshold,
    )
