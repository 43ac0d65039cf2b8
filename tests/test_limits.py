"""The code is readable: short files and functions, few parameters, and nothing private of another library."""

import ast

from test_pipeline import CODE, parse

FILES = {path.relative_to(CODE).as_posix(): parse(path) for path in sorted(CODE.rglob("*.py"))}
# Functions of more than 60 lines: fewer with time, never more.
LONGER = {"ecg/reporting/ecg_paper.py: plot_ecg", "report.py: main"}
# A NamedTuple's methods: an underscore keeps them apart from its fields.
PUBLIC = {"_asdict", "_fields", "_make", "_replace"}


def test_files_and_functions_are_short_and_have_few_parameters():
    wrong = []
    for name, tree in FILES.items():
        lines = (CODE / name).read_text(encoding="utf-8").count("\n")
        if lines > (250 if "/" in name else 200):
            wrong.append(f"{name} has {lines} lines")
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                lines = node.end_lineno - node.lineno + 1
                parameters = len([*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs])
                if (lines > 60 and f"{name}: {node.name}" not in LONGER) or parameters > 7:
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
    assert private_names(ast.parse("import wfdb.io._signal as signal; frame.groupby('a')._selected_obj"))
    assert {name: names for name, tree in FILES.items() if (names := private_names(tree))} == {}
