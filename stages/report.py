"""Write down what came out, for people: a page, a model card, and what it ran on.

Reads   params.yaml, requirements.txt, stages/templates/, the tables in data/, the numbers in metrics/
Writes  metrics/report.html       one page that needs no network
        metrics/model_card.md     the sections of Mitchell et al. (2019), from the same numbers
        metrics/environment.json  the machine; then each package that requirements.txt names, with its version
"""

import base64
import io
import json
import os
import platform
import re
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib import pyplot as plt
from plotly.offline import get_plotlyjs
from threadpoolctl import threadpool_info

from ecg.beats.windows import beat_times
from ecg.evaluation.calibration import wilson
from ecg.evaluation.history import kept_epochs
from ecg.evaluation.names import SYNTHETIC, data_kind
from ecg.evaluation.questions import ischemia_score
from ecg.network.description import read_description
from ecg.params import read_params
from ecg.reporting import charts, summary
from ecg.reporting.figures import TITLES, plot_ecg
from ecg.stage.files import replacing, write_json
from ecg.stage.paths import BEATS_TABLE as QUALITY
from ecg.stage.paths import SPLIT
from ecg.stage.script import run_stage
from ecg.stage.tables import CLASSES, load_split, read_table

TEMPLATES = Path("stages/templates")
REQUIREMENTS = Path("requirements.txt")
INDEX = Path("data/recordings.csv")
MODEL = Path("data/model.safetensors")
HISTORY = Path("data/history.csv")
PREDICTIONS = Path("data/predictions.csv")
ACTIVATION = Path("data/activation.npy")
NUMBERS = Path("metrics/evaluate.json")
SCORES = Path("metrics/evaluate.csv")
SUBGROUPS = Path("metrics/subgroups.csv")
ROC = Path("metrics/roc.csv")
PRECISION_RECALL = Path("metrics/precision_recall.csv")
CONFUSION = Path("metrics/confusion.csv")
RELIABILITY = Path("metrics/reliability.csv")
AUDIT = Path("metrics/audit.csv")
REPORT = Path("metrics/report.html")
CARD = Path("metrics/model_card.md")
ENVIRONMENT = Path("metrics/environment.json")

ERRORS = 6  # of each kind


def environment() -> dict:
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


def draw(beat: np.ndarray, times: np.ndarray, title: str, activation: np.ndarray) -> str:
    """Return a 12-lead beat (mV; times in ms) with its activation map as the data URI of a PNG."""
    png, figure = io.BytesIO(), plot_ecg(beat, times, title, [], activation=activation)
    figure.savefig(png, format="png", dpi=75, metadata={"Software": None})
    plt.close(figure)
    return f"data:image/png;base64,{base64.b64encode(png.getvalue()).decode()}"


def markdown(value):
    """Escape what Markdown and HTML would take for their own: text of the data can be anything."""
    if type(value) is not str:  # a number, or Markup
        return value
    text = " ".join(value.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#~!])", r"\\\1", text)


def render(name: str, values: dict) -> str:
    html = name.endswith(".html")
    return (
        jinja2.Environment(
            loader=jinja2.FileSystemLoader(TEMPLATES),
            autoescape=html,
            finalize=None if html else markdown,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        .get_template(name)
        .render(values)
    )


def main() -> None:
    params = read_params()
    sections = {
        "download": params.download,
        "extract": params.extract,
        "split": params.split,
        "train": params.train,
        "evaluate": params.evaluate,
        "audit": params.audit,
    }
    description = read_description(MODEL).model_dump()
    numbers = json.loads(NUMBERS.read_text(encoding="utf-8"))
    scores = pd.read_csv(SCORES).set_index("measure").to_dict("index")
    roc, precision_recall, bins = pd.read_csv(ROC), pd.read_csv(PRECISION_RECALL), wilson(pd.read_csv(RELIABILITY))
    groups, audit, history = pd.read_csv(SUBGROUPS), pd.read_csv(AUDIT), pd.read_csv(HISTORY)
    kept = kept_epochs(history)
    beats, rows = load_split("test")
    activation, test = np.load(ACTIVATION), read_table(PREDICTIONS).set_index("record").loc[rows.record].reset_index()
    test["score"] = ischemia_score({name: test[f"p_{name}"].to_numpy() for name in description["classes"]}, "roc_auc")
    counts, reasons = summary.count_recordings(read_table(INDEX), read_table(QUALITY), read_table(SPLIT))

    extract, pool = description["extract"], description["architecture"]["pool"]
    times = beat_times(read_description(MODEL).extract)
    reach = pool * (1 + sum(kernel - 1 for kernel in description["architecture"]["kernels"]))
    steps = times[: pool * activation.shape[1]].reshape(-1, pool).mean(axis=1)
    members = {name: (test.label == name).to_numpy() for name in CLASSES if (test.label == name).any()}
    maps = {name: activation[chosen].mean(axis=0, dtype=np.float64) for name, chosen in members.items()}
    # Text of the data stands beside the pictures, never in them: matplotlib would take a $ for a formula.
    means = [
        {
            "label": name,
            "n": int(chosen.sum()),
            "picture": draw(beats[chosen].mean(axis=0, dtype=np.float64), times, f"Mean beat, {name}", maps[name]),
        }
        for name, chosen in members.items()
    ]
    errors = [
        {
            "kind": kind,
            "record": row.record,
            "label": row.label,
            "source": row.source,
            "score": row.score,
            "picture": draw(
                beats[row.Index], times, f"{kind}, score {summary.number(row.score)}", activation[row.Index]
            ),
        }
        for kind, found in summary.confident_errors(test, numbers["threshold"], ERRORS).items()
        for row in found.itertuples()
    ]
    figures = {
        "roc": charts.roc_chart(roc, numbers),
        "precision-recall": charts.precision_recall_chart(precision_recall, test),
        "reliability": charts.reliability_chart(bins),
        "audit": charts.audit_chart(audit),
        "subgroups": charts.subgroups_chart(groups),
        "evidence": charts.evidence_chart(steps, maps, summary.ST_FROM),
        "learning": charts.learning_chart(history, kept),
    }
    values = {
        "synthetic": data_kind(description["sources"]) == SYNTHETIC,
        "kind": data_kind(test.source),
        "n_test": len(test),
        "numbers": numbers,
        "scores": scores,
        "questions": TITLES,
        "interval": summary.interval,
        "number": summary.number,
        "description": description,
        "tables": {
            "roc": summary.roc_table(roc),
            "precision_recall": summary.precision_recall_table(precision_recall),
            "rates": summary.measure_table(scores, summary.RATES),
            "calibration": summary.measure_table(scores, summary.CALIBRATION),
            "confusion": summary.confusion_table(pd.read_csv(CONFUSION), description["classes"]),
            "reliability": summary.reliability_table(bins),
            "audit": summary.audit_table(audit),
            "subgroups": summary.subgroups_table(groups),
            "learning": summary.learning_table(kept),
        },
        "evidence": summary.evidence(maps, steps),
        "reach": round(reach * 1000 / extract["sampling_rate"]),
        "means": means,
        "errors": errors,
        "counts": counts.to_dict("split"),
        "totals": counts.select_dtypes("number").sum().to_dict(),
        "reasons": reasons.to_dict("split"),
        "sources": sorted(set(counts.source)),
        "citations": summary.cite_data(sorted(set(counts.source)), params.download.source == "kaggle"),
        "params": {name: section.model_dump() for name, section in sections.items()},
        "environment": environment(),
    }
    heights = {name: figure.layout.height for name, figure in figures.items()}
    drawn = {name: json.loads(figure.to_json(engine="json")) for name, figure in figures.items()}
    page = render("report.html", values | {"charts": drawn, "heights": heights, "plotly_js": Markup(get_plotlyjs())})
    card = render("model_card.md", values)
    for path, text in ((REPORT, page), (CARD, card)):
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    write_json(ENVIRONMENT, values["environment"])
    print(f"{REPORT}: {len(page) / 1e6:.1f} MB, {len(means) + len(errors)} pictures, {len(figures)} charts")


if __name__ == "__main__":
    run_stage(main)
