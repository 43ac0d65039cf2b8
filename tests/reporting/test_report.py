"""The page and the model card: the numbers of the metrics, text that stays text, and a page that a browser can show."""

import importlib.util
import json
import re
import shutil
from html import unescape
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, run_stage
from safetensors import safe_open
from safetensors.numpy import save_file

from ecg.evaluation.names import SIMPLE_MODELS
from ecg.model.description import read_description

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


def svg_texts(page):
    """The texts of all figures; each is XML, whatever the data hold."""
    figures = [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", page, re.S)]
    return [element.text for svg in figures for element in svg.iter("{http://www.w3.org/2000/svg}text")]


def shown(value, low, high):
    return f"{value:.3f} ({low:.3f} – {high:.3f})"


def signed(*values):
    value, low, high = (f"{number:+.3f}".replace("-", "−") for number in values)
    return f"{value} ({low} – {high})"


@pytest.fixture(scope="module")
def texts(finished):
    return tuple((finished / "metrics" / name).read_text() for name in OUTPUTS[:2])


def test_numbers_are_those_of_the_metrics(finished, texts):
    numbers = json.loads((finished / "metrics/evaluate.json").read_text())
    scores = pd.read_csv(finished / "metrics/evaluate.csv").set_index("measure")
    groups = pd.read_csv(finished / "metrics/subgroups.csv")
    audit = pd.read_csv(finished / "metrics/audit.csv").query("model == 'logistic'")
    page, card = texts
    assert f'<span class="value">{numbers["roc_auc"]:.3f}</span>' in page
    assert not re.search(r"\b(nan|NaN|None)\b", page + card)
    for text in texts:
        rows = cells(text)
        sensitivity = shown(*scores.loc["sensitivity", ["value", "low", "high"]])
        assert ["sensitivity: ischemic recordings called ischemic", sensitivity] in rows
        for row in groups[groups.roc_auc.notna()].itertuples():
            counts = [str(row.n_ischemia), str(row.n_normal)]
            assert any(found[1:] == [*counts, shown(row.roc_auc, row.low, row.high)] for found in rows), row
        for row in audit.itertuples():
            gain = signed(row.gain, row.gain_low, row.gain_high)
            assert any(found[2:4] == [shown(row.roc_auc, row.low, row.high), gain] for found in rows), row
    for key in ("roc_auc", "roc_auc_vs_rest", "roc_auc_vs_other"):
        value, low, high = scores.loc[key, ["value", "low", "high"]]
        assert f'<p class="answer">{value:.3f} <small>{low:.3f} – {high:.3f}</small></p>' in page
        assert any(row[1:2] == [shown(value, low, high)] for row in cells(card))


def test_data_table_adds_up_to_all_that_was_found(finished, tmp_path):
    copy = copied(finished, tmp_path / "copy")
    split = pd.read_csv(copy / "data/split.csv", dtype=str)
    # One more that download refused, and one that extract did.
    row = split.iloc[[0]].assign(fold="", split="", row="")
    lost = row.assign(record="lost", label="", reason="header: empty")
    flat = row.assign(record="flat", label="other", reason="flat lead: V1")
    split = pd.concat([split, lost, flat])
    split.to_csv(copy / "data/split.csv", index=False)
    for text in written(copy):
        rows = [row for row in cells(text) if len(row) == 7 and row[2].isdigit() and row[0] != "all"]
        rows = [row for row in rows if row[1] in ("normal", "ischemia", "other", "unknown")]
        counts = np.array([row[2:] for row in rows], dtype=int)
        assert (counts[:, 0] == counts[:, 1:].sum(axis=1)).all()
        names = ("train", "val", "test")
        expected = [len(split), *((split.split == name).sum() for name in names), split.reason.notna().sum()]
        assert counts.sum(axis=0).tolist() == expected
        reasons = [set(row) for row in cells(text)]
        assert any({"header", "unknown", "1"} <= row for row in reasons)
        assert any({"flat lead", "other", "1"} <= row for row in reasons)


def test_synthetic_numbers_are_labelled_as_such(texts):
    for text in texts:
        assert "Trained and tested on synthetic recordings: says nothing about patients." in text
        assert "PTB-XL" not in text


def test_text_of_the_data_stays_text(finished, tmp_path):
    copy = copied(finished, tmp_path / "copy")
    split = pd.read_csv(copy / "data/split.csv", dtype=str)
    renamed = dict(zip(split.record, split.record + HOSTILE, strict=True))
    for name in ("split", "predictions"):
        table = pd.read_csv(copy / f"data/{name}.csv", dtype=str)
        table["record"] = table.record.replace(renamed)
        if "source" in table:
            table["source"] = table.source + HOSTILE
        if name == "split":
            table = pd.concat([table, table.iloc[[0]].assign(record="lost", split="", reason=HOSTILE)])
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
    assert "<script" not in page
    # A group's name stands in the figure too, shortened.
    assert any("x<script>" in text for text in svg_texts(page))
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
    for name, key in (("evaluate", "measure"), ("audit", "comparison")):
        table = pd.read_csv(copy / f"metrics/{name}.csv")
        missing = table[key].isin(["roc_auc_vs_other", "specificity_other", "calibration_slope"])
        value = "value" if name == "evaluate" else "roc_auc"
        table.loc[missing, [value, "low", "high"]] = np.nan
        table["reason"] = table.reason.astype(object).where(~missing, why)
        table.to_csv(copy / f"metrics/{name}.csv", index=False)
    for name in ("roc", "precision_recall"):
        curve = copy / f"metrics/{name}/against_other.csv"
        pd.read_csv(curve)[:0].to_csv(curve, index=False)
    # Nothing speaks for ischemia either.
    np.save(copy / "data/activation.npy", np.zeros_like(np.load(copy / "data/activation.npy")))
    page, card = written(copy)
    assert "The mean map of the ischemic test recordings is nowhere above that of the others." in page
    assert f'<p class="answer">No answer</p><p>{why}</p>' in page
    assert f"| against other | none: {why} | " in card
    for text in (page, card):
        assert not re.search(r"\b(nan|NaN|None)\b", text)


def test_the_page_says_where_the_evidence_lies(finished, tmp_path):
    copy = copied(finished, tmp_path / "copy")
    activation = np.load(copy / "data/activation.npy")
    table = pd.read_csv(copy / "data/predictions.csv")
    ischemic = (table.label[table.split == "test"] == "ischemia").to_numpy()
    # The beat runs from -250 to 400 ms: R comes after 5 of 13 parts, and 340 ms of 650 are ST–T.
    activation[:] = -1
    activation[ischemic, activation.shape[1] * 5 // 13] = 5
    # What is in every beat is no evidence.
    activation[:, -1] = 7
    np.save(copy / "data/activation.npy", activation)
    page, card = written(copy)
    assert (
        "the QRS complex holds more evidence for ischemia than ST–T: 0% of the evidence for ischemia lies in ST–T"
        in " ".join(page.split())
    )
    assert "0% lies in ST–T, which is 52% of the beat, and 100% in the QRS complex" in card


def test_the_audit_says_whether_the_network_shows_a_gain(finished, tmp_path):
    copy = copied(finished, tmp_path / "copy")
    audit = pd.read_csv(copy / "metrics/audit.csv")
    simple = audit.model.isin(SIMPLE_MODELS)
    audit.loc[simple, ["gain", "gain_low", "gain_high"]] = [0.01, -0.02, 0.03]
    audit.loc[audit.model == "trees", ["roc_auc", "gain_low"]] = [0.9995, 0.005]
    audit.loc[(audit.model == "trees") & (audit.comparison == "roc_auc_vs_rest"), "roc_auc"] = 0
    audit.loc[(audit.model == "st_t") & (audit.comparison == "roc_auc_vs_rest"), "roc_auc"] = 1
    # It beats all, and is no simple model.
    audit.loc[audit.model == "age_sex", "roc_auc"] = 1
    audit.to_csv(copy / "metrics/audit.csv", index=False)
    page, card = written(copy)
    expected = [
        "against normal +0.010 (+0.005 – +0.030) over extra trees on the beat: a gain",
        "against all others +0.010 (−0.020 – +0.030) over ST, T and QRS measurements: no gain shown",
        "against other +0.010 (+0.005 – +0.030) over extra trees on the beat: a gain",
    ]
    assert re.findall(r"^<li>(against .*)</li>$", page, re.M) == expected
    assert re.findall(r"^- (against .*)$", card, re.M) == expected


def test_a_source_that_tells_ischemia_from_normal_has_a_banner(finished, tmp_path):
    copy = copied(finished, tmp_path / "copy")
    audit = pd.read_csv(copy / "metrics/audit.csv")
    row = (audit.model == "source") & (audit.comparison == "roc_auc")
    for value, banner in ((0.601, True), (0.6, False), (np.nan, False)):
        audit.loc[row, "roc_auc"] = value
        audit.loc[row, "reason"] = "" if value == value else "one source only"
        audit.to_csv(copy / "metrics/audit.csv", index=False)
        warning = "The source alone separates ischemia from normal with ROC AUC 0.601"
        assert (warning in written(copy)[0]) == banner


def test_without_an_interval_the_page_gives_the_reason(finished, tmp_path):
    copy = copied(finished, tmp_path / "copy")
    scores = pd.read_csv(copy / "metrics/evaluate.csv")
    rows = scores.measure.isin(["roc_auc", "roc_auc_vs_other"])
    scores.loc[rows, ["value", "low", "high"]] = [0.875, np.nan, np.nan]
    scores["reason"] = scores.reason.astype(object).where(~rows, "too few: 4 ischemic")
    scores.to_csv(copy / "metrics/evaluate.csv", index=False)
    page, card = written(copy)
    assert "ROC AUC against normal: no headline, too few: 4 ischemic</span>" in page
    assert '<p class="answer">0.875</p>\n<p>no interval: too few: 4 ischemic</p>' in page
    assert "| against other | 0.875 | " in card


def test_the_page_says_what_a_point_of_the_map_takes_in(finished, tmp_path, texts):
    # In steps of 8 ms, at 125 Hz.
    reach = read_description(finished / "data/model.safetensors").architecture.reach
    sees = f"a point takes in {8 * reach} ms of the beat for the networks"
    assert f"{sees}; the trees see single samples, 8 ms apart, from 10 ms after the R peak on." in texts[0]
    copy = copied(finished, tmp_path / "copy")
    with safe_open(copy / "data/model.safetensors", framework="numpy") as file:
        description = json.loads(file.metadata()["description"])
    description["architecture"]["trees"] = 0
    save_file({"x": np.zeros(1)}, copy / "data/model.safetensors", {"description": json.dumps(description)})
    page, card = written(copy)
    assert f"{sees}." in page
    for text in (page, card):
        assert "Geurts" not in text


def test_other_networks_are_not_called_those_of_the_paper(finished, tmp_path):
    copy = copied(finished, tmp_path / "copy")
    with (copy / "stages/ecg/params.py").open("a") as file:
        words = {"networks": "residual networks", "source": "He K (2016)", "details": "5 blocks", "reach": 25}
        file.writelines(f"Architecture.{name} = {value!r}\n" for name, value in words.items())
    for text in written(copy):
        assert "residual networks" in text and "He K (2016)" in text
        assert not re.search(r"\bFCN\b|Wang|fully convolutional|kernels [0-9]", re.sub(r"base64,[^\"]*", "", text))
    # 25 samples at 125 Hz.
    assert "a point takes in 200 ms of the beat for the networks" in (copy / "metrics/report.html").read_text()
    assert not re.search("Wang|fully convolutional", (ROOT / "stages/templates/released.md").read_text())


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


def test_the_page_stays_small_with_all_its_pictures(finished, tmp_path):
    copy = copied(finished, tmp_path / "copy")
    # Nothing is told right, and every beat is noisy.
    predictions = pd.read_csv(copy / "data/predictions.csv")
    predictions[["p_normal", "p_ischemia"]] = (predictions.label.to_numpy()[:, None] == ["ischemia", "normal"]) + 0.1
    predictions.to_csv(copy / "data/predictions.csv", index=False)
    beats = np.load(copy / "data/beats.npy")
    np.save(copy / "data/beats.npy", beats + np.random.default_rng(0).normal(0, 0.1, beats.shape).astype(np.float32))
    page, _ = written(copy)
    assert page.count("<img ") == 3 + 4 + 4
    assert len(page.encode()) < 1_000_000


def test_the_same_bytes_in_another_folder(finished, tmp_path):
    copy = copied(finished, tmp_path / "elsewhere")
    (copy / "matplotlibrc").write_text("font.size: 30\nlines.linewidth: 9\n")
    assert run_stage(copy, "report", PYTHONHASHSEED="7", LC_ALL="C", TZ="Asia/Tokyo").returncode == 0
    for name in OUTPUTS:
        assert (copy / "metrics" / name).read_bytes() == (finished / "metrics" / name).read_bytes(), name


def test_environment_names_versions_and_no_place(finished):
    text = (finished / "metrics/environment.json").read_text()
    names = set(json.loads(text))
    assert {"python", "processor", "cores", "threads", "accelerator", "torch", "numpy"} <= names
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


LOOK = """() => {
    const style = (selector) => getComputedStyle(document.querySelector(selector));
    return [style("body").backgroundColor, style("p").color, style(".chart").backgroundColor];
}"""


@pytest.fixture
def page(finished, browser):
    """The page on a phone; afterwards, that it went without trouble and asked for nothing."""
    page = browser.new_page(viewport={"width": 360, "height": 740}, color_scheme="light")
    trouble, requests = [], []
    page.on("console", lambda message: trouble.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("request", lambda request: requests.append(request.url.partition(":")[0]))
    page.goto((finished / "metrics/report.html").as_uri())
    yield page
    assert trouble == []
    assert set(requests) <= {"file", "data"}
    page.close()


def test_a_browser_shows_the_figures(page):
    charts = page.locator(".chart")
    assert charts.count() == 9
    for chart in charts.all():
        assert chart.locator("svg").is_visible()
        assert chart.get_attribute("aria-label")
        texts = chart.locator("svg text")
        assert texts.count() > 9
        # On the phone's 360 pixels, digits are still some 8 pixels high.
        assert texts.first.bounding_box()["height"] > 7
        assert chart.locator("xpath=..").locator("details table tbody tr").count() > 0
    images = page.evaluate("[...document.images].map((i) => [i.complete, i.naturalWidth > 0, i.alt.length > 9])")
    assert len(images) >= 3
    assert all(map(all, images))


def test_a_browser_finds_order_and_no_overflow(page):
    levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map((h) => Number(h.tagName[1]))")
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    for details in page.locator("summary").all():
        details.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    # What does not fit scrolls inside its card, and each figure fits.
    overflow = (
        "[...document.querySelectorAll('.chart, img')].filter((e) => e.scrollWidth > e.parentElement.clientWidth)"
    )
    assert page.evaluate(f"{overflow}.length") == 0


def test_dark_mode_has_light_figures_and_paper_shows_all_in_black(page):
    light = page.evaluate(LOOK)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(LOOK)
    assert sum(map(int, re.findall(r"\d+", dark[0]))) < 200 < sum(map(int, re.findall(r"\d+", light[0])))
    assert dark[2] == light[2] == "rgb(255, 255, 255)"
    table = page.locator("details table").first
    assert not table.is_visible()
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate(LOOK) == ["rgb(255, 255, 255)", "rgb(0, 0, 0)", "rgb(255, 255, 255)"]
    assert table.is_visible()
