"""What the model runs on, and in which portions."""

import os
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from ecg.stage.script import UsageError

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
