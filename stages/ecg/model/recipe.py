"""The recipe: from median beats and their labels to a calibrated model, as train, cross_validate and release use it."""

from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from ecg.beats.windows import beat_times
from ecg.leads import LEADS
from ecg.model.decision import Calibration, fit_calibration, threshold_for
from ecg.model.description import FORMAT, Description
from ecg.model.fcn import choose_device
from ecg.model.model import Model, first_bytes, probabilities, uncalibrated_logits
from ecg.model.ood import fit_ood
from ecg.model.training import Beats, create, fit, fit_together
from ecg.model.trees import first_sample, fit_trees
from ecg.params import Architecture, Extract, Labels, Params, Train
from ecg.run.files import CLASSES


def classes_of(labels: pd.Series) -> list[str]:
    """Return the classes that labels hold, in the order of the model's outputs."""
    return [name for name in CLASSES if name in set(labels)]


def fit_model(
    beats: np.ndarray,
    rows: pd.DataFrame,
    classes: list[str],
    extract: Extract,
    train: Train,
    val: Beats | None = None,
) -> tuple[Model, pd.DataFrame]:
    """Fit networks, trees and the distance from training to beats; return the uncalibrated model and its epochs.

    `beats` are n x 12 x samples (mV), `rows` have their label and patient. `val` is only watched.
    """
    torch.use_deterministic_algorithms(True)
    device = choose_device()
    data = Beats(beats, rows.label.map(classes.index).to_numpy())
    seeds = [int(np.random.SeedSequence([train.seed, n + 1]).generate_state(1)[0]) for n in range(train.members)]
    members = [create(train, beats, classes=len(classes), seed=seed).to(device) for seed in seeds]
    progress = tqdm(desc="epochs", total=train.members * train.epochs, disable=None, leave=False)
    history: list[dict] = []
    one_at_a_time = Lock()

    def after_epoch(member: int, row: dict) -> None:
        with one_at_a_time:
            history.append({"member": member} | row)
            progress.update()

    def fit_member(n: int, check: Callable[[], None]) -> None:
        own = train.model_copy(update={"seed": seeds[n]})
        fit(members[n], data, own, val, partial(after_epoch, n + 1), check)

    with progress:
        fit_together([partial(fit_member, n) for n in range(train.members)], device)
    trees = fit_trees(train.trees, data, len(classes), first_sample(extract), train.seed) if train.trees else None
    ood = fit_ood(beats, rows.patient.to_numpy())
    model = Model(members, trees, ood, torch.zeros(0, dtype=torch.int64), classes.index("ischemia")).to(device)
    return model, pd.DataFrame(history).sort_values(["member", "epoch"], ignore_index=True)


def calibrate(model: Model, calibration: Calibration) -> None:
    """Give the model a calibration."""
    for name, value in calibration._asdict().items():
        getattr(model, name).copy_(torch.as_tensor(value))


class Trained(NamedTuple):
    """A calibrated model, its classes and threshold; of before a refit p(val) (n x classes) and epochs."""

    model: Model
    classes: list[str]
    threshold: float
    p_val: np.ndarray
    history: pd.DataFrame


def train_model(
    beats: np.ndarray,
    rows: pd.DataFrame,
    val_beats: np.ndarray,
    val_rows: pd.DataFrame,
    extract: Extract,
    train: Train,
) -> Trained:
    """Fit a model to the beats (n x 12 x samples, mV) of train; calibrate it and set its threshold on val.

    With `train.refit` the weights are then fitted anew to both.
    """
    classes = classes_of(rows.label)
    ischemia, val_target = classes.index("ischemia"), val_rows.label.map(classes.index).to_numpy()
    model, history = fit_model(beats, rows, classes, extract, train, Beats(val_beats, val_target))
    logits = uncalibrated_logits(model, val_beats)
    shares = rows.label.value_counts(normalize=True)[classes].to_numpy()
    calibration = fit_calibration(logits, val_target, shares, ischemia)
    calibrate(model, calibration)
    # The model's own, whose last digits decide about the recording that sets the threshold.
    p = probabilities(model, val_beats)
    threshold = threshold_for(train.specificity, p[val_target != ischemia, ischemia])
    if train.refit:
        both = pd.concat([rows, val_rows], ignore_index=True)
        model, _ = fit_model(np.concatenate([beats, val_beats]), both, classes, extract, train)
        calibrate(model, calibration)
    return Trained(model, classes, threshold, p, history)


def remember(model: Model, sha256: pd.Series) -> None:
    """Let the model know the recordings that it was fitted to, by the SHA-256 (hex) of their samples."""
    model.hashes = torch.nn.Buffer(torch.from_numpy(np.union1d(model.hashes.cpu().numpy(), first_bytes(sha256))))


def describe(
    model: Model,
    sources: pd.Series,
    classes: list[str],
    labels: Labels,
    params: Params,
    threshold: float,
    reference: dict[str, float],
) -> Description:
    """Return what the file of a calibrated model, fitted to recordings of these sources, states about itself."""
    train = params.train
    return Description(
        format=FORMAT,
        architecture=Architecture(**{key: getattr(train, key) for key in Architecture.model_fields}),
        members=train.members,
        trees=model.trees.grown() if model.trees else {"nodes": 1, "depth": 0},
        classes=classes,
        leads=list(LEADS),
        n_samples=len(beat_times(params.extract)),
        unit="mV",
        extract=params.extract,
        labels=labels,
        sources=sorted(set(sources)),
        recordings=len(model.hashes),
        reference=reference,
        recalibrated={},
        specificity=train.specificity,
        threshold=threshold,
    )
