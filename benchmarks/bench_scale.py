"""Time and memory of each stage on as many recordings as in the two Kaggle data sets.

    python benchmarks/bench_scale.py [--recordings N] [--folder DIR] [--json]

Makes N synthetic recordings in a cache of kagglehub, laid out as the Kaggle data sets are: 10 s, .mat and .hea, one
ischemic for six normal ones. Then runs each stage in a clone of the last commit, `dvc repro` with nothing to do, and
predict.py on all recordings. Needs 0.4 MB of disk per recording; recordings in DIR are kept and used again. Linux and
macOS.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / name) for name in ("stages", "tests")]

import numpy as np
import pandas as pd
import yaml
from conftest import write_challenge
from projects import STAGES, clone, environment, run_dvc

from ecg.recordings.hearts import DOWER, healthy_heart, ischemic, twelve_leads
from ecg.recordings.synthetic import CHEST, DURATION, DX, clean_dipole, noise
from ecg.recordings.wfdb_header import ARCHIVES
from ecg.run.parallel import in_parallel

KAGGLE = 17_649  # recordings in both data sets
DATA_SETS = {
    "ischemia": "ischemia-dataset/versions/1/ischemia_dataset",
    "normal": "normalsinusdataset/versions/3/only_sinus",
}
# Percentage of the recordings by archive, named by its prefix.
PREFIXES = {"HR": 60, "JS": 25, "E": 8, "A": 4, "S": 1, "Q": 1, "I": 1}
BATCH = 100  # recordings
MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes


def write_recordings(data_sets: Path, numbers: range) -> None:
    """Write those recordings, one per patient, that do not exist yet."""
    for number in numbers:
        rng = np.random.default_rng([1, number])
        kind = "normal" if number % 7 else "ischemia"
        prefix = np.repeat(list(PREFIXES), list(PREFIXES.values()))[rng.integers(100)]
        name = f"{prefix}{number:0{5 if prefix in ('HR', 'E', 'JS') else 4}d}"
        folder = data_sets / DATA_SETS[kind]
        if (folder / f"{name}.hea").exists():
            continue
        heart, rate = healthy_heart(rng), ARCHIVES[prefix].sampling_rate
        times = np.arange(int(DURATION * rate)) * 1000 / rate
        dipoles = clean_dipole(heart if kind == "normal" else ischemic(heart, rng), rng, times)
        signal = dipoles @ rng.normal(DOWER, CHEST).T + noise(rng, times, 1.0)
        samples = np.rint(1000 * np.clip(twelve_leads(signal), -32, 32)).astype(np.int16)
        dialect = "old" if number % 2 else "new"
        write_challenge(folder, name, samples, sampling_rate=rate, dialect=dialect, dx=DX[kind])


def make_cache(cache: Path, n: int) -> None:
    """Fill a cache of kagglehub with n recordings, both data sets marked as complete."""
    data_sets = cache / "datasets/bjoernjostein"
    for _ in in_parallel(write_recordings, [(data_sets, range(i, min(i + BATCH, n))) for i in range(0, n, BATCH)]):
        pass
    for path in DATA_SETS.values():
        name, _, version, _ = Path(path).parts
        (data_sets / name / f"{version}.complete").touch()


def make_project(folder: Path) -> None:
    """Clone this project and let it read the cache of kagglehub."""
    shutil.rmtree(folder, ignore_errors=True)
    clone(folder, full=True)
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["download"] |= {"source": "kaggle", "ptbxl_patients": ""}
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")


def measure(name: str, *arguments: str, folder: Path, cache: Path) -> dict:
    """Run Python in `folder`; return wall and CPU time, and the peak memory of its largest process with mapped files.

    CPU time includes its child processes.
    """
    start = time.perf_counter()
    command, variables = [sys.executable, *arguments], environment(KAGGLEHUB_CACHE=str(cache))
    process = subprocess.Popen(command, cwd=folder, env=variables, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) not in (0, 3):  # 3: predict refused some
        raise SystemExit(f"bench_scale: {name} failed with status {os.waitstatus_to_exitcode(status)}")
    return {
        "stage": name,
        "wall_s": round(time.perf_counter() - start, 2),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_mb": round(usage.ru_maxrss * MAXRSS_UNIT / 1e6),
    }


def bench(folder: Path, n: int) -> pd.DataFrame:
    """Return time and memory of each stage and command for n recordings."""
    places = {"folder": folder / "project", "cache": folder / "kagglehub"}
    make_cache(places["cache"], n)
    make_project(places["folder"])
    rows, before = [], 0
    for stage in STAGES:
        rows.append(measure(stage, f"stages/{stage}.py", **places))
        written = sum(path.stat().st_size for path in (places["folder"] / "data").rglob("*"))
        rows[-1]["written_mb"] = round((written - before) / 1e6, 2)
        before = written
    sums = pd.DataFrame(rows)[["wall_s", "cpu_s"]].sum().round(2)
    rows.append({"stage": "all stages"} | sums.to_dict())
    run_dvc(places["folder"], "commit", "--force")
    rows.append(measure("dvc repro, nothing to do", "-m", "dvc", "repro", **places))
    folders = [str(places["cache"] / "datasets/bjoernjostein" / path) for path in DATA_SETS.values()]
    output = ["--model", "data/model.safetensors", "--csv", str(folder / "scored.csv")]
    rows.append(measure("predict", "stages/predict.py", *folders, *output, **places))
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=int, default=KAGGLE, metavar="N")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="default: a temporary one, removed in the end")
    parser.add_argument("--json", action="store_true", help="one JSON value instead of a table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        rows = bench((options.folder or Path(temporary)).absolute(), options.recordings)
    print(rows.to_json(orient="records") if options.json else rows.to_string(index=False, na_rep=""))


if __name__ == "__main__":
    main()
