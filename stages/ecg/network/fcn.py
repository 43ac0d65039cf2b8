"""The fully convolutional network of Wang, Yan and Oates (2017), alone and as an ensemble."""

import numpy as np
import torch
from torch import nn

from ecg.params import Architecture


class Dropout(nn.Module):
    """Dropout (Srivastava et al. 2014) whose random numbers are bytes: its rate is a multiple of 1/256.

    nn.Dropout draws a random number an element, which on a CPU takes a third of a training step.
    """

    def __init__(self, rate: float):
        super().__init__()
        self.dropped = min(round(256 * rate), 255)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or not self.dropped:
            return x
        words = torch.empty(-(-x.numel() // 8), dtype=torch.int64, device=x.device).random_(-(2**63), None)
        # In the order in which x lies in memory. 1 where the byte is at least `dropped`, else 0.
        keep = words.view(torch.uint8).as_strided(x.shape, x.stride()).to(x.dtype)
        keep = keep.sub_(self.dropped - 1).clamp_(0, 1).mul_(256 / (256 - self.dropped))
        return x * keep


class FCN(nn.Module):
    """The mean of every `pool` samples; blocks of convolution, batch norm, ReLU, dropout; mean over time; linear layer.

    Takes n x leads x samples in mV, of any length, and returns n x classes logits. Each lead is standardised with the
    mean and standard deviation (mV) that are stored with the weights.
    """

    def __init__(self, architecture: Architecture, *, leads: int, classes: int):
        super().__init__()
        self.mean = nn.Buffer(torch.zeros(leads, 1))
        self.std = nn.Buffer(torch.ones(leads, 1))
        self.pool = nn.AvgPool1d(architecture.pool)
        self.blocks, channels = nn.Sequential(), leads
        for n, kernel, rate in zip(architecture.filters, architecture.kernels, architecture.dropout, strict=True):
            # The length stays, with even kernels too. A bias would be undone by the batch norm.
            if kernel % 2 == 0:
                self.blocks.append(nn.ZeroPad2d((0, 1, 0, 0)))
            convolution = nn.Conv2d(channels, n, (1, kernel), padding=(0, (kernel - 1) // 2), bias=False)
            self.blocks.extend([convolution, nn.BatchNorm2d(n), nn.ReLU(), Dropout(rate)])
            channels = n
        self.classifier = nn.Linear(channels, classes)

    def features(self, beats: torch.Tensor) -> torch.Tensor:
        """Return what the classifier sees the mean over time of: n x channels x time."""
        # Channels last, as pictures of height 1: so convolutions run at the speed of matrix multiplication.
        pictures = self.pool((beats - self.mean) / self.std).unsqueeze(2).contiguous(memory_format=torch.channels_last)
        return self.blocks(pictures).squeeze(2)

    def forward(self, beats: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(beats).mean(dim=2))


class Ensemble(nn.Module):
    """FCNs that were trained apart; the mean of their logits, calibrated.

    Calibrated logits are the mean divided by the temperature, plus the log of each class's share of the train split.
    """

    def __init__(self, members: list[FCN]):
        super().__init__()
        self.members: list[FCN] = nn.ModuleList(members)  # type: ignore[assignment]  # ModuleList is not generic
        self.temperature = nn.Buffer(torch.ones(()))
        self.log_shares = nn.Buffer(torch.zeros(members[0].classifier.out_features))

    def forward(self, beats: torch.Tensor) -> torch.Tensor:
        mean = torch.stack([member(beats) for member in self.members]).mean(dim=0)
        return mean / self.temperature + self.log_shares


@torch.no_grad()
def logits(model: nn.Module, beats: np.ndarray | torch.Tensor) -> torch.Tensor:
    """Return n x classes logits of n x leads x samples (mV), on the CPU; dropout off."""
    model.eval()
    device = next(model.parameters()).device
    return torch.cat([model(batch.to(device)).cpu() for batch in torch.as_tensor(beats).split(1024)])


def probabilities(model: nn.Module, beats: np.ndarray) -> np.ndarray:
    """Return n x classes softmax probabilities, float64, of n x leads x samples (mV)."""
    return torch.softmax(logits(model, beats).double(), dim=1).numpy()
