"""The code is readable: short files and functions, few parameters."""

import ast

from test_pipeline import CODE, parse

FILES = {path.relative_to(CODE).as_posix(): parse(path) for path in sorted(CODE.rglob("*.py"))}
# Functions of more than 60 lines: fewer with time, never more.
LONGER = {"ecg/reporting/ecg_paper.py: plot_ecg", "report.py: main"}


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
