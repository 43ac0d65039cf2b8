"""What keeps the code readable: short files and functions, few parameters, and nothing private of another library."""

import ast

import pytest
from test_pipeline import CODE, parse

FILES = {path.relative_to(CODE).as_posix(): path for path in sorted(CODE.rglob("*.py"))}
# Functions of more than 60 lines: fewer with time, never more.
LONGER = {"ecg/reporting/ecg_paper.py: plot_ecg", "report.py: main"}
# A NamedTuple's methods have names with an underscore so as not to stand in the way of its fields.
PUBLIC = {"_asdict", "_fields", "_make", "_replace"}


def test_files_are_short():
    lines = {name: len(path.read_text().splitlines()) for name, path in FILES.items()}
    assert {name: n for name, n in lines.items() if n > (250 if "/" in name else 200)} == {}


def test_functions_are_short_and_have_few_parameters():
    wrong = []
    for name, path in FILES.items():
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.FunctionDef):
                lines = node.end_lineno - node.lineno + 1
                given = node.args
                parameters = len([*given.posonlyargs, *given.args, *given.kwonlyargs])
                long = lines > 60 and f"{name}: {node.name}" not in LONGER
                if long or parameters > 7:
                    wrong.append(f"{name}: {node.name} has {lines} lines, {parameters} parameters")
    assert not wrong, "\n".join(wrong)


def private_names(tree: ast.AST) -> list[str]:
    """All that code imports, or takes from an object, whose name begins with one underscore."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [getattr(node, "module", None) or "", *[alias.name for alias in node.names]]
            found += [part for name in names for part in name.split(".")]
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) != "self":
            found.append(node.attr)
    return [name for name in found if name.startswith("_") and not name.startswith("__") and name not in PUBLIC]


def test_nothing_private_of_another_library_is_used():
    assert {name: names for name, path in FILES.items() if (names := private_names(parse(path)))} == {}


@pytest.mark.parametrize(
    "code",
    [
        "from wfdb.io import _signal",
        "import wfdb.io._signal as signal",
        "from joblib._parallel_backends import LokyBackend",
        "wfdb.io._header.parse(line)",
        "frame.groupby('a')._selected_obj",
    ],
)
def test_what_is_private_is_seen(code):
    assert private_names(ast.parse(code))
