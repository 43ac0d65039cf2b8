"""Text from files as it can be shown, in a table or on a terminal."""

import re

# Apostrophes count, so that none comes before what has one already and makes two texts one.
FORMULA = re.compile(r"'*\s*[=+\-@＝＋－＠]")


def printable(text: str, *, cell: bool = True) -> str:
    """Return text from a file as it can be shown: what is not printable, or turns text round, as a visible escape.

    For a table's cell a text that a spreadsheet takes for a formula gets an apostrophe, and a backslash is doubled:
    different texts stay different. For a terminal's line they stay as they are: the text may come from a table.
    """
    if cell:
        text = text.replace("\\", "\\\\")
    if not text.isprintable():
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return f"'{text}" if cell and FORMULA.match(text) else text
