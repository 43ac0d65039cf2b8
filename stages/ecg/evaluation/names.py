"""What is said of data, questions and models: one name for each, wherever it is shown."""

from collections.abc import Iterable

SYNTHETIC = "synthetic recordings"


def data_kind(sources: Iterable[str]) -> str:
    """Say what recordings are behind a number or a picture, so that no synthetic one passes for a clinical one."""
    names = sorted(set(sources))
    return SYNTHETIC if all(name.startswith("synthetic") for name in names) else f"recordings of {', '.join(names)}"
