"""What is said of data, questions and models: one name for each, wherever it is shown."""

from collections.abc import Iterable

QUESTION_TITLES = {
    "roc_auc": "against normal",
    "roc_auc_vs_rest": "against all others",
    "roc_auc_vs_other": "against other",
}
SYNTHETIC = "synthetic recordings"


def data_kind(sources: Iterable[str]) -> str:
    """Say what recordings are behind a number or a picture, so that no synthetic one passes for a clinical one."""
    names = sorted(set(sources))
    return SYNTHETIC if all(name.startswith("synthetic") for name in names) else f"recordings of {', '.join(names)}"
