"""Parses the diagnosis codes, age and sex in headers and tables; the class that codes stand for."""

import math
import re
import unicodedata
from collections.abc import Iterable

from ecg.leads import BadRecording
from ecg.params import SCP

# The SNOMED CT codes of the PhysioNet/CinC Challenge 2021 (dx_mapping_scored.csv and dx_mapping_unscored.csv).
OF_CHALLENGE = """
    368009 5609005 6374002 10370003 11157007 13640000 17338001 17366009 27885002 29320008 39732003 47665007 49260003
    49578007 50799005 53741008 54016002 54329005 55827005 55930002 57054005 59118001 59931005 60423000 61277005
    61721007 63593006 65778007 67198005 74390002 74615001 75532003 77867006 81898007 82226007 84114007 89792004
    106068003 111288001 111975006 164861001 164865005 164867002 164873001 164884008 164889003 164890007 164895002
    164896001 164909002 164912004 164917005 164921003 164930006 164931005 164934002 164937009 164942001 164947007
    164951009 195042002 195060002 195080001 195101003 195126007 204384007 233892002 233897008 233917008 251120003
    251139008 251146004 251164006 251166008 251168009 251170000 251173003 251180001 251182009 251187003 251198002
    251199005 251200008 251205003 251223006 251259000 251266004 251268003 253339007 253352002 266249003 266257000
    270492004 282825002 284470004 314208002 365413008 370365005 413444003 413844008 418818005 425419005 425623009
    425856008 426177001 426183003 426434006 426627000 426648003 426664006 426749004 426761007 426783006 426995002
    427084000 427172004 427393009 428417006 428750005 429622005 445118002 445211001 446358003 446813000 698247007
    698252002 704997005 713422000 713426002 713427006 733534002 67741000119109 67751000119106
"""
SNOMED = frozenset(OF_CHALLENGE.split())
CLASSES = frozenset(("ISCHEMIA", "NORMAL", "OTHER"))  # may stand for codes

# Words of headers and tables for an unknown value; of the sex, also for neither male nor female.
UNKNOWN = ("", "unknown", "nan", "na", "n/a", "#n/a", "<na>", "none", "null", "-1")
OTHER_SEX = ("o", "other", "u", "un", "x", "undifferentiated", "undefined", "unspecified")

NAME = re.compile(r"(?<=[\d\s])\(([^()]*)\)")  # of a code, in brackets after it
DOUBT = re.compile(r"(?i)\b(no|not|without|excluded?|rule[sd]? out|suspected|possible|probable|unlikely)\b|\?")


def class_of(codes: Iterable[str], ischemia: Iterable[str], normal: Iterable[str]) -> str:
    """Return the class that SNOMED CT or SCP codes of one recording stand for.

    A code of `ischemia` decides, whatever stands beside it. Codes of `normal` alone are normal. All else is other.
    """
    codes = set(codes)
    if codes & {"ISCHEMIA", *ischemia}:
        return "ischemia"
    return "normal" if codes and codes <= {"NORMAL", *normal} else "other"


def parse_codes(text: str) -> list[str]:
    """Return the SNOMED CT and SCP codes and names of classes in a text; BadRecording where it holds other words.

    Commas, semicolons, bars or blanks part them; a code may have quotes, a name in brackets after it or `.0`, and SCP
    codes any case. The text may be a Python list or dict, as in PTB-XL's table.
    """
    plain = unicodedata.normalize("NFKC", text).strip()
    if plain[:1] + plain[-1:] in ("[]", "{}", "()"):
        # Of a dict only the keys: the values are likelihoods.
        plain = re.sub(r":[^,]*", "", plain[1:-1]) if plain[0] == "{" else plain[1:-1]
    if any(DOUBT.search(name) for name in NAME.findall(plain)):
        raise BadRecording(f"Dx not understood: {text}")
    codes = []
    for word in re.split(r"[\s,;|、]+", NAME.sub(" ", plain)):
        word = word.strip("'\"").upper()
        number = re.fullmatch(r"(\d{6,18})(\.0*)?", word, re.ASCII)
        if number or word in SCP | CLASSES:
            codes.append(number[1] if number else word)
        elif word.lower() not in UNKNOWN:
            raise BadRecording(f"Dx not understood: {text}")
    return list(dict.fromkeys(codes))


def parse_label(text: str) -> str:
    """Return the class that a text names; BadRecording where it names none."""
    if text.upper() not in CLASSES:
        raise BadRecording(f"label: {text!r}; allowed: ischemia, normal, other")
    return text.lower()


def parse_age(value: str | float) -> tuple[int | None, list[str]]:
    """Return an age in years (None: unknown, as -1) and flags. PTB-XL writes 300 for over 89."""
    try:
        age = float(value)
    except ValueError:
        return None, [] if str(value).lower() in UNKNOWN else [f"age: {value:.40} is not believed"]
    if math.isnan(age) or age == -1:
        return None, []
    if age == 300:
        return 90, ["age: over 89"]
    return (round(age), []) if 0 <= age <= 120 else (None, [f"age: {age:g} is not believed"])


def parse_sex(text: str) -> tuple[str, list[str]]:
    """Return male, female or '' (unknown) and flags."""
    word = text.strip().lower()
    sex = {"m": "male", "male": "male", "f": "female", "female": "female"}.get(word, "")
    return sex, [] if sex or word in UNKNOWN + OTHER_SEX else [f"sex: {text:.40} is not understood"]
