"""Opens XML files. A file may hold anything: no entity is expanded, no other file opened, and it is counted first."""

import base64
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ecg.leads import BadRecording
from ecg.recordings.ecg_file import content_of

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

MAX_XML = 8 * 2**20  # bytes
MAX_MARKUP = 100_000  # tags and attributes


def read_tree(path: Path, root: Path | None) -> "Element":
    """Return the root element of an XML file, its tags without name spaces; BadRecording where it has none."""
    from xml.etree.ElementTree import ParseError

    from defusedxml.ElementTree import fromstring

    content = content_of(path, root, MAX_XML)
    markup = content.count(b"<") + content.count(b"=")
    if markup > MAX_MARKUP:
        raise BadRecording(f"too long: {markup} tags and attributes; allowed: {MAX_MARKUP}")
    try:
        tree = fromstring(content)
    except (ParseError, ValueError, LookupError) as error:
        # Not what it says: that may be a piece of the file.
        raise BadRecording(f"file: no XML that can be read ({type(error).__name__})") from None
    for element in tree.iter():
        element.tag = element.tag.rpartition("}")[2]  # without its name space
    return tree


def value_at(tree: "Element", path: str, name: str) -> str | None:
    """Return an attribute of the first element on a path."""
    found = tree.find(path)
    return None if found is None else found.get(name)


def only(found: list, name: str) -> Any:
    if len(found) != 1:
        raise BadRecording(f"file: {len(found)} {name}; allowed: one")
    return found[0]


def numbers_in(text: str | None, separator: str) -> np.ndarray:
    """Parse a text of numbers; a comma may end it."""
    with warnings.catch_warnings():
        # NumPy only warns where it stops half way.
        warnings.simplefilter("error", DeprecationWarning)
        try:
            return np.fromstring(text or "", sep=separator)
        except (ValueError, DeprecationWarning):
            raise BadRecording("file: samples that are no numbers") from None


def bytes_in(text: str | None) -> bytes:
    """Decode base64; line breaks may part it."""
    try:
        return base64.b64decode("".join((text or "").split()), validate=True)
    except ValueError:
        raise BadRecording("file: samples that are no base64") from None
