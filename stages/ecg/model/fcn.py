"""The fully convolutional network (FCN), its training, and the device that runs it."""

import os
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from ecg.params import Architecture, Train
from ecg.run.script import UsageError

BATCH = 256  # beats scored at once


class Beats(NamedTuple):
    """Median beats (n x leads x samples, float32, mV) and their class numbers (n)."""

    beats: np.ndarray
    target: np.ndarray


def choose_device() -> torch.device:
    """Return CUDA where there is one, else the CPU; the environment variable DEVICE overrides this."""
    # CUDA needs this to add in the same order every time.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    name = os.environ.get("DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"environment variable DEVICE is {name!r}, use cpu or cuda: {reason}") from None
    if device.type == "cuda":
        # A GPU's default precision of convolutions is TF32. (Torch's types lack this setting.)
        torch.backends.fp32_precision = "ieee"  # type: ignore[attr-defined]
    return device


@torch.no_grad()
def outputs(module: nn.Module, beats: np.ndarray, method: str = "forward") -> torch.Tensor:
    """Return the results of a module's method for beats (n x leads x samples, mV), on the CPU, without dropout."""
    module.eval()
    device, function = next(module.buffers()).device, getattr(module, method)
    return torch.cat([function(batch.float().to(device)).cpu() for batch in torch.as_tensor(beats).split(BATCH)])


def blocks_of(architecture: Architecture, leads: int) -> tuple[nn.Sequential, int]:
    """Return blocks that map n x leads x 1 x samples to n x features x 1 x samples, and the number of features.

    A block is convolution, batch norm, ReLU and dropout (Wang, Yan & Oates 2017).
    """
    blocks, channels = nn.Sequential(), leads
    for n, kernel, rate in zip(architecture.filters, architecture.kernels, architecture.dropout, strict=True):
        # The number of samples stays the same for even kernels, too. The batch norm would cancel a bias.
        if kernel % 2 == 0:
            blocks.append(nn.ZeroPad2d((0, 1, 0, 0)))
        convolution = nn.Conv2d(channels, n, (1, kernel), padding=(0, (kernel - 1) // 2), bias=False)
        blocks.extend([convolution, nn.BatchNorm2d(n), nn.ReLU(), nn.Dropout(rate)])
        channels = n
    return blocks, channels


class FCN(nn.Module):
    """Blocks, the features' means over each of `parts` parts of the beat, and a linear layer.

    Maps beats (n x leads x samples, mV, of any length) to logits (n x classes). Each lead is standardised by the mean
    and standard deviation (mV) that are stored with the weights. One part is the paper's global average pooling, which
    loses where in the beat a feature was.
    """

    def __init__(self, architecture: Architecture, *, leads: int, classes: int):
        super().__init__()
        self.mean = nn.Buffer(torch.zeros(leads, 1))
        self.std = nn.Buffer(torch.ones(leads, 1))
        self.parts = architecture.parts
        self.blocks, features = blocks_of(architecture, leads)
        self.classifier = nn.Linear(self.parts * features, classes)

    def features(self, beats: torch.Tensor) -> torch.Tensor:
        """Return the last block's features: n x features x samples."""
        # Channels last, as pictures of height 1: convolutions then run at the speed of matrix multiplication.
        pictures = ((beats - self.mean) / self.std).unsqueeze(2).contiguous(memory_format=torch.channels_last)
        return self.blocks(pictures).squeeze(2)

    def forward(self, beats: torch.Tensor) -> torch.Tensor:
        parts = self.features(beats).tensor_split(self.parts, dim=2)
        return self.classifier(torch.cat([part.mean(dim=2) for part in parts], dim=1))

    def evidence(self, beats: torch.Tensor) -> torch.Tensor:
        """Return maps (n x classes x samples) whose mean over the samples is the logits less the bias."""
        features = self.features(beats)
        parts = features.tensor_split(self.parts, dim=2)
        weights = self.classifier.weight.tensor_split(self.parts, dim=1)
        shares = [torch.einsum("nft,cf->nct", f, w) / f.shape[2] for f, w in zip(parts, weights, strict=True)]
        return torch.cat(shares, dim=2) * features.shape[2]


def create(architecture: Architecture, beats: np.ndarray, *, classes: int, seed: int) -> FCN:
    """Return an untrained network; the train split's beats (n x leads x samples, mV) standardise each lead."""
    torch.manual_seed(seed)
    network = FCN(architecture, leads=beats.shape[1], classes=classes)
    network.mean.copy_(torch.from_numpy(beats.mean(axis=(0, 2), dtype=np.float64))[:, None])
    network.std.copy_(torch.from_numpy(beats.std(axis=(0, 2), dtype=np.float64))[:, None])
    return network


def fit_network(network: FCN, data: Beats, train: Train, val: Beats | None = None) -> list[dict]:
    """Train a network in place; return a row for each epoch with the mean loss on train, and on val if given.

    Each class has the same total weight in the cross-entropy. AdamW follows a one-cycle schedule (Smith & Topin 2018)
    up to `lr`. The network keeps the exponential moving average of the weights (decay `ema_decay` per epoch) after the
    last epoch, since val has too few ischemic patients to choose an epoch by. UsageError where training diverges.
    """
    device = network.mean.device
    beats, target = (torch.from_numpy(values).to(device) for values in data)
    classes, steps = network.classifier.out_features, -(-len(beats) // train.batch_size)
    weights = len(target) / (classes * torch.bincount(target, minlength=classes))
    optimiser = torch.optim.AdamW(network.parameters(), lr=train.lr, weight_decay=train.weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, train.lr, total_steps=train.epochs * steps)
    decay = get_ema_multi_avg_fn(train.ema_decay ** (1 / steps))
    average = AveragedModel(network, multi_avg_fn=decay, use_buffers=True)
    history = []
    for epoch in tqdm(range(1, train.epochs + 1), "epochs", disable=None, leave=False):
        network.train()
        total = torch.zeros((), device=device)
        for batch in torch.randperm(len(beats)).to(device).split(train.batch_size):
            loss = functional.cross_entropy(network(beats[batch]), target[batch], weights)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            average.update_parameters(network)
            # The sum stays on the device: a copy of each loss to the CPU would wait for its step.
            total += loss.detach() * len(batch)
        row = {"epoch": epoch, "train_loss": total.item() / len(beats)}
        if val is not None:
            logits = outputs(average.module, val.beats).double()
            val_loss = functional.cross_entropy(logits, torch.from_numpy(val.target), weights.cpu().double())
            row["val_loss"] = val_loss.item()
        if not np.isfinite(list(row.values())).all():
            raise UsageError(f"training diverged in epoch {epoch}; train.lr is {train.lr:g}, try a lower one")
        history.append(row)
    network.load_state_dict(average.module.state_dict())
    return history
