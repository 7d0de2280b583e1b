"""The figures: pure functions from plain numbers to data URIs. The same numbers always give the same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from balora_audit.report.style import GREY, colour, label, marker, new_figure, settings, uri

__all__ = ["Curve", "Interval", "bars", "curves", "forest", "scatter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One model's line: its position in the audit's order, its name, points, optional interval ends."""

    model: int
    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float | None] = ()
    high: Sequence[float | None] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """One row of a forest plot."""

    text: str
    model: int
    delta: float
    low: float
    high: float
    margin: float | None


def curves(panels: Mapping[str, Sequence[Curve]], *, x_label: str, y_label: str, log_y: bool = False, log_x: bool = False) -> str:
    """Draw lines with whiskers as small multiples on shared axes; one legend."""
    columns = min(4, len(panels))
    rows = -(-len(panels) // columns)
    with settings():
        figure = new_figure(max(4.6, 2.6 * columns), 2.5 * rows + 0.5)
        axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axis, (title, lines) in zip(axes.flat, panels.items(), strict=False):
            axis.set_title(label(title), loc="left")
            for line in lines:
                _line(axis, line, whiskers=bool(line.low), dense=len(line.x) > 25)
            if log_y:
                axis.set_yscale("log")
            if log_x:
                axis.set_xscale("log")
        for axis in list(axes.flat)[len(panels) :]:
            axis.set_visible(False)
        figure.supxlabel(label(x_label, 90), fontsize=9, color="#374151")
        figure.supylabel(label(y_label, 60), fontsize=9, color="#374151")
        handles, names = axes.flat[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper left", ncols=4, fontsize=8.5)
        return uri(figure)


def _line(axis: Axes, line: Curve, *, whiskers: bool, dense: bool) -> None:
    style = {"color": colour(line.model), "linewidth": 1.4, "label": label(line.name, 24)}
    if dense:
        every = max(1, len(line.x) // 8)
        axis.plot(line.x, line.y, marker=marker(line.model), markersize=4, markevery=every, **style)  # type: ignore[arg-type]
        return
    axis.plot(line.x, line.y, marker=marker(line.model), markersize=4.5, **style)  # type: ignore[arg-type]
    if whiskers:
        shift = 0.05 * (line.model - 1)
        for x, low, high in zip(line.x, line.low, line.high, strict=True):
            if low is not None and high is not None:
                axis.plot([x + shift, x + shift], [low, high], color=colour(line.model), linewidth=0.9, alpha=0.75)


def bars(groups: Sequence[str], models: Sequence[Curve], *, y_label: str) -> str:
    """Draw one dot with a whisker per group and model, groups along the x-axis in the order given."""
    with settings():
        figure = new_figure(max(6.0, 0.55 * len(groups) * max(1, len(models) / 2) + 2), 3.0)
        axis = figure.subplots()
        span = 0.7
        for position, line in enumerate(models):
            shift = (position - (len(models) - 1) / 2) * span / max(1, len(models))
            xs = [x + shift for x in line.x]
            axis.plot(
                xs, line.y, linestyle="none", marker=marker(line.model), markersize=5.5, color=colour(line.model),
                label=label(line.name, 24),
            )  # fmt: skip
            for x, low, high in zip(xs, line.low, line.high, strict=True):
                if low is not None and high is not None:
                    axis.plot([x, x], [low, high], color=colour(line.model), linewidth=1.1)
        axis.set_xticks(range(len(groups)), [label(group, 18) for group in groups], rotation=30, ha="right")
        axis.set_ylabel(label(y_label, 60))
        figure.legend(*axis.get_legend_handles_labels(), loc="outside upper left", ncols=4, fontsize=8.5)
        return uri(figure)


def forest(rows: Sequence[Interval], *, x_label: str) -> str:
    """Draw differences with whiskers, the zero line and each row's margin band."""
    with settings():
        figure = new_figure(8.6, 0.34 * len(rows) + 1.0)
        axis = figure.subplots()
        for place, row in enumerate(reversed(rows)):
            if row.margin is not None:
                axis.fill_between([-row.margin, row.margin], place - 0.42, place + 0.42, color="#eef2f7", linewidth=0)
            axis.plot([row.low, row.high], [place, place], color=colour(row.model), linewidth=1.6)
            axis.plot([row.delta], [place], marker=marker(row.model), color=colour(row.model), markersize=6)
        axis.axvline(0, color=GREY, linewidth=1)
        axis.set_yticks(range(len(rows)), [label(row.text, 70) for row in reversed(rows)])
        axis.grid(visible=False, axis="y")
        axis.set_ylim(-0.6, len(rows) - 0.4)
        axis.set_xlabel(label(x_label, 90))
        return uri(figure)


def scatter(facets: Mapping[str, tuple[int, Sequence[float], Sequence[float], Sequence[str]]]) -> str:
    """Draw points by facet on shared axes, coloured by class; the points are rasterised inside the SVG."""
    classes = sorted({name for _, _, _, names in facets.values() for name in names})
    tints = ("#0072B2", "#D55E00", "#009E73", "#A8558A", "#555555", "#B8860B", "#7B3F00", "#1F7A8C", "#8B0000", "#4B0082")
    with settings():
        columns = min(4, len(facets))
        rows = -(-len(facets) // columns)
        figure = new_figure(max(4.6, 2.6 * columns), 2.6 * rows + 0.6)
        axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axis, (title, (_, xs, ys, names)) in zip(axes.flat, facets.items(), strict=False):
            axis.set_title(label(title), loc="left")
            for index, name in enumerate(classes):
                chosen = np.array([n == name for n in names])
                axis.scatter(
                    np.asarray(xs)[chosen], np.asarray(ys)[chosen], s=9, color=tints[index % len(tints)],
                    marker=marker(index), rasterized=True, label=label(name, 18), linewidths=0,
                )  # fmt: skip
            axis.set_xticklabels([])
            axis.set_yticklabels([])
        for axis in list(axes.flat)[len(facets) :]:
            axis.set_visible(False)
        handles, names = axes.flat[0].get_legend_handles_labels()
        if len(classes) <= 12:
            figure.legend(handles, names, loc="outside upper left", ncols=min(8, len(classes)), fontsize=8)
        return uri(figure)
