"""Training one FCN: epochs, their averaged weights, which of them is best. Arrays in, weights out."""

import copy
import os
from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from ecg.evaluation.scores import QUESTIONS, ischemia_score, roc_auc
from ecg.network.fcn import FCN, logits
from ecg.stage.script import UsageError


def standardise(model: FCN, beats: np.ndarray) -> None:
    """Store each lead's mean and standard deviation over the train split (n x leads x samples, mV) in the model."""
    model.mean.copy_(torch.from_numpy(beats.mean(axis=(0, 2), dtype=np.float64))[:, None])
    model.std.copy_(torch.from_numpy(beats.std(axis=(0, 2), dtype=np.float64))[:, None])


def class_weights(target: torch.Tensor, classes: int) -> torch.Tensor:
    """Return weights that make every class count alike, 1 on average over the records."""
    counts = torch.bincount(target, minlength=classes)
    return len(target) / (classes * counts)


def headline_scores(scores: np.ndarray, target: np.ndarray, classes: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return whether ischemic and the score against normal of those that are either, from n x classes probabilities."""
    labels = np.array(classes)[target]
    asked = np.isin(labels, ["ischemia", *QUESTIONS["roc_auc"]])
    by_class = dict(zip(classes, scores[asked].T, strict=True))
    return labels[asked] == "ischemia", ischemia_score(by_class, "roc_auc")


def choose_precision() -> str:
    """Return what training steps compute in, by the environment variable PRECISION: float32 (default), tf32 or bf16."""
    name = os.environ.get("PRECISION") or "float32"
    if name not in ("float32", "tf32", "bf16"):
        raise UsageError(f"environment variable PRECISION is {name!r}; allowed: float32, tf32, bf16")
    if name == "tf32":
        torch.backends.fp32_precision = "tf32"
    return name


def prepare(model: FCN, *, steps: int, epochs: int, lr: float, weight_decay: float, average: float) -> dict:
    """Return what changes while training: the model, its average, optimiser, schedule. `steps` are those of an epoch.

    AdamW with a one-cycle schedule (Smith & Topin 2018) up to `lr`; of the exponential average of the weights the share
    `average` is left after an epoch.
    """
    optimiser = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, lr, total_steps=epochs * steps)
    averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(average ** (1 / steps)), use_buffers=True)
    return {"model": model, "averaged": averaged, "optimiser": optimiser, "schedule": schedule}


def train_epoch(
    model: FCN,
    beats: torch.Tensor,
    target: torch.Tensor,
    optimiser: torch.optim.Optimizer,
    *,
    batch_size: int,
    shuffle: torch.Generator,
    weights: torch.Tensor | None = None,
    precision: str = "float32",
    after_step: Callable[[], None] = lambda: None,
) -> float:
    """Train on every record once, in random order; return the mean cross-entropy. All tensors lie on one device."""
    model.train()
    total = torch.zeros((), device=beats.device)
    for batch in torch.randperm(len(beats), generator=shuffle).to(beats.device).split(batch_size):
        with torch.autocast(beats.device.type, torch.bfloat16, enabled=precision == "bf16"):
            loss = functional.cross_entropy(model(beats[batch]), target[batch], weights)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        after_step()
        # Added up on the device: to ask for the number would wait for the step.
        total += loss.detach() * len(batch)
    return total.item() / len(beats)


def fit(
    model: FCN,
    train: tuple[np.ndarray, np.ndarray],
    val: tuple[np.ndarray, np.ndarray],
    classes: list[str],
    *,
    epochs: int,
    patience: int,
    batch_size: int,
    lr: float,
    weight_decay: float,
    average: float,
    seed: int,
    precision: str = "float32",
    state: dict | None = None,
    save: Callable[[dict], None] = lambda state: None,
) -> tuple[dict, list[dict], dict]:
    """Train `model` in place; return the best epoch's averaged weights, the history and the best epoch's row of it.

    `train` and `val` are (beats n x leads x samples in mV, class numbers). The cross-entropy weights classes alike. The
    average of the weights is what is judged and kept: single epochs jump on few patients. Best is the highest ROC AUC
    of ischemia against normal on val; of equals, the lowest loss there. After each epoch `save` is given all that a
    later call needs, as `state`, to go on as if it had not been interrupted.
    """
    device = model.mean.device
    beats, target = torch.from_numpy(train[0]).to(device), torch.from_numpy(train[1]).to(device)
    val_beats, val_target = torch.from_numpy(val[0]).to(device), torch.from_numpy(val[1])
    weights = class_weights(target, len(classes)).to(device)
    steps = -(-len(beats) // batch_size)
    parts = prepare(model, steps=steps, epochs=epochs, lr=lr, weight_decay=weight_decay, average=average)
    averaged = parts["averaged"]
    shuffle = torch.Generator().manual_seed(seed)
    history, best, best_state = [], None, {}
    if state:
        for name, part in parts.items():
            part.load_state_dict(state[name])
        history, best, best_state = state["history"], state["best"], state["best_state"]
        shuffle.set_state(state["shuffle"])
        torch.set_rng_state(state["rng"])
        torch.cuda.set_rng_state_all(state["cuda_rng"])

    def after_step() -> None:
        parts["schedule"].step()
        averaged.update_parameters(model)

    for epoch in tqdm(range(len(history) + 1, epochs + 1), "epochs", epochs, initial=len(history), disable=None):
        if best and epoch - 1 - best["epoch"] >= patience:
            break
        settings = {"batch_size": batch_size, "shuffle": shuffle, "weights": weights, "precision": precision}
        train_loss = train_epoch(model, beats, target, parts["optimiser"], **settings, after_step=after_step)
        out = logits(averaged.module, val_beats).double()
        if not torch.isfinite(out).all():
            raise UsageError(f"training diverged in epoch {epoch}; train.lr is {lr:g}, try a lower one")
        val_loss = functional.cross_entropy(out, val_target, weights.cpu().double()).item()
        val_auc = float(roc_auc(*headline_scores(torch.softmax(out, dim=1).numpy(), val[1], classes))[0])
        history.append({"epoch": epoch, "train_loss": train_loss, "val_loss": val_loss, "val_roc_auc": val_auc})
        if best is None or (val_auc, -val_loss) > (best["val_roc_auc"], -best["val_loss"]):
            best, best_state = history[-1], copy.deepcopy(averaged.module.state_dict())
        rng = {"shuffle": shuffle.get_state(), "rng": torch.get_rng_state(), "cuda_rng": torch.cuda.get_rng_state_all()}
        states = {name: part.state_dict() for name, part in parts.items()}
        save(states | rng | {"history": history, "best": best, "best_state": best_state})
    return best_state, history, best
