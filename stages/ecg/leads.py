"""The 12 leads: names, order and derivation; missing samples; the error for an unusable recording."""

import re
import unicodedata

import numpy as np

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
# The other four limb leads are sums of these.
INDEPENDENT = [LEADS.index(lead) for lead in ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")]

# Samples are int16, uV.
MISSING = -32768
RAIL = 32767
TOO_HIGH = RAIL + 0.5  # rounds to more than int16 can store
MAX_RATE = 100_000  # Hz
# Offsets of electrodes reach 300 mV (IEC 60601-2-25); amplifiers without a bridge add their own.
MAX_OFFSET = 1000  # mV

# Range of a lead, from 1st to 99th percentile, in mV. Beyond, the median beat is implausible too, or int16 clips
# more than is allowed; a wrong unit is the likelier reason, so it is checked first.
MIN_SPREAD, MAX_SPREAD = 0.02, 2 * RAIL / 1000

# Names of leads in lower case: I, DI, D1, V1, C1.
NAMES = {lead.lower(): lead for lead in LEADS} | {f"c{n}": f"V{n}" for n in range(1, 7)}
NAMES |= {f"d{name}": lead for n, lead in enumerate(LEADS[:3], 1) for name in (lead.lower(), n)}
# Spellings in files: MDC_ECG_LEAD_AVR, Lead I (Einthoven), ecg_I, V1 (mV), aVR # noisy. Not -aVR, which is not aVR.
LEAD_NAME = re.compile(
    rf"(?:(?:(?:mdc[_ ])?(?:ecg|ekg)[_ ]lead|lead|ecg|ekg)(?:[ _:.]+|-)?)?({'|'.join(NAMES)})"
    r"(?:\s*[(\[](?:mv|[uµμ]v|v|einthoven)[)\]])?(?:\s*#.*)?",
    re.IGNORECASE,
)


class BadRecording(ValueError):
    """The reason why a recording cannot be used: a category, or `category: detail`, of at most 200 characters."""

    def __init__(self, reason: str):
        super().__init__(reason if len(reason) <= 200 else reason[:200] + "…")


def lead_of(name: str) -> str | None:
    """Return the standard lead that a name in a file denotes; None for any other name."""
    match = LEAD_NAME.fullmatch(unicodedata.normalize("NFKC", name).strip())
    return NAMES.get(match[1].lower()) if match else None


def find_leads(names: list[str]) -> dict[str, int]:
    """Map each standard lead to its column; BadRecording where one occurs twice, or is absent and cannot be derived."""
    found = [lead_of(name) for name in names]
    if twice := [lead for lead in LEADS if found.count(lead) > 1]:
        raise BadRecording(f"duplicate lead: {', '.join(twice)}; found: {', '.join(names)}")
    columns = {lead: found.index(lead) for lead in LEADS if lead in found}
    absent = [lead for lead in LEADS[6:] if lead not in columns]
    if sum(lead in columns for lead in LEADS[:3]) < 2:
        absent = [lead for lead in LEADS[:3] if lead not in columns] + absent
    if absent:
        raise BadRecording(f"missing lead: {', '.join(absent)}; found: {', '.join(filter(None, names)) or 'no name'}")
    return columns


def to_microvolts(leads: dict[str, np.ndarray]) -> tuple[np.ndarray, list[str]]:
    """Return leads (uV, float, NaN where missing) as samples x 12 in standard order, int16, and flags.

    NaN becomes MISSING. Absent limb leads are derived from two of I, II and III. From a lead beyond int16, its median,
    an electrode's offset, is subtracted; then it is clipped. BadRecording where the unit or an offset seems wrong.
    """
    check_unit(leads)
    flags, removed = list[str](), list[str]()
    if absent := [lead for lead in LEADS if lead not in leads]:
        one = leads["I"] if "I" in leads else leads["II"] - leads["III"]
        two = leads["II"] if "II" in leads else one + leads["III"]
        leads = limb_leads(one, two) | leads
        flags.append(f"derived lead: {', '.join(absent)}")
    values = np.column_stack([leads[lead] for lead in LEADS])
    for i in np.flatnonzero((np.abs(values) >= TOO_HIGH).any(axis=0)):
        offset = float(np.nanmedian(values[:, i])) / 1000  # mV
        if abs(offset) > MAX_OFFSET:
            raise BadRecording(f"offset: {offset:.0f} mV in lead {LEADS[i]}; allowed: ±{MAX_OFFSET} mV")
        if abs(offset) >= 1:  # else a spike exceeds int16, not the whole lead
            values[:, i] -= 1000 * offset
            removed.append(f"{LEADS[i]} {offset:.0f} mV")
    if removed:
        flags.append(f"offset removed: {', '.join(removed)}")
    if (np.abs(values) >= TOO_HIGH).any():
        flags.append("clipped: beyond 32.767 mV")
    values = np.rint(np.clip(values, -RAIL, RAIL))
    return np.where(np.isnan(values), MISSING, values).astype(np.int16), flags


def check_unit(leads: dict[str, np.ndarray]) -> None:
    """Raise BadRecording where the amplitudes of leads (uV, NaN where missing) suggest another unit."""
    present = [values[np.isfinite(values)] for values in leads.values() if np.isfinite(values).any()]
    ranges = [np.percentile(values, [1, 99], method="nearest") for values in present] or [(0, 0)]
    spreads = np.ptp(ranges, axis=1) / 1000
    highest, usual = spreads.max(), np.median(spreads)
    if 0 < highest < MIN_SPREAD:
        raise BadRecording(f"amplitude: {highest:.2g} mV in the largest lead; allowed: from {MIN_SPREAD}; wrong unit?")
    if usual > MAX_SPREAD:
        raise BadRecording(f"amplitude: {usual:.0f} mV in half of the leads; allowed: to {MAX_SPREAD:.0f}; wrong unit?")


def limb_leads(one: np.ndarray, two: np.ndarray) -> dict[str, np.ndarray]:
    """Return the six limb leads of leads I and II, by Einthoven's law and Goldberger's definitions."""
    three, right, left, foot = two - one, -(one + two) / 2, one - two / 2, two - one / 2
    return {"I": one, "II": two, "III": three, "aVR": right, "aVL": left, "aVF": foot}
