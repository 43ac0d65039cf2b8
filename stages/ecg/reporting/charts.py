"""The charts of the report that one can hover over: tables in, Plotly figures out."""

from collections.abc import Iterable
from html import escape
from textwrap import wrap

import numpy as np
import pandas as pd
from plotly import graph_objects as go
from plotly.subplots import make_subplots

from ecg.evaluation.questions import select_question as ask
from ecg.reporting.figures import AUDIT_NAMES, TITLES

# Matplotlib's C0, C3, C2, purple and a darker orange: each stands out from white and from near black by 3 : 1.
CLASS_COLORS = {"normal": "#1f77b4", "ischemia": "#d62728", "other": "#2ca02c"}
# A question has the colour of the class that ischemia is told from.
QUESTION_COLORS = {"roc_auc": "#1f77b4", "roc_auc_vs_rest": "#9467bd", "roc_auc_vs_other": "#2ca02c"}
SYMBOLS = {"roc_auc": "circle", "roc_auc_vs_rest": "diamond", "roc_auc_vs_other": "square"}
DASHES = {"roc_auc": "solid", "roc_auc_vs_rest": "dash", "roc_auc_vs_other": "dot"}
VAL, GREY = "#c76a00", "#7f7f7f"


def label(text: str, width: int = 22) -> str:
    """Return text as Plotly shows it, broken into lines: it takes some tags of HTML for its own."""
    return "<br>".join(escape(line) for line in wrap(text, width))


def finish(figure: go.Figure, height: int, **axes) -> go.Figure:
    """Lay a figure out for a page that sets the colours of text and grid; nothing zooms, so a phone scrolls past it."""
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 12, "r": 16, "t": 12, "b": 12},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 13},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        hoverlabel={"bgcolor": "#1c2126", "bordercolor": "#a3abb4", "font": {"color": "#ffffff"}},
        dragmode=False,
        **axes,
    )
    axis = {"automargin": True, "fixedrange": True, "zeroline": False, "title": {"standoff": 8, "font": {"size": 13}}}
    figure.update_xaxes(axis)
    figure.update_yaxes(axis)
    return figure


def curve(question: str, x: pd.Series, y: pd.Series, name: str, hover: str, **line) -> go.Scatter:
    line |= {"color": QUESTION_COLORS[question], "dash": DASHES[question], "width": 2.5}
    return go.Scatter(x=x, y=y, mode="lines", line=line, name=name, hovertemplate=hover)


def roc_chart(roc: pd.DataFrame, numbers: dict) -> go.Figure:
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        line={"color": GREY, "dash": "dot", "width": 1},
        name="chance",
        hoverinfo="skip",
    )
    for question, title in TITLES.items():
        points = roc[roc.question == title]
        if len(points):
            hover = "1 − specificity %{x:.3f}<br>sensitivity %{y:.3f}"
            figure.add_trace(curve(question, points.fpr, points.tpr, title, hover))
    point = {"x": [1 - numbers["specificity"]], "y": [numbers["sensitivity"]]}
    figure.add_scatter(
        **point,
        mode="markers",
        marker={"size": 13, "color": CLASS_COLORS["normal"], "line": {"color": "#ffffff", "width": 2}},
        name="at the threshold",
        hovertemplate="1 − specificity %{x:.3f}<br>sensitivity %{y:.3f}",
    )
    axes = {"xaxis": {"title": "1 − specificity", "range": [-0.02, 1.02]}}
    return finish(figure, 440, **axes, yaxis={"title": "sensitivity", "range": [-0.02, 1.02]})


def precision_recall_chart(points: pd.DataFrame, test: pd.DataFrame) -> go.Figure:
    figure = go.Figure()
    for question, title in TITLES.items():
        rows = points[points.question == title]
        if len(rows):
            prevalence = ask(test, question)[0].mean()
            hover = "recall %{x:.3f}<br>precision %{y:.3f}"
            name = f"{title} ({prevalence:.0%} ischemia)"
            figure.add_trace(curve(question, rows.recall, rows.precision, name, hover, shape="hv"))
            line = {"color": QUESTION_COLORS[question], "dash": "dot", "width": 1}
            figure.add_scatter(
                x=[0, 1], y=[prevalence] * 2, mode="lines", line=line, showlegend=False, hoverinfo="skip"
            )
    axes = {"xaxis": {"title": "recall (sensitivity)", "range": [-0.02, 1.02]}}
    return finish(figure, 440, **axes, yaxis={"title": "precision", "range": [-0.02, 1.04]})


def reliability_chart(bins: pd.DataFrame) -> go.Figure:
    """Draw the rows of `wilson`."""
    figure = make_subplots(rows=2, shared_xaxes=True, row_heights=[0.78, 0.22], vertical_spacing=0.05)
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"color": GREY, "dash": "dot", "width": 1}, hoverinfo="skip"
    )
    figure.add_scatter(
        x=bins.probability,
        y=bins.observed,
        error_y={"array": bins.high - bins.observed, "arrayminus": bins.observed - bins.low, "thickness": 1.5},
        mode="markers",
        marker={"size": 10, "color": CLASS_COLORS["ischemia"]},
        customdata=bins[["n", "low", "high"]],
        hovertemplate="mean probability %{x:.3f}<br>ischemic %{y:.3f} (%{customdata[1]:.3f} – %{customdata[2]:.3f})"
        "<br>%{customdata[0]} recordings<extra></extra>",
    )
    hover = "%{y} recordings<extra></extra>"
    bar = {"x": bins.bin / 10 + 0.05, "y": bins.n, "width": 0.09, "marker_color": GREY, "hovertemplate": hover}
    figure.add_bar(**bar, row=2, col=1)
    figure.update_yaxes(title="share ischemic", range=[-0.04, 1.04], row=1)
    figure.update_yaxes(title="number", row=2)
    figure.update_xaxes(range=[-0.02, 1.02])
    figure.update_xaxes(title="probability of ischemia", row=2)
    return finish(figure, 460, showlegend=False)


def learning_chart(history: pd.DataFrame, kept: pd.DataFrame) -> go.Figure:
    figure = make_subplots(rows=2, shared_xaxes=True, vertical_spacing=0.08)
    for member, epochs in history.groupby("member"):
        lines = (("train_loss", "train", GREY, 1), ("val_loss", "val", VAL, 1), ("val_roc_auc", "val", VAL, 2))
        for column, name, color, row in lines:
            figure.add_scatter(
                x=epochs.epoch,
                y=epochs[column],
                mode="lines",
                line={"color": color, "width": 1.8, "dash": "dash" if name == "train" else "solid"},
                name=name,
                legendgroup=name,
                showlegend=bool(member == 1 and row == 1),
                hovertemplate=f"network {member}, epoch %{{x}}: %{{y:.4f}}",
                row=row,
                col=1,
            )
    figure.add_scatter(
        x=kept.epoch,
        y=kept.val_roc_auc,
        mode="markers",
        marker={"color": VAL, "size": 10},
        name="kept",
        customdata=kept[["member"]],
        hovertemplate="network %{customdata[0]}, epoch %{x}: %{y:.4f}",
        row=2,
        col=1,
    )
    figure.update_yaxes(title="cross-entropy", row=1)
    figure.update_yaxes(title="ROC AUC on val", row=2)
    figure.update_xaxes(title="epoch", row=2)
    return finish(figure, 460)


def forest(
    figure: go.Figure, rows: pd.DataFrame, at: np.ndarray, names: list[str], color: str, symbol: str = "circle", **trace
) -> None:
    """Add the ROC AUC of each row with its interval, a point a line."""
    figure.add_scatter(
        x=rows.roc_auc,
        y=at,
        error_x={
            "array": rows.high - rows.roc_auc,
            "arrayminus": rows.roc_auc - rows.low,
            "thickness": 1.5,
            "width": 0,
        },
        mode="markers",
        marker={"size": 9, "color": color, "symbol": symbol},
        customdata=np.column_stack([names, rows.low, rows.high]).tolist(),
        hovertemplate="%{customdata[0]}<br>%{x:.3f} (%{customdata[1]:.3f} – %{customdata[2]:.3f})<extra></extra>",
        **trace,
    )


def note_at_chance(figure: go.Figure, at: Iterable[int], reasons: pd.Series) -> None:
    """Say on these lines of a forest plot that there is no number, and why to those who hover."""
    for y, reason in zip(at, reasons, strict=True):
        note = {"x": 0.5, "xshift": 4, "y": y, "xanchor": "left", "align": "left", "showarrow": False}
        figure.add_annotation(note, text="no number", hovertext=label(reason, 40), font_size=11)


def lines_of(names: list[str], low: pd.Series) -> dict:
    """Return the axes of a forest plot whose lines have these names; `low` are the lower ends of all intervals."""
    left = min(0.48, float(low.min()) - 0.02) if low.notna().any() else 0.48
    ticks = {"tickmode": "array", "tickvals": list(range(len(names))), "ticktext": names, "showgrid": False}
    return {
        "xaxis": {"title": "ROC AUC", "range": [left, 1.015]},
        "yaxis": ticks | {"range": [len(names) - 0.5, -0.6]},
        "shapes": [{"type": "line", "x0": 0.5, "x1": 0.5, "y0": 0, "y1": 1, "yref": "paper", "line": {"color": GREY}}],
    }


def group_name(grouping: str, group: str) -> str:
    return group if grouping == "source" else "all test recordings" if grouping == "all" else f"{grouping} {group}"


def subgroups_chart(groups: pd.DataFrame) -> go.Figure:
    figure, known = go.Figure(), groups.roc_auc.notna()
    names = [
        f"{label(group_name(row.grouping, row.group), 26)}<br>{row.n_ischemia} / {row.n_normal}"
        for row in groups.itertuples()
    ]
    forest(
        figure,
        groups[known],
        np.flatnonzero(known),
        [name for name, k in zip(names, known, strict=True) if k],
        CLASS_COLORS["normal"],
    )
    axes = lines_of(names, groups.low)
    note_at_chance(figure, np.flatnonzero(~known), groups.reason[~known])
    return finish(figure, 90 + 40 * len(groups), **axes, showlegend=False)


def audit_chart(summary: pd.DataFrame) -> go.Figure:
    figure, names = go.Figure(), list(AUDIT_NAMES)
    colors = QUESTION_COLORS | {"source": GREY}
    for place, question in enumerate([*TITLES, "source"]):
        rows = summary[(summary.question == question) & summary.roc_auc.notna()]
        shift = 0 if question == "source" else 0.25 * (place - 1)
        title = TITLES.get(question, "against one another")
        forest(
            figure,
            rows,
            np.array([names.index(model) for model in rows.model]) + shift,
            [f"{AUDIT_NAMES[model]}<br>{title}" for model in rows.model],
            colors[question],
            symbol=SYMBOLS.get(question, "x"),
            name=title if question != "source" else "source",
            showlegend=question != "source",
        )
    unknown = summary[summary.question.isin(["roc_auc", "source"]) & summary.roc_auc.isna()]
    note_at_chance(figure, [names.index(model) for model in unknown.model], unknown.reason)
    return finish(
        figure, 110 + 52 * len(names), **lines_of([label(name) for name in AUDIT_NAMES.values()], summary.low)
    )


def evidence_chart(times: np.ndarray, maps: dict[str, np.ndarray], st_from: float) -> go.Figure:
    """Draw each class's mean activation map (log odds) over the beat (ms from the R peak)."""
    figure = go.Figure()
    figure.add_vrect(x0=st_from, x1=times[-1], fillcolor=GREY, opacity=0.14, line_width=0)
    figure.add_hline(y=0, line={"color": GREY, "width": 1})
    note = {"x": st_from, "y": 1, "yref": "paper", "xanchor": "left", "yanchor": "top", "showarrow": False}
    figure.add_annotation(note, text=" ST–T")
    for name, values in maps.items():
        dash = {"normal": "dash", "ischemia": "solid", "other": "dot"}[name]
        line = {"color": CLASS_COLORS[name], "width": 2.5, "dash": dash}
        hover = "%{x:.0f} ms: %{y:.2f}"
        figure.add_scatter(x=times, y=values, mode="lines", line=line, name=name, hovertemplate=hover)
    axes = {"xaxis": {"title": "ms from the R peak"}, "yaxis": {"title": "for ischemia (log odds)"}}
    return finish(figure, 400, **axes)
