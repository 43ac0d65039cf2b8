import pytest
import torch

from ecg.network.networks import choose_device
from ecg.stage.script import UsageError


def test_device_is_chosen_by_environment(monkeypatch):
    monkeypatch.setenv("DEVICE", "cpu")
    assert choose_device() == torch.device("cpu")
    monkeypatch.setenv("DEVICE", "abacus")
    with pytest.raises(UsageError, match="DEVICE is 'abacus'"):
        choose_device()
