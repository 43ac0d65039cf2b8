"""README, CONTRIBUTING and docs/ held to the files, commands, parameters and numbers that they speak of."""

import io
import json
import os
import re
import shlex
import subprocess
from itertools import pairwise

import pandas as pd
import pytest
import yaml
from conftest import ROOT
from dvc.cli.parser import get_main_parser

from ecg.evaluation.names import say_auc, strongest_simple
from ecg.params import Params

PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text()
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
    return subprocess.check_output(["git", "show", f":{path}"], cwd=ROOT, text=True)


def cell(value: float, low: float, high: float) -> str:
    return f"{value:.3f} ({low:.3f} – {high:.3f})"


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


def signed(*numbers: float) -> str:
    value, low, high = (f"{number:+.3f}".replace("-", "−") for number in numbers)
    return f"{value} ({low} – {high})"


@ON_OUR_CI
def test_numbers_of_the_default_are_those_of_the_metrics():
    audit = pd.read_csv(io.StringIO(committed("metrics/audit.csv")))
    network = audit[audit.model == "model"].set_index("comparison")
    for name, rows in (("model", network), ("strongest simple", strongest_simple(audit).set_index("comparison"))):
        cells = [cell(*rows.loc[comparison, ["roc_auc", "low", "high"]]) for comparison in COMPARISONS]
        assert f"| (a) synthetic | {name} | {' | '.join(cells)} |" in README
    numbers = json.loads(committed("metrics/evaluate.json"))
    scores = pd.read_csv(io.StringIO(committed("metrics/evaluate.csv"))).set_index("measure")
    n = scores.n_ischemia.roc_auc_vs_rest + scores.n_others.roc_auc_vs_rest
    assert (
        "\n".join([f"{n} test synthetic recordings", *map(say_auc, scores.reset_index().to_dict("records")[:3])])
        in README
    )
    assert f"p(ischemia) = {numbers['threshold']:.3f}" in " ".join(README.split())
    assert (
        f"called: {numbers['sensitivity']:.0%} of ischemic, {1 - numbers['specificity_normal']:.0%} of normal, "
        f"{1 - numbers['specificity_other']:.0%} of abnormal, not ischemic recordings\n"
    ) in README


def test_results_on_real_recordings_are_those_of_the_metrics():
    readme, results = " ".join(README.split()), " ".join(RESULTS.split())
    ends, gained, lost = ("", "_low", "_high"), list[str](), list[str]()
    titles = ("against normal", "against everything else", "against abnormal")
    for data, path in (
        ("(b) PTB-XL, 500", "ptb-xl-500/cross_validation"), ("(c) PTB-XL, 1,237", "ptb-xl-1237/cross_validation"),
        ("(d) PTB-XL, an archive left out", "ptb-xl-1237/left_out"),
    ):  # fmt: skip
        numbers = json.loads(committed(f"metrics/{path}.json"))
        for name, prefix in (("model", ""), ("strongest simple", "simple_")):
            cells = [cell(*(numbers[f"{prefix}{q}{end}"] for end in ends)) for q in COMPARISONS]
            assert f"| {data} | {name} | {' | '.join(cells)} |" in README + RESULTS
        gains = [q.replace("roc_auc", "gain") for q in COMPARISONS]
        cells = [signed(*(numbers[f"{gain}{end}"] for end in ends)) for gain in gains]
        assert f"| {data} | model − simple | {' | '.join(cells)} |" in README + RESULTS
        named = {gain: f"{data[:3]} {title}" for gain, title in zip(gains, titles, strict=True)}
        gained += [named[gain] for gain in gains if numbers[f"{gain}_low"] > 0]
        lost += [named[gain] for gain in gains if numbers[f"{gain}_high"] < 0]
        if "left out" in data:
            continue
        if "500" in data:
            paper = json.loads(committed("metrics/ptb-xl-500/fcn_of_the_paper.json"))
            cells = [cell(*(paper[f"{q}{end}"] for end in ends)) for q in COMPARISONS]
            assert f"| {data} | FCN of the paper | {' | '.join(cells)} |" in README + RESULTS
        n = {label: numbers[f"n_{label}"] for label in ("ischemia", "normal", "other")}
        assert f"{sum(n.values()):,}, {n['ischemia']} ischemic, {n['normal']} normal, {n['other']} other" in results
        assert numbers["seeds"] == 5
        assert set(json.loads(committed("metrics/evaluate.json"))) - {"roc_auc_vs_rest_val"} < set(numbers)
    for claimed in (gained, lost):
        assert (", ".join(claimed) or "nowhere") in readme
    numbers = json.loads(committed("metrics/ptb-xl-1237/cross_validation.json"))
    shown = [f"{numbers[key]:.3f}" for key in ("roc_auc", "roc_auc_vs_other")]
    shown.append(f"{numbers['sensitivity']:.0%}")
    shown += [f"{1 - numbers['specificity_normal']:.1%}", f"{1 - numbers['specificity_other']:.0%}"]
    summary = README.split("\n## Results\n")[1].split("\n|")[0]
    assert {number for number in shown if not re.search(rf"(?<![\d.]){number}", summary)} == set()


def test_licences_of_all_dependencies_are_told():
    files = [path.read_text() for path in ROOT.glob("requirements*.txt")]
    packages = {name for text in files for name in re.findall(r"^([\w.-]+)==", text, re.M)}
    rows = re.findall(r"^\| .+ \| (.+) \|$", PAGES["docs/reliability.md"].split("## Licences")[1], re.M)
    assert packages == set(re.findall(r"[\w.-]+", re.sub(r"\(.*?\)", "", " ".join(rows)))) - {"packages"}


def test_every_reason_against_a_recording_is_told():
    rooms = [ROOT / "stages/ecg" / name for name in ("recordings", "beats")]
    code = "".join(path.read_text() for room in rooms for path in room.rglob("*.py"))
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
            script = (ROOT / words[0]).read_text()
            for option in [word for word in words if word.startswith("--")]:
                assert f'"{option}"' in script, (words[0], option)


def test_git_ignores_what_the_commands_make():
    made = {word for words in commands(README) for word in words if re.fullmatch(r"my-ecgs|pictures|\w+\.csv", word)}
    assert {"my-ecgs", "pictures", "scores.csv"} <= made
    for path in (*(f"{name}/x" for name in ("my-ecgs", "pictures", "dvc_plots")), "scores.csv"):
        assert subprocess.run(["git", "check-ignore", "-q", path], cwd=ROOT).returncode == 0, path


def test_the_table_of_experiments_has_few_columns():
    (drop,) = {words[-1] for words in commands(README) if words[:3] == ["dvc", "exp", "show"]}
    metrics = set(json.loads(committed("metrics/evaluate.json")))
    files = {dep for stage in STAGES.values() for dep in stage["deps"]}.union(*map(outputs, STAGES))
    params = {
        f"{section}.{key}" for section, model in Params.model_fields.items() for key in model.annotation.model_fields
    }
    columns = {"Experiment", "Created"} | metrics | files | params
    kept = {column for column in columns if not re.match(drop, column)}  # as DVC does
    assert kept - {"requirements.txt"} == {"Experiment", "roc_auc"} | params


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
            assert not anchor or anchor in anchors(path.read_text()), f"{target}#{anchor}"


def test_every_page_is_linked_from_the_readme():
    linked = {target for target, _ in LINK.findall(README)}
    assert set(PAGES) - {"README.md"} <= linked


def test_stages_are_those_of_dvc_yaml():
    assert re.findall(r"^\| (\w+) \| `stages/\1\.py` \|", METHOD, re.M) == list(STAGES)
    arrows = [line.split(" --> ") for line in METHOD.splitlines() if " --> " in line]
    drawn = {(a.strip(), b.strip()) for chain in arrows for a, b in pairwise(chain)}
    needed = {(a, b) for a in STAGES for b in STAGES if outputs(a) & set(STAGES[b]["deps"])}
    # The report reads what all others wrote.
    assert {pair for pair in drawn if pair[1] != "report"} == {pair for pair in needed if pair[1] != "report"}
