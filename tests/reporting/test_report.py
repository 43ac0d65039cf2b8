"""The page and the model card: the numbers of the metrics, text that stays text, and a page that a browser can show."""

import json
import re
import shutil
import sys
from html import unescape
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import report

from ecg.evaluation.names import group_name

HOSTILE = "x<script>alert(1)</script></script>|`*$\\frac$*\n# y"
OUTPUTS = ("report.html", "model_card.md", "environment.json")
RATES = {"called": "all recordings called ischemic", "specificity_normal": "specificity against normal"}


@pytest.fixture
def copy(finished, tmp_path, monkeypatch):
    """A copy of the finished project, as the working directory."""
    monkeypatch.chdir(shutil.copytree(finished, tmp_path / "copy", ignore=shutil.ignore_patterns("recordings")))
    return tmp_path / "copy"


@pytest.fixture(scope="module")
def texts(finished):
    return tuple((finished / "metrics" / name).read_text(encoding="utf-8") for name in OUTPUTS[:2])


def written(folder):
    report.main()
    return tuple((folder / "metrics" / name).read_text(encoding="utf-8") for name in OUTPUTS[:2])


def change(path, edit, **options):
    edit(pd.read_csv(path, **options)).to_csv(path, index=False)


def cells(text):
    """The rows of all tables, as lists of text, of a page or of Markdown."""
    if "<table" in text:
        rows = re.findall(r"<tr>(.*?)</tr>", text, re.S)
        return [[unescape(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S)] for row in rows]
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [[unescape(cell.strip()) for cell in row] for row in rows]


def shown(*values, form=".3f"):
    value, low, high = (f"{number:{form}}".replace("-", "−") for number in values)
    return f"{value} ({low} – {high})"


def test_numbers_are_those_of_the_metrics(finished, texts):
    numbers = json.loads((finished / "metrics/evaluate.json").read_text())
    scores = pd.read_csv(finished / "metrics/evaluate.csv").set_index("measure")
    groups = pd.read_csv(finished / "metrics/subgroups.csv")
    audit = pd.read_csv(finished / "metrics/audit.csv").query("model == 'logistic'")
    table = pd.read_csv(finished / "data/split.csv")
    split, reason = table.split.fillna("refused").value_counts(), table.reason.dropna().iloc[0].split(":")[0]
    counts = [str(n) for n in (split.sum(), *split[["train", "val", "test", "refused"]])]
    environment = (finished / "metrics" / OUTPUTS[2]).read_text()
    assert {"python", "processor", "numpy", "torch"} < set(json.loads(environment)) and sys.prefix not in environment
    page, card = texts
    assert f'<span class="value">{numbers["roc_auc"]:.3f}</span>' in page
    for text in texts:
        assert not re.search(r"\b(nan|NaN|None)\b", text)
        rows = cells(text)
        assert ["all", "", *counts] in rows and any(row[0] == reason and row[-1] == "1" for row in rows)
        for name, title in RATES.items():
            assert [title, shown(*scores.loc[name, ["value", "low", "high"]])] in rows
        for row in groups[groups.roc_auc.notna()].itertuples():
            name = [group_name(row.grouping, row.group), str(row.n_ischemia), str(row.n_normal)]
            assert [*name, shown(row.roc_auc, row.low, row.high)] in rows, row
        for row in audit.itertuples():
            gain = shown(row.gain, row.gain_low, row.gain_high, form="+.3f")
            assert any(found[2:4] == [shown(row.roc_auc, row.low, row.high), gain] for found in rows), row
    for key in ("roc_auc", "roc_auc_vs_rest", "roc_auc_vs_other"):
        value, low, high = scores.loc[key, ["value", "low", "high"]]
        assert f'<p class="answer">{value:.3f} <small>{low:.3f} – {high:.3f}</small></p>' in page
        assert any(row[1:2] == [shown(value, low, high)] for row in cells(card))


def test_synthetic_numbers_are_called_synthetic(texts):
    for text in texts:
        assert (
            "ot a medical device." in text
            and "any of these diagnoses in the training data: SNOMED CT 164861001" in text
        )
        assert "Trained and tested on synthetic recordings: no number here applies to patients." in text
        assert re.search(r"\d+ synthetic test recordings", text)


def test_text_of_the_data_stays_text(copy):
    for name in ("split", "predictions"):
        path, columns = copy / f"data/{name}.csv", ["record", "source"]
        change(path, lambda table, c=columns: table.assign(**table[c] + HOSTILE), dtype=str)
    change(copy / "data/split.csv", lambda table: pd.concat([table, table[:1].assign(record="lost", reason=HOSTILE)]))
    for name, columns in (("subgroups", ["group", "reason"]), ("audit", ["reason"])):
        change(copy / f"metrics/{name}.csv", lambda table, c=columns: table.assign(**table[c] + HOSTILE), dtype=str)
    params = copy / "params.yaml"
    params.write_text(params.read_text().replace("directory: ''", f"directory: {json.dumps(HOSTILE)}"))
    page, card = written(copy)
    assert "<script" not in page
    # Each figure is XML. A group's name is in the figure too, shortened.
    figures = [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", page, re.S)]
    found = [element.text for svg in figures for element in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert any("x<script>" in text for text in found)
    assert not re.search(r"<\w", card)
    assert not re.search(r"^# y", card, re.M)
    # Each row of a table has as many cells as its head.
    for table in re.findall(r"(?:^\|.*\n)+", card, re.M):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_two_classes_and_missing_numbers(copy):
    split = pd.read_csv(copy / "data/split.csv", dtype=str)
    dropped = (split.label == "other") & (split.split == "test")
    # Nor is there evidence for ischemia.
    np.save(copy / "data/activation.npy", np.load(copy / "data/activation.npy")[~dropped[split.split == "test"]] * 0)
    split[~dropped].to_csv(copy / "data/split.csv", index=False)
    why = "no such recording in the test split"
    for name, key in (("evaluate", "measure"), ("audit", "comparison")):
        table = pd.read_csv(copy / f"metrics/{name}.csv").astype({"reason": object})
        missing = table[key].isin(["roc_auc_vs_other", "specificity_other", "calibration_slope"])
        table.loc[missing, ["value" if name == "evaluate" else "roc_auc", "low", "high"]] = np.nan
        table.loc[missing, "reason"] = why
        table.to_csv(copy / f"metrics/{name}.csv", index=False)
    for name in ("roc", "precision_recall"):
        change(copy / f"metrics/{name}/against_other.csv", lambda curve: curve[:0])
    page, card = written(copy)
    assert "The mean map of the ischemic test recordings is nowhere above that of the others." in page
    assert f'<p class="answer">No value</p><p>{why}</p>' in page
    assert f"| against other | none: {why} | " in card
    for text in (page, card):
        assert not re.search(r"\b(nan|NaN|None)\b", text)


def test_gains_evidence_a_source_that_separates_the_classes_and_missing_intervals(copy):
    scores = pd.read_csv(copy / "metrics/evaluate.csv").astype({"reason": object})
    rows = scores.measure.isin(["roc_auc", "roc_auc_vs_other"])
    scores.loc[rows, ["value", "low", "high", "reason"]] = [0.875, np.nan, np.nan, "too few: 4 ischemic"]
    scores.to_csv(copy / "metrics/evaluate.csv", index=False)
    audit = pd.read_csv(copy / "metrics/audit.csv")
    audit.loc[audit.model == "trees", ["roc_auc", "gain", "gain_low", "gain_high"]] = [0.9995, 0.01, 0.005, 0.03]
    # They are no simple models.
    audit.loc[audit.model == "age_sex", "roc_auc"] = 1
    audit.loc[(audit.model == "source") & (audit.comparison == "roc_auc"), "roc_auc"] = 0.601
    audit.to_csv(copy / "metrics/audit.csv", index=False)
    # Ischemia differs from the rest at R, the 32nd sample; what is in every beat is no evidence.
    test = pd.read_csv(copy / "data/split.csv").query("split == 'test'")
    activation = np.where((test.label == "ischemia").to_numpy()[:, None] & (np.arange(82) == 31), 5, -1.0)
    activation[:, -1] = 7
    np.save(copy / "data/activation.npy", activation)
    page, card = written(copy)
    assert "the QRS complex contains more evidence for ischemia than ST–T" in page
    assert "0% lies in ST–T, which is 52% of the beat, and 100% in the QRS complex, which is 18%." in card
    assert "Each point depends on 80 ms of the beat for the networks, and on single samples, 8 ms apart" in page
    for title in ("normal", "all others", "other"):
        gain = f"against {title} +0.010 (+0.005 – +0.030) over extra trees on the beat: a gain"
        assert f"<li>{gain}</li>" in page and f"- {gain}\n" in card
    assert "The source alone separates ischemia from normal with ROC AUC 0.601" in page
    assert "ROC AUC against normal: no headline, too few: 4 ischemic</span>" in page
    assert '<p class="answer">0.875</p>\n<p>no interval: too few: 4 ischemic</p>' in page
    assert "| against other | 0.875 | " in card


def test_no_script_no_network_and_ids_of_its_own(texts):
    page = texts[0]
    assert "<script" not in page
    assert not re.search(r"\son\w+=", re.sub(r"<p.*?</p>", "", page, flags=re.S))
    sources = re.findall(r'\b(?:src|xlink:href|url)[=(]"?([^")]*)', page)
    assert sources
    assert all(source.startswith(("#", "data:")) for source in sources)
    ids = re.findall(r'\sid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    assert {source[1:] for source in sources if source.startswith("#")} <= set(ids)
    assert page.count("<img ") >= 3 and len(page.encode()) < 1_000_000


def test_a_browser_shows_the_page_on_a_phone_in_the_dark_and_on_paper(finished):
    api = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install -r requirements-dev.txt")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not found:
        pytest.skip("no Chromium: apt install chromium")
    look = "['body', '.chart'].map((name) => getComputedStyle(document.querySelector(name)).backgroundColor)"
    with api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=found, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 360, "height": 740}, color_scheme="light")
        trouble, requests = [], []
        page.on("console", lambda m: trouble.append(m.text) if m.type in ("error", "warning") else None)
        page.on("request", lambda request: requests.append(request.url.partition(":")[0]))
        page.goto((finished / "metrics/report.html").as_uri())
        assert page.locator(".chart[aria-label] svg").count() == 9
        # On the phone's 360 pixels, digits are still some 8 pixels high.
        assert min(text.bounding_box()["height"] for text in page.locator(".chart text:first-of-type").all()[:9]) > 7
        assert all(page.evaluate("[...document.images].map((image) => image.naturalWidth > 0 && image.alt.length > 9)"))
        levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map((h) => Number(h.tagName[1]))")
        assert levels.count(1) == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))
        assert not page.locator("details table").first.is_visible()
        white, (light, _) = "rgb(255, 255, 255)", page.evaluate(look)
        page.emulate_media(media="print", color_scheme="dark")
        assert page.evaluate(look) == [white, white]
        assert page.locator("details table").first.is_visible()
        page.emulate_media(media="screen", color_scheme="dark")
        dark, chart = page.evaluate(look)
        assert sum(map(int, re.findall(r"\d+", dark))) < 200 < sum(map(int, re.findall(r"\d+", light)))
        assert chart == white
        for details in page.locator("summary").all():
            details.click()
        # A table that does not fit scrolls inside its card, and each figure fits.
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        fit = "[...document.querySelectorAll('.chart, img')].every(e => e.scrollWidth <= e.parentElement.clientWidth)"
        assert page.evaluate(fit)
        assert trouble == []
        assert set(requests) <= {"file", "data"}
        browser.close()
