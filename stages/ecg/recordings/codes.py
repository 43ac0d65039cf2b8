"""Diagnosis codes to one of three classes."""

from collections.abc import Iterable

SINUS_RHYTHM = "426783006"
ISCHEMIA = {
    # SNOMED CT: myocardial ischemia; anterior, inferior, lateral; chronic, acute.
    *("164861001", "426434006", "425419005", "425623009", "413844008", "413444003"),
    # PTB-XL's SCP statements of diagnostic subclass ISC_ and ISCA, ISCI.
    *("ISC_", "ISCAL", "ISCAN", "ISCAS", "ISCIL", "ISCIN", "ISCLA"),
}


def label(codes: Iterable[str]) -> str:
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
