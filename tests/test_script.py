import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from conftest import ROOT

from ecg import script
from ecg.stage.files import replacing, write_json
from ecg.stage.parallel import in_parallel
from ecg.stage.script import UsageError
from ecg.stage.tables import read_table
from ecg.stage.text import printable


def test_output_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "out.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert [p.read_text() for p in tmp_path.iterdir()] == ["new"]


def test_what_a_killed_run_left_is_removed(tmp_path):
    (tmp_path / ".out.partial-0123.csv").write_text("half")
    (tmp_path / ".out.partial-4567").mkdir()
    (tmp_path / ".other.partial-0123.csv").touch()
    for name in ("out.csv", "out"):
        with replacing(tmp_path / name) as temporary:
            temporary.touch()
    assert {p.name for p in tmp_path.iterdir()} == {"out.csv", "out", ".other.partial-0123.csv"}


def test_a_stage_whose_dvc_was_killed_writes_no_output(tmp_path, monkeypatch):
    path = tmp_path / "out.csv"
    path.write_text("what dvc restored since")
    monkeypatch.setattr(script, "PARENT", 1)  # not the parent of this process any more
    monkeypatch.setenv("DVC_STAGE", "train")
    with pytest.raises(UsageError, match="dvc that started this stage is gone"), replacing(path) as temporary:
        temporary.write_text("of other params")
    assert [p.read_text() for p in tmp_path.iterdir()] == ["what dvc restored since"]
    # A script that was started by hand may outlive its shell.
    monkeypatch.delenv("DVC_STAGE")
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_folder_is_replaced_whole(tmp_path):
    for name in ("a", "b"):
        with replacing(tmp_path / "parts") as temporary:
            temporary.mkdir()
            (temporary / name).touch()
    assert [p.name for p in (tmp_path / "parts").iterdir()] == ["b"]


def test_json_is_rounded_and_has_null_for_unknown(tmp_path):
    write_json(tmp_path / "m.json", {"a": 1 / 3, "b": None, "n": 7})
    assert (tmp_path / "m.json").read_text() == '{\n  "a": 0.333333333,\n  "b": null,\n  "n": 7\n}\n'
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "m.json", {"a": float("nan")})


def test_text_in_tables_stays_text(tmp_path):
    (tmp_path / "t.csv").write_text("record,source,fold,reason\n001,NA,,\nnan,,3,flat\n")
    table = read_table(tmp_path / "t.csv")
    assert table[["record", "source", "reason"]].to_numpy().tolist() == [["001", "NA", ""], ["nan", "", "flat"]]
    assert table.fold.isna().tolist() == [True, False]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("HR00001", "HR00001"),
        ("Größe µV … 心電図", "Größe µV … 心電図"),
        ("a\x1b[2Jb\x7f\x9b", "a\\x1b[2Jb\\x7f\\x9b"),
        ("a\r\n\tb\0", "a\\r\\n\\tb\\x00"),
        ("\u202egpj.exe\u200b\u2066\ufeff\u2028", "\\u202egpj.exe\\u200b\\u2066\\ufeff\\u2028"),
        ("\udcff\ue000\U000e0041", "\\udcff\\ue000\\U000e0041"),
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("  =1", "'  =1"),
        ("\t=1", "\\t=1"),
        ("＝1", "'＝1"),
        ("a=1", "a=1"),
        ("", ""),
    ],
)
def test_text_from_files_is_made_safe(text, shown):
    assert printable(text) == shown


def test_different_texts_stay_different():
    texts = ["=1", "'=1", "''=1", "\n", "\\n", "\\\\n", "\x1b", "\\x1b", " =1", "' =1", "'a", "a"]
    assert len({printable(text) for text in texts}) == len(texts)


def test_results_come_in_order(monkeypatch):
    for workers in ("1", "2"):
        monkeypatch.setenv("WORKERS", workers)
        assert list(in_parallel(divmod, [(i, 3) for i in range(20)])) == [divmod(i, 3) for i in range(20)]
    monkeypatch.setenv("WORKERS", "many")
    with pytest.raises(UsageError, match="WORKERS is 'many'"):
        list(in_parallel(divmod, [(1, 1)]))


def test_a_killed_worker_is_one_line(monkeypatch):
    monkeypatch.setenv("WORKERS", "2")
    with pytest.raises(UsageError, match="a worker process was killed"):
        list(in_parallel(signal.raise_signal, [(signal.SIGKILL,), (signal.SIGKILL,)]))


def start(body: str, runner: str = "run", folder: Path | None = None, **changes: str) -> subprocess.Popen:
    code = f"import time\nfrom ecg.script import *\ndef main():\n {body}\n{runner}(main)"
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
    process = start("print('ready', flush=True); time.sleep(60)")
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
