"""What headers and tables say of a patient: diagnosis codes and their class, age, sex."""

import math
from collections.abc import Iterable

SINUS_RHYTHM = "426783006"
ISCHEMIA = {
    # SNOMED CT: myocardial ischemia; anterior, inferior, lateral; chronic, acute.
    *("164861001", "426434006", "425419005", "425623009", "413844008", "413444003"),
    # PTB-XL's SCP statements of diagnostic subclass ISC_ and ISCA, ISCI.
    *("ISC_", "ISCAL", "ISCAN", "ISCAS", "ISCIL", "ISCIN", "ISCLA"),
}

UNKNOWN = ("", "unknown", "nan", "na", "n/a", "none", "-1")  # what headers say where they know nothing


def class_of(codes: Iterable[str]) -> str:
    """Return the class that SNOMED CT or SCP codes of one recording stand for.

    An ischemia code decides, whatever stands beside it. Normal is sinus rhythm as the only SNOMED CT code, or
    PTB-XL's NORM. All else is other. A code that PTB-XL lists with likelihood 0 counts: 0 means unknown.
    """
    codes = set(codes)
    if codes & ISCHEMIA:
        return "ischemia"
    if codes == {SINUS_RHYTHM} or "NORM" in codes:
        return "normal"
    return "other"


def parse_codes(text: str) -> list[str]:
    """Split a Dx comment into codes; they may repeat, and the list may end in a comma."""
    codes = [code.strip() for code in text.split(",")]
    return [code for code in dict.fromkeys(codes) if code.lower() not in UNKNOWN]


def parse_age(value: str | float) -> tuple[int | None, list[str]]:
    """Return an age in years (None: unknown, also where -1 says so) and flags. PTB-XL writes 300 for over 89."""
    try:
        age = float(value)
    except ValueError:
        text = str(value)
        return None, [] if text.lower() in UNKNOWN else [f"age: {text[:40]} is not believed"]
    if math.isnan(age) or age == -1:
        return None, []
    if age == 300:
        return 90, ["age: over 89"]
    return (round(age), []) if 0 <= age <= 120 else (None, [f"age: {age:g} is not believed"])


def parse_sex(text: str) -> str:
    return {"m": "male", "male": "male", "f": "female", "female": "female"}.get(text.strip().lower(), "")
