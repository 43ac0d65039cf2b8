"""Fresh clones of this repository give the same bytes, however they are run.

    python tools/clones.py [VARIANT ...] [--full] [--json]

Clones what is committed into a temporary folder, runs `dvc repro` there, and compares the hashes in dvc.lock and the
files in metrics/ with those of a first clone. Few recordings and a small network, or with --full params.yaml as it is.
Exit status 1 where a variant differs; another number of threads may, and is only told.
"""

import argparse
import hashlib
import json
import shutil
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import yaml
from projects import clone, cluster, differences, repro

VARIANTS = {
    "again": {},
    "one worker": {"WORKERS": "1"},
    "four workers": {"WORKERS": "4"},
    "hash seed": {"PYTHONHASHSEED": "7"},
    "locale C": {"LC_ALL": "C"},
    "another locale": {},
    "time zone": {"TZ": "Asia/Tokyo"},
    "folder name": {},
    "cluster": {},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
TOLD_ONLY = ("one thread",)


def outcome(folder: Path) -> dict[str, str]:
    """The hash of every output in dvc.lock, and of every file in metrics/, by path."""
    lock = yaml.safe_load((folder / "dvc.lock").read_text())["stages"]
    found = {f"dvc.lock: {out['path']}": out["md5"] for stage in lock.values() for out in stage["outs"]}
    for path in sorted((folder / "metrics").glob("*.*")):
        found[path.relative_to(folder).as_posix()] = hashlib.md5(path.read_bytes()).hexdigest()
    return found


def another_locale() -> str | None:
    """A locale of this machine whose language is not English, if there is one; else one that is not C."""
    found = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=True).stdout.split()
    named = [name for name in found if name.split(".")[0] not in ("C", "POSIX")]
    return min(named, key=lambda name: (name.startswith("en"), name), default=None)


def run_variant(name: str, folder: Path, *, full: bool) -> tuple[dict[str, str] | None, str]:
    """Run a variant in a clone below `folder`; return its outcome, or None and why it was not run."""
    changes, place = dict(VARIANTS.get(name, {})), folder / name.replace(" ", "-")
    if name == "another locale":
        locale = another_locale()
        if locale is None:
            return None, "this machine has no other locale"
        changes["LC_ALL"] = locale
    if name == "folder name":
        place = folder / "mit Umlaut ä/and a space"
    if name == "cluster" and not find_spec("distributed"):
        return None, "needs requirements-dev.txt"
    clone(place, full=full)
    if name == "cluster":
        with cluster(folder) as (address, _):
            done = repro(place, DASK_SCHEDULER_ADDRESS=address)
    else:
        done = repro(place, **changes)
    if done.returncode:
        raise SystemExit(f"clones: {name}: dvc repro failed:\n{done.stdout}")
    found = outcome(place)
    shutil.rmtree(place)
    return found, " ".join(f"{key}={value}" for key, value in changes.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variants", nargs="*", metavar="VARIANT", help=f"default: all of {', '.join(VARIANTS)}")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    unknown = set(options.variants) - set(VARIANTS)
    if unknown:
        parser.error(f"no variant {', '.join(sorted(unknown))}; there are {', '.join(VARIANTS)}")
    rows, first = [], None
    with tempfile.TemporaryDirectory() as folder:
        for name in ["first", *(options.variants or VARIANTS)]:
            start = time.monotonic()
            found, note = run_variant(name, Path(folder), full=options.full)
            first = first or found
            differ = None if found is None else differences(first, found)
            what = "not run" if differ is None else f"{len(differ)} of {len(first)} differ" if differ else "same"
            rows.append({"variant": name, "outcome": what, "differ": differ, "note": note})
            rows[-1]["seconds"] = round(time.monotonic() - start)
            if not options.json:
                print(f"{name:16}{what:20}{rows[-1]['seconds']:4} s  {note} {', '.join(differ or [])}", flush=True)
    if options.json:
        print(json.dumps(rows, indent=2))
    raise SystemExit(any(row["differ"] for row in rows if row["variant"] not in TOLD_ONLY))


if __name__ == "__main__":
    main()
