"""The 12 leads: names, order, which are derived; what a missing sample is; why a recording has none of use."""

import numpy as np

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
# The other four limb leads are sums of these.
INDEPENDENT = [LEADS.index(lead) for lead in ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")]

# Samples are int16, uV.
MISSING = -32768
RAIL = 32767
MAX_RATE = 100_000  # Hz


class BadRecording(ValueError):
    """Why a recording cannot be used: a category, or `category: detail`; of what a file says, the first words."""

    def __init__(self, reason: str):
        super().__init__(reason if len(reason) <= 200 else reason[:200] + "…")


def find_leads(names: list[str]) -> dict[str, int]:
    """Map each standard lead to its column, by name whatever its case; BadRecording where one is there twice."""
    columns = {}
    for lead in LEADS:
        found = [i for i, name in enumerate(names) if name.strip().lower() == lead.lower()]
        if len(found) > 1:
            raise BadRecording(f"duplicate lead: {lead}")
        if found:
            columns[lead] = found[0]
    absent = [lead for lead in LEADS[6:] if lead not in columns]
    if sum(lead in columns for lead in ("I", "II", "III")) < 2:
        absent = [lead for lead in ("I", "II", "III") if lead not in columns] + absent
    if absent:
        raise BadRecording(f"missing lead: {', '.join(absent)}")
    return columns


def derive_leads(leads: dict[str, np.ndarray]) -> tuple[np.ndarray, list[str]]:
    """Put the leads (int16, uV) in order, samples x 12; derive absent limb leads from two of I, II and III. Also flags.

    Einthoven's law and Goldberger's definitions: III = II - I, aVR = -(I + II) / 2, aVL = I - II / 2, aVF = II - I / 2.
    """
    absent = [lead for lead in LEADS if lead not in leads]
    if absent:
        limb = {
            lead: np.where(leads[lead] == MISSING, np.float32(np.nan), leads[lead])
            for lead in ("I", "II", "III")
            if lead in leads
        }
        if "I" not in limb:
            limb["I"] = limb["II"] - limb["III"]
        if "II" not in limb:
            limb["II"] = limb["I"] + limb["III"]
        one, two = limb["I"], limb["II"]
        formulas = {
            "I": one,
            "II": two,
            "III": two - one,
            "aVR": -(one + two) / 2,
            "aVL": one - two / 2,
            "aVF": two - one / 2,
        }
        for lead in absent:
            value = np.clip(np.rint(formulas[lead]), -32767, 32767)
            leads[lead] = np.where(np.isnan(value), MISSING, value).astype(np.int16)
    return np.column_stack([leads[lead] for lead in LEADS]), [f"derived lead: {', '.join(absent)}"] if absent else []
