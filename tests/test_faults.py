"""A killed or interrupted stage leaves no half output and no process; the next `dvc repro` gives the same bytes."""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest
from projects import clone, environment, outputs, run_dvc


def wait_for(process, ready):
    """Wait until `ready`, while the process runs."""
    while not ready():
        assert process.poll() is None, "it ended before its moment came"
        time.sleep(0.02)


def workers(process):
    """The processes that the stage extract has started, which a process is or has started."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        with suppress(psutil.Error):  # it may end at any time, and DVC starts many
            if "loky" in " ".join(child.cmdline()) and "extract.py" in " ".join(child.parent().cmdline()):
                found.append(child)
    return found


def test_a_killed_dvc_repro_of_a_clone_leaves_nothing_half_and_the_next_gives_the_same_bytes(finished, tmp_path):
    folder, wanted = clone(tmp_path / "mit Umlaut ä/and a space"), outputs(finished)
    # Changes that are not committed are tested too.
    shutil.copytree(finished / "stages", folder / "stages", dirs_exist_ok=True)
    run = subprocess.Popen([sys.executable, "-m", "dvc", "repro", "extract"], cwd=folder, env=environment(WORKERS="2"))
    wait_for(run, lambda: (folder / "data/recordings.csv").exists() and workers(run))
    # DVC first: it must not see its stage end, or it would be killed while it writes its own files.
    for process in [run, *psutil.Process(run.pid).children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):  # a worker ends with its parent
            process.kill()
    run.wait()
    left = {path: content for path, content in outputs(folder).items() if path.startswith("data/") and "/." not in path}
    assert "data/recordings.csv" in left and "data/beats.npy" not in left
    assert [path for path, content in left.items() if content != wanted[path]] == []
    done = run_dvc(folder, "repro", "extract")
    assert done.returncode == 0, done.stdout
    found = outputs(folder)
    made = [path for path in wanted if path.startswith(("data/recordings", "data/beats"))]
    assert [path for path in made if found.get(path) != wanted[path]] == []
    assert not list(folder.glob("*/.*.partial-*"))


@pytest.mark.skipif(sys.platform == "win32", reason="a program cannot send Ctrl-C to a single other one")
def test_ctrl_c_exits_130_and_leaves_nothing_half_written_and_no_worker(finished, tmp_path):
    copy = shutil.copytree(finished, tmp_path / "copy")
    process = subprocess.Popen(
        [sys.executable, "stages/extract.py"],
        cwd=copy,
        env=os.environ | {"WORKERS": "2"},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        # A program in the background of a shell may ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    wait_for(process, lambda: workers(process))
    started = workers(process)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert outputs(copy) == outputs(finished)
    _, alive = psutil.wait_procs(started, timeout=30)
    assert not alive
