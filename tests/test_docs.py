"""Lengths and tables of the documents, the items of TRIPOD+AI, and numbers against params, models and code."""

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest
import torch
import wfdb
import yaml
from predict import predict
from projects import DEFAULTS, ROOT
from test_readme import FENCE, METHOD, PAGES, README, RESULTS

from ecg.beats import filters, gaps, r_peaks, windows
from ecg.beats import measurements as waves
from ecg.beats import plausibility as limits
from ecg.evaluation.answers import in_words
from ecg.model import ood, trees
from ecg.model.description import TREES_FROM, TREES_SHARE, read_description
from ecg.model.fcn import FCN
from ecg.params import Extract, Train
from ecg.recordings.synthetic import write_recordings
from ecg.run.paths import RELEASED

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
    assert len(re.findall(r"^\| \([a-e]\) ", README, re.M)) <= 8  # rows of results


def test_every_item_of_tripod_is_answered():
    page = PAGES["docs/tripod_ai.md"]
    answers = dict(re.findall(r"^\| (\d+\w?) \| .+? \| (.+) \|$", page, re.M))
    items = [f"{n}{letter}" for n, parts in enumerate(TRIPOD_PARTS, 1) for letter in "abcdefg"[:parts] or [""]]
    assert f"{len(TRIPOD_PARTS)} items, {len(items)} with their letters" in one_line(page)
    assert list(answers) == items
    assert all(re.search(r"\]\(|^Not answered, because|^None|^Does not", answer) for answer in answers.values())


@pytest.mark.parametrize("page", PAGES)
def test_no_blank_line_cuts_a_table(page):
    assert not re.search(r"\n\n\|.*\n(?!\|[-|]+\n)", FENCE.sub("", PAGES[page]))


@pytest.mark.parametrize("page", PAGES)
def test_defaults_behind_names_of_parameters_are_those_of_params(page):
    found = re.findall(r"`(\w+)\.(\w+)`\s\((−?[\d.,]+)\)", PAGES[page])
    assert len(found) > 15 or page != "docs/method.md"
    for section, key, text in found:
        assert float(text.replace("−", "-").replace(",", "")) == float(PARAMS[section][key]), f"{section}.{key}"


def test_numbers_in_the_docs_are_those_of_params_and_code():
    train, extract = Train.model_validate(PARAMS["train"]), Extract.model_validate(PARAMS["extract"])
    n = len(windows.beat_offsets(extract))
    weights = sum(parameter.numel() for parameter in FCN(train, leads=12, classes=3).parameters())
    features = trees.late_features(torch.zeros(1, 12, n), trees.first_sample(extract)).shape[1]
    stated = f"""
    A network has {weights:,} weights … sees {train.reach} samples, {1000 * train.reach / extract.sampling_rate:g} ms …
    {"with {}, {} and {} filters".format(*train.filters)} … {"of {}, {} and {} samples".format(*train.kernels)} … from
    {TREES_FROM} ms after R on, and their change over the next 16 ms, {features:,} numbers … see the {n} samples … weigh
    the trees {TREES_SHARE} and the networks {1 - TREES_SHARE:.1f} … best of {trees.MAX_FEATURES} random features … plus
    {trees.LEAST} … at most {trees.MOST:,} beats … recordings of {PARAMS["download"]["synthetic_patients"]} synth … one
    value for {gaps.MAX_HELD} s … need {gaps.MIN_DURATION:g} s of signal … Hann window *w* of {r_peaks.SMOOTH} ms …
    {r_peaks.SHARP} of the usual sharpness (the median of the maxima of stretches of {r_peaks.STRETCH} s) …
    {r_peaks.HIGH} of the usual height and no sharp hill within {r_peaks.ALONE} ms … up to {windows.MAX_SHIFT} ms … last
    {waves.QUIET_FOR} ms before R, at most {-waves.ONSET_FROM} ms … is above {windows.MAX_RESIDUAL_Z:g} (Iglewicz …
    {waves.PQ} ms of least slope in the {waves.PQ_FROM} ms … {waves.WIDE} ms and more … {limits.INVERTED} with each …
    first {ood.COMPONENTS} principal components … {ood.BEYOND:.1%} of them lie beyond … (correlation below
    {limits.ARMS}) … sharpness {r_peaks.MIN_SHARP} mV/s²; {r_peaks.MAX_WIDTH} ms wide; {r_peaks.MAX_VALLEY:.0%} of it in
    between … {limits.MAX_DISAGREEMENT} uV in half of the seconds … {limits.MIN_AT_R:.0%} of a lead's sharpness within
    {limits.AT_R} … {limits.SPIKE_WIDTH} ms, {limits.SPIKE / 1000} mV in two … {limits.MIN_AMPLITUDE} mV,
    {limits.MAX_AMPLITUDE:g} mV ( … {filters.HUM_LEFT} uV left … have {filters.HUM} uV … at most {gaps.MAX_REST} s, at
    the level"""
    docs = one_line(" ".join(PAGES.values())).replace("−", "-")
    assert not [words for words in one_line(stated).split(" … ") if words not in docs]
    assert set(re.findall(r"12 (?:leads )?x (\d+)", RESULTS)) == {str(n)}
    assert ("off by default" in docs) == (not any(train.dropout))


def test_the_picture_shows_the_params():
    train, extract = PARAMS["train"], PARAMS["extract"]
    start, end, rate = extract["window_start"], extract["window_end"], extract["sampling_rate"]
    for words in (
        f"weight {TREES_SHARE:g}", f"weight {1 - TREES_SHARE:.1f}", f"from {TREES_FROM} ms after the R peak",
        f"{train['trees']} trees", f"{train['members']} FCNs", f"{train['parts']} parts of the time",
        f"resampled to {rate} Hz", f"{extract['high_pass']:g} – {extract['low_pass']:g} Hz",
        f"−{-start} to +{end} ms", f"12 leads x {(end - start) * rate // 1000 + 1} samples",
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
    shown = re.search(r"^S0005-1: (.*)$", README, re.M)[1]
    number, answer = r"\d+\.?\d*", "; ".join(in_words(example, read_description(RELEASED)))
    assert re.sub(number, "", shown) == re.sub(number, "", answer)
    found, expected = (list(map(float, re.findall(number, text))) for text in (shown, answer))
    assert found == pytest.approx(expected, abs=1)


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
    assert not [line for above, line in pairwise(lines) if re.match(r"  \w+:", line) and "#" not in above + line]
