import pytest
import torch

from ecg.model.fcn import choose_device
from ecg.run.script import UsageError


def test_device_is_chosen_by_environment(monkeypatch):
    monkeypatch.setenv("DEVICE", "cpu")
    assert choose_device() == torch.device("cpu")
    monkeypatch.setenv("DEVICE", "abacus")
    with pytest.raises(UsageError, match="DEVICE is 'abacus'"):
        choose_device()
