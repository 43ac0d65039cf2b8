"""dvc.yaml held to the code: what it declares is what the scripts import, read and write."""

import ast
import hashlib
from pathlib import Path

import pytest
import yaml

from ecg.params import Params

ROOT = Path(__file__).parent.parent
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())
STAGES = list(PIPELINE["stages"])


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def local_imports(path: Path) -> set[Path]:
    """The modules of ecg that a file imports, anywhere in it, and those that they import."""
    found = set()
    for node in ast.walk(parse(path)):
        names = []
        if isinstance(node, ast.ImportFrom):
            names = [node.module] if node.module != "ecg" else [f"ecg.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            if name.startswith("ecg"):
                module = ROOT / "stages" / (name.replace(".", "/") + ".py")
                found |= {module} | local_imports(module)
    return found


def paths(entries: list) -> set[str]:
    return {entry if isinstance(entry, str) else next(iter(entry)) for entry in entries}


def path_constants(path: Path) -> dict[str, str]:
    """The module's constants of the form NAME = Path("...")."""
    return {
        node.targets[0].id: node.value.args[0].value
        for node in parse(path).body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "Path"
    }


def constants_of(stage: str) -> dict[str, str]:
    script = ROOT / f"stages/{stage}.py"
    found = {}
    for module in sorted(local_imports(script)):
        found |= path_constants(module)
    return found | path_constants(script)


def written(stage: str) -> set[str]:
    """The constants that a script hands to `replacing`, `write_json` or `save_figure`, alone or in a loop over them."""
    constants = path_constants(ROOT / f"stages/{stage}.py")
    found = set()
    for node in ast.walk(parse(ROOT / f"stages/{stage}.py")):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("replacing", "write_json", "save_figure"):
            found |= {arg.id for arg in node.args if isinstance(arg, ast.Name) and arg.id in constants}
        if isinstance(node, ast.For) and "replacing(path)" in ast.unparse(node):
            found |= {name.id for name in ast.walk(node.iter) if isinstance(name, ast.Name) and name.id in constants}
    return {constants[name] for name in found}


@pytest.mark.parametrize("stage", STAGES)
def test_code_deps_are_the_transitive_local_imports(stage):
    script = ROOT / f"stages/{stage}.py"
    declared = {dep for dep in PIPELINE["stages"][stage]["deps"] if dep.endswith(".py")}
    assert declared == {path.relative_to(ROOT).as_posix() for path in {script} | local_imports(script)}


def test_package_init_is_a_docstring():
    # It is imported by all, and declared by none.
    assert [type(node) for node in parse(ROOT / "stages/ecg/__init__.py").body] == [ast.Expr]


@pytest.mark.parametrize("stage", STAGES)
def test_params_declared_are_those_read(stage):
    tree = parse(ROOT / f"stages/{stage}.py")
    read = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr in Params.model_fields
        and ast.unparse(node.value) in ("params", "read_params()")
    }
    assert set(PIPELINE["stages"][stage].get("params", [])) == read


@pytest.mark.parametrize("stage", STAGES)
def test_every_param_of_a_section_is_used(stage):
    if stage not in Params.model_fields:
        return  # it has no knobs
    tree = parse(ROOT / f"stages/{stage}.py")
    if f"{stage}.model_dump()" in ast.unparse(tree):
        return  # handed on whole, to keyword-only parameters that must match
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert set(Params.model_fields[stage].annotation.model_fields) <= used


@pytest.mark.parametrize("stage", STAGES)
def test_outputs_are_those_the_script_writes(stage):
    declared = PIPELINE["stages"][stage]
    assert paths(declared.get("outs", [])) | paths(declared.get("metrics", [])) == written(stage)


@pytest.mark.parametrize("stage", STAGES)
def test_data_deps_are_the_paths_in_the_code(stage):
    declared = PIPELINE["stages"][stage]
    data = {dep for dep in declared["deps"] if not dep.endswith(".py")}
    read = ("data/", "metrics/", "stages/templates", "requirements.txt")
    known = {path for path in constants_of(stage).values() if path.startswith(read)}
    assert data == known - written(stage)


@pytest.mark.parametrize("stage", STAGES)
def test_stage_and_script_share_a_name(stage):
    declared = PIPELINE["stages"][stage]
    assert declared["cmd"] == f"exec python stages/{stage}.py"
    assert declared["desc"]


def test_a_params_section_is_called_like_its_stage():
    assert list(Params.model_fields) == [stage for stage in STAGES if stage != "report"]


def test_early_stages_have_cached_outputs_only():
    # One uncached output and DVC keeps no run-cache of the stage: an old value would run it again.
    for stage in ("download", "extract", "split", "train"):
        declared = PIPELINE["stages"][stage]
        assert all(isinstance(entry, str) for entry in declared.get("outs", []) + declared.get("metrics", []))


def test_params_file_is_in_the_form_that_dvc_writes():
    text = (ROOT / "params.yaml").read_text()
    values = [line.partition(":")[2].partition(" #")[0] for line in text.splitlines() if not line.startswith("#")]
    assert not any("[" in value or "null" in value or "~" in value for value in values)


def test_lock_is_fresh():
    lock = yaml.safe_load((ROOT / "dvc.lock").read_text())["stages"]
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    assert set(lock) == set(STAGES)
    for stage, locked in lock.items():
        declared = PIPELINE["stages"][stage]
        assert {dep["path"] for dep in locked["deps"]} == set(declared["deps"])
        assert locked["params"]["params.yaml"] == {name: params[name] for name in declared["params"]}
        for dep in locked["deps"]:
            if dep["path"].endswith(".py"):
                content = (ROOT / dep["path"]).read_bytes()
                assert dep["md5"] == hashlib.md5(content).hexdigest(), f"{dep['path']} changed since `dvc repro`"


def test_import_order_is_a_tree():
    # A module of ecg imports no script, and the imports make no circle (the recursion would not end).
    scripts = {path.stem for path in (ROOT / "stages").glob("*.py")}
    for module in (ROOT / "stages/ecg").glob("*.py"):
        local_imports(module)
        for node in ast.walk(parse(module)):
            if isinstance(node, ast.ImportFrom):
                assert node.module.split(".")[0] not in scripts


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-cuda.lock"])
def test_locks_pin_what_the_requirements_pin(lock):
    # Of torch, one lock has the CPU build of the same version.
    locked = {line.split(" \\")[0].removesuffix("+cpu") for line in (ROOT / lock).read_text().splitlines()}
    assert {line.lower() for line in (ROOT / "requirements.txt").read_text().splitlines()} <= locked
