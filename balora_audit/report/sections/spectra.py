"""Spectra on shared axes, of features and of weight changes, and the table of intruder dimensions by kind of module."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from balora_audit.report.blocks import Block, Details, Figure, Note, Table
from balora_audit.report.charts import series_points, traced, traces
from balora_audit.report.numbers import MISSING, condition_title, digits
from balora_audit.report.rows import Reader
from balora_audit.report.tables import metric_table, part_tables

__all__ = ["spectrum", "weights"]

_PROBE = "collapse"
_INDICES = (1, 2, 3, 5, 10, 20, 50, 100)
_SMALLEST = 1e-7
_MOST_POINTS = 120


def spectrum(
    reader: Reader,
    name: str,
    caption: str,
    *,
    index: str = "index",
    column: str = "sigma_normalised",
    y_label: str = "σ / Σσ",
    skip: Collection[str] = (),
) -> list[Block]:
    """Return a series over its index: one panel per training condition, one line per model (`skip` some), first seed."""
    spectral = column == "sigma_normalised"
    found = [
        (
            f"trained on {condition_title(series.condition)}",
            series,
            [(x, y) for x, y in series_points(series, index, column) if not spectral or y > _SMALLEST],
        )
        for series in reader.series(_PROBE, name)
        if series.method not in skip
    ]
    shown = traces(reader, found, _MOST_POINTS)
    if not shown:
        return []
    known = sorted({int(x) for trace in shown for x, _ in trace.points})
    indices = [i for i in _INDICES if i <= max(len(trace.points) for trace in shown)] if index == "index" else known
    return [
        Figure(
            picture=traced(shown, x_label=index, y_label=y_label, log_y=spectral),
            alt=f"Line charts of {y_label} by {index}: one panel per training condition, one line per model.",
            caption=caption,
            table=Table(
                caption="Values at some indices; all of them are in audit.json",
                columns=("Model", "Trained on", *(f"{i:,} {index}" if index != "index" else f"index {i}" for i in indices)),
                align="lc" + "r" * len(indices),
                rows=tuple((trace.line.name, condition_title(trace.series.condition), *_at(indices, trace.points)) for trace in shown),
                headers=2,
            ),
        )
    ]


def _at(indices: Sequence[int], points: Sequence[tuple[float, float]]) -> list[str]:
    values = dict(points)
    return [digits(values[i]) if i in values else MISSING for i in indices]


def weights(reader: Reader) -> list[Block]:
    """Return what training did to the weights: means over modules, by kind of module, and the spectrum of ΔW."""
    metrics = reader.group(_PROBE, "weights")
    tables: list[Block] = []
    for condition in reader.conditions(_PROBE):
        found = [metric for metric in metrics if metric in reader.metrics(_PROBE, condition)]
        if found:
            caption = f"Weights, means over modules, trained on {condition_title(condition)}"
            tables.append(metric_table(reader, _PROBE, condition, found, caption))
    if not tables:
        return [Note(text="Spectra of the weight change ΔW and intruder dimensions: not measured in this audit.", tone="quiet")]
    folded = part_tables(reader, _PROBE, metrics, " by kind of module", "Module")
    figure = spectrum(
        reader,
        "delta_spectrum",
        "Normalised singular values of the weight change ΔW, mean over modules. An adapter of rank r has r of them; one that starts at the "
        "singular vectors of W stores 2r.",
    )
    note = Note(
        text="Modules are no random sample, so these means have no interval. Vectors of W with nearly equal singular values can turn into "
        "one another without anything new being learned, and then count as intruders.",
        tone="quiet",
    )
    return [*tables, *figure, note, *([Details(summary="Weights by kind of module", blocks=tuple(folded))] if folded else [])]
