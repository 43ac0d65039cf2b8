"""The figures show the numbers."""

import numpy as np
import pandas as pd
import pytest

from ecg.evaluation.measures import curves, measures
from ecg.evaluation.names import MODEL_TITLES, format_interval
from ecg.leads import LEADS
from ecg.params import Evaluate
from ecg.reporting import charts
from ecg.reporting.ecg_paper import plot_ecg
from ecg.reporting.results import draw_results, result_tables

BEAT = np.random.default_rng(0).normal(0, 0.3, (12, 188))
TIMES = np.arange(-62, 126) * 4.0


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in [*axes.texts, *axes.get_yticklabels()]]


def scored(labels):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"label": np.repeat(labels, 20)})
    p = np.where(table.label == "ischemia", 0.6, 0.2) * rng.random(len(table))
    table = table.assign(p_ischemia=p, p_normal=(1 - p) / 3, p_other=(1 - p) * 2 / 3, patient=table.index, source="a")
    return table.assign(sex="", age=60.0, heart_rate=70.0, noise_uv=20.0, distance=0.5)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "labels", [("ischemia", "normal", "other"), ("ischemia", "other"), ("ischemia", "normal"), ("normal", "other")]
)
def test_recordings_of_fewer_classes_have_every_figure(labels):
    test, evaluate, what = scored(labels), Evaluate(bootstrap=100, seed=1), "40 recordings"
    scores = measures(test, 0.1, evaluate)
    results = result_tables(test, scores, 0.1, np.array([10.0, 30.0]), evaluate)
    drawn = draw_results(results, 0.1, what)
    for figure, _ in drawn.values():
        figure.draw_without_rendering()
    sensitivity = drawn["roc"][1].dropna()
    assert (sensitivity["0.99"] < sensitivity["0.50"]).all()


def test_the_operating_point_lies_on_the_curve_against_all_others():
    test = scored(["ischemia", "normal", "other"])
    scores = measures(test, 0.1, Evaluate(bootstrap=100, seed=1))
    axes = charts.plot_roc(curves(test)[0], scores, 0.1, "60 recordings").axes[0]
    lines = {line.get_label().split(":")[0]: line for line in axes.lines}
    point, curve = lines["threshold 0.1"], lines["against all others"]
    assert point.get_xdata() == [1 - scores.set_index("measure").value.specificity]
    before = curve.get_xdata() <= point.get_xdata()
    assert curve.get_ydata()[before].max() == pytest.approx(point.get_ydata()[0])
    assert point.get_color() == curve.get_color()


def test_lines_show_their_columns_and_the_threshold():
    table = pd.DataFrame({"threshold": [0.1, 0.2], "model": [0.4, 0.3], "all": [0.2, 0.1], "none": 0.0})
    table = table.assign(epoch=[1, 2], train_loss=[2.0, 1], val_loss=[4.0, 3])
    figures = charts.plot_net_benefit(table, 0.15, "x"), charts.plot_learning_curve(table, "x")
    found = {line.get_label(): list(line.get_ydata()) for figure in figures for line in figure.axes[0].lines}
    shown = {"model": "model", "call all": "all", "call none": "none", "train": "train_loss", "val": "val_loss"}
    assert found == {name: list(table[column]) for name, column in shown.items()} | {"threshold 0.15": [0, 1]}
    bins = pd.DataFrame({"label": "other", "bin_low": [0, 0.5], "bin_high": [0.5, 1], "n": [3, 4]})
    counts = pd.DataFrame({"label": ["other"], "called": [4], "not_called": [3]})
    (axes,) = charts.plot_distribution(bins, counts, 0.15, "x").axes
    assert axes.lines[0].get_xdata() == [0.15, 0.15] and axes.get_title("left") == "other: 4 of 7 called (57.1%)"


def test_every_model_of_the_audit_is_shown():
    audit = pd.DataFrame({"model": list(MODEL_TITLES), "comparison": "roc_auc", "roc_auc": 0.7, "reason": ""})
    found = [" ".join(text.split()) for text in texts(charts.plot_audit(audit.assign(low=0.6, high=0.8), "x"))]
    assert set(MODEL_TITLES.values()) < set(found) and found.count("0.700 (0.600 – 0.800)") == len(audit)


def test_every_subgroup_shows_its_number_or_the_reason():
    groups = pd.DataFrame({"grouping": ["all", "source", "source", "age"], "group": ["test", "east", "o" * 99, "< 50"]})
    groups = groups.assign(n_ischemia=[9, 5, 4, 5], n_normal=[20, 8, 12, 7], roc_auc=[0.9, 0.8, np.nan, 1.0])
    groups = groups.assign(low=[0.8, 0.4, np.nan, 1.0], high=[0.95, 0.9, np.nan, 1.0], reason=["", "", "too few", ""])
    found = texts(charts.plot_subgroups(groups, "4 recordings"))
    assert {format_interval(row, "roc_auc") for row in groups.to_dict("records") if row["reason"] == ""} < set(found)
    assert {"too few", "all recordings\n9/20", "east\n5/8", "age < 50\n5/7"} < set(found)
    assert max(map(len, found)) <= 30


def drawn(figure, lead):
    """The trace of a lead: x and y in mm."""
    axes = figure.axes[0]
    names = [text.get_text() for text in axes.texts if text.get_text() in LEADS]
    traces = [line for line in axes.lines if line.get_marker() == "None" and len(line.get_xdata()) != 6]
    return traces[names.index(lead)].get_data()


@pytest.mark.parametrize("peak_to_peak", [0.1, 1.0, 5.0])
def test_the_paper_runs_at_25_mm_a_second_and_10_mm_a_millivolt(peak_to_peak):
    beat = BEAT / np.ptp(BEAT) * peak_to_peak
    figure = plot_ecg(beat, TIMES, "a beat")
    axes = figure.axes[0]
    for row, lead in enumerate(LEADS):
        x, y = drawn(figure, lead)
        np.testing.assert_allclose(np.diff(x), 4 / 40)
        np.testing.assert_allclose(np.diff(y), 10 * np.diff(beat[row]), atol=1e-9)
        # The trace lies on the paper, whose upper edge is at 0.
        assert x.max() < axes.get_xlim()[1]
        assert axes.get_ylim()[0] < y.min() and y.max() < 0
    # A mm is as long down as along, and the picture fits on a screen.
    width, height = figure.get_size_inches() * axes.get_position().size
    assert width / np.ptp(axes.get_xlim()) == pytest.approx(height / np.ptp(axes.get_ylim()))
    assert (figure.get_size_inches() * 150 <= (640.01, 1000)).all()
    marks = [line.get_ydata() for line in axes.lines if len(line.get_xdata()) == 6]
    assert [np.ptp(mark) for mark in marks] == [10] * 3
    assert any("25 mm/s   10 mm/mV" in text.get_text() for text in axes.texts)


def test_colours_are_those_of_the_decision_on_one_scale():
    bars = []
    for high in (3.0, 300.0):
        activation = np.repeat([-high, 0.0, 2 * high], [60, 68, 60])
        figure = plot_ecg(BEAT, TIMES, "a beat", ["a note"], activation, np.arange(12.0) - 5)
        colours = [c.get_colors() for c in figure.axes[0].collections if len(c.get_segments()) == 187]
        assert len(colours) == 12
        red, _, blue, _ = colours[0].T
        assert (red[132:] > blue[132:]).all()
        assert (red[:56] < blue[:56]).all()
        assert {"-5.0", "+6.0"} < {text.get_text() for text in figure.axes[0].texts}
        (bar,) = figure.axes[0].child_axes
        (mean,) = bar.lines[-1].get_xdata()
        assert mean == pytest.approx(high * (120 - 60) / 188)
        bars.append((colours[0][0].tolist(), bar.get_xlim()))
    (weak, scale), (strong, other_scale) = bars
    assert weak != strong
    assert scale == other_scale


def test_st_is_beside_each_lead():
    beat = np.zeros((12, 188), np.float32)
    beat[:, 55:70] = np.hanning(15)
    levels = np.linspace(-0.3, 0.25, 12).round(2)
    beat[:, 70:] = levels[:, None]
    figure = plot_ecg(beat, TIMES, "a beat", activation=np.zeros(188))
    found = [text.get_text() for text in figure.axes[0].texts if text.get_text().startswith("ST ")]
    assert sorted(found) == sorted(f"ST {level:+.2f}" for level in levels)


def test_a_trace_beyond_the_row_is_cut_and_marked():
    beat = BEAT.copy()
    beat[3, 50], beat[4, 60] = 40, -40
    figure = plot_ecg(beat, TIMES, "a beat", activation=np.zeros(188))
    axes = figure.axes[0]
    drawn = [line for line in axes.lines if len(line.get_ydata())]
    assert {line.get_marker() for line in drawn} == {"None", "^", "v"}
    assert all(axes.get_ylim()[0] < line.get_ydata().min() <= line.get_ydata().max() < 0 for line in drawn)


def test_a_refused_recording_is_drawn_in_six_rows():
    strip = np.random.default_rng(0).normal(0, 0.3, (12, 1250))
    strip[3] = np.nan
    strip[7, 100:200] = np.nan
    figure = plot_ecg(strip, np.arange(1250) * 2.0, "a: refused: noise", reach=2)
    x, y = drawn(figure, "V2")
    np.testing.assert_allclose(np.diff(x), 2 / 40)
    assert np.isnan(y[100:200]).all() and np.isfinite(y[:100]).all()
    assert figure.get_size_inches()[1] * 150 < 1000
    assert len({round(text.get_position()[1], 3) for text in figure.axes[0].texts if text.get_text() in LEADS}) == 6
