"""dvc.yaml held to the code: what a stage imports, reads and writes; and which room of ecg may import which."""

import ast
import hashlib
import re
import shutil
from functools import cache, reduce
from operator import getitem
from pathlib import Path

import pytest
import yaml
from dvc.utils.hydra import apply_overrides

from ecg.params import Params

ROOT = Path(__file__).parent.parent
CODE = ROOT / "stages"
PATHS = CODE / "ecg/run/paths.py"
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())
STAGES = list(PIPELINE["stages"])
MODULES = sorted(path for path in (CODE / "ecg").rglob("*.py") if path.name != "__init__.py")
# In the order in which data flow: a room imports those before it.
ROOMS = ["recordings", "beats", "model", "evaluation", "reporting"]
# What DVC may track; data/.lock is none of it.
TRACKED = re.compile(r"(data|metrics)/\w|stages/templates$|requirements\.txt$")
TEMPLATES = "stages/templates"
SPELLED = re.compile(r"\b(data|metrics|models)/\w")


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def module(name: str) -> Path | None:
    """The file of a dotted name, where it is that of a module."""
    path = CODE / (name.replace(".", "/") + ".py")
    return path if path.exists() else None


@cache
def imports(path: Path) -> dict[str, tuple[Path, str | None]]:
    """Of each name that a file imports from ecg, anywhere in it: the module, and its name there (None: the module)."""
    found = {}
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.ImportFrom) and (node.module or "ecg").split(".")[0] == "ecg":
            for alias in node.names:
                whole = module(f"{node.module}.{alias.name}")
                home = whole or module(node.module)
                assert home and not node.level, f"{path}:{node.lineno}: {ast.unparse(node)} is no module of ecg"
                found[alias.asname or alias.name] = (home, None if whole else alias.name)
        elif isinstance(node, ast.Import):
            ours = [alias for alias in node.names if alias.name.split(".")[0] == "ecg"]
            found |= {alias.asname or alias.name: (module(alias.name), None) for alias in ours}
    return found


def local_imports(path: Path) -> set[Path]:
    """The modules of ecg that a file imports, and those that they import."""
    found, todo = set(), [path]
    while todo:
        new = {home for home, _ in imports(todo.pop()).values()} - found
        found |= new
        todo += new
    return found


@cache
def definitions(path: Path) -> dict[str, ast.stmt]:
    """The functions, classes and constants at the top of a file."""
    found = {}
    for node in parse(path).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = node
        for target in node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]:
            found |= {name.id: node for name in ast.walk(target) if isinstance(name, ast.Name)} if target else {}
    return found


def meaning(path: Path, node: ast.AST) -> tuple[Path, str] | None:
    """What an expression of a file names: something at the top of it or of another module of ecg."""
    if isinstance(node, ast.Name):
        home, name = imports(path).get(node.id, (path, node.id))
    elif isinstance(node, ast.Attribute) and imports(path).get(ast.unparse(node.value), (None, ""))[1] is None:
        home, name = imports(path)[ast.unparse(node.value)][0], node.attr
    else:
        return None
    return (home, name) if name in definitions(home) else None


@cache
def reached(stage: str) -> set[tuple[Path, str]]:
    """All that a stage's script defines or uses, directly or by what it uses, as module and name."""
    script = CODE / f"{stage}.py"
    found = {(script, name) for name in definitions(script)}
    todo = list(found)
    while todo:
        path, name = todo.pop()
        new = {meaning(path, node) for node in ast.walk(definitions(path)[name])} - found - {None}
        found |= new
        todo += new
    return found


def tracked(path: Path, name: str) -> str | None:
    """The path that a constant of the form NAME = Path("...") stands for, if DVC may track it."""
    value = getattr(definitions(path)[name], "value", None)
    if isinstance(value, ast.Call) and ast.unparse(value.func) == "Path" and TRACKED.match(value.args[0].value):
        return value.args[0].value
    return None


def parameters(function: ast.FunctionDef) -> set[str]:
    return {arg.arg for arg in ast.walk(function.args) if isinstance(arg, ast.arg)}


def handed_over(path: Path, code: ast.AST, writers: set[tuple[Path, str]]) -> list[ast.expr]:
    """The arguments of all calls of `writers` in a piece of code; in a loop over them, what it loops over."""
    calls = [node for node in ast.walk(code) if isinstance(node, ast.Call) and meaning(path, node.func) in writers]
    given = [arg for call in calls for arg in [*call.args, *[keyword.value for keyword in call.keywords]]]
    names = {arg.id for arg in given if isinstance(arg, ast.Name)}
    for loop in [node for node in ast.walk(code) if isinstance(node, ast.For)]:
        if names & {name.id for name in ast.walk(loop.target) if isinstance(name, ast.Name)}:
            given += ast.walk(loop.iter)
    return given


def written(stage: str) -> set[str]:
    """The paths that a script hands to `replacing`, or to a function that hands them on to it."""
    code = {(path, name): definitions(path)[name] for path, name in reached(stage)}
    functions = {key: node for key, node in code.items() if isinstance(node, ast.FunctionDef)}
    writers, more = set(), {(CODE / "ecg/run/files.py", "replacing")}
    while more:
        writers |= more
        more = {
            (path, name)
            for (path, name), node in functions.items()
            if parameters(node) & {ast.unparse(arg) for arg in handed_over(path, node, writers)}
        } - writers
    given = {meaning(path, arg) for (path, _), node in functions.items() for arg in handed_over(path, node, writers)}
    return {tracked(*constant) for constant in given - {None}} - {None}


def paths(entries: list) -> set[str]:
    return {entry if isinstance(entry, str) else next(iter(entry)) for entry in entries}


def assert_declared(stage: str, key: str, declared: set[str], found: set[str]) -> None:
    """Fail with the lines that dvc.yaml lacks or has too many."""
    lines = [f"    - {path}  # is missing" for path in sorted(found - declared)]
    lines += [f"    - {path}  # is too many" for path in sorted(declared - found)]
    assert not lines, "\n".join([f"dvc.yaml, {stage}, {key}:", *lines])


def room(path: Path) -> str:
    """The dep that a module of ecg belongs to: its room, or itself."""
    parts = path.relative_to(ROOT).parts
    return "/".join(parts[:3])


@pytest.mark.parametrize("stage", STAGES)
def test_code_deps_are_the_rooms_that_a_script_imports(stage):
    script = CODE / f"{stage}.py"
    declared = {dep for dep in PIPELINE["stages"][stage]["deps"] if dep.startswith("stages/") and dep != TEMPLATES}
    # params.py is none: DVC tracks the values that a stage reads, and a new key concerns no other stage.
    used = {script.relative_to(ROOT).as_posix(), *map(room, local_imports(script) - {CODE / "ecg/params.py"})}
    assert_declared(stage, "deps", declared, used)


def test_package_init_is_a_docstring():
    # It is imported by all, and declared by none.
    packages = [path for path in (CODE / "ecg").rglob("*") if path.is_dir() and path.name != "__pycache__"]
    for package in [CODE / "ecg", *packages]:
        assert [type(node) for node in parse(package / "__init__.py").body] == [ast.Expr], package


@pytest.mark.parametrize("stage", STAGES)
def test_params_declared_are_those_read(stage):
    tree = parse(CODE / f"{stage}.py")
    read = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr in Params.model_fields
        and ast.unparse(node.value) in ("params", "read_params()")
    }
    # Of another stage's section, single keys.
    declared = {name.partition(".")[0] for name in PIPELINE["stages"][stage].get("params", [])}
    assert_declared(stage, "params", declared, read)


@pytest.mark.parametrize("stage", STAGES)
def test_every_param_of_a_section_is_used(stage):
    if stage not in Params.model_fields:
        return  # it has no knobs
    used = set()
    for path, name in reached(stage):
        if path != CODE / "ecg/params.py":
            nodes = list(ast.walk(definitions(path)[name]))
            used |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
            # As in model_dump(include={"filters"}).
            used |= {node.value for node in nodes if isinstance(node, ast.Constant)}
    assert set(Params.model_fields[stage].annotation.model_fields) - used == set()


@pytest.mark.parametrize("stage", STAGES)
def test_outputs_are_those_the_script_writes(stage):
    declared = PIPELINE["stages"][stage]
    outputs = paths([entry for kind in ("outs", "metrics", "plots") for entry in declared.get(kind, [])])
    assert_declared(stage, "outs, metrics and plots", outputs, written(stage))


@pytest.mark.parametrize("stage", STAGES)
def test_data_deps_are_the_paths_in_the_code(stage):
    data = {dep for dep in PIPELINE["stages"][stage]["deps"] if not dep.startswith("stages/") or dep == TEMPLATES}
    known = {tracked(*constant) for constant in reached(stage)} - {None}
    assert_declared(stage, "deps", data, known - written(stage))


def test_a_path_is_spelled_once():
    spelled = []
    for path in sorted(set(CODE.rglob("*.py")) - {PATHS}):
        nodes = list(ast.walk(parse(path)))
        # Of a function or a file, the docstring.
        prose = [node.value for node in nodes if isinstance(node, ast.Expr)]
        texts = [node for node in nodes if isinstance(node, ast.Constant) and node not in prose]
        spelled += [f"{path}:{node.lineno} {node.value!r}" for node in texts if SPELLED.search(str(node.value))]
    assert not spelled, f"these belong in {PATHS.relative_to(ROOT)}:\n" + "\n".join(spelled)
    # models/ is none that DVC tracks.
    values = [value for name in definitions(PATHS) if (value := tracked(PATHS, name))]
    assert len(values) == len(set(values))


@pytest.mark.parametrize("stage", STAGES)
def test_stage_and_script_share_a_name(stage):
    declared = PIPELINE["stages"][stage]
    assert declared["cmd"] == f"python stages/{stage}.py"
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


@pytest.mark.parametrize("directory", ["/ecg", "[/a,/b]"])
def test_an_override_keeps_every_comment(tmp_path, directory):
    """As `dvc exp run -S` writes it, twice: what follows a list goes with it."""
    before = Path(shutil.copy(ROOT / "params.yaml", tmp_path)).read_text().splitlines()
    lists = ["download.kaggle=[a/b/versions/1]", "download.ischemia=[ISC_]", "download.normal=[NORM]"]
    lists += ["train.filters=[8]", "train.kernels=[3]", "train.dropout=[0.1]", f"download.directory={directory}"]
    for overrides in (["train.lr=0.001"], lists, ["train.lr=0.002"]):
        apply_overrides(tmp_path / "params.yaml", overrides)
        after = (tmp_path / "params.yaml").read_text().splitlines()
        values = [{line.partition("#")[2] for line in lines if "#" in line} for lines in (before, after)]
        assert values[0] == values[1]
        assert sum(not line for line in after) == sum(not line for line in before)


def test_few_stages_read_what_an_early_one_wrote():
    """Else `dvc dag` is too wide to be read; split.csv says of a recording all that later stages need."""
    deps = {stage: set(declared["deps"]) for stage, declared in PIPELINE["stages"].items()}
    outs = {stage: paths(declared["outs"]) for stage, declared in PIPELINE["stages"].items()}
    edges = [(writer, reader) for writer in STAGES for reader in STAGES if outs[writer] & deps[reader]]
    assert [reader for writer, reader in edges if writer == "download"] == ["extract", "split"]
    assert len(edges) <= 16


def test_metrics_are_in_git():
    """A clone without data shows them all."""
    for declared in PIPELINE["stages"].values():
        assert all(isinstance(entry, dict) for entry in declared.get("metrics", []))


def test_lock_is_fresh():
    lock = yaml.safe_load((ROOT / "dvc.lock").read_text())["stages"]
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    assert set(lock) == set(STAGES)
    for stage, locked in lock.items():
        declared = PIPELINE["stages"][stage]
        assert {dep["path"] for dep in locked["deps"]} == set(declared["deps"])
        values = {name: reduce(getitem, name.split("."), params) for name in declared["params"]}
        assert locked["params"]["params.yaml"] == values
        for dep in locked["deps"]:
            if dep["path"].endswith(".py"):
                content = (ROOT / dep["path"]).read_bytes()
                assert dep["md5"] == hashlib.md5(content).hexdigest(), f"{dep['path']} changed since `dvc repro`"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(CODE / "ecg").as_posix())
def test_a_room_imports_only_those_before_it(path):
    room = path.relative_to(CODE / "ecg").parts[0].removesuffix(".py")
    assert room in ("leads", "params", "run", *ROOMS), f"{room} is no room"
    allowed = {"leads": {"run"}, "params": {"leads", "run"}, "run": {"run"}}
    earlier = {"leads", "params", "run", *ROOMS[: ROOMS.index(room) + 1]} if room in ROOMS else allowed[room]
    used = {home.relative_to(CODE / "ecg").parts[0].removesuffix(".py") for home, _ in imports(path).values()}
    assert used <= earlier
    assert path not in local_imports(path), "imports make a circle"
    scripts = {script.stem for script in CODE.glob("*.py")}
    nodes = [node for node in ast.walk(parse(path)) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {getattr(node, "module", None) or node.names[0].name for node in nodes}
    assert not scripts & names, "a module of ecg imports no script"


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage != "download"])
def test_a_change_of_a_reader_reruns_download_only(stage):
    assert [path.name for path in local_imports(CODE / f"{stage}.py") if path.parent.name == "recordings"] == []


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-cuda.lock"])
def test_locks_pin_what_the_requirements_pin(lock):
    # Of torch, one lock has the CPU build of the same version.
    locked = {line.split(" \\")[0].removesuffix("+cpu") for line in (ROOT / lock).read_text().splitlines()}
    assert {line.lower() for line in (ROOT / "requirements.txt").read_text().splitlines()} <= locked
