"""Lengths of the documents, the items of TRIPOD+AI, and numbers in README and docs/ against params, models and code."""

import json
import re
from math import prod
from pathlib import Path

import pytest
import wfdb
import yaml
from predict import predict
from projects import DEFAULTS, ROOT
from test_readme import METHOD, PAGES, README, RESULTS

from ecg.model.description import TREES_SHARE
from ecg.params import Train
from ecg.recordings.synthetic import write_recordings

PICTURE = (ROOT / "docs/pipeline.svg").read_text(encoding="utf-8")
PARAMS = yaml.safe_load(DEFAULTS.read_text(encoding="utf-8"))

# BMJ 2024;385:e078378: the number of lettered parts of each of the 27 items, 0 where it has none.
TRIPOD_PARTS = [0, 0, 3, 0, 2, 3, 0, 3, 3, 0, 0, 7, 0, 0, 0, 0, 0, 6, 0, 3, 0, 0, 2, 0, 0, 0, 3]


def one_line(text: str) -> str:
    return " ".join(text.split())


def test_documents_are_short():
    assert len(README.splitlines()) <= 140
    assert len(METHOD.splitlines()) <= 280
    counted = [page for page in PAGES if page.startswith("docs/") and page != "docs/experiment_log.md"]
    assert sum(len(PAGES[page].encode()) for page in counted) <= 75_000
    # The table of results.
    assert len(re.findall(r"^\| \([a-e]\) ", README, re.M)) <= 8


def test_every_item_of_tripod_is_answered():
    rows = re.findall(r"^\| (\d+\w?) \| (.+?) \| (.+) \|$", PAGES["docs/tripod_ai.md"], re.M)
    items = [f"{n}{letter}" for n, parts in enumerate(TRIPOD_PARTS, 1) for letter in ("abcdefg"[:parts] or [""])]
    assert len(items) == 52
    assert [item for item, _, _ in rows] == items
    without = [item for item, _, answer in rows if not re.search(r"\]\(|^Not answered, because|^None|^Does", answer)]
    assert not without


@pytest.mark.parametrize("page", PAGES)
def test_defaults_behind_names_of_parameters_are_those_of_params(page):
    found = re.findall(r"`(\w+)\.(\w+)`\s\((−?[\d.,]+)\)", PAGES[page])
    assert len(found) > 15 or page != "docs/method.md"
    for section, key, text in found:
        assert float(text.replace("−", "-").replace(",", "")) == float(PARAMS[section][key]), f"{section}.{key}"


def test_the_size_of_the_network_is_that_of_its_params():
    train, extract = PARAMS["train"], PARAMS["extract"]
    filters, kernels, parts = train["filters"], train["kernels"], train["parts"]
    layers = zip([12, *filters], filters, kernels, strict=False)
    weights = sum(prod(layer) for layer in layers) + 2 * sum(filters) + 3 * (filters[-1] * parts + 1)
    reach = Train.model_validate(train).reach
    text = one_line(METHOD)
    assert f"A network has {weights:,} weights" in text
    assert f"sees {reach} samples, {1000 * reach / extract['sampling_rate']:.0f} ms" in text
    assert "with {}, {} and {} filters".format(*filters) in text
    assert "of {}, {} and {} samples".format(*kernels) in text
    assert ("off by default" in text) == (not any(train["dropout"]))


def test_the_sizes_of_inputs_are_those_of_the_params():
    extract = PARAMS["extract"]
    start, end, after_r, over = (
        int(ms * extract["sampling_rate"] / 1000) for ms in (extract["window_start"], extract["window_end"], 10, 16)
    )
    samples, values = end - start + 1, end - after_r
    text = one_line(METHOD)
    assert f"from 10 ms after R on, and their change over the next 16 ms, {12 * (2 * values - over):,} numbers" in text
    assert f"see the {samples} samples" in text
    assert set(re.findall(r"12 (?:leads )?x (\d+)", RESULTS)) == {str(samples)}
    assert f"recordings of {PARAMS['download']['synthetic_patients']} synthetic patients" in one_line(RESULTS)


def test_the_picture_shows_the_params():
    assert f"weight {TREES_SHARE:g}" in PICTURE
    assert f"weight {1 - TREES_SHARE:.1f}" in PICTURE
    assert f"weigh the trees {TREES_SHARE:g} and the networks {1 - TREES_SHARE:.1f}" in one_line(METHOD)
    train, extract = PARAMS["train"], PARAMS["extract"]
    span = extract["window_end"] - extract["window_start"]
    for words in (
        f"{train['trees']} trees", f"{train['members']} FCNs", f"{train['parts']} parts of the time",
        f"resampled to {extract['sampling_rate']} Hz", f"{extract['high_pass']:g} – {extract['low_pass']:g} Hz",
        f"−{-extract['window_start']} to +{extract['window_end']} ms",
        f"12 leads x {span * extract['sampling_rate'] // 1000 + 1} samples",
    ):  # fmt: skip
        assert words in PICTURE, words


@pytest.fixture(scope="module")
def example(tmp_path_factory) -> dict:
    """The answer of predict for the recording that README and docs/results.md show."""
    folder = tmp_path_factory.mktemp("my-ecgs")
    write_recordings(folder, patients=10, seed=2)
    (path,) = Path(folder).rglob("S0005-1.hea")
    record = wfdb.rdrecord(str(path.with_suffix("")))
    return predict(record.p_signal, record.fs, record.sig_name, units="mV")


def test_the_example_of_json_is_what_predict_answers(example):
    shown = json.loads(re.search(r'^\{"record".*\}$', RESULTS, re.M).group())
    assert list(shown) == ["record", *example]
    for key, value in example.items():
        assert shown[key] == (pytest.approx(value, abs=0.01) if isinstance(value, float) else value), key


def test_the_example_of_a_line_is_what_predict_answers(example):
    line = re.search(r"^S0005-1: .*$", README, re.M).group()
    found = re.search(
        r"ischemia: (\S+)% \(other (\S+)%, normal (\S+)%\); called from (\S+)% on; (\d+) beats at (\d+)/min; "
        r"model trained on (.+)$",
        line,
    )
    shares = [100 * example[key] for key in ("p_ischemia", "p_other", "p_normal", "threshold")]
    assert [float(text) for text in found.groups()[:4]] == pytest.approx(shares, abs=1)
    assert found.groups()[4:] == (str(example["n_used"]), f"{example['heart_rate']:.0f}", example["trained_on"])


def test_counts_of_the_real_recordings_are_those_of_card_and_metrics():
    numbers = json.loads((ROOT / "metrics/ptb-xl-1237/cross_validation.json").read_text(encoding="utf-8"))
    ischemic, n = numbers["n_ischemia"], sum(numbers[f"n_{label}"] for label in ("ischemia", "normal", "other"))
    assert f"{n:,} recordings with a median beat, {ischemic} of them ischemic" in one_line(README)
    assert f"{n:,} with a beat, {ischemic} of them ischemic" in one_line(PAGES["docs/experiment_log.md"])
    assert f"{n} recordings of" in (ROOT / "models/ptb-xl.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["README.md", "docs/reliability.md"])
def test_the_cpu_build_of_torch_is_the_one_that_is_pinned(page):
    (pinned,) = re.findall(r"^torch==(\S+)$", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.M)
    assert set(re.findall(r"torch==([\d.]+)", PAGES[page])) == {pinned}


def test_every_parameter_has_a_comment():
    lines = (ROOT / "params.yaml").read_text(encoding="utf-8").splitlines()
    pairs = zip(lines, ["", *lines], strict=False)
    assert [line for line, above in pairs if re.match(r"  \w+:", line) and "#" not in line + above] == []
