"""The page and the model card: the numbers of the metrics, text that stays text, and a page that a browser can show."""

import importlib.util
import json
import re
import shutil
from html import unescape
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from conftest import run_stage

from ecg.reporting.summary import cite_data, evidence

HOSTILE = "x<script>alert(1)</script></script>|`*$\\frac*\n# y"
OUTPUTS = ("report.html", "model_card.md", "environment.json")


def copied(folder, to):
    shutil.copytree(folder, to, ignore=shutil.ignore_patterns("recordings"))
    return to


def written(folder):
    done = run_stage(folder, "report")
    assert (done.returncode, done.stderr) == (0, "")
    return (folder / "metrics/report.html").read_text(), (folder / "metrics/model_card.md").read_text()


def cells(text):
    """The rows of all tables, as lists of text, of a page or of Markdown."""
    if "<table" in text:
        rows = re.findall(r"<tr>(.*?)</tr>", text, re.S)
        return [[unescape(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S)] for row in rows]
    return [
        [unescape(cell.strip()) for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]


def shown(value, low, high):
    return f"{value:.3f} ({low:.3f} – {high:.3f})"


@pytest.fixture(scope="module")
def texts(finished):
    return tuple((finished / "metrics" / name).read_text() for name in OUTPUTS[:2])


def test_numbers_are_those_of_the_metrics(finished, texts):
    numbers = json.loads((finished / "metrics/evaluate.json").read_text())
    scores = pd.read_csv(finished / "metrics/evaluate.csv").set_index("measure")
    groups = pd.read_csv(finished / "metrics/subgroups.csv")
    audit = pd.read_csv(finished / "metrics/audit.csv").query("model == 'linear'")
    page, card = texts
    assert f'<span class="value">{numbers["roc_auc"]:.3f}</span>' in page
    for text in texts:
        rows = cells(text)
        assert ["sensitivity", shown(*scores.loc["sensitivity", ["value", "low", "high"]])] in rows
        for row in groups[groups.roc_auc.notna()].itertuples():
            counts = [str(row.n_ischemia), str(row.n_normal)]
            assert any(found[1:] == [*counts, shown(row.roc_auc, row.low, row.high)] for found in rows), row
        for row in audit.itertuples():
            assert any(found[2:3] == [shown(row.roc_auc, row.low, row.high)] for found in rows), row
    for key in ("roc_auc", "roc_auc_vs_rest", "roc_auc_vs_other"):
        value, low, high = (numbers[f"{key}{end}"] for end in ("", "_low", "_high"))
        assert f"{value:.3f} <small>{low:.3f} – {high:.3f}</small>" in page
        assert any(row[1:2] == [shown(value, low, high)] for row in cells(card))


def test_data_table_adds_up_to_all_that_was_found(finished, tmp_path):
    copy = copied(finished, tmp_path / "copy")
    index = pd.read_csv(copy / "data/recordings.csv", dtype=str)
    kept = index[index.reason.isna()].record.to_numpy()
    # One more that download refused, and one that extract did.
    lost = index.iloc[[0]].assign(record="lost", label="", reason="header: empty")
    flat = index.iloc[[0]].assign(record="flat", label="other")
    pd.concat([index, lost, flat]).to_csv(copy / "data/recordings.csv", index=False)
    quality = pd.read_csv(copy / "data/beats.csv", dtype=str)
    refused = quality.iloc[[0]].assign(record="flat", row="", reason="flat lead: V1")
    pd.concat([quality, refused]).to_csv(copy / "data/beats.csv", index=False)
    split = pd.read_csv(copy / "data/split.csv", dtype=str)
    for text in written(copy):
        rows = [row for row in cells(text) if len(row) == 7 and row[2].isdigit() and row[0] != "all"]
        rows = [row for row in rows if row[1] in ("normal", "ischemia", "other", "unknown")]
        counts = np.array([row[2:] for row in rows], dtype=int)
        assert (counts[:, 0] == counts[:, 1:].sum(axis=1)).all()
        names = ("train", "val", "test")
        expected = [len(kept) + 2, *((split.split == name).sum() for name in names), len(index) - len(split) + 2]
        assert counts.sum(axis=0).tolist() == expected
        reasons = [set(row) for row in cells(text) if "download" in row or "extract" in row]
        assert any({"header", "download", "unknown", "1"} <= row for row in reasons)
        assert any({"flat lead", "extract", "other", "1"} <= row for row in reasons)


def test_synthetic_numbers_are_labelled_as_such(texts):
    for text in texts:
        assert "Trained and tested on synthetic recordings: says nothing about patients." in text
        assert "PTB-XL" not in text


def test_sources_are_cited():
    def names(sources, kaggle):
        text = " ".join(cite_data(sources, kaggle))
        return [
            name for name in ("Wagner", "Perez Alday EA, Gu", "Reyna", "Synthetic", "ask the owner") if name in text
        ]

    assert names(["ptb-xl"], kaggle=False) == ["Wagner"]
    assert names(["ptb-xl"], kaggle=True) == ["Wagner", "Perez Alday EA, Gu", "Reyna"]
    assert names(["georgia"], kaggle=False) == ["Perez Alday EA, Gu", "Reyna"]
    assert names(["synthetic-east", "our-hospital"], kaggle=False) == ["Synthetic", "ask the owner"]


def test_text_of_the_data_stays_text(finished, tmp_path):
    copy = copied(finished, tmp_path / "copy")
    split = pd.read_csv(copy / "data/split.csv", dtype=str)
    renamed = dict(zip(split.record, split.record + HOSTILE, strict=True))
    for name in ("recordings", "beats", "split", "predictions"):
        table = pd.read_csv(copy / f"data/{name}.csv", dtype=str)
        table["record"] = table.record.replace(renamed)
        if "source" in table:
            table["source"] = table.source + HOSTILE
        if name == "recordings":
            table = pd.concat([table, table.iloc[[0]].assign(record="lost", reason=HOSTILE)])
        table.to_csv(copy / f"data/{name}.csv", index=False)
    for name in ("subgroups", "audit"):
        table = pd.read_csv(copy / f"metrics/{name}.csv", dtype=str)
        table["reason"] = table.reason + HOSTILE
        if name == "subgroups":
            table["group"] = table.group + HOSTILE
        table.to_csv(copy / f"metrics/{name}.csv", index=False)
    params = (copy / "params.yaml").read_text()
    (copy / "params.yaml").write_text(params.replace("directory: ''", f"directory: {json.dumps(HOSTILE)}"))
    page, card = written(copy)
    assert "<script>alert" not in page
    assert len(re.findall("<script", page)) == len(re.findall("</script", page)) == 3
    charts = json.loads(re.search(r'id="charts">(.*?)</script>', page, re.S)[1])
    # Plotly shows some tags.
    assert "<script" not in json.dumps(charts)
    assert "&lt;script&gt;" in json.dumps(charts["subgroups"])
    assert not re.search(r"<\w", card)
    assert not re.search(r"^# y", card, re.M)
    # Each row of a table has as many cells as its head.
    for table in re.findall(r"(?:^\|.*\n)+", card, re.M):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_two_classes_and_missing_numbers(finished, tmp_path):
    copy = copied(finished, tmp_path / "copy")
    split = pd.read_csv(copy / "data/split.csv", dtype=str)
    dropped = (split.label == "other") & (split.split == "test")
    activation = np.load(copy / "data/activation.npy")
    np.save(copy / "data/activation.npy", activation[~dropped[split.split == "test"].to_numpy()])
    split[~dropped].to_csv(copy / "data/split.csv", index=False)
    predictions = pd.read_csv(copy / "data/predictions.csv")
    predictions = predictions[~predictions.record.isin(split.record[dropped])]
    predictions.to_csv(copy / "data/predictions.csv", index=False)
    why = "no such recording in the test split"
    numbers = json.loads((copy / "metrics/evaluate.json").read_text())
    numbers |= {f"roc_auc_vs_other{end}": None for end in ("", "_low", "_high")} | {"n_other": 0}
    (copy / "metrics/evaluate.json").write_text(json.dumps(numbers))
    for name, key in (("evaluate", "measure"), ("audit", "question")):
        table = pd.read_csv(copy / f"metrics/{name}.csv")
        missing = table[key].isin(["roc_auc_vs_other", "specificity_other", "calibration_slope"])
        value = "value" if name == "evaluate" else "roc_auc"
        table.loc[missing, [value, "low", "high"]] = np.nan
        table["reason"] = table.reason.astype(object).where(~missing, why)
        table.to_csv(copy / f"metrics/{name}.csv", index=False)
    for name in ("roc", "precision_recall"):
        table = pd.read_csv(copy / f"metrics/{name}.csv")
        table[table.question != "against other"].to_csv(copy / f"metrics/{name}.csv", index=False)
    page, card = written(copy)
    assert f'<p class="answer none">No answer</p><p>{why}</p>' in page
    assert f"| against other | none: {why} | " in card
    for text in (re.sub(r"<script.*?</script>", "", page, flags=re.S), card):
        assert not re.search(r"\b(nan|NaN|None)\b", text)


def test_evidence_in_st_t():
    times = np.array([-200.0, -100, 0, 100, 200])
    told = evidence({"normal": np.zeros(5), "ischemia": np.array([1.0, -5, 0, 2, 1])}, times)
    assert (told["share"], told["window"], told["peak"]) == (0.75, 0.4, 100)
    assert told["table"]["rows"][1] == ["ischemia", "−0.800", "0.000", "0.600"]
    assert evidence({"ischemia": -np.ones(5)}, times)["share"] is None
    # As much for each moment of QRS as of ST–T is not ST–T first.
    assert not evidence({"ischemia": np.ones(5)}, times)["st_t"]


def test_the_same_bytes_in_another_folder(finished, tmp_path):
    copy = copied(finished, tmp_path / "elsewhere")
    assert run_stage(copy, "report", PYTHONHASHSEED="7", LC_ALL="C", TZ="Asia/Tokyo").returncode == 0
    for name in OUTPUTS:
        assert (copy / "metrics" / name).read_bytes() == (finished / "metrics" / name).read_bytes(), name


def test_environment_names_versions_and_no_place(finished):
    text = (finished / "metrics/environment.json").read_text()
    told = json.loads(text)
    assert {"python", "processor", "cores", "threads", "accelerator", "torch", "numpy"} <= set(told)
    assert "/" not in text


@pytest.fixture(scope="module")
def browser():
    if not importlib.util.find_spec("playwright"):
        pytest.skip("playwright is not installed: pip install -r requirements-dev.txt")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not found:
        pytest.skip("no Chromium: apt install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


def test_a_browser_shows_the_page(finished, browser):
    page = browser.new_page(viewport={"width": 360, "height": 740}, color_scheme="light")
    trouble, asked = [], []
    page.on("console", lambda message: trouble.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("request", lambda request: asked.append(request.url.partition(":")[0]))
    page.goto((finished / "metrics/report.html").as_uri())
    assert page.locator(".chart svg.main-svg").first.is_visible()
    charts = page.locator(".chart")
    assert charts.count() == 7
    for chart in charts.all():
        assert chart.locator(".scatterlayer path").count() > 0
        assert chart.get_attribute("aria-label")
    images = page.evaluate("[...document.images].map((i) => [i.complete, i.naturalWidth > 0, i.alt.length > 9])")
    assert len(images) >= 3
    assert all(map(all, images))
    levels = [
        int(name[1]) for name in page.evaluate("[...document.querySelectorAll('h1,h2,h3')].map((h) => h.tagName)")
    ]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert page.evaluate("document.documentElement.scrollWidth") <= 360

    look = """[getComputedStyle(document.body).backgroundColor,
               getComputedStyle(document.querySelector(".chart .xtick text")).fill]"""
    light = page.evaluate(look)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"({look})[1] !== {json.dumps(light[1])}")
    dark = page.evaluate(look)
    assert light[0] != dark[0]
    # On paper all is black on white, and every table is open.
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(look) == light
    assert page.evaluate("document.querySelectorAll('details:not([open])').length") == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(look) == dark
    assert page.evaluate("document.querySelectorAll('details[open]').length") == 0
    assert trouble == []
    assert set(asked) <= {"file", "data", "blob"}
