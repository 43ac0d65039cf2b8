"""The stage train, killed and run again."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import yaml


def start(folder, root):
    return subprocess.Popen(
        [sys.executable, "stages/train.py"],
        cwd=folder,
        env=os.environ | {"DVC_ROOT": str(root), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    out, err = process.communicate()
    assert (process.returncode, err) == (0, ""), err
    return out


def test_killed_train_ends_with_the_same_bytes_also_twice_at_once(finished, tmp_path):
    folders = [tmp_path / name for name in ("undisturbed", "killed", "twin")]
    for folder in folders:
        shutil.copytree(finished, folder, ignore=shutil.ignore_patterns(".cache", "__pycache__"))
        params = yaml.safe_load((folder / "params.yaml").read_text())
        params["train"] |= {"epochs": 40}
        (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
        for name in ("data/model.safetensors", "data/history.csv", "metrics/train.json"):
            (folder / name).unlink()
    undisturbed, killed, twin = folders
    assert "goes on" not in finish(start(undisturbed, undisturbed))

    process, seen = start(killed, tmp_path), {b""}
    while len(list(tmp_path.glob(".cache/train/*/member-*"))) < 2 or len(seen) < 8:
        assert process.poll() is None
        if (killed / "data/history.csv").exists():
            seen.add((killed / "data/history.csv").read_bytes())
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (killed / "data/model.safetensors").exists()
    # The learning curves grew, a whole row at a time.
    grown = (undisturbed / "data/history.csv").read_bytes().splitlines(keepends=True)
    parts = [part.splitlines(keepends=True) for part in seen]
    assert all(part == [row for row in grown if row in part] for part in parts)
    # Two runs of the same inputs share the checkpoints, as experiments in temporary copies do.
    both = [start(killed, tmp_path), start(twin, tmp_path)]
    # The other one may find nothing any more.
    assert any(re.search("member 1: goes on after epoch [1-9]", out) for out in [finish(process) for process in both])
    for name in ("data/model.safetensors", "data/history.csv", "metrics/train.json"):
        expected = (undisturbed / name).read_bytes()
        assert (killed / name).read_bytes() == (twin / name).read_bytes() == expected
    assert list(tmp_path.glob(".cache/train/*")) == list(undisturbed.glob(".cache/train/*")) == []
