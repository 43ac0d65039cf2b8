"""XLI, the compression of Philips' XML: LZW with codes of 10 bits, high and low bytes apart, second differences.

The format as the documentation of sierra-ecg-tools describes it (github.com/sixlettervariables/sierra-ecg-tools).
"""

import numpy as np

from ecg.leads import LEADS, BadRecording

MAX_XLI = 2**20  # bytes
MAX_SAMPLES = 200_000  # a lead
CODE_BITS, END = 10, 1023
BIAS = 64  # of a second difference


def xli_leads(content: bytes, samples: float) -> np.ndarray:
    """Return the 12 leads of compressed samples as samples x 12, int64; so many samples a lead are expected.

    Each lead is a chunk: length of its codes (int32), a constant, and the first second difference (int16). Leads III
    to aVF are stored as what is left of Einthoven's and Goldberger's laws. Chunks after the twelfth are of no lead.
    """
    if not 0 < samples <= MAX_SAMPLES:
        raise BadRecording(f"file: {samples:g} samples a lead; allowed: to {MAX_SAMPLES}")
    n, at, leads = round(samples), 0, []
    for lead in LEADS:
        size, start = int.from_bytes(content[at : at + 4], "little"), content[at + 6 : at + 8]
        codes = content[at + 8 : at + 8 + size]
        if not size or len(codes) < size:
            raise BadRecording(f"file: compressed samples of lead {lead} end early")
        leads.append(integrate(unpack(codes, 2 * n), int.from_bytes(start, "little", signed=True)))
        at += 8 + size
    one, two = leads[:2]
    three = two - one - leads[2]
    leads[2] = three
    leads[3] = -leads[3] - (one + two) // 2
    leads[4] = (one - three) // 2 - leads[4]
    leads[5] = (two + three) // 2 - leads[5]
    return np.column_stack(leads)


def unpack(content: bytes, n_bytes: int) -> np.ndarray:
    """Undo LZW: return the bytes (uint8) of a lead; BadRecording where there are not `n_bytes`."""
    bits = np.unpackbits(np.frombuffer(content, np.uint8))
    codes = bits[: len(bits) // CODE_BITS * CODE_BITS].reshape(-1, CODE_BITS) @ (1 << np.arange(CODE_BITS)[::-1])
    table = [bytes([value]) for value in range(256)]
    found, length, last = [], 0, b""
    for code in codes.tolist():
        if code == END or length > n_bytes:
            break
        if code < len(table):
            entry = table[code]
        elif code == len(table) and last:
            entry = last + last[:1]
        else:
            raise BadRecording("file: compressed samples with a code that stands for nothing")
        if last and len(table) < END:
            table.append(last + entry[:1])
        found.append(entry)
        length += len(entry)
        last = entry
    if length != n_bytes:
        raise BadRecording(f"file: compressed samples of {length} bytes a lead or more; expected: {n_bytes}")
    return np.frombuffer(b"".join(found), np.uint8)


def integrate(halves: np.ndarray, start: int) -> np.ndarray:
    """Return a lead of its second differences, whose high bytes come first, then the low ones; `start` is the first."""
    high, low = halves.reshape(2, -1).astype(np.int64)
    stored = (high << 8 | low).astype(np.int16).astype(np.int64)
    second = stored - BIAS
    second[1:2] = start
    slope = np.empty_like(stored)
    slope[:1], slope[1:2] = stored[:1], stored[1:2] - stored[:1]
    slope[2:] = slope[1:2] - np.cumsum(second[1:-1])
    return np.cumsum(slope).astype(np.int16).astype(np.int64)
