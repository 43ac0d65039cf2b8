"""Recordings on disk for the tests: small WFDB records made here, and real ones where ECG_REAL_DATA names them."""

import os
import shutil
from pathlib import Path

# Test processes fill the cores. Torch and BLAS read it when they are imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
from filelock import FileLock
from projects import DEFAULTS, ROOT, STAGES, run_stage, shrink

from ecg.leads import LEADS
from ecg.params import read_params
from ecg.recordings.hearts import DOWER, dipole, healthy_heart, twelve_leads
from ecg.recordings.synthetic import write_recordings


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Let pytest-xdist, if it is there, start a process a core unless -n gives their number."""
    undecided = getattr(config.option, "numprocesses", 0) is None and not config.option.usepdb
    if undecided and "PYTEST_XDIST_WORKER" not in os.environ:
        config.option.numprocesses, config.option.dist = "auto", "worksteal"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with ptb-xl/, challenge/ and kagglehub/."""
    folder = os.environ.get("ECG_REAL_DATA")
    if not folder:
        pytest.skip("ECG_REAL_DATA is not set: it names a folder with real recordings")
    return Path(folder)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project folder, to be the working directory: params.yaml, data/ and metrics/."""
    shutil.copy(DEFAULTS, tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "metrics").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def leads(times: np.ndarray, waves: dict) -> np.ndarray:
    """The 12 leads (times x 12, mV) of one beat, in the chest that Dower's matrix stands for."""
    return twelve_leads(dipole(times, waves) @ DOWER.T)


def ecg_signal(seconds: float = 10, sampling_rate: float = 500, heart_rate: float = 60, seed: int = 0) -> np.ndarray:
    """A clean sinus rhythm of one synthetic heart (samples x 12, int16, uV); R peaks at 500 ms and every RR after."""
    times = np.arange(int(seconds * sampling_rate)) * 1000 / sampling_rate
    waves = healthy_heart(np.random.default_rng(seed))
    signal = sum(leads(times - peak, waves) for peak in np.arange(500, 1000 * seconds + 500, 60_000 / heart_rate))
    return np.rint(1000 * signal).astype(np.int16)


def noisy_signal(seconds: float = 10, sampling_rate: float = 500) -> np.ndarray:
    """`ecg_signal` with 10 uV of noise that obeys Einthoven's law: in steps of 5 uV, too, no lead holds its value."""
    clean = ecg_signal(seconds, sampling_rate)
    noise = twelve_leads(np.random.default_rng(0).normal(0, 10, (len(clean), 8)))
    return clean + np.rint(noise).astype(np.int16)


def write_challenge(
    folder: Path,
    name: str,
    samples: np.ndarray,
    *,
    sampling_rate: float = 500,
    dialect: str = "new",
    dx: str | None = "426783006",
    names: tuple[str, ...] = LEADS,
    gain: str | None = None,
    checksums: bool = True,
) -> Path:
    """Write a Challenge record (.hea and MATLAB v4 .mat) in the header dialect of 2020 ('old') or 2021 ('new')."""
    folder.mkdir(parents=True, exist_ok=True)
    n = samples.shape[1]
    head = np.array([30, n, len(samples), 0, 4], "<i4").tobytes() + b"val\0"
    (folder / f"{name}.mat").write_bytes(head + np.ascontiguousarray(samples, "<i2").tobytes())
    form, usual, mark = ("16+24", "1000/mV", "#") if dialect == "old" else ("16x1+24", "1000.0(0)/mv", "# ")
    record = f"{name}.mat" if dialect == "old" else name
    date = " 05-Feb-2020 11:39:16" if dialect == "old" else ""
    lines = [f"{record} {n} {sampling_rate:g} {len(samples)}{date}"]
    for i, lead in enumerate(names):
        checksum = int(samples[:, i].sum(dtype=np.int64) + (0 if checksums else 1)) % 65536
        lines.append(f"{name}.mat {form} {gain or usual} 16 0 {samples[0, i]} {checksum} 0 {lead}")
    lines += [f"{mark}Age: 60", f"{mark}Sex: Male"] + ([f"{mark}Dx: {dx}"] if dx is not None else [])
    lines += [f"{mark}{key}: Unknown" for key in ("Rx", "Hx", "Sx")]
    (folder / f"{name}.hea").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / f"{name}.hea"


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A project in which every stage has run once; each test process copies it."""
    base = tmp_path_factory.getbasetemp()
    made = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "finished"
    with FileLock(made.with_suffix(".lock")):
        if not made.exists():
            run_all_stages(tmp_path_factory.mktemp("project")).rename(made)
    return shutil.copytree(made, tmp_path_factory.mktemp("copy") / "project")


@pytest.fixture(scope="session")
def archive(finished, tmp_path_factory):
    """The recordings of which the finished project was made, as WFDB files."""
    download, folder = read_params(finished / "params.yaml").download, tmp_path_factory.mktemp("written") / "archive"
    write_recordings(folder, patients=download.synthetic_patients, seed=download.synthetic_seed)
    return folder


def run_all_stages(folder: Path) -> Path:
    """Run every stage's script in an empty folder, on few recordings with a small network."""
    shutil.copytree(ROOT / "stages", folder / "stages", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "requirements.txt", folder)
    shrink(folder / "params.yaml")
    (folder / "data").mkdir()
    (folder / "metrics").mkdir()
    for stage in STAGES:
        done = run_stage(folder, stage, WORKERS="2")  # a test compares the outputs with those of one
        assert done.returncode == 0, done.stderr
        # Progress bars are for terminals. The audit may warn of the source.
        assert done.stderr == "" or (stage == "audit" and done.stderr.startswith("audit: warning: the source alone"))
    return folder
