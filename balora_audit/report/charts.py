"""Figures of measurements and series that several sections share; ``figures`` draws them from plain numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from balora_audit.records import Series
from balora_audit.report.blocks import Block, Figure, Picture, Table, TableCell
from balora_audit.report.figures import Line, curves, dots
from balora_audit.report.numbers import capitalised, condition_title, scale
from balora_audit.report.rows import Reader, Summary
from balora_audit.report.tables import DIRECTION, cells
from balora_audit.slices import ALL, Slice

__all__ = [
    "AXIS_UNITS",
    "Place",
    "Trace",
    "by_condition",
    "curves_over",
    "dot_figure",
    "measured_line",
    "series_points",
    "table_over",
    "traced",
    "traces",
    "whiskers",
]

AXIS_UNITS = {"share": ", %", "nats": ", nats"}
"""What follows a metric's title on an axis, by its unit."""

Place = tuple[str, str, Slice]
"""Where a metric is read: the tick that says it, the training condition, and the slice."""
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One series in its panel: all its points, and the line that is drawn of some of them."""

    panel: str
    series: Series
    points: Points
    line: Line


def whiskers(reader: Reader) -> str:
    """Say what the whiskers of figures are."""
    if len(reader.seeds) > 1:
        text = f"Markers: mean over {len(reader.seeds)} seeds; small dots: single seeds."
        return f"{text} A model with one value has its {reader.level} interval."
    return f"Whiskers: {reader.level} intervals over items."


def measured_line(reader: Reader, model: str, found: Sequence[Summary | None], xs: Sequence[float] | None = None) -> Line | None:
    """Return a model's values, at `xs` or by position, in the unit they are drawn in; None where it has none to draw."""
    places = range(len(found)) if xs is None else xs
    points = [(float(x), f, f.value) for x, f in zip(places, found, strict=True) if f is not None and f.value is not None]
    if not points:
        return None
    by = scale(points[0][1].metric)
    return Line(
        model=reader.place(model),
        name=reader.title(model),
        x=[x for x, _, _ in points],
        y=[by * value for _, _, value in points],
        low=[None if f.low is None else by * f.low for _, f, _ in points],
        high=[None if f.high is None else by * f.high for _, f, _ in points],
        seeds=[[by * value for value in f.values] for _, f, _ in points],
    )


def curves_over(
    reader: Reader, probe: str, metrics: Sequence[str], places: Sequence[Place], *, x_label: str, over: str, caption: str, table: Table
) -> Figure | None:
    """Return lines over some places, one panel per metric; None when no model has a number to draw."""
    panels: dict[str, list[Line]] = {}
    for metric in metrics:
        for model in reader.models:
            drawn = measured_line(reader, model, _at(reader, probe, metric, model, places))
            if drawn is not None:
                panels.setdefault(reader.metric(metric).title, []).append(drawn)
    if not panels:
        return None
    shares = all(reader.metric(metric).unit == "share" for metric in metrics)
    y_label = "share of items, %" if shares else "value (shares in %)"
    return Figure(
        picture=curves(panels, x_label=x_label, y_label=y_label, ticks=[tick for tick, _, _ in places], shared_y=shares),
        alt=f"Line charts over {over}: one panel per measure ({', '.join(panels)}), one line per model.",
        caption=f"{caption} {whiskers(reader)}",
        table=table,
    )


def table_over(reader: Reader, probe: str, metrics: Sequence[str], places: Sequence[Place], caption: str, head: str = "") -> Table:
    """Return the same numbers: one row per metric and model that has one, one column per place, headed by `head` and its tick."""
    rows: list[tuple[TableCell, ...]] = []
    for metric in metrics:
        for model in reader.models:
            found = _at(reader, probe, metric, model, places)
            if any(f is not None and f.value is not None for f in found):
                rows.append((reader.metric(metric).title, reader.title(model), *cells(found)))
    return Table(
        caption=caption,
        columns=("Metric", "Model", *(f"{head}{tick}" for tick, _, _ in places)),
        align="ll" + "r" * len(places),
        rows=tuple(rows),
        headers=2,
    )


def dot_figure(
    reader: Reader,
    probe: str,
    panels: Mapping[str, Sequence[tuple[str, Slice, str]]],
    *,
    groups: Sequence[str],
    caption: str,
    alt: str,
    y_label: str,
    table: Table | None,
    zero: bool = False,
) -> list[Block]:
    """Return dots for each group and model; ``panels`` maps a title to one (metric, slice, condition) per group.

    Nothing when no model has a number to draw.
    """
    drawn: dict[str, list[Line]] = {}
    for title, keys in panels.items():
        for model in reader.models:
            points = measured_line(reader, model, [reader.get(probe, *key, model) for key in keys])
            if points is not None:
                drawn.setdefault(title, []).append(points)
    if not drawn:
        return []
    picture = dots(drawn, groups, y_label=y_label, zero=zero)
    return [Figure(picture=picture, alt=alt, caption=f"{caption} {whiskers(reader)}", table=table)]


def by_condition(reader: Reader, probe: str, metric: str) -> list[Block]:
    """Return one metric of a probe drawn over the training conditions; its numbers stand in the tables beside it."""
    conditions = [c for c in reader.conditions(probe, (metric,)) if ALL in reader.slices(probe, metric, c)]
    known = reader.metric(metric)
    return dot_figure(
        reader,
        probe,
        {"": [(metric, ALL, c) for c in conditions]},
        groups=[condition_title(c) for c in conditions],
        caption=f"{capitalised(known.title)} by training condition ({DIRECTION[known.higher_is_better]}).",
        alt=f"Dots with whiskers: {known.title} by training condition, one marker per model; the tables of this section have the numbers.",
        y_label=known.title + AXIS_UNITS.get(known.unit, ""),
        table=None,
    )


def series_points(series: Series, x: str, y: str) -> list[tuple[float, float]]:
    """Return two columns of a series as points, without the places where either has no number."""
    pairs = zip(series.columns.get(x, ()), series.columns.get(y, ()), strict=False)
    return [(float(a), float(b)) for a, b in pairs if isinstance(a, float | int) and isinstance(b, float | int)]


def traces(reader: Reader, found: Sequence[tuple[str, Series, Points]], most: int) -> list[Trace]:
    """Return the (panel, series, points) of the first seed that have any point, with lines thinned evenly to at most `most` points."""
    first = min((series.seed for _, series, _ in found), default=0)
    kept = []
    for panel, series, points in found:
        if series.seed == first and points:
            thin = points[:: max(1, -(-len(points) // most))]
            xs, ys = [x for x, _ in thin], [y for _, y in thin]
            line = Line(model=reader.place(series.method), name=reader.title(series.method), x=xs, y=ys)
            kept.append(Trace(panel=panel, series=series, points=points, line=line))
    return kept


def traced(shown: Sequence[Trace], *, x_label: str, y_label: str, log_y: bool = False, shared_y: bool = True) -> Picture:
    """Return the lines of some traces, panel by panel; the axis says of which seed they are."""
    panels = {trace.panel: [other.line for other in shown if other.panel == trace.panel] for trace in shown}
    return curves(panels, x_label=f"{x_label} (seed {shown[0].series.seed})", y_label=y_label, log_y=log_y, shared_y=shared_y)


def _at(reader: Reader, probe: str, metric: str, model: str, places: Sequence[Place]) -> list[Summary | None]:
    return [reader.get(probe, metric, slice, condition, model) for _, condition, slice in places]
