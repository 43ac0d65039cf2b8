"""What each stage costs on so many recordings as the two Kaggle data sets have, and how it grows.

    python benchmarks/bench_scale.py [--recordings N] [--folder DIR] [--json]

Makes N synthetic recordings in a cache of kagglehub, laid out as the Kaggle data sets are: 10 s, .mat and .hea, one
ischemic for six normal ones. Then runs `dvc repro` in a clone of what is committed, `dvc repro` once more with nothing
to do, and predict.py on all recordings. Needs 0.4 MB of disk a recording. In DIR everything is kept: after an
interruption the same command goes on, and after a change of the code it measures that on the same recordings.
"""

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / name) for name in ("stages", "tests", "tools")]

import numpy as np
import pandas as pd
import yaml
from conftest import write_challenge
from measured import measure
from projects import STAGES, clone, environment

from ecg.recordings.hearts import DOWER, healthy_heart, ischemic, twelve_leads
from ecg.recordings.synthetic import CHEST, DURATION, DX, clean_dipole, noise
from ecg.recordings.wfdb_header import ARCHIVES
from ecg.run.parallel import in_parallel

KAGGLE = 17_649  # recordings in both data sets
DATA_SETS = {
    "ischemia": "ischemia-dataset/versions/1/ischemia_dataset",
    "normal": "normalsinusdataset/versions/3/only_sinus",
}
# Of 100 recordings, so many have names of this archive.
PREFIXES = {"HR": 60, "JS": 25, "E": 8, "A": 4, "S": 1, "Q": 1, "I": 1}
BATCH = 100  # recordings


def write_recording(data_sets: Path, number: int) -> None:
    """Write one recording, of a patient of its own, unless it is there."""
    rng = np.random.default_rng([1, number])
    kind = "normal" if number % 7 else "ischemia"
    prefix = np.repeat(list(PREFIXES), list(PREFIXES.values()))[rng.integers(100)]
    name = f"{prefix}{number:0{5 if prefix in ('HR', 'E', 'JS') else 4}d}"
    folder = data_sets / DATA_SETS[kind]
    if (folder / f"{name}.hea").exists():
        return
    heart, rate = healthy_heart(rng), ARCHIVES[prefix].sampling_rate
    times = np.arange(int(DURATION * rate)) * 1000 / rate
    dipoles = clean_dipole(heart if kind == "normal" else ischemic(heart, rng), rng, times)
    signal = dipoles @ rng.normal(DOWER, CHEST).T + noise(rng, times, 1.0)
    samples = np.rint(1000 * np.clip(twelve_leads(signal), -32, 32)).astype(np.int16)
    dialect = "old" if number % 2 else "new"
    write_challenge(folder, name, samples, sampling_rate=rate, dialect=dialect, dx=DX[kind])


def write_recordings(data_sets: Path, numbers: range) -> None:
    for number in numbers:
        write_recording(data_sets, number)


def make_cache(cache: Path, n: int) -> None:
    """Fill a cache of kagglehub with n recordings, both data sets marked as complete."""
    data_sets = cache / "datasets/bjoernjostein"
    for _ in in_parallel(write_recordings, [(data_sets, range(i, min(i + BATCH, n))) for i in range(0, n, BATCH)]):
        pass
    for path in DATA_SETS.values():
        name, _, version, _ = Path(path).parts
        (data_sets / name / f"{version}.complete").touch()


def make_project(folder: Path, lines: Path) -> None:
    """Clone this project; its stages append what they take to `lines`."""
    if not folder.exists():
        clone(folder, full=True)
    subprocess.run(["git", "fetch", "--quiet"], cwd=folder, check=True)
    # Of other code, dvc.lock says nothing; what can be restored is in the run-cache.
    if subprocess.run(["git", "diff", "--quiet", "HEAD", "@{upstream}"], cwd=folder, check=False).returncode:
        subprocess.run(["git", "reset", "--quiet", "--hard", "@{upstream}"], cwd=folder, check=True)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["download"] |= {"source": "kaggle", "ptbxl_patients": ""}
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    pipeline = (ROOT / "dvc.yaml").read_text()
    for stage in STAGES:
        prefix = shlex.join([sys.executable, str(Path(__file__).with_name("measured.py")), str(lines), stage])
        command = f"python stages/{stage}.py"
        pipeline = pipeline.replace(f"exec {command}", f"exec {prefix} {command}")
    (folder / "dvc.yaml").write_text(pipeline)


def bench(folder: Path, n: int) -> list[dict]:
    """Return what each stage and each command took for n recordings."""
    cache, project, lines = folder / "kagglehub", folder / "project", folder / "measured.jsonl"
    make_cache(cache, n)
    make_project(project, lines)
    options = {"cwd": project, "env": environment(KAGGLEHUB_CACHE=str(cache)), "stdout": subprocess.DEVNULL}
    repro = ["-m", "dvc", "repro"]
    folders = [str(cache / "datasets/bjoernjostein" / path) for path in DATA_SETS.values()]
    scored = ["stages/predict.py", *folders, "--model", "data/model.safetensors", "--csv", str(folder / "scored.csv")]
    rows = []
    for name, arguments in {"dvc repro": repro, "dvc repro, nothing to do": repro, "predict": scored}.items():
        rows.append({"stage": name} | measure([sys.executable, *arguments], **options))
        if rows[-1]["status"] not in (0, 3):  # 3: some were refused
            raise SystemExit(f"bench_scale: {name}: exit status {rows[-1]['status']}")
    measured = [json.loads(line) for line in lines.read_text().splitlines()]
    last = {row["stage"]: row for row in measured if row["status"] == 0}
    lock = yaml.safe_load((project / "dvc.lock").read_text())["stages"]
    stages = [
        last[stage] | {"written_mb": round(sum(out["size"] for out in lock[stage]["outs"]) / 1e6, 2)}
        for stage in STAGES
    ]
    return [{key: value for key, value in row.items() if key != "status"} for row in stages + rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=int, default=KAGGLE, metavar="N")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="default: a temporary one, removed in the end")
    parser.add_argument("--json", action="store_true", help="one JSON value instead of a table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        rows = bench((options.folder or Path(temporary)).absolute(), options.recordings)
    print(json.dumps(rows) if options.json else pd.DataFrame(rows).to_string(index=False, na_rep=""))


if __name__ == "__main__":
    main()
