"""Parses diagnosis codes, age and sex in headers and tables; assigns codes to a class."""

import math
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from ecg.leads import BadRecording
from ecg.params import SCP

# The SNOMED CT codes of the PhysioNet/CinC Challenge 2021 (dx_mapping_scored.csv and dx_mapping_unscored.csv).
SNOMED = frozenset(Path(__file__).with_name("challenge_codes.txt").read_text(encoding="utf-8").split())
CLASSES = frozenset(("ISCHEMIA", "NORMAL", "OTHER"))  # allowed in place of codes

# Words for an unknown value in headers and tables; OTHER_SEX: also for neither male nor female.
UNKNOWN = ("", "unknown", "nan", "na", "n/a", "#n/a", "<na>", "none", "null", "-1")
OTHER_SEX = ("o", "other", "u", "un", "x", "undifferentiated", "undefined", "unspecified")

NAME = re.compile(r"(?<=[\d\s])\(([^()]*)\)")  # of a code, in brackets after it
DOUBT = re.compile(r"(?i)\b(no|not|without|excluded?|rule[sd]? out|suspected|possible|probable|unlikely)\b|\?")


def class_of(codes: Iterable[str], ischemia: Iterable[str], normal: Iterable[str]) -> str:
    """Return the class of a recording with these SNOMED CT or SCP codes.

    Any code of `ischemia` makes it ischemia. Codes of `normal` alone make it normal. All others are other.
    """
    codes = set(codes)
    if codes & {"ISCHEMIA", *ischemia}:
        return "ischemia"
    return "normal" if codes and codes <= {"NORMAL", *normal} else "other"


def parse_codes(text: str) -> list[str]:
    """Return the SNOMED CT and SCP codes and class names in a text; BadRecording if it has other words.

    Commas, semicolons, bars or blanks separate them. A code may have quotes, `.0`, or a name in brackets after it; SCP
    codes have any case. The text may be a Python list or dict, as in PTB-XL's table.
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
    """Return the class that a text names; BadRecording for any other text."""
    if text.upper() not in CLASSES:
        raise BadRecording(f"label: {text!r}; allowed: ischemia, normal, other")
    return text.lower()


def parse_age(value: str | float) -> tuple[int | None, list[str]]:
    """Return an age in years (None: unknown, as is -1) and flags. PTB-XL writes 300 for ages over 89."""
    try:
        age = float(value)
    except ValueError:
        return None, [] if str(value).lower() in UNKNOWN else [f"age: {value:.40} is not plausible"]
    if math.isnan(age) or age == -1:
        return None, []
    if age == 300:
        return 90, ["age: over 89"]
    return (round(age), []) if 0 <= age <= 120 else (None, [f"age: {age:g} is not plausible"])


def parse_sex(text: str) -> tuple[str, list[str]]:
    """Return male, female or '' (unknown) and flags."""
    word = text.strip().lower()
    sex = {"m": "male", "male": "male", "f": "female", "female": "female"}.get(word, "")
    return sex, [] if sex or word in UNKNOWN + OTHER_SEX else [f"sex: {text:.40} is not understood"]
