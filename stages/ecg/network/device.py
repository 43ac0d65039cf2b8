"""What the network runs on."""

import os

import torch

from ecg.stage.script import UsageError


def choose_device(precision: str = "float32") -> torch.device:
    """Return CUDA where there is one, else the CPU; the environment variable DEVICE overrides.

    `precision` is train.precision: of float32 numbers, a GPU may multiply the first 10 bits only, where it says tf32.
    """
    # What CUDA needs to add up in the same order every time.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # By itself a GPU would take TF32 for convolutions. (Torch's types lack this setting.)
    torch.backends.fp32_precision = "tf32" if precision == "tf32" else "ieee"  # type: ignore[attr-defined]
    name = os.environ.get("DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"environment variable DEVICE is {name!r}: {str(error).splitlines()[0]}") from None
    return device
