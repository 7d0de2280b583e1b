"""The forest plot of paired differences and the joint t-SNE: pure functions from plain numbers to pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.lines import Line2D

from balora_audit.report.blocks import Picture
from balora_audit.report.style import BAND, GREY, INK, PALETTE, WIDTH, colour, label, marker, new_figure, picture, settings

__all__ = ["Effect", "forest", "scatter"]

_ROW, _MOST_CLASSES_NAMED = 0.235, 12
_CLASS_COLOURS = (*PALETTE, "#9A6700", "#7B3F00", "#1F7A8C", "#8B0000", "#4B0082")


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One row of a forest plot; rows of one ``group`` stand under its heading. ``model`` is the candidate's position."""

    group: str
    text: str
    model: int
    candidate: str
    delta: float
    low: float
    high: float
    margin: float | None


def forest(rows: Sequence[Effect], *, x_label: str) -> Picture:
    """Draw differences with whiskers, the zero line and each row's margin band, grouped under headings on one x-axis."""
    entries: list[str | Effect] = []
    for group in dict.fromkeys(row.group for row in rows):
        entries += [group, *(row for row in rows if row.group == group)]
    with settings():
        figure = new_figure(WIDTH, _ROW * len(entries) + 1.0)
        axis = figure.subplots()
        places = range(len(entries) - 1, -1, -1)
        for place, entry in zip(places, entries, strict=True):
            if isinstance(entry, str):
                continue
            tint = colour(entry.model)
            if entry.margin is not None:
                axis.fill_between([-entry.margin, entry.margin], place - 0.5, place + 0.5, color=BAND, linewidth=0, zorder=1)
            axis.plot([entry.low, entry.high], [place, place], color=tint, linewidth=1.7, solid_capstyle="butt", zorder=3)
            axis.plot([entry.delta], [place], marker=marker(entry.model), color=tint, markersize=6, zorder=4)
        axis.axvline(0, color=GREY, linewidth=1, zorder=2)
        axis.set_yticks(list(places), [label(entry if isinstance(entry, str) else entry.text, 64) for entry in entries])
        for tick, entry in zip(axis.get_yticklabels(), entries, strict=True):
            if isinstance(entry, str):
                tick.set_fontweight("bold")
                tick.set_color(INK)
        axis.grid(visible=False, axis="y")
        axis.set_ylim(-0.7, len(entries) - 0.3)
        axis.set_xlabel(label(x_label, 110))
        names = {row.model: label(row.candidate, 28) for row in sorted(rows, key=lambda row: row.model)}
        keys = [Line2D([], [], color=colour(model), marker=marker(model), markersize=6, linewidth=1.7) for model in names]
        figure.legend(keys, list(names.values()), loc="outside upper left", ncols=4, fontsize=9)
        return picture(figure)


def scatter(facets: Mapping[str, tuple[Sequence[float], Sequence[float], Sequence[str]]]) -> Picture:
    """Draw points by facet (x, y, class) on shared axes; the points are rasterised inside the SVG."""
    classes = list(dict.fromkeys(sorted({name for _, _, names in facets.values() for name in names})))
    columns = min(4, len(facets))
    rows = -(-len(facets) // columns)
    with settings():
        figure = new_figure(min(WIDTH, 3.6 * columns), 2.55 * rows + 0.7)
        axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axis, (title, (xs, ys, names)) in zip(axes.flat, facets.items(), strict=False):
            axis.set_title(label(title, 30), loc="left")
            for index, name in enumerate(classes):
                chosen = np.array([found == name for found in names], dtype=bool)
                axis.scatter(
                    np.asarray(xs)[chosen],
                    np.asarray(ys)[chosen],
                    s=11,
                    color=_CLASS_COLOURS[index % len(_CLASS_COLOURS)],
                    marker=marker(index),
                    linewidths=0,
                    rasterized=True,
                )
            axis.tick_params(labelbottom=False, labelleft=False)
            axis.grid(visible=False)
            for side in ("top", "right", "bottom", "left"):
                axis.spines[side].set(visible=True, color="#d1d5db")
        for axis in list(axes.flat)[len(facets) :]:
            axis.set_visible(False)
        if len(classes) <= _MOST_CLASSES_NAMED:
            keys = [
                Line2D([], [], linestyle="none", marker=marker(i), color=_CLASS_COLOURS[i % len(_CLASS_COLOURS)], markersize=5)
                for i in range(len(classes))
            ]
            figure.legend(keys, [label(name, 18) for name in classes], loc="outside upper left", ncols=min(6, len(classes)), fontsize=8.5)
        return picture(figure)
