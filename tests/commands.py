"""Commands called in the process of the tests."""

import sys
from collections.abc import Callable
from typing import NamedTuple

from ecg.run.script import run


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def run_command(main: Callable[[], None], monkeypatch, capsys, *arguments: object) -> Done:
    """Run the `main` of a script with arguments, by one process."""
    name = sys.modules[main.__module__].__name__
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    status = 0
    try:
        run(main)
    except SystemExit as end:
        status = end.code
    return Done(status or 0, *capsys.readouterr())
