"""Lines and dots by model: pure functions from plain numbers to pictures. The same numbers always give the same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from balora_audit.report.blocks import Picture
from balora_audit.report.style import SOFT, WIDTH, colour, label, marker, new_figure, picture, settings

__all__ = ["Line", "curves", "dots"]

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_DENSE = 25
_LETTER = 0.085  # inches, about a letter of an axis label
_LEGEND_COLUMNS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One model's points: its position in the audit's order, its name, interval ends, and single seeds' values."""

    model: int
    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float | None] = ()
    high: Sequence[float | None] = ()
    seeds: Sequence[Sequence[float]] = ()


def curves(
    panels: Mapping[str, Sequence[Line]],
    *,
    x_label: str,
    y_label: str,
    log_y: bool = False,
    shared_y: bool = True,
    ticks: Sequence[str] = (),
) -> Picture:
    """Draw lines as small multiples on shared axes: whiskers for intervals, or small dots for single seeds.

    With `ticks`, x holds positions in them.
    """
    columns = min(4, len(panels))
    rows = -(-len(panels) // columns)
    with settings():
        figure = new_figure(min(WIDTH, 3.6 * columns + 0.6), 2.35 * rows + 0.75)
        axes = figure.subplots(rows, columns, sharex=True, sharey=shared_y, squeeze=False)
        for axis, (title, lines) in zip(axes.flat, panels.items(), strict=False):
            axis.set_title(label(title), loc="left")
            for line in lines:
                _draw(axis, line, joined=True, shift=0.045 * (line.model - 1))
            if log_y:
                _logarithmic(axis)
            if ticks:
                axis.set_xticks(range(len(ticks)), [label(tick, 12) for tick in ticks])
        for axis in list(axes.flat)[len(panels) :]:
            axis.set_visible(False)
        figure.supxlabel(label(x_label, 90), fontsize=9, color=SOFT)
        figure.supylabel(label(y_label, 50), fontsize=9, color=SOFT)
        _legend(figure, [line for lines in panels.values() for line in lines])
        return picture(figure)


def dots(panels: Mapping[str, Sequence[Line]], groups: Sequence[str], *, y_label: str, zero: bool = False) -> Picture:
    """Draw one dot per group and model with its whisker, one panel below the other on shared axes.

    ``Line.x`` holds positions in `groups`; `zero` marks the line where nothing differs.
    """
    models = max((len(lines) for lines in panels.values()), default=1)
    width = min(WIDTH, max(6.4, 0.24 * len(groups) * (models + 1) + 1.6))
    slanted = max(len(label(group, 24)) for group in groups) * _LETTER > (width - 1) / len(groups)
    with settings():
        figure = new_figure(width, 2.0 * len(panels) + (1.25 if slanted else 0.8))
        axes = figure.subplots(len(panels), 1, sharex=True, sharey=True, squeeze=False)
        for axis, (title, lines) in zip(axes.flat, panels.items(), strict=True):
            axis.set_title(label(title, 70), loc="left")
            for place, line in enumerate(lines):
                _draw(axis, line, joined=False, shift=(place - (len(lines) - 1) / 2) * 0.72 / max(1, len(lines)))
            for boundary in range(1, len(groups)):
                axis.axvline(boundary - 0.5, color="#e5e7eb", linewidth=0.7)
            if zero:
                axis.axhline(0, color=SOFT, linewidth=0.9, zorder=1)
            axis.grid(visible=False, axis="x")
            axis.set_xlim(-0.6, len(groups) - 0.4)
        turned = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if slanted else {}
        axes.flat[-1].set_xticks(range(len(groups)), [label(group, 24) for group in groups], **turned)
        figure.supylabel(label(y_label, 50), fontsize=9, color=SOFT)
        _legend(figure, [line for lines in panels.values() for line in lines])
        return picture(figure)


def _draw(axis: Axes, line: Line, *, joined: bool, shift: float) -> None:
    tint, dense = colour(line.model), len(line.x) > _DENSE
    xs = list(line.x) if dense else [x + shift for x in line.x]
    axis.plot(
        xs,
        line.y,
        color=tint,
        linewidth=1.5,
        linestyle="-" if joined else "none",
        marker=marker(line.model),
        markersize=4 if dense else 5,
        markevery=max(1, len(line.x) // 8) if dense else 1,
        label=label(line.name, 28),
        zorder=3,
    )
    if any(len(values) > 1 for values in line.seeds):
        for x, values in zip(xs, line.seeds, strict=True):
            axis.plot([x] * len(values), values, linestyle="none", marker="o", markersize=2.2, color=tint, alpha=0.55, zorder=2)
        return
    for x, low, high in zip(xs, line.low, line.high, strict=False):
        if low is not None and high is not None:
            axis.plot([x, x], [low, high], color=tint, linewidth=1.1, alpha=0.8, solid_capstyle="butt", zorder=2)


def _logarithmic(axis: Axes) -> None:
    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(base=10))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _power(value)))
    axis.yaxis.set_minor_formatter(NullFormatter())


def _power(value: float) -> str:
    """Print a power of ten without mathematical typesetting, which is off in every figure."""
    exponent = f"{value:.0e}".split("e")[1]
    return "10" + str(int(exponent)).translate(_SUPERSCRIPT)


def _legend(figure: Figure, lines: Sequence[Line]) -> None:
    """Name every model once, in the audit's order, whichever panels it appears in."""
    handles: dict[str, Artist] = {}
    for axis in figure.axes:
        for handle in axis.get_lines():
            name = str(handle.get_label())
            if not name.startswith("_"):
                handles.setdefault(name, handle)
    names = list(dict.fromkeys(label(line.name, 28) for line in sorted(lines, key=lambda line: line.model)))
    shown = [name for name in names if name in handles]
    if shown:
        figure.legend(
            [handles[name] for name in shown], shown, loc="outside upper left", ncols=min(_LEGEND_COLUMNS, len(shown)), fontsize=9
        )
