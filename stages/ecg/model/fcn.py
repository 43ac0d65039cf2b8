"""The networks: blocks that see the beat, and a linear layer for means of what they find; what the model runs on."""

import os
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from ecg.params import Architecture
from ecg.run.script import UsageError

BATCH = 256  # beats


def choose_device() -> torch.device:
    """Return CUDA where there is one, else the CPU; the environment variable DEVICE overrides."""
    # What CUDA needs to add up in the same order every time.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # By itself a GPU would take TF32 for convolutions. (Torch's types lack this setting.)
    torch.backends.fp32_precision = "ieee"  # type: ignore[attr-defined]
    name = os.environ.get("DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"environment variable DEVICE is {name!r}: {str(error).splitlines()[0]}") from None
    return device


def in_batches(function: Callable[[torch.Tensor], torch.Tensor], beats: np.ndarray | torch.Tensor) -> torch.Tensor:
    """Return the results of a function of beats, joined, in memory that does not grow with their number."""
    return torch.cat([function(batch.float()) for batch in torch.as_tensor(beats).split(BATCH)])


@torch.no_grad()
def outputs(model: nn.Module, beats: np.ndarray | torch.Tensor) -> torch.Tensor:
    """Return a model's outputs of n x leads x samples (mV), on the CPU; dropout off."""
    model.eval()
    device = next(model.buffers()).device
    return in_batches(lambda batch: model(batch.to(device)).cpu(), beats)


class Dropout(nn.Module):
    """Dropout (Srivastava et al. 2014) whose random numbers are bytes: its rate is a multiple of 1/256.

    nn.Dropout draws a random number an element, which on a CPU takes a third of a training step. They come from
    `random`, so that networks may train at the same time; where none was set, from torch's own generator.
    """

    def __init__(self, rate: float):
        super().__init__()
        self.dropped = min(round(256 * rate), 255)
        self.random: torch.Generator | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or not self.dropped:
            return x
        words = torch.empty(-(-x.numel() // 8), dtype=torch.int64, device=x.device).random_(
            -(2**63), None, generator=self.random
        )
        # In the order in which x lies in memory. 1 where the byte is at least `dropped`, else 0.
        keep = words.view(torch.uint8).as_strided(x.shape, x.stride()).to(x.dtype)
        keep = keep.sub_(self.dropped - 1).clamp_(0, 1).mul_(256 / (256 - self.dropped))
        return x * keep


def blocks_of(architecture: Architecture, leads: int) -> tuple[nn.Sequential, int]:
    """Return the blocks of a network, and how many features they find.

    They take n x leads x 1 x samples and return n x features x 1 x samples. These are the FCN's of Wang, Yan and Oates
    (2017): convolution, batch norm, ReLU, dropout.
    """
    blocks, channels = nn.Sequential(), leads
    for n, kernel, rate in zip(architecture.filters, architecture.kernels, architecture.dropout, strict=True):
        # The length stays, with even kernels too. A bias would be undone by the batch norm.
        if kernel % 2 == 0:
            blocks.append(nn.ZeroPad2d((0, 1, 0, 0)))
        convolution = nn.Conv2d(channels, n, (1, kernel), padding=(0, (kernel - 1) // 2), bias=False)
        blocks.extend([convolution, nn.BatchNorm2d(n), nn.ReLU(), Dropout(rate)])
        channels = n
    return blocks, channels


class FCN(nn.Module):
    """Blocks, means over time of the features that they find, a linear layer.

    The means are over each of `parts` parts of the beat: over one it is lost where in the beat a feature was. Takes
    n x leads x samples in mV, of any length, and returns n x classes logits. Each lead is standardised with the mean
    and standard deviation (mV) that are stored with the weights.
    """

    def __init__(self, architecture: Architecture, *, leads: int, classes: int):
        super().__init__()
        self.mean = nn.Buffer(torch.zeros(leads, 1))
        self.std = nn.Buffer(torch.ones(leads, 1))
        self.parts = architecture.parts
        self.blocks, features = blocks_of(architecture, leads)
        self.classifier = nn.Linear(self.parts * features, classes)

    def features(self, beats: torch.Tensor) -> torch.Tensor:
        """Return what the classifier sees the means over time of: n x features x samples."""
        # Channels last, as pictures of height 1: so convolutions run at the speed of matrix multiplication.
        pictures = ((beats - self.mean) / self.std).unsqueeze(2).contiguous(memory_format=torch.channels_last)
        return self.blocks(pictures).squeeze(2)

    def forward(self, beats: torch.Tensor) -> torch.Tensor:
        parts = self.features(beats).tensor_split(self.parts, dim=2)
        return self.classifier(torch.cat([part.mean(dim=2) for part in parts], dim=1))

    def evidence(self, beats: torch.Tensor) -> torch.Tensor:
        """Return n x classes x samples, whose mean over the samples is the output but for a constant."""
        features = self.features(beats)
        parts = features.tensor_split(self.parts, dim=2)
        weights = self.classifier.weight.tensor_split(self.parts, dim=1)
        shares = [torch.einsum("nft,cf->nct", f, w) / f.shape[2] for f, w in zip(parts, weights, strict=True)]
        return torch.cat(shares, dim=2) * features.shape[2]
