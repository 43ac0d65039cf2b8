"""Write down what came out, for people: a page, a model card, and what it ran on.

Reads   params.yaml, requirements.txt, stages/templates/, the tables in data/, the numbers in metrics/
Writes  metrics/report.html       one page that needs no network and no script
        metrics/model_card.md     the sections of Mitchell et al. (2019), from the same numbers
        metrics/environment.json  the machine; then each package that requirements.txt names, with its version
"""

import os
import platform
import re
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import logit
from threadpoolctl import threadpool_info

from ecg.beats.windows import beat_times
from ecg.evaluation import names
from ecg.model.description import TREES_FROM, TREES_SHARE, Description, read_description
from ecg.params import read_params
from ecg.reporting import curves, tables
from ecg.reporting.citations import cite_sources
from ecg.reporting.ecg_paper import Explanation, plot_ecg, plot_evidence
from ecg.reporting.figures import data_uri, inline_svg
from ecg.reporting.forest import plot_audit, plot_subgroups
from ecg.reporting.page import render
from ecg.run import paths
from ecg.run.files import CLASSES, load_split, read_table, replacing, write_json
from ecg.run.script import run_stage

ERRORS = 4  # of each kind, in the page
REQUIREMENTS = Path("requirements.txt")


def draw_beats(test: pd.DataFrame, beats: np.ndarray, activation: np.ndarray, description: Description) -> dict:
    """Return what activation maps (test records x samples) show, and beats coloured by them as pictures."""
    times = beat_times(description.extract)
    step = 1000 / description.extract.sampling_rate
    members = {name: (test.label == name).to_numpy() for name in CLASSES if (test.label == name).any()}
    maps = {name: activation[rows].mean(axis=0, dtype=np.float64) for name, rows in members.items()}
    others = activation[~members["ischemia"]].mean(axis=0, dtype=np.float64)
    above = maps["ischemia"] - others

    # Text of the data stands beside the picture, where it can be read and copied.
    def draw(beat: np.ndarray, title: str, values: np.ndarray) -> str:
        return data_uri(plot_ecg(beat, times, title, explanation=Explanation(values - logit(description.threshold))))

    means, errors = [], []
    for name, rows in members.items():
        mean = beats[rows].mean(axis=0, dtype=np.float64)
        means.append((name, rows.sum(), draw(mean, f"Mean beat, {name}", maps[name])))
    for row in tables.confident_errors(test, description.threshold, ERRORS).reset_index(names="i").to_dict("records"):
        title = f"{row['kind']}, p(ischemia) {row['p_ischemia']:.0%}"
        errors.append((row, draw(beats[row["i"]], title, activation[row["i"]])))
    return {
        "maps": maps,
        "times": times,
        "shares": tables.evidence_shares(above, times),
        "peak": times[above.argmax()],
        "reach": step * description.architecture.reach,
        "step": step,
        "means": means,
        "errors": errors,
    }


def describe_environment() -> dict:
    """Return what this runs on, and the versions of the packages that requirements.txt names."""
    cpu = Path("/proc/cpuinfo")
    processors = re.findall(r"^model name\s*: (.+)$", cpu.read_text(), re.M) if cpu.exists() else []
    accelerators = []
    if shutil.which("nvidia-smi"):
        query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        accelerators = subprocess.run(query, capture_output=True, text=True).stdout.splitlines()
    packages = re.findall(r"^([\w.-]+)==", REQUIREMENTS.read_text(), re.M)
    return {
        "python": platform.python_version(),
        "platform": " ".join([platform.system(), platform.machine(), *platform.libc_ver()]).strip(),
        "processor": processors[0] if processors else platform.processor() or None,
        "accelerator": accelerators[0] if accelerators else None,
        "cores": os.cpu_count(),
        "threads": max((pool["num_threads"] for pool in threadpool_info()), default=1),
    } | {name: version(name) for name in packages}


def main() -> None:
    params, description = read_params(), read_description(paths.MODEL)
    scores, confusion, bins = map(pd.read_csv, (paths.EVALUATE_TABLE, paths.CONFUSION, paths.RELIABILITY))
    benefit, spread = map(pd.read_csv, (paths.NET_BENEFIT, paths.DISTRIBUTION))
    roc, pr = (
        {comparison: pd.read_csv(folder / name) for comparison, name in names.CURVE_FILES.items()}
        for folder in (paths.ROC, paths.PRECISION_RECALL)
    )
    groups, audit, history = map(pd.read_csv, (paths.SUBGROUPS, paths.AUDIT_TABLE, paths.HISTORY))
    (beats, rows), activation = load_split("test"), np.load(paths.ACTIVATION)
    test = read_table(paths.PREDICTIONS).set_index("record").loc[rows.record].reset_index()
    counts, refused = tables.count_recordings(read_table(paths.SPLIT), ["train", "val", "test"])

    evidence, environment = draw_beats(test, beats, activation, description), describe_environment()
    what, trained_on = f"{len(test)} test {names.data_kind(test.source)}", names.data_kind(description.sources)
    sources, maps = sorted(set(counts.source[:-1])), (evidence["maps"], evidence["times"])
    threshold = description.threshold
    charts = {
        "roc": (curves.plot_roc(roc, scores, threshold, what), tables.roc_table(roc)),
        "precision_recall": (curves.plot_precision_recall(pr, what), tables.precision_recall_table(pr)),
        "reliability": (curves.plot_reliability(bins, scores, what), tables.reliability_table(bins)),
        "net_benefit": (curves.plot_net_benefit(benefit, threshold, what), tables.net_benefit_table(benefit)),
        "distribution": (
            curves.plot_distribution(spread, confusion, threshold, what),
            tables.distribution_table(spread),
        ),
        "audit": (plot_audit(audit, what), tables.audit_table(audit)),
        "subgroups": (plot_subgroups(groups, what), tables.subgroups_table(groups)),
        "evidence": (plot_evidence(*maps, what), tables.activation_table(*maps)),
        "learning": (curves.plot_learning_curve(history, trained_on), tables.learning_table(history)),
    }
    sections = (params.download, params.extract, params.split, params.train, params.evaluate, params.audit)
    # A section is called as its class.
    parameters = {f"{type(section).__name__.lower()}.{key}": value for section in sections for key, value in section}
    values = {
        "synthetic": trained_on == names.SYNTHETIC,
        "recordings": what,
        "comparisons": names.COMPARISON_TITLES,
        "description": description,
        "bootstrap": params.evaluate.bootstrap,
        "scores": scores.set_index("measure").to_dict("index"),
        "charts": {name: (inline_svg(figure, name), table) for name, (figure, table) in charts.items()},
        "rates": tables.measure_table(scores, tables.RATES),
        "calibration": tables.measure_table(scores, tables.CALIBRATION),
        "confusion": tables.confusion_table(confusion),
        "evidence": evidence,
        "source_auc": audit.set_index(["model", "comparison"]).roc_auc.get(("source", "roc_auc")),
        "definition": names.names_of(description.labels.ischemia),
        "source_limit": names.SOURCE_LIMIT,
        "trees_share": TREES_SHARE,
        "trees_from": TREES_FROM,
        "gains": [names.say_gain(row) for row in names.strongest_simple(audit).to_dict("records")],
        "counts": counts,
        "totals": counts.iloc[-1].to_dict(),
        "refused": refused,
        "parameters": tables.values_table("parameter", parameters),
        "environment": tables.values_table("what", environment),
        "sources": sources,
        "citations": cite_sources(sources, kaggle=params.download.source == "kaggle"),
    }
    page, card = render("report.html", values), render("model_card.md", values)
    for path, text in ((paths.REPORT, page), (paths.MODEL_CARD, card)):
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    write_json(paths.ENVIRONMENT, environment)
    print(f"{paths.REPORT}: {len(page.encode()) / 1000:.0f} kB")


if __name__ == "__main__":
    run_stage(main)
