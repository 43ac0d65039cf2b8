"""The sample store: all recordings, one after the other, in a few large .npy files that can be memory-mapped."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

# A part is the work of one process.
PART_BYTES = 128 * 2**20


def write_rows(path: Path, blocks: Iterable[np.ndarray], *, dtype: str, row_shape: tuple[int, ...]) -> int:
    """Stream blocks (each rows x `row_shape`) into one .npy file, in constant memory; return the number of rows."""

    def header(rows: int) -> None:
        # numpy pads a header so that its length does not depend on the number of rows.
        fields = {"descr": dtype, "fortran_order": False, "shape": (rows, *row_shape)}
        np.lib.format.write_array_header_1_0(file, fields)

    rows = 0
    with path.open("wb") as file:
        header(rows)
        for block in blocks:
            file.write(np.ascontiguousarray(block, dtype).data)
            rows += len(block)
        file.seek(0)
        header(rows)
    return rows


def open_part(path: Path) -> np.ndarray:
    """Memory-map one part read-only: samples x 12, int16, uV, -32768 is missing."""
    return np.load(path, mmap_mode="r")
