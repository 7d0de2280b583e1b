"""Flaw against skill, a curve per method: a pure function from plain numbers to a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from balora_audit.report.blocks import Picture
from balora_audit.report.style import BAND, INK, PALETTE, SOFT, WIDTH, colour, label, marker, new_figure, picture, settings

__all__ = ["FEW", "Frontier", "Panel", "Point", "frontiers"]

FEW = 4
"""Up to so many curves in a panel have a whisker at every point."""
_SIZE = 9.6
_ROOM = 0.08
_WIDER = 0.7
"""How much wider, in points, a method is drawn for each one that lies over it, as long as none is drawn much wider."""
_WIDEST = 2.8
_LEGEND_COLUMNS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One candidate (or the base): its skill and its flaw, each with interval ends, and single seeds' values of both."""

    skill: float
    flaw: float
    skill_low: float | None = None
    skill_high: float | None = None
    flaw_low: float | None = None
    flaw_high: float | None = None
    joined: bool = True
    chosen: bool = False
    seeds: Sequence[tuple[float, float]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier:
    """One method's candidates; ``model`` is its position in the audit's order."""

    model: int
    name: str
    points: Sequence[Point]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One flaw: what it is called, which way is better, its frontiers, the untrained models, and the ranges of skill compared."""

    title: str
    direction: str
    y_label: str
    frontiers: Sequence[Frontier]
    untrained: Sequence[Frontier] = ()
    compared: Sequence[tuple[int, float, float]] = ()


def frontiers(panels: Sequence[Panel], *, x_label: str, higher_is_better: bool = True) -> Picture:
    """Draw small multiples of flaw over skill on one axis of skill, on which better is to the right.

    Frontiers are joined in order of skill. The axis of a flaw reaches as far as the frontiers do; a candidate beyond it stands at its edge.
    """
    crowded = max(len(panel.frontiers) for panel in panels) > FEW
    columns = min(2 if crowded else 3, len(panels))
    rows = -(-len(panels) // columns)
    with settings():
        figure = new_figure(min(WIDTH, (5.4 if crowded else 4.4) * columns), (3.3 if crowded else 2.9) * rows + 0.9)
        axes = figure.subplots(rows, columns, sharex=True, squeeze=False)
        for number, (axis, panel) in enumerate(zip(axes.flat, panels, strict=False)):
            _draw(axis, panel, crowded=crowded)
            axis.tick_params(labelsize=_SIZE, labelbottom=number + columns >= len(panels))
        for axis in list(axes.flat)[len(panels) :]:
            axis.set_visible(False)
        if not higher_is_better:
            axes.flat[0].invert_xaxis()
        figure.set_layout_engine("constrained", h_pad=0.12)
        figure.supxlabel(label(x_label, 90), fontsize=_SIZE, color=SOFT)
        _legend(figure, panels)
        return picture(figure)


def _draw(axis: Axes, panel: Panel, *, crowded: bool) -> None:
    axis.set_title(label(panel.title, 44), loc="left", pad=17)
    axis.text(0, 1.02, panel.direction, transform=axis.transAxes, fontsize=_SIZE, color=SOFT, va="bottom")
    axis.set_ylabel(label(panel.y_label, 34), fontsize=_SIZE)
    ends = _ends(panel, crowded=crowded)
    if ends is not None:
        axis.set_ylim(*ends)
    for low, high in dict.fromkeys((low, high) for _, low, high in panel.compared):
        axis.axvspan(low, high, color=BAND, alpha=0.45, linewidth=0, zorder=0)
    for frontier in panel.untrained:
        _frontier(axis, frontier, ends, whiskers=True)
    for over, frontier in enumerate(panel.frontiers):
        beneath = len(panel.frontiers) - 1 - over
        _frontier(axis, frontier, ends, whiskers=not crowded, wider=beneath * min(_WIDER, _WIDEST / len(panel.frontiers)))


def _frontier(axis: Axes, frontier: Frontier, ends: tuple[float, float] | None, *, whiskers: bool, wider: float = 0) -> None:
    """Draw one method's candidates. What lies beneath other methods is drawn wider, so that equal frontiers are all seen."""
    tint, sign = colour(frontier.model), marker(frontier.model)
    line = sorted((point.skill, point.flaw) for point in frontier.points if point.joined)
    dashes = "-" if frontier.model < len(PALETTE) else (0, (4, 1.5))
    axis.plot([x for x, _ in line], [y for _, y in line], color=tint, linewidth=1.3 + wider, linestyle=dashes, zorder=3)
    for point in frontier.points:
        y = point.flaw if ends is None else _within(point.flaw, *ends)
        axis.plot(
            [point.skill],
            [y],
            marker=sign,
            markersize=4.5 + wider,
            markerfacecolor=tint if point.joined else "white",
            markeredgecolor=tint,
            markeredgewidth=1.1,
            linestyle="none",
            alpha=1 if point.joined else 0.75,
            clip_on=False,
            zorder=4,
        )
        if point.chosen:
            axis.plot([point.skill], [y], marker="o", markersize=12, markerfacecolor="none", markeredgecolor=INK, zorder=5, clip_on=False)
        if len(point.seeds) > 1:
            xs, ys = zip(*point.seeds, strict=True)
            axis.plot(xs, ys, linestyle="none", marker="o", markersize=2.2, color=tint, alpha=0.5, zorder=2)
        elif point.joined and (whiskers or point.chosen):
            _whiskers(axis, point, tint)


def _within(flaw: float, low: float, high: float) -> float:
    """Return a flaw, or the edge of its axis where it lies beyond, so far inside that its mark covers no word."""
    room = _ROOM / (1 + 2 * _ROOM) / 2 * (high - low)
    return min(max(flaw, low + room), high - room)


def _whiskers(axis: Axes, point: Point, tint: str) -> None:
    style: dict[str, Any] = {"color": tint, "linewidth": 1.1 if point.chosen else 0.8, "alpha": 0.75 if point.chosen else 0.32, "zorder": 2}
    if point.flaw_low is not None and point.flaw_high is not None:
        axis.plot([point.skill, point.skill], [point.flaw_low, point.flaw_high], solid_capstyle="butt", **style)
    if point.skill_low is not None and point.skill_high is not None:
        axis.plot([point.skill_low, point.skill_high], [point.flaw, point.flaw], solid_capstyle="butt", **style)


def _ends(panel: Panel, *, crowded: bool) -> tuple[float, float] | None:
    """Return how far the axis of a flaw reaches: over all that is joined, chosen or untrained, with the whiskers that are drawn."""
    values: list[float] = []
    for frontier in (*panel.untrained, *panel.frontiers):
        for point in frontier.points:
            if not (point.joined or point.chosen):
                continue
            values += [point.flaw, *(flaw for _, flaw in point.seeds)]
            if len(point.seeds) < 2 and (point.chosen or not crowded or frontier in panel.untrained):
                values += [end for end in (point.flaw_low, point.flaw_high) if end is not None]
    if not values:
        return None
    low, high = min(values), max(values)
    room = _ROOM * (high - low) or _ROOM * abs(high) or 1.0
    return low - room, high + room


def _legend(figure: Figure, panels: Sequence[Panel]) -> None:
    """Name every model once, in the audit's order, then what a ring and a hollow mark are."""
    known = {found.model: found.name for panel in panels for found in (*panel.frontiers, *panel.untrained)}
    untrained = {found.model for panel in panels for found in panel.untrained}
    keys: list[tuple[Artist, str]] = []
    for model, name in sorted(known.items()):
        alone = model in untrained
        handle = Line2D(
            [], [], color=colour(model), marker=marker(model), markersize=5.5, linewidth=1.6, linestyle="none" if alone else "-"
        )
        keys.append((handle, f"{label(name, 28)}, untrained" if alone else label(name, 34)))
    ring = Line2D([], [], linestyle="none", marker="o", markersize=11, markerfacecolor="none", markeredgecolor=INK)
    hollow = Line2D([], [], linestyle="none", marker="o", markersize=5.5, markerfacecolor="white", markeredgecolor=SOFT)
    drawn = [point for panel in panels for frontier in panel.frontiers for point in frontier.points]
    if any(point.chosen for point in drawn):
        keys.append((ring, "chosen by validation"))
    if any(not point.joined for point in drawn):
        keys.append((hollow, "not on the frontier"))
    handles, names = [key for key, _ in keys], [text for _, text in keys]
    figure.legend(handles, names, loc="outside upper left", ncols=min(_LEGEND_COLUMNS, len(keys)), fontsize=_SIZE)
