"""The signal formats of WFDB (signal(5) of the WFDB Applications Guide): bytes to integers."""

from typing import NamedTuple

import numpy as np


class Format(NamedTuple):
    """How samples are stored: type of the items in a file, half-bytes a sample, value of a missing sample."""

    items: str
    half_bytes: int
    missing: int


FORMATS = {
    "16": Format("<i2", 4, -(2**15)),
    "24": Format("u1", 6, -(2**23)),
    "32": Format("<i4", 8, -(2**31)),
    "61": Format(">i2", 4, -(2**15)),
    "80": Format("u1", 2, -(2**7)),
    "160": Format("<u2", 4, -(2**15)),
    "212": Format("u1", 3, -(2**11)),
}


def decode(form: str, content: bytes) -> np.ndarray:
    """Return the samples (int8, int16 or int32) in whole bytes of a format; 212 may give one more than was written."""
    stored = np.frombuffer(content, FORMATS[form].items)
    if form == "24":
        wide = np.zeros((len(stored) // 3, 4), np.uint8)
        wide[:, 1:] = stored.reshape(-1, 3)
        return wide.view("<i4")[:, 0] >> 8  # with its sign
    if form == "61":
        return stored.astype(np.int16)
    if form == "80":
        return (stored ^ 0x80).view(np.int8)
    if form == "160":
        return (stored ^ 0x8000).view("<i2")
    if form == "212":
        # Two samples in three bytes: both high halves share the middle one. Shifts keep the sign of 12 bits.
        low, middle, high = np.pad(stored, (0, -len(stored) % 3)).reshape(-1, 3).T.astype(np.int16)
        pairs = np.column_stack([low | middle << 8, high | middle >> 4 << 8])
        return (pairs << 4 >> 4).ravel()
    return stored
