"""Training one network, epoch by epoch, with averaged weights."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, CancelledError, ThreadPoolExecutor, wait
from threading import Event
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ecg.model.fcn import FCN, Dropout, outputs
from ecg.params import Architecture, Train
from ecg.run.script import UsageError


class Beats(NamedTuple):
    """Median beats (n x leads x samples, float32, mV) and their class numbers (n)."""

    beats: np.ndarray
    target: np.ndarray


class Progress(NamedTuple):
    """What changes while a network trains."""

    model: FCN
    averaged: AveragedModel
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    random: torch.Generator


def standardise(model: FCN, beats: np.ndarray) -> None:
    """Store each lead's mean and standard deviation over the train split (n x leads x samples, mV) in the model."""
    model.mean.copy_(torch.from_numpy(beats.mean(axis=(0, 2), dtype=np.float64))[:, None])
    model.std.copy_(torch.from_numpy(beats.std(axis=(0, 2), dtype=np.float64))[:, None])


def create(architecture: Architecture, beats: np.ndarray, *, classes: int, seed: int) -> FCN:
    """Return an untrained network for beats like these of the train split (n x leads x samples, mV)."""
    torch.manual_seed(seed)
    model = FCN(architecture, leads=beats.shape[1], classes=classes)
    standardise(model, beats)
    return model


def class_weights(target: torch.Tensor, classes: int) -> torch.Tensor:
    """Return weights that make every class count alike, 1 on average over the records."""
    return len(target) / (classes * torch.bincount(target, minlength=classes))


def begin(model: FCN, steps: int, train: Train) -> Progress:
    """Return the beginning of a training whose epochs have so many steps; all its random numbers come from `seed`.

    AdamW with a one-cycle schedule (Smith & Topin 2018) up to `lr`; of the exponential average of the weights the share
    `ema_decay` is left after an epoch.
    """
    optimiser = torch.optim.AdamW(model.parameters(), lr=train.lr, weight_decay=train.weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, train.lr, total_steps=train.epochs * steps)
    averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(train.ema_decay ** (1 / steps)), use_buffers=True)
    random = torch.Generator(model.mean.device).manual_seed(train.seed)
    for module in model.modules():
        if isinstance(module, Dropout):
            module.random = random
    return Progress(model, averaged, optimiser, schedule, random)


def batches_of(
    beats: torch.Tensor, target: torch.Tensor, size: int, random: torch.Generator
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield every record once, in random order, in batches. Both tensors lie on one device."""
    for chosen in torch.randperm(len(beats), generator=random, device=random.device).to(beats.device).split(size):
        yield beats[chosen], target[chosen]


def train_epoch(
    model: FCN,
    batches: Iterable[tuple[torch.Tensor, torch.Tensor]],
    optimiser: torch.optim.Optimizer,
    *,
    weights: torch.Tensor | None = None,
    after_step: Callable[[], None] = lambda: None,
) -> float:
    """Train on each batch; return the mean cross-entropy over the records."""
    model.train()
    n, total = 0, torch.zeros((), device=model.mean.device)
    for beats, target in batches:
        loss = functional.cross_entropy(model(beats), target, weights)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        after_step()
        # Added up on the device: to ask for the number would wait for the step.
        total += loss.detach() * len(beats)
        n += len(beats)
    return total.item() / n


def fit(
    model: FCN,
    data: Beats,
    train: Train,
    val: Beats | None = None,
    after_epoch: Callable[[dict], None] = lambda epoch: None,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Train `model` in place and leave the averaged weights in it.

    The cross-entropy weights classes alike. The averaged weights after the last epoch are kept: val has too few
    ischemic patients to choose an epoch by. After each epoch `after_epoch` gets its losses, of val where there is one.
    `check` is called after each step: an exception in it ends the training. UsageError where training diverges.
    """
    device = model.mean.device
    beats, target = (torch.from_numpy(values).to(device) for values in data)
    weights = class_weights(target, model.classifier.out_features)
    progress = begin(model, -(-len(beats) // train.batch_size), train)

    def after_step() -> None:
        progress.schedule.step()
        progress.averaged.update_parameters(model)
        check()

    for epoch in range(1, train.epochs + 1):
        batches = batches_of(beats, target, train.batch_size, progress.random)
        train_loss = train_epoch(model, batches, progress.optimiser, weights=weights, after_step=after_step)
        row = {"epoch": epoch, "train_loss": train_loss}
        if val is not None:
            out = outputs(progress.averaged.module, val.beats).double()
            row["val_loss"] = functional.cross_entropy(out, torch.from_numpy(val.target), weights.cpu().double()).item()
        if not np.isfinite(list(row.values())).all():
            raise UsageError(f"training diverged in epoch {epoch}; train.lr is {train.lr:g}, try a lower one")
        after_epoch(row)
    model.load_state_dict(progress.averaged.module.state_dict())


def fit_together(fits: list[Callable[[Callable[[], None]], None]], device: torch.device) -> None:
    """Call each; on a CPU all at the same time, with a share of the cores: one's steps are too small to keep all busy.

    Each is given a function to call often. It raises CancelledError where another has failed, or the program ends.
    """
    at_once = len(fits) if device.type == "cpu" else 1
    threads = max(1, torch.get_num_threads() // at_once)
    stop = Event()

    def check() -> None:
        if stop.is_set():
            raise CancelledError

    with ThreadPoolExecutor(at_once, "fit", torch.set_num_threads, (threads,)) as pool:
        running = [pool.submit(function, check) for function in fits]
        try:
            for ended in wait(running, return_when=FIRST_EXCEPTION).done:
                ended.result()
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
