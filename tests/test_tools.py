"""The scripts that kill, fill the disk and clone, on a small scale."""

import subprocess
import sys

import pytest
from conftest import ROOT


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        # A file edited by hand, a damaged cache, files of DVC's own that were cut off; dvc and all it started killed;
        # two at once.
        ("faults.py", "files", "kills", "orphans", "--kills", "2"),
        # No space for any output of any stage.
        ("faults.py", "disk"),
        # DVC itself in a folder with a blank and an umlaut, from nothing: two clones, the same hashes in dvc.lock.
        ("clones.py", "folder name"),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_the_same_bytes_in_the_end(command):
    script, *arguments = command
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / script, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
