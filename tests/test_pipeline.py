"""dvc.yaml agrees with the code: imports, inputs and outputs of each stage; the order of the rooms of ecg."""

import ast
import hashlib
import json
import re
import shutil
from functools import cache, reduce
from operator import getitem
from pathlib import Path

import pytest
import yaml
from dvc.utils.hydra import apply_overrides
from projects import ROOT, STAGES, outputs, run_stage

from ecg.params import Params

CODE = ROOT / "stages"
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
MODULES = sorted(path for path in (CODE / "ecg").rglob("*.py") if path.name != "__init__.py")
# In the order in which data flow: a room imports those before it.
ROOMS = ["recordings", "beats", "model", "evaluation", "reporting"]


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports(path: Path) -> set[Path]:
    """The modules of ecg, or the scripts, that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    files = {CODE / (name.replace(".", "/") + ".py") for name in names}
    return {file for file in files if file.exists()}


def all_imports(path: Path) -> set[Path]:
    """The modules that a file imports, and those that they import."""
    found, todo = set(), [path]
    while todo:
        new = imports(todo.pop()) - found
        found |= new
        todo += new
    return found


def room(path: Path) -> str:
    """The part of ecg that a module belongs to: a room, or itself."""
    return path.relative_to(CODE / "ecg").parts[0].removesuffix(".py")


def assert_declared(stage: str, key: str, declared: set[str], found: set[str]) -> None:
    """Fail with the lines that dvc.yaml lacks or has too many."""
    lines = [f"    - {path}  # is missing" for path in sorted(found - declared)]
    lines += [f"    - {path}  # is too many" for path in sorted(declared - found)]
    assert not lines, "\n".join([f"dvc.yaml, {stage}, {key}:", *lines])


@pytest.mark.parametrize("stage", STAGES)
def test_code_deps_are_the_rooms_that_a_script_imports(stage):
    declared = {dep for dep in PIPELINE[stage]["deps"] if dep.startswith("stages/") and dep != "stages/templates"}
    # DVC tracks the values of params.yaml: a new key of params.py concerns no other stage.
    modules = all_imports(CODE / f"{stage}.py") - {CODE / "ecg/params.py"}
    rooms = {"/".join(path.relative_to(ROOT).parts[:3]) for path in modules}
    assert_declared(stage, "deps", declared, {f"stages/{stage}.py", *rooms})
    assert stage == "download" or "stages/ecg/recordings" not in rooms, "a change of a reader would train anew"


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_needs_its_deps_alone_and_gives_the_same_bytes_with_one_worker_elsewhere(finished, tmp_path, stage):
    folder = tmp_path / "Länge läuft"
    for name in ("data", "metrics"):
        (folder / name).mkdir(parents=True)
    for dep in [*PIPELINE[stage]["deps"], "params.yaml", "stages/ecg/params.py", "stages/ecg/__init__.py"]:
        copy = shutil.copytree if (finished / dep).is_dir() else shutil.copy
        (folder / dep).parent.mkdir(parents=True, exist_ok=True)
        copy(finished / dep, folder / dep)
    (folder / "matplotlibrc").write_text("font.size: 30\n", encoding="utf-8")
    before, wanted = outputs(folder).keys(), outputs(finished)
    # ASCII only, which Python would otherwise turn into UTF-8.
    locale = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = run_stage(folder, stage, WORKERS="1", PYTHONHASHSEED="7", TZ="Asia/Tokyo", **locale)
    assert done.returncode == 0, done.stderr
    written = {path: content for path, content in outputs(folder).items() if path not in before}
    entries = [entry for kind in ("outs", "metrics", "plots") for entry in PIPELINE[stage].get(kind, [])]
    roots = {entry if isinstance(entry, str) else next(iter(entry)) for entry in entries}
    found = {next((root for root in roots if path.startswith(f"{root}/")), path) for path in written}
    assert_declared(stage, "outs, metrics and plots", roots, found)
    assert [path for path, content in written.items() if content != wanted[path]] == []


@pytest.mark.parametrize("stage", STAGES)
def test_params_declared_are_those_read(stage):
    modules = [CODE / f"{stage}.py", *all_imports(CODE / f"{stage}.py")]
    code = "\n".join(path.read_text(encoding="utf-8") for path in modules)
    read = set(re.findall(rf"\b(?:params|read_params\(\))\.({'|'.join(Params.model_fields)})\b", code))
    # Of another stage's section, single keys.
    assert_declared(stage, "params", {name.partition(".")[0] for name in PIPELINE[stage]["params"]}, read)


def test_every_param_is_used():
    code = "\n".join(path.read_text(encoding="utf-8") for path in CODE.rglob("*.py") if path.name != "params.py")
    keys = [key for section in Params.model_fields.values() for key in section.annotation.model_fields]
    assert [key for key in keys if not re.search(rf"""[."']{key}\b""", code)] == []


def test_stage_script_and_params_section_share_a_name():
    assert list(Params.model_fields) == [stage for stage in STAGES if stage != "report"]
    for stage, declared in PIPELINE.items():
        assert declared["cmd"] == f"python stages/{stage}.py"
        assert declared["desc"]


def test_early_stages_have_cached_outputs_only():
    # One uncached output and DVC keeps no run-cache of the stage: an old value would run it again.
    for stage in ("download", "extract", "split", "train"):
        assert not {"metrics", "plots"} & PIPELINE[stage].keys()
        assert all(isinstance(entry, str) for entry in PIPELINE[stage]["outs"])


def test_an_override_changes_one_line_and_keeps_every_comment(tmp_path):
    """As `dvc exp run -S` writes it; the second time, a comment after a list would be lost."""
    before = Path(shutil.copy(ROOT / "params.yaml", tmp_path)).read_text(encoding="utf-8").splitlines()
    lists = ["download.kaggle=[a/b/versions/1]", "download.ischemia=[ISC_]", "download.normal=[NORM]"]
    lists += ["train.filters=[8]", "train.kernels=[3]", "train.dropout=[0.1]", "download.directory=[/a,/b]"]
    for overrides in (["train.lr=0.001"], lists, ["train.lr=0.002"]):
        apply_overrides(tmp_path / "params.yaml", overrides)
        after = (tmp_path / "params.yaml").read_text(encoding="utf-8").splitlines()
        comments = [{line.partition("#")[2] for line in lines if "#" in line} for lines in (before, after)]
        assert comments[0] == comments[1]


def md5_of(path: Path) -> str:
    """The MD5 in dvc.lock of a file or a folder."""
    if path.is_file():
        return hashlib.md5(path.read_bytes()).hexdigest()
    files = sorted(file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    entries = [{"md5": md5_of(file), "relpath": file.relative_to(path).as_posix()} for file in files]
    return hashlib.md5(json.dumps(entries).encode()).hexdigest() + ".dir"


def test_lock_is_fresh():
    lock = yaml.safe_load((ROOT / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    assert set(lock) == set(STAGES)
    for stage, locked in lock.items():
        assert {dep["path"] for dep in locked["deps"]} == set(PIPELINE[stage]["deps"])
        values = {name: reduce(getitem, name.split("."), params) for name in PIPELINE[stage]["params"]}
        assert locked["params"]["params.yaml"] == values
        for dep in locked["deps"]:
            if dep["path"].startswith("stages/"):
                assert dep["md5"] == md5_of(ROOT / dep["path"]), f"{dep['path']} changed since `dvc repro`"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(CODE / "ecg").as_posix())
def test_a_room_imports_only_those_before_it(path):
    order = ["run", "leads", "params", *ROOMS]
    assert room(path) in order, f"{room(path)} is no room"
    used = imports(path)
    assert all(CODE / "ecg" in module.parents for module in used), "a module of ecg imports no script"
    assert {room(module) for module in used} <= set(order[: order.index(room(path)) + 1])
    assert path not in all_imports(path), "imports make a circle"


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-cuda.lock"])
def test_locks_pin_what_the_requirements_pin(lock):
    # Of torch, one lock has the CPU build of the same version.
    locked = {line.split(" \\")[0].removesuffix("+cpu") for line in (ROOT / lock).read_text().splitlines()}
    assert {line.lower() for line in (ROOT / "requirements.txt").read_text().splitlines()} <= locked
