"""README, CONTRIBUTING and docs/ against the files, commands, parameters and numbers that they name."""

import io
import json
import os
import re
import shlex
import subprocess

import pandas as pd
import pytest
import yaml
from dvc.cli.parser import get_main_parser
from projects import ROOT

from ecg.evaluation.names import auc_text, strongest_simple
from ecg.params import Params

PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
}
README, METHOD, RESULTS = PAGES["README.md"], PAGES["docs/method.md"], PAGES["docs/results.md"]
COMPARISONS = ("roc_auc", "roc_auc_vs_rest", "roc_auc_vs_other")
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
# What commands write, and what stands for a name.
NO_FILES = {"data/model.onnx", "data/validation", "metrics/cross_validation.json", "stages/NAME.py"}

# Who commits results of other parameters need not write the README anew.
ON_OUR_CI = pytest.mark.skipif(
    "ECG_CHECK_NUMBERS" not in os.environ,
    reason="ECG_CHECK_NUMBERS is not set: only .ci/run holds the README's synthetic numbers to metrics/",
)

FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.M | re.S)
CODE = re.compile(r"`([^`\n]+)`")
FILE = re.compile(
    r"(?<![\w/.])(?:(?:stages|metrics|tests|docs|benchmarks|tools|data|models)/[\w/.-]*\w|[\w-]+\.(?:yaml|txt))\b"
)
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")


def committed(path: str) -> str:
    """What git holds: another processor may have written other last digits since."""
    return subprocess.check_output(["git", "show", f":{path}"], cwd=ROOT, encoding="utf-8")


def written(numbers: dict, name: str, form: str = ".3f") -> str:
    """A number with its interval, as a cell of a table."""
    value, low, high = (f"{numbers[key]:{form}}".replace("-", "−") for key in (name, f"{name}_low", f"{name}_high"))
    return f"{value} ({low} – {high})"


def row(data: str, model: str, numbers: dict, *names: str, form: str = ".3f") -> str:
    """A row of the table of results."""
    return f"| {data} | {model} | {' | '.join(written(numbers, name, form) for name in names)} |"


def outputs(stage: str) -> set[str]:
    declared = STAGES[stage].get("outs", []) + STAGES[stage].get("metrics", [])
    return {entry if isinstance(entry, str) else next(iter(entry)) for entry in declared}


def commands(text: str) -> list[list[str]]:
    """The words of each shell command in a page's blocks and inline code that begins with python or dvc."""
    lines = [line for language, block in FENCE.findall(text) if language == "sh" for line in block.splitlines()]
    found = []
    for line in lines + CODE.findall(FENCE.sub("", text)):
        if re.search(r"\b(python|dvc) ", line):
            words = shlex.shlex(line, posix=True, punctuation_chars=True)
            words.whitespace_split = True
            found.append([])
            for word in words:
                if word == "do" or set(word) <= set(";&|"):
                    found.append([])
                elif found[-1] or "=" not in word:  # not NAME=value before a command
                    found[-1].append(word)
    return [command for command in found if command and command[0] in ("python", "dvc")]


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@ON_OUR_CI
def test_numbers_of_the_table_on_synthetic_recordings_are_those_of_the_metrics():
    audit = pd.read_csv(io.StringIO(committed("metrics/audit.csv")))
    for model, rows in (("model", audit[audit.model == "model"]), ("strongest simple", strongest_simple(audit))):
        numbers = {}
        for found in rows.itertuples():
            numbers |= {found.comparison: found.roc_auc, f"{found.comparison}_low": found.low}
            numbers |= {f"{found.comparison}_high": found.high}
        assert row("(a) synthetic", model, numbers, *COMPARISONS) in README
    numbers = json.loads(committed("metrics/evaluate.json"))
    scores = pd.read_csv(io.StringIO(committed("metrics/evaluate.csv"))).to_dict("records")[:3]
    n = scores[1]["n_ischemia"] + scores[1]["n_others"]
    assert "\n".join([f"{n} synthetic test recordings", *map(auc_text, scores)]) in README
    assert f"p(ischemia) = {numbers['threshold']:.3f}" in " ".join(README.split())
    assert (
        f"called: {numbers['sensitivity']:.0%} of ischemic, {1 - numbers['specificity_normal']:.0%} of normal, "
        f"{1 - numbers['specificity_other']:.0%} of abnormal, not ischemic recordings\n"
    ) in README


def test_numbers_of_the_table_on_real_recordings_are_those_of_the_metrics():
    gained, lost = list[str](), list[str]()
    titles = ("against normal", "against all others", "against abnormal")
    gains = [comparison.replace("roc_auc", "gain") for comparison in COMPARISONS]
    for data, path in (
        ("(b) PTB-XL, 500", "ptb-xl-500/cross_validation"),
        ("(c) PTB-XL, 1,237", "ptb-xl-1237/cross_validation"),
        ("(d) PTB-XL, an archive left out", "ptb-xl-1237/left_out"),
    ):
        numbers = json.loads(committed(f"metrics/{path}.json"))
        assert row(data, "model", numbers, *COMPARISONS) in README + RESULTS
        assert row(data, "strongest simple", numbers, *(f"simple_{name}" for name in COMPARISONS)) in README + RESULTS
        assert row(data, "model − simple", numbers, *gains, form="+.3f") in README + RESULTS
        for gain, title in zip(gains, titles, strict=True):
            gained += [f"{data[:3]} {title}"] * (numbers[f"{gain}_low"] > 0)
            lost += [f"{data[:3]} {title}"] * (numbers[f"{gain}_high"] < 0)
        if "left out" not in data:
            n = {label: numbers[f"n_{label}"] for label in ("ischemia", "normal", "other")}
            counts = f"{sum(n.values()):,}, {n['ischemia']} ischemic, {n['normal']} normal, {n['other']} other"
            assert counts in " ".join(RESULTS.split())
            assert numbers["seeds"] == 5
        if data[:3] == "(c)":
            shares = [numbers["sensitivity"], *(1 - numbers[f"specificity_{label}"] for label in ("normal", "other"))]
            headline = [f"{numbers[name]:.3f} against" for name in ("roc_auc", "roc_auc_vs_other")]
            headline.append("{:.0%} of the ischemic, {:.1%} of the normal and {:.0%} of the abnormal".format(*shares))
            assert not [words for words in headline if words not in " ".join(README.split())]
    for claimed in (gained, lost):
        assert (", ".join(claimed) or "nowhere") in " ".join(README.split())
    paper = json.loads(committed("metrics/ptb-xl-500/fcn_of_the_paper.json"))
    assert row("(b) PTB-XL, 500", "FCN of the paper", paper, *COMPARISONS) in README + RESULTS


def test_docs_list_the_licences_of_all_dependencies():
    files = [path.read_text(encoding="utf-8") for path in ROOT.glob("requirements*.txt")]
    packages = {name for text in files for name in re.findall(r"^([\w.-]+)==", text, re.M)}
    rows = re.findall(r"^\| .+ \| (.+) \|$", PAGES["docs/reliability.md"].split("## Licences")[1], re.M)
    assert packages == set(re.findall(r"[\w.-]+", re.sub(r"\(.*?\)", "", " ".join(rows)))) - {"packages"}


def test_docs_list_every_reason_against_a_recording():
    rooms = [ROOT / "stages/ecg" / name for name in ("recordings", "beats")]
    code = "".join(path.read_text(encoding="utf-8") for room in rooms for path in room.rglob("*.py"))
    reasons = {text.strip() for text in re.findall(r'(?:BadRecording\(|reason = |reason=)\s*f?"([A-Za-z ]+)', code)}
    assert {"header", "no QRS complexes", "too few good beats", "too noisy"} <= reasons
    rows = PAGES["docs/data.md"].split("## What is refused")[1]
    assert {reason for reason in reasons if f"`{reason}" not in rows} == set()


@pytest.mark.parametrize("page", PAGES)
def test_files_that_it_names_exist(page):
    known = NO_FILES.union(*map(outputs, STAGES))
    missing = {path for path in FILE.findall(PAGES[page]) if not (ROOT / path).exists()} - known
    # As in metrics/audit.*
    assert {path for path in missing if not list(ROOT.glob(f"{path}.*"))} == set()


@pytest.mark.parametrize("page", PAGES)
def test_commands_that_it_names_exist(page):
    for program, *words in commands(PAGES[page]):
        if program == "dvc":
            get_main_parser().parse_args(words)  # DvcParserError where dvc does not know it
        elif words[0] != "-m":
            script = (ROOT / words[0]).read_text(encoding="utf-8")
            for option in [word for word in words if word.startswith("--")]:
                assert f'"{option}"' in script, (words[0], option)


@pytest.mark.parametrize("page", PAGES)
def test_parameters_that_it_names_exist(page):
    sections = "|".join(Params.model_fields)
    for section, key in re.findall(rf"(?<![\w/.])({sections})\.([a-z]\w*)", PAGES[page]):
        assert key in Params.model_fields[section].annotation.model_fields, f"{section}.{key}"


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for target, anchor in LINK.findall(PAGES[page]):
        if not target.startswith("http"):
            path = (ROOT / page).parent / target if target else ROOT / page
            assert path.exists(), target
            assert not anchor or anchor in anchors(path.read_text(encoding="utf-8")), f"{target}#{anchor}"


def test_every_page_is_linked_from_the_readme():
    linked = {target for target, _ in LINK.findall(README)}
    assert set(PAGES) - {"README.md"} <= linked


def test_the_two_commands_are_those_of_ci_and_of_the_workflow():
    commands = ["pip install -r requirements.txt && dvc repro", "pip install -r requirements-dev.txt && pytest"]
    workflow, script = ((ROOT / path).read_text(encoding="utf-8") for path in (".github/workflows/ci.yml", ".ci/run"))
    assert all(re.search(rf"{command}[`\s]", README) and f"- run: {command}\n" in workflow for command in commands)
    # The script gives pip and pytest options, and does more between them.
    parts = " && ".join(commands).replace("install", r"install [\w -]*").split(" && ")
    assert re.search(r"^" + r"\b.*^".join(parts).replace("pytest", r"[A-Z_=1]* ?pytest"), script, re.M | re.S)


def test_stages_are_those_of_dvc_yaml():
    assert re.findall(r"^\| (\w+) \| `stages/\1\.py` \|", METHOD, re.M) == list(STAGES)
