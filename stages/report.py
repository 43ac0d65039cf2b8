"""Write the report, the model card, and the versions of the machine and its packages.

Reads   params.yaml, requirements.txt, stages/templates/, the tables in data/, the numbers in metrics/
Writes  metrics/report.html       one page that needs no network and no script
        metrics/model_card.md     the sections of Mitchell et al. (2019), from the same numbers
        metrics/environment.json  the machine, and the version of each package in requirements.txt
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
import yaml
from scipy.special import logit
from threadpoolctl import threadpool_info

from ecg.beats.windows import beat_times
from ecg.evaluation import names
from ecg.model.description import Description, read_description
from ecg.params import read_params
from ecg.reporting import charts, tables
from ecg.reporting.ecg_paper import plot_ecg, plot_evidence
from ecg.reporting.figures import data_uri
from ecg.reporting.page import cite_sources, render
from ecg.reporting.results import draw_results, read_results
from ecg.run import paths
from ecg.run.files import CLASSES, load_split, read_table, write, write_json
from ecg.run.script import run_stage

ERRORS = 2  # shown of each kind


def explain_beats(test: pd.DataFrame, beats: np.ndarray, activation: np.ndarray, description: Description) -> dict:
    """Return the evidence in activation maps (test records x samples), and pictures of beats coloured by them."""
    times = beat_times(description.extract)

    def draw(beat: np.ndarray, title: str, values: np.ndarray) -> str:
        return data_uri(plot_ecg(beat, times, title, activation=values - logit(description.threshold)))

    maps, means = {}, []
    for name in [name for name in CLASSES if (test.label == name).any()]:
        rows = (test.label == name).to_numpy()
        maps[name], mean = (values[rows].mean(axis=0, dtype=np.float64) for values in (activation, beats))
        means.append((name, rows.sum(), draw(mean, f"Mean beat, {name}", maps[name])))
    above = maps["ischemia"] - activation[test.label != "ischemia"].mean(axis=0, dtype=np.float64)
    evidence = above.clip(min=0)
    shares = {"evidence": evidence / (evidence.mean() or 1), "time": np.ones(len(times))}
    errors = [
        # The page gives the record's name as text beside the picture.
        (row, draw(beats[i], f"{row.kind}, p(ischemia) {names.in_percent(row.p_ischemia)}", activation[i]))
        for i, row in tables.confident_errors(test, description.threshold, ERRORS).iterrows()
    ]
    return {
        "maps": maps,
        "times": times,
        "shares": tables.sums_by_part(shares, times).to_dict("list") if evidence.any() else None,
        "peak": times[above.argmax()],
        "step": 1000 / description.extract.sampling_rate,
        "means": means,
        "errors": errors,
        "most": ERRORS,
    }


def describe_environment() -> dict:
    """Return the machine, and the versions of the packages in requirements.txt."""
    cpu = Path("/proc/cpuinfo")
    processor = re.search(r"^model name\s*: (.+)$", cpu.read_text(), re.M) if cpu.exists() else None
    query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    accelerators = subprocess.run(query, capture_output=True, text=True).stdout if shutil.which(query[0]) else ""
    packages = re.findall(r"^([\w.-]+)==", Path("requirements.txt").read_text(encoding="utf-8"), re.M)
    return {
        "python": platform.python_version(),
        "platform": " ".join([platform.system(), platform.machine(), *platform.libc_ver()]).strip(),
        "processor": processor[1] if processor else platform.processor() or None,
        "accelerator": accelerators.partition("\n")[0] or None,
        "cores": os.cpu_count(),
        "threads": max((pool["num_threads"] for pool in threadpool_info()), default=1),
    } | {name: version(name) for name in packages}


def main() -> None:
    params, description = read_params(), read_description(paths.MODEL)
    results, audit, history = read_results(), pd.read_csv(paths.AUDIT_TABLE), pd.read_csv(paths.HISTORY)
    (beats, rows), activation = load_split("test"), np.load(paths.ACTIVATION)
    test = read_table(paths.PREDICTIONS).set_index("record").loc[rows.record].reset_index()
    counts, refused = tables.count_recordings(read_table(paths.SPLIT), ["train", "val", "test"])

    evidence, environment = explain_beats(test, beats, activation, description), describe_environment()
    what, trained_on = f"{len(test)} {names.data_kind(test.source, test=True)}", names.data_kind(description.sources)
    sources, scores, maps = sorted(set(counts.source[:-1])), results["evaluate.csv"], evidence["maps"]
    sums = tables.sums_by_part(maps, evidence["times"]).rename_axis("mean map, log odds").reset_index()
    figures = draw_results(results, description.threshold, what) | {
        "audit": (charts.plot_audit(audit, what), tables.audit_table(audit)),
        "evidence": (plot_evidence(maps, evidence["times"], what), sums),
        "learning": (charts.plot_learning_curve(history, trained_on), history.tail(1)),
    }
    sections = (params.download, params.extract, params.split, params.train, params.evaluate, params.audit)
    # The name of a section is that of its class, in lower case.
    parameters = {type(section).__name__.lower(): section.model_dump() for section in sections}
    values = {
        "synthetic": trained_on == names.SYNTHETIC,
        "recordings": what,
        "description": description,
        "bootstrap": params.evaluate.bootstrap,
        "scores": scores.set_index("measure").to_dict("index"),
        "charts": figures,
        "rates": tables.measure_table(scores, tables.RATES),
        "calibration": tables.measure_table(scores, tables.CALIBRATION),
        "confusion": tables.confusion_table(results["confusion.csv"]),
        "evidence": evidence,
        "source_auc": audit.set_index(["model", "comparison"]).roc_auc.get(("source", "roc_auc")),
        "gains": [names.gain_text(row) for row in names.strongest_simple(audit).to_dict("records")],
        "counts": counts,
        "refused": refused,
        "parameters": yaml.safe_dump(parameters, sort_keys=False, allow_unicode=True),
        "environment": yaml.safe_dump(environment, sort_keys=False),
        "sources": sources,
        "citations": cite_sources(sources, kaggle=params.download.source == "kaggle"),
    }
    page, card = render("report.html", values), render("model_card.md", values)
    write(paths.REPORT, page)
    write(paths.MODEL_CARD, card)
    write_json(paths.ENVIRONMENT, environment)
    print(f"{paths.REPORT}: {len(page.encode()) / 1000:.0f} kB")


if __name__ == "__main__":
    run_stage(main)
