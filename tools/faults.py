"""Faults, and what `dvc repro` makes of them: in the end the same bytes as without.

    python tools/faults.py [kills] [orphans] [disk] [files] [--kills 30] [--seed 1] [--json]

kills: SIGKILL at random moments of `dvc repro`: to the whole process group, to dvc alone (its stage lives on), to the
stage alone, to a worker process; then `dvc repro`, again while an orphan is at work. orphans: two at once, and a stage
that lives on with params that are no longer those of params.yaml. disk: each stage on a full disk, and one with data/
read-only, where all end at the lock; needs the right to mount, as root has. files: a file in data/ edited by hand, a
damaged object in DVC's cache, files of DVC's own that were cut off.

In a fresh clone of what is committed, with few recordings and a small network. Exit status 1 on any difference.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import psutil
import yaml
from projects import STAGES, clone, differences, environment, outputs, repro, run_dvc, run_stage

VICTIMS = ("group", "dvc", "stage", "worker")
# Without the run-cache: DVC would restore what is to be made anew.
FRESH = ("-m", "dvc", "repro", "--no-run-cache")

# What is in the output of a DVC that cannot go on: one before it died while it wrote this file.
CUT_OFF = {"dvc.lock' ": "dvc.lock", "RWLock-file": ".dvc/tmp/rwlock", "index.lock'": ".git/index.lock"}

# The name of an object in DVC's cache is its MD5. (The README has this command.)
VERIFY = r"find .dvc/cache/files/md5 -type f | sed -E 's|.*/(..)/([^.]*)(\.dir)?$|\1\2  &|' | md5sum --check --quiet"


def contents(folder: Path) -> dict[str, bytes | dict]:
    """dvc.lock, and the bytes of each file in data/ and metrics/; leftovers of a killed stage are among them."""
    found = outputs(folder)
    found.pop("data/.lock", None)
    return found | {"dvc.lock": yaml.safe_load((folder / "dvc.lock").read_text())}


def compare(folder: Path, wanted: dict) -> str:
    """Say how a project differs from the undisturbed one; '' where it does not."""
    differ = differences(contents(folder), wanted)
    return f"{len(differ)} differ: {', '.join(differ[:5])}" if differ else ""


def wrong_after(done: subprocess.CompletedProcess, folder: Path, wanted: dict) -> str:
    """Say what is wrong after `dvc repro`; '' where all is as in the undisturbed project."""
    return f"dvc repro failed: {done.stdout[-500:]}" if done.returncode else compare(folder, wanted)


def row(check: str, stage: str, problem: str) -> dict:
    return {"check": check, "stage": stage, "problem": problem}


def start(folder: Path, *command: str) -> subprocess.Popen:
    """Start a command in a process group of its own, with two workers."""
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=folder,
        # A shell that stays between dvc and the stage, if it is let; others give way by themselves.
        env=environment(WORKERS="2", SHELL="/bin/sh"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def processes(dvc: subprocess.Popen) -> dict[str, list[psutil.Process]]:
    """What a running `dvc repro` has started: the stage, and its workers."""
    found = {"stage": [], "worker": []}
    try:
        for process in psutil.Process(dvc.pid).children(recursive=True):
            command = " ".join(process.cmdline())
            if "popen_loky_posix" in command:
                found["worker"].append(process)
            elif "stages/" in command:
                found["stage"].append(process)
    except psutil.NoSuchProcess:
        pass
    return found


def forget(folder: Path, stage: str) -> None:
    """Take a stage from dvc.lock: DVC must run it, and cannot just restore its outputs."""
    lock = yaml.safe_load((folder / "dvc.lock").read_text())
    del lock["stages"][stage]
    (folder / "dvc.lock").write_text(yaml.safe_dump(lock, sort_keys=False))


def times(folder: Path, stage: str) -> dict[str, tuple[float, float]]:
    """Of each victim, the seconds from the start of `dvc repro` at which it appears and at which it ends."""
    forget(folder, stage)
    begin = time.monotonic()
    dvc, seen = start(folder, *FRESH, "--single-item", stage), {}
    while dvc.poll() is None:
        now = time.monotonic() - begin
        for victim, found in processes(dvc).items():
            if found:
                seen[victim] = (seen.get(victim, (now,))[0], now)
        time.sleep(0.02)
    if dvc.returncode:
        raise SystemExit(f"faults: {stage}, undisturbed, ended with exit status {dvc.returncode}")
    whole = (0.0, time.monotonic() - begin)
    return {"group": whole, "dvc": whole} | seen


def kill_once(folder: Path, stage: str, victim: str, after: float) -> tuple[dict[str, list], bool]:
    """Run a stage anew; so many seconds after `victim` is there, kill it. Return what ran, and whether it died."""
    forget(folder, stage)
    dvc = start(folder, *FRESH, "--single-item", stage)
    while victim in ("stage", "worker") and not processes(dvc)[victim] and dvc.poll() is None:
        time.sleep(0.02)
    time.sleep(after)
    started = processes(dvc)
    if victim in ("group", "dvc"):
        died = dvc.poll() is None
        if died:
            (os.killpg if victim == "group" else os.kill)(dvc.pid, signal.SIGKILL)
    else:
        died = bool(started[victim])
        for process in started[victim][:1]:
            process.kill()
    dvc.wait()
    return started, died


def heal(folder: Path, *arguments: str) -> tuple[subprocess.CompletedProcess, dict]:
    """Run `dvc repro`, again while an orphan holds the lock; return the last run, and what else there was to do.

    A kill in the millisecond in which DVC writes a file of its own leaves a part of it: that is removed, as
    docs/experiments.md says; of dvc.lock git has the whole.
    """
    count = {"refused": 0, "cut off": ""}
    while True:
        done = repro(folder, *arguments)
        cut_off = [file for said, file in CUT_OFF.items() if said in done.stdout]
        if done.returncode and "is at work in" in done.stdout and count["refused"] < 300:
            count["refused"] += 1
            time.sleep(0.5)
        elif done.returncode and cut_off and not count["cut off"]:
            count["cut off"] = cut_off[0]
            (folder / cut_off[0]).unlink()
            if cut_off[0] == "dvc.lock":
                subprocess.run(["git", "checkout", "--quiet", "dvc.lock"], cwd=folder, check=True)
        else:
            return done, count


def check_kills(folder: Path, wanted: dict, kills: int, seed: int) -> list[dict]:
    rng, rows, number = random.Random(seed), [], 0
    spans = cache(lambda stage: times(folder, stage))
    while len(rows) < kills:
        victim = VICTIMS[number % len(VICTIMS)]
        # All stages in turn for each kind of victim.
        stages = [stage for stage in STAGES if victim != "worker" or "worker" in spans(stage)]
        stage = stages[(number // len(VICTIMS) + number) % len(stages)]
        number += 1
        first, last = spans(stage)[victim]
        after = rng.uniform(0, last - first)
        left, died = kill_once(folder, stage, victim, after)
        done, count = heal(folder, "--no-run-cache")
        # DVC may have restored from its cache what an orphan still works on: it must then put nothing there.
        count["outlived"] = sum(process.is_running() for process in left["stage"])
        psutil.wait_procs(left["stage"], timeout=60)
        for process in left["worker"]:
            # Those of a killed stage wait for work for some minutes.
            if process.is_running():
                process.kill()
        if not died:
            continue  # it was done before its moment came
        rows.append(row(f"kill {victim}", stage, wrong_after(done, folder, wanted)))
        rows[-1] |= {"after": round(after, 2)} | count
        if rows[-1]["problem"]:
            break  # what comes after it would say nothing
    return rows


@contextmanager
def halted(folder: Path, dvc: subprocess.Popen, ready: Callable[[], bool], after: float = 0):
    """Halt the training that a running `dvc repro` has started, `after` so many seconds from when it is `ready`, for a
    while; give its process."""
    while not ready():
        if dvc.poll() is not None:
            raise SystemExit("faults: train was done before it could be halted")
        time.sleep(0.01)
    time.sleep(after)
    training = processes(dvc)["stage"][-1]
    training.suspend()
    try:
        yield training
    finally:
        training.resume()


def check_orphans(folder: Path, wanted: dict) -> list[dict]:
    rows = []
    first = start(folder, *FRESH, "--force", "--single-item", "train")

    def training() -> bool:
        return (folder / "data/.lock").read_text().startswith("train")

    with halted(folder, first, training):
        second = run_stage(folder, "audit")
        refused = second.returncode == 1 and "train (process" in second.stderr
        rows.append(row("a second stage is refused", "train", "" if refused else second.stderr))
        second = repro(folder, "--no-run-cache", "--force", "--single-item", "train")
        refused = "is busy, it is being blocked by" in second.stdout or "is at work in" in second.stdout
        problem = "" if second.returncode and refused else second.stdout
        rows.append(row("a second dvc repro is refused", "train", problem))
    first.wait()
    rows.append(row("the first is not disturbed", "train", compare(folder, wanted)))

    params = folder / "params.yaml"
    text = params.read_text()
    params.write_text(text.replace("epochs: 1\n", "epochs: 200\n"))
    first = start(folder, *FRESH)
    # To read its params is the first that it does.
    with halted(folder, first, training, after=0.5) as orphan:
        first.kill()
        first.wait()
        params.write_text(text)
        # It restores from the cache what the orphan is at work on.
        done = repro(folder, "--no-run-cache")
    psutil.wait_procs([orphan], timeout=60)
    return [*rows, row("an orphan with other params", "train", wrong_after(done, folder, wanted))]


@contextmanager
def mounted(*arguments: str | Path):
    """Mount something for a while; the last argument says where."""
    subprocess.run(["mount", *arguments], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", arguments[-1]], check=True)


def judge(done: subprocess.CompletedProcess, folder: Path, wanted: dict, told: str) -> str:
    """Say what is wrong with how a stage ended on a disk that it could not write to; '' where nothing is."""
    if done.returncode == 0:
        return compare(folder, wanted)
    # Where a pool is cut short, Python's tracker of semaphores may speak after the stage.
    lines = [
        line for line in done.stderr.splitlines() if "resource_tracker" not in line and "warnings.warn" not in line
    ]
    if done.returncode != 1 or len(lines) != 1 or told not in lines[0].lower():
        return f"exit status {done.returncode}, not one clear line: {done.stderr[-500:]}"
    found = contents(folder)
    wrong = [name for name, content in found.items() if content != wanted.get(name)]
    return f"half written: {', '.join(wrong)}" if wrong else ""


def check_disk(folder: Path, wanted: dict) -> list[dict]:
    rows = []
    # Python's caches of the code would take from the room that is left.
    alone = {"WORKERS": "2", "PYTHONDONTWRITEBYTECODE": "1"}
    disk = folder.with_name("disk")
    disk.mkdir()
    try:
        with mounted("-t", "tmpfs", "-o", "size=64m", "tmpfs", disk):
            copy, filler = disk / "project", disk / "filler"
            shutil.copytree(folder, copy, ignore=shutil.ignore_patterns(".git", ".dvc"))
            outputs = yaml.safe_load((folder / "dvc.lock").read_text())["stages"]
            for stage in STAGES:
                largest = max(out["size"] for out in outputs[stage]["outs"])
                for out in outputs[stage]["outs"]:
                    path = copy / out["path"]
                    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
                for room in (8192, largest // 2) if largest > 100_000 else (8192,):
                    filler.write_bytes(bytes(max(0, shutil.disk_usage(disk).free - room)))
                    problem = judge(run_stage(copy, stage, **alone), copy, wanted, "no space left on device")
                    rows.append(row("disk full", stage, problem))
                    filler.unlink()
                done = run_stage(copy, stage, **alone)
                rows.append(row("space again", stage, done.stderr if done.returncode else compare(copy, wanted)))
            with mounted("--bind", "-o", "ro", copy / "data", copy / "data"):
                done = run_stage(copy, "split", **alone)
            rows.append(row("data/ read-only", "split", judge(done, copy, wanted, "read-only file system")))
    except subprocess.CalledProcessError as error:
        return [row("disk", "", "") | {"skipped": error.stderr.decode().strip()}]
    with mounted("--bind", "-o", "ro", folder / "data", folder / "data"):
        done = repro(folder, "--no-run-cache", "--force", "split")
    clear = "Traceback" not in done.stdout and "Read-only file system" in done.stdout
    rows.append(row("data/ read-only", "dvc repro", "" if done.returncode and clear else done.stdout[-500:]))
    done, _ = heal(folder)
    return [*rows, row("writable again", "dvc repro", wrong_after(done, folder, wanted))]


def check_files(folder: Path, wanted: dict) -> list[dict]:
    rows = []
    split, lock = folder / "data/split.csv", folder / "dvc.lock"
    split.write_text(split.read_text().replace("train", "test", 1))
    said = run_dvc(folder, "status").stdout
    rows.append(row("edited file: dvc status names it", "", "" if "data/split.csv" in said else said))
    rows.append(row("edited file: dvc repro rebuilds it", "", wrong_after(repro(folder), folder, wanted)))

    # DVC believes an object that is read-only, as it makes them.
    md5 = yaml.safe_load(lock.read_text())["stages"]["split"]["outs"][0]["md5"]
    cached = folder / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    cached.chmod(0o644)
    cached.write_bytes(cached.read_bytes().replace(b"train", b"trayn", 1))
    cached.chmod(0o444)
    said = subprocess.run(VERIFY, shell=True, cwd=folder, capture_output=True, text=True).stdout
    named = said.split(":")[0].endswith(md5[2:])
    rows.append(row("damaged cache object: md5sum names it", "", "" if named else said))
    cached.unlink()
    split.unlink()
    problem = wrong_after(repro(folder), folder, wanted)
    rows.append(row("damaged cache object, removed: dvc repro makes it anew", "", problem))

    whole = lock.read_text()
    for share in (0, 1 / 3, 2 / 3):
        lock.write_text(whole[: int(share * len(whole))])
        done, count = heal(folder)
        rows.append(row(f"dvc.lock cut off at {share:.0%}", "", wrong_after(done, folder, wanted)) | count)
    for name in sorted(set(CUT_OFF.values()) - {"dvc.lock"}):
        lock.write_text(whole)
        forget(folder, "report")
        (folder / name).write_text("")
        done, count = heal(folder)
        problem = wrong_after(done, folder, wanted) if count["cut off"] == name else f"DVC said {done.stdout[-500:]}"
        rows.append(row(f"{name} empty", "", problem) | count)
    return rows


def main() -> None:
    checks = {
        "kills": check_kills,
        "orphans": check_orphans,
        "disk": check_disk,
        "files": check_files,
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checks", nargs="*", choices=[*checks, []], metavar="CHECK", help="default: all")
    parser.add_argument("--kills", type=int, default=30, metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = clone(Path(temporary) / "project")
        done = repro(folder)
        if done.returncode:
            raise SystemExit(f"faults: the undisturbed run failed:\n{done.stdout}")
        wanted = contents(folder)
        for name in options.checks or checks:
            arguments = (options.kills, options.seed) if name == "kills" else ()
            rows += checks[name](folder, wanted, *arguments)
    if options.json:
        print(json.dumps(rows, indent=2))
    else:
        counted = Counter((row["check"], row["stage"], bool(row["problem"])) for row in rows)
        for (check, stage, failed), n in counted.items():
            print(f"{check:55} {stage:10} {n:3} {'FAILED' if failed else 'ok'}")
        print(f"{len(rows)} checks, {sum(bool(row['problem']) for row in rows)} failed")
        told = {
            "refused": "an orphan was at work and dvc repro refused",
            "outlived": "an orphan was at work still when dvc repro was done",
            "cut off": "a file of DVC's own was cut off",
        }
        for key, what in told.items():
            print(f"{what}: {sum(bool(row.get(key)) for row in rows)} times")
    for row in rows:
        if row["problem"] or "skipped" in row:
            print(json.dumps(row), file=sys.stderr)
    raise SystemExit(any(row["problem"] for row in rows))


if __name__ == "__main__":
    main()
