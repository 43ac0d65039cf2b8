"""How a script ends: on a user's mistake, on a bug, on Ctrl-C, and where another stage is at work."""

import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from conftest import ROOT
from projects import STAGES

from ecg.run.script import run_stage


def start(body: str, runner: str = "run", folder: Path | None = None, **changes: str) -> subprocess.Popen:
    imports = "import os, time\nfrom pathlib import Path\nfrom ecg.run.script import run, run_stage, UsageError, warn\n"
    code = f"{imports}from ecg.run.parallel import in_parallel\ndef main():\n {body}\n{runner}(main)"
    environment = os.environ | {"PYTHONPATH": str(ROOT / "stages")} | changes
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_users_mistake_is_one_line_and_status_1():
    for body in ("raise UsageError('no such fold')", "raise OSError(28, 'No space left on device', 'x.npy')"):
        process = start(body)
        error = process.communicate()[1]
        assert process.returncode == 1
        assert error.count("\n") == 1 and "Traceback" not in error


def test_a_terminal_gets_no_control_characters():
    process = start("warn('-- \\x1b]0;title\\x07 \\r\\n'); raise UsageError('C:\\\\\\\\x \\u202e\\x9b2J')")
    error = process.communicate()[1]
    assert error == "-c: warning: -- \\x1b]0;title\\x07 \\r\\n\n-c: C:\\\\x \\u202e\\x9b2J\n"


def test_a_bug_keeps_its_traceback():
    process = start("1 / 0")
    assert "ZeroDivisionError" in process.communicate()[1]
    assert process.returncode == 1


def test_interrupt_exits_130():
    # What a shell starts in the background is deaf to Ctrl-C, and so is what that starts.
    heard = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        process = start("print('ready', flush=True); time.sleep(60)")
    finally:
        signal.signal(signal.SIGINT, heard)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate()[1] == ""
    assert process.returncode == 130


def test_of_two_stages_in_a_folder_the_second_is_refused(tmp_path):
    (tmp_path / "data").mkdir()
    # A worker says that it is there, and stays when the stage is killed.
    stay = "'touch data/worker; exec sleep 60'"
    first = start(f"list(in_parallel(os.system, [({stay},), ({stay},)]))", "run_stage", tmp_path, WORKERS="2")
    while not (tmp_path / "data/worker").exists():
        assert first.poll() is None
        time.sleep(0.02)
    workers = psutil.Process(first.pid).children(recursive=True)
    second = start("Path('data/out').touch()", "run_stage", tmp_path)
    error = second.communicate()[1]
    assert second.returncode == 1
    assert error.count("\n") == 1 and f"process {first.pid}" in error
    assert not (tmp_path / "data/out").exists()

    first.kill()
    first.wait()
    third = start("Path('data/out').touch()", "run_stage", tmp_path)
    assert third.wait() == 0, third.communicate()
    assert (tmp_path / "data/out").exists()
    assert any(process.name() == "sleep" for process in workers if process.is_running())
    for process in workers:
        if process.is_running():
            process.kill()


@pytest.mark.parametrize(
    "swallow",
    ["try: ready()\n except KeyboardInterrupt: raise TypeError", "class C: __del__ = ready\n C(); time.sleep(60)"],
    ids=["compiled code", "callback"],
)
def test_interrupt_of_a_stage_exits_130_where_python_loses_it(tmp_path, swallow):
    (tmp_path / "data").mkdir()
    ready = "ready = lambda *_: (print('ready', flush=True), time.sleep(60))"
    process = start(f"{ready}\n {swallow}", "run_stage", tmp_path)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30)[1] == ""
    assert process.returncode == 130


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(("arguments", "status"), [(["--help"], 0), (["--force"], 2), (["other.yaml"], 2)])
def test_a_stage_with_arguments_does_nothing(tmp_path, monkeypatch, capsys, stage, arguments, status):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [f"stages/{stage}.py", *arguments])
    script = importlib.import_module(stage)
    with pytest.raises(SystemExit) as end:
        run_stage(script.main)
    assert end.value.code == status
    said = capsys.readouterr()
    assert script.__doc__.strip() in said.out if status == 0 else arguments[0] in said.err
    assert not list(tmp_path.iterdir())


def test_the_help_of_a_stages_script_trains_nothing(tmp_path):
    command = [sys.executable, str(ROOT / "stages/split.py"), "--help"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "Writes  data/split.csv" in done.stdout and not list(tmp_path.iterdir())
