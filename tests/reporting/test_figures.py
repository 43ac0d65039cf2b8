"""What the figures show of the numbers, and that one has the same bytes every time."""

import re
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from ecg.evaluation.names import MODEL_TITLES, format_interval
from ecg.leads import LEADS
from ecg.reporting.ecg_paper import Explanation, plot_ecg
from ecg.reporting.figures import create_figure, data_uri, inline_svg, save_figure
from ecg.reporting.forest import plot_audit, plot_subgroups

BEAT = np.random.default_rng(0).normal(0, 0.3, (12, 188))
TIMES = np.arange(-62, 126) * 4.0


def lines():
    figure, axes = create_figure("of $5 & <b> $6", 4)
    axes.plot([0, 1, 2], [0, 3, 1], "o-", label="$a_b$")
    axes.legend()
    return figure


def texts(figure):
    found = [text.get_text() for axes in figure.axes for text in [*axes.texts, *axes.get_yticklabels()]]
    plt.close(figure)
    return found


def test_the_same_figure_has_the_same_bytes(tmp_path):
    for name in ("a.png", "b.png"):
        save_figure(lines(), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert inline_svg(lines(), "a") == inline_svg(lines(), "a")
    assert data_uri(lines()) == data_uri(lines())


def test_figures_of_one_page_share_no_id():
    one, other = (inline_svg(lines(), name) for name in ("one", "other"))
    ids = [re.findall(r'\sid="([^"]*)"', svg) for svg in (one, other)]
    assert all(ids)
    assert not set(ids[0]) & set(ids[1])
    for svg, own in zip((one, other), ids, strict=True):
        assert set(re.findall(r'(?:href="|url\()#([^")]*)', svg)) == set(own)


def test_text_is_text_in_an_svg():
    svg = ElementTree.fromstring(inline_svg(lines(), "a"))
    found = [element.text for element in svg.iter("{http://www.w3.org/2000/svg}text")]
    # Neither a formula nor a tag.
    assert {"of $5 & <b> $6", "$a_b$"} <= set(found)


def test_a_long_title_is_wrapped():
    figure, _ = create_figure("58 test recordings of " + ", ".join(["chapman-ningbo"] * 9), 4)
    figure.draw_without_rendering()
    (title,) = figure.texts
    assert title.get_text().count("\n") > 1
    assert title.get_window_extent().width < figure.bbox.width
    plt.close(figure)


def test_every_subgroup_shows_its_number_or_the_reason():
    groups = pd.DataFrame(
        {"grouping": ["all", "source", "source", "age"], "group": ["test", "north", "o" * 99, "< 50"]}
    )
    groups = groups.assign(n_ischemia=[9, 5, 4, 5], n_normal=[20, 8, 12, 7], roc_auc=[0.9, 0.8, np.nan, 1.0])
    groups = groups.assign(low=[0.8, 0.4, np.nan, 1.0], high=[0.95, 0.9, np.nan, 1.0], reason=["", "", "too few", ""])
    found = texts(plot_subgroups(groups, "4 recordings"))
    assert {format_interval(row, "roc_auc") for row in groups.to_dict("records") if row["reason"] == ""} < set(found)
    assert {"too few", "all  (9/20)", "north  (5/8)", "< 50  (5/7)", "source", "age"} < set(found)
    assert max(map(len, found)) < 30


def test_every_model_of_the_audit_is_shown():
    audit = pd.DataFrame({"model": list(MODEL_TITLES), "question": "roc_auc"})
    audit = audit.assign(roc_auc=np.linspace(0.2, 0.9, len(audit)), low=0.1, high=0.95, reason="")
    audit.loc[5, ["roc_auc", "low", "high", "reason"]] = [np.nan, np.nan, np.nan, "one source only"]
    figure = plot_audit(audit, "4 recordings")
    left, right = figure.axes[0].get_xlim()
    assert left < 0.1
    assert right == 1
    found = texts(figure)
    assert {title.replace(" ", "") for title in MODEL_TITLES.values()} <= {re.sub(r"\s", "", text) for text in found}
    assert sum("0.950)" in text for text in found) == len(audit) - 1
    assert "one source only" in found


@pytest.mark.parametrize("lead", LEADS)
def test_the_paper_runs_at_25_mm_a_second_and_10_mm_a_millivolt(lead):
    figure = plot_ecg(BEAT, TIMES, "a beat")
    axes = figure.axes[0]
    trace = axes.lines[[text.get_text() for text in axes.texts].index(lead)]
    np.testing.assert_allclose(np.diff(trace.get_xdata()), 4 / 40)
    np.testing.assert_allclose(np.diff(trace.get_ydata()), 10 * np.diff(BEAT[LEADS.index(lead)]), atol=1e-9)
    # A mm is as long down as along.
    width, height = figure.get_size_inches() * axes.get_position().size
    assert width / np.ptp(axes.get_xlim()) == pytest.approx(height / np.ptp(axes.get_ylim()))
    plt.close(figure)


def test_what_speaks_for_ischemia_is_red():
    activation = np.repeat([-2.0, 0.0, 3.0], [30, 34, 30])
    figure = plot_ecg(BEAT, TIMES, "a beat", ["a note"], Explanation(activation, np.arange(12.0) - 5))
    colours = [c for c in figure.axes[0].collections if len(c.get_segments()) == 187]
    assert len(colours) == 12
    for lead in colours:
        red, _, blue, _ = lead.get_colors().T
        assert (red[128:] > blue[128:]).all()
        assert (red[:60] < blue[:60]).all()
    assert {"−5.0", "+6.0"} < {text.get_text() for text in figure.axes[0].texts}
    plt.close(figure)


def test_a_recording_without_samples_has_empty_paper():
    figure = plot_ecg(np.zeros((12, 0)), np.zeros(0), "refused")
    assert len(figure.axes[0].lines) == 12
    plt.close(figure)
