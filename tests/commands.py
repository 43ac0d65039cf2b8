"""Commands called in the process of the tests."""

import sys
from collections.abc import Callable
from typing import NamedTuple

import cross_validate

from ecg.run.script import run


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def watch_simple_models(monkeypatch) -> None:
    """Fail where cross-validation or release fits simple models to a patient of their test set."""
    score = cross_validate.score_simple_models

    def score_apart(train_beats, train, test_beats, test, params):
        assert len(train) and len(test) and not set(train.patient) & set(test.patient)
        return score(train_beats, train, test_beats, test, params)

    monkeypatch.setattr(cross_validate, "score_simple_models", score_apart)


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
