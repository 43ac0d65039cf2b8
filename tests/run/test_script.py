"""End of a script: a user's mistake, a bug, Ctrl-C, a second run in a folder; printable text."""

import importlib
import sys
from unittest.mock import Mock

import pytest
from projects import STAGES

from ecg.run.script import UsageError, locked, printable, run, run_stage


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (UsageError("no such fold: \x1b]0;title\x07 C:\\x \u202e"), 1, r"no such fold: \x1b]0;title\x07 C:\x \u202e"),
        (OSError(28, "No space left on device", "x.npy"), 1, "[Errno 28] No space left on device: 'x.npy'"),
        (FileNotFoundError(2, "", "data/x"), 1, "data/x is missing; go to the project's root and run `dvc repro`"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_a_users_mistake_is_one_printable_line_and_ctrl_c_none(capsys, monkeypatch, error, status, line):
    monkeypatch.setattr(sys, "argv", ["stages/split.py"])
    monkeypatch.setattr(sys.stdout, "reconfigure", lambda errors: None, raising=False)
    with pytest.raises(SystemExit) as end:
        run(Mock(side_effect=error))
    assert end.value.code == status
    assert capsys.readouterr().err == (f"split: {line}\n" if line else "")


def test_a_bug_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        run(lambda: 1 / 0)


def test_of_two_runs_in_a_folder_the_second_is_refused(tmp_path):
    with locked(tmp_path), pytest.raises(UsageError, match="another run is at work in"), locked(tmp_path):
        raise AssertionError
    with locked(tmp_path):
        pass
    with pytest.raises(UsageError, match="run `dvc repro` in the project's root"), locked(tmp_path / "data"):
        raise AssertionError


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(("arguments", "status"), [(["--help"], 0), (["other.yaml"], 2)])
def test_a_stage_with_arguments_does_nothing(tmp_path, monkeypatch, capsys, stage, arguments, status):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [f"stages/{stage}.py", *arguments])
    script = importlib.import_module(stage)
    with pytest.raises(SystemExit) as end:
        run_stage(script.main)
    assert end.value.code == status
    printed = capsys.readouterr()
    assert script.__doc__.strip() in printed.out if status == 0 else arguments[0] in printed.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        *((text, text) for text in ("Größe µV … 心電図", "a=1", "")),
        ("a\x1b[2Jb\x7f\x9b\r\n\t\0", "a\\x1b[2Jb\\x7f\\x9b\\r\\n\\t\\x00"),
        ("\u202egpj.exe\u200b\u2066\ufeff\u2028", "\\u202egpj.exe\\u200b\\u2066\\ufeff\\u2028"),
        ("\udcff\ue000\U000e0041", "\\udcff\\ue000\\U000e0041"),
        *((text, f"'{text}") for text in ("@SUM(A1)", "  =1", "＝1")),
    ],
)
def test_text_from_files_is_made_safe(text, shown):
    assert printable(text) == shown
