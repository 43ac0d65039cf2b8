"""The 12 leads: names, order and derivation; missing samples; the reason why a recording cannot be used."""

import re
import unicodedata

import numpy as np

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
# The other four limb leads are sums of these.
INDEPENDENT = [LEADS.index(lead) for lead in ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")]

BY_LOWER_CASE = {lead.lower(): lead for lead in LEADS}

# Samples are int16, uV.
MISSING = -32768
RAIL = 32767
MAX_RATE = 100_000  # Hz
# Electrodes may be off by 300 mV (IEC 60601-2-25); amplifiers without a bridge add their own.
MAX_OFFSET = 1000  # mV

# mV from the first to the last percentile of a lead's samples. Beyond, the median beat would have an implausible height
# too, or int16 would cut off more than is allowed: the unit is the likelier reason and is named first.
MIN_SPREAD, MAX_SPREAD = 0.02, 2 * RAIL / 1000

# A lead's name as files write it: MDC_ECG_LEAD_AVR, Lead I (Einthoven), ecg_I, DII, D2, C1, V1 (mV), aVR # noisy.
# Nothing that may turn a lead round: -aVR is not aVR.
LEAD_NAME = re.compile(
    r"(?:(?:(?:mdc[_ ])?(?:ecg|ekg)[_ ]lead|lead|ecg|ekg)(?:[ _:.]+|-)?)?"
    r"(?:(i{1,3}|av[rlf]|v[1-6])|d(i{1,3}|[1-3])|c([1-6]))"
    r"(?:\s*[(\[](?:mv|[uµμ]v|v|einthoven)[)\]])?(?:\s*#.*)?",
    re.IGNORECASE,
)


class BadRecording(ValueError):
    """Why a recording cannot be used: a category, or `category: detail`, of at most 200 characters."""

    def __init__(self, reason: str):
        super().__init__(reason if len(reason) <= 200 else reason[:200] + "…")


def lead_of(name: str) -> str | None:
    """Return the standard lead that a file's name for it stands for, None where that is not beyond doubt."""
    match = LEAD_NAME.fullmatch(unicodedata.normalize("NFKC", name).strip())
    if not match:
        return None
    standard, limb, chest = match.groups()
    if limb:
        return limb.upper() if limb[0] in "iI" else "I" * int(limb)
    return BY_LOWER_CASE[f"v{chest}" if chest else standard.lower()]


def find_leads(names: list[str]) -> dict[str, int]:
    """Map each standard lead to its column; BadRecording where one is there twice, or absent and not to be derived."""
    found: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        found.setdefault(lead_of(name) or "", []).append(i)
    columns = {}
    for lead in LEADS:
        if len(found.get(lead, [])) > 1:
            called = dict.fromkeys(names[i] for i in found[lead])
            raise BadRecording(f"duplicate lead: {lead}" + (f" ({', '.join(called)})" if len(called) > 1 else ""))
        if lead in found:
            columns[lead] = found[lead][0]
    absent = [lead for lead in LEADS[6:] if lead not in columns]
    if sum(lead in columns for lead in ("I", "II", "III")) < 2:
        absent = [lead for lead in ("I", "II", "III") if lead not in columns] + absent
    if absent:
        named = ", ".join(filter(None, names)) or "no name of a lead"
        raise BadRecording(f"missing lead: {', '.join(absent)}; found: {named}")
    return columns


def to_microvolts(leads: dict[str, np.ndarray]) -> tuple[np.ndarray, list[str]]:
    """Put leads (uV, float, NaN is missing) in order, samples x 12, int16, MISSING where NaN; also return flags.

    Absent limb leads are derived from two of I, II and III. What lies beyond int16 after its offset is removed is
    clipped. BadRecording where the unit seems wrong, or an offset is too large.
    """
    check_unit(leads)
    leads, flags = derive_leads(leads)
    flags += remove_offsets(leads)
    if any(is_beyond_int16(values) for values in leads.values()):
        flags.append("clipped: beyond 32.767 mV")
    samples = np.empty((len(leads["I"]), len(LEADS)), np.int16)
    for i, lead in enumerate(LEADS):
        values = np.clip(leads[lead], -RAIL, RAIL)
        missing = np.isnan(values)
        values[missing] = MISSING
        samples[:, i] = np.rint(values, out=values)
    return samples, flags


def check_unit(leads: dict[str, np.ndarray]) -> None:
    """BadRecording where leads (uV, NaN is missing) are so high or so low that they seem to be in another unit."""
    spreads = []
    for values in leads.values():
        present = np.sort(values[np.isfinite(values)])
        rare = len(present) // 100
        spreads.append(float(present[-1 - rare] - present[rare]) / 1000 if len(present) else 0.0)
    highest, usual = max(spreads), float(np.median(spreads))
    if 0 < highest < MIN_SPREAD:
        raise BadRecording(f"amplitude: {highest:.2g} mV in the largest lead, at least {MIN_SPREAD} mV; wrong unit?")
    if usual > MAX_SPREAD:
        raise BadRecording(f"amplitude: {usual:.0f} mV in half of the leads, at most {MAX_SPREAD:.0f} mV; wrong unit?")


def is_beyond_int16(values: np.ndarray) -> bool:
    """Say whether any value (uV, NaN is missing) is larger than int16 holds."""
    return bool(max(np.fmax.reduce(values, initial=0), -np.fmin.reduce(values, initial=0)) >= RAIL + 0.5)


def derive_leads(leads: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], list[str]]:
    """Return all 12 leads, the absent limb leads derived from two of I, II and III, and flags.

    Einthoven's law and Goldberger's definitions: III = II - I, aVR = -(I + II) / 2, aVL = I - II / 2, aVF = II - I / 2.
    """
    absent = [lead for lead in LEADS if lead not in leads]
    if not absent:
        return dict(leads), []
    one = leads["I"] if "I" in leads else leads["II"] - leads["III"]
    two = leads["II"] if "II" in leads else one + leads["III"]
    return limb_leads(one, two) | leads, [f"derived lead: {', '.join(absent)}"]


def limb_leads(one: np.ndarray, two: np.ndarray) -> dict[str, np.ndarray]:
    """Return the six limb leads of leads I and II."""
    three, right, left, foot = two - one, -(one + two) / 2, one - two / 2, two - one / 2
    return {"I": one, "II": two, "III": three, "aVR": right, "aVL": left, "aVF": foot}


def remove_offsets(leads: dict[str, np.ndarray]) -> list[str]:
    """Subtract the median of each lead (uV) that int16 cannot hold: an electrode's offset. Return flags.

    Limb leads that agreed but for their offsets agree again: their constant parts are set by leads I and II.
    """
    removed: dict[str, list[str]] = {}
    for lead, values in leads.items():
        if is_beyond_int16(values):
            offset = float(np.nanmedian(values)) / 1000  # mV
            if abs(offset) > MAX_OFFSET:
                raise BadRecording(f"offset: {offset:.0f} mV in lead {lead}; allowed: ±{MAX_OFFSET} mV")
            if abs(offset) >= 1:  # else it is a spike that lies beyond, not the whole lead
                removed.setdefault(f"{offset:.0f} mV", []).append(lead)
                leads[lead] = values - 1000 * offset
    if any(lead in LEADS[:6] for names in removed.values() for lead in names):
        for lead, expected in limb_leads(leads["I"], leads["II"]).items():
            difference = leads[lead] - expected
            if not np.isnan(difference).all():
                leads[lead] = leads[lead] - np.nanmedian(difference)
    parts = [f"{offset} in {', '.join(names)}" for offset, names in removed.items()]
    return [f"offset removed: {' and '.join(parts)}"] if removed else []
