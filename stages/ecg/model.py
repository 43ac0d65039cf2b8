"""The fully convolutional network of Wang, Yan and Oates (2017), saved with all that is needed to use it."""

import json
import os
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from ecg.script import UsageError


class FCN(nn.Module):
    """The mean of every `pool` samples; blocks of convolution, batch norm, ReLU, dropout; mean over time; linear layer.

    Takes n x leads x samples in mV, of any length, and returns n x classes logits. Each lead is standardised with the
    mean and standard deviation (mV) that are stored with the weights.
    """

    def __init__(
        self, *, leads: int, classes: int, filters: list[int], kernels: list[int], dropout: list[float], pool: int = 1
    ):
        super().__init__()
        self.register_buffer("mean", torch.zeros(leads, 1))
        self.register_buffer("std", torch.ones(leads, 1))
        blocks, channels = [nn.AvgPool1d(pool)], leads
        for n, kernel, share in zip(filters, kernels, dropout, strict=True):
            # The length stays, with even kernels too. A bias would be undone by the batch norm.
            padding = nn.ZeroPad1d(((kernel - 1) // 2, kernel // 2))
            convolution = nn.Conv1d(channels, n, kernel, bias=False)
            blocks += [padding, convolution, nn.BatchNorm1d(n), nn.ReLU(), nn.Dropout(share)]
            channels = n
        self.features = nn.Sequential(*blocks)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, beats: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features((beats - self.mean) / self.std).mean(dim=2))


class Ensemble(nn.Module):
    """FCNs that were trained apart; the mean of their logits, calibrated.

    Calibrated logits are the mean divided by the temperature, plus the log of each class's share of the train split.
    """

    def __init__(self, members: list[FCN]):
        super().__init__()
        self.members = nn.ModuleList(members)
        self.register_buffer("temperature", torch.ones(()))
        self.register_buffer("log_shares", torch.zeros(members[0].classifier.out_features))

    def forward(self, beats: torch.Tensor) -> torch.Tensor:
        mean = torch.stack([member(beats) for member in self.members]).mean(dim=0)
        return mean / self.temperature + self.log_shares


def choose_device() -> torch.device:
    """Return CUDA where there is one, else the CPU; the environment variable DEVICE overrides."""
    # What CUDA needs to add up in the same order every time.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    name = os.environ.get("DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"environment variable DEVICE is {name!r}: {str(error).splitlines()[0]}") from None
    return device


@torch.no_grad()
def logits(model: nn.Module, beats: np.ndarray | torch.Tensor, batch_size: int = 1024) -> torch.Tensor:
    """Return n x classes logits of n x leads x samples (mV), on the CPU; dropout off."""
    model.eval()
    device = next(model.parameters()).device
    batches = torch.as_tensor(beats).split(batch_size)
    return torch.cat([model(batch.to(device)).cpu() for batch in batches])


def probabilities(model: nn.Module, beats: np.ndarray) -> np.ndarray:
    """Return n x classes softmax probabilities, float64, of n x leads x samples (mV)."""
    return torch.softmax(logits(model, beats).double(), dim=1).numpy()


def save_model(path: Path, model: nn.Module, description: dict) -> None:
    """Write weights and a description that can be written as JSON."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    # One entry: safetensors writes several in an order that changes from run to run.
    path.write_bytes(save(state, metadata={"description": json.dumps(description, sort_keys=True)}))


def load_model(path: Path) -> tuple[Ensemble, dict]:
    """Read a model that `save_model` wrote, and its description."""
    try:
        with safe_open(path, framework="pt") as file:
            description = json.loads((file.metadata() or {})["description"])
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - the file is no mapping
        shape = {"leads": len(description["leads"]), "classes": len(description["classes"])}
        model = Ensemble([FCN(**shape, **description["architecture"]) for _ in range(description["members"])])
        model.load_state_dict(state)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UsageError(f"{path} is no model of this project: {' '.join(str(error).split())}") from None
    return model.eval(), description
