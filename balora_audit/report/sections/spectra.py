"""Spectra on shared axes, of features and of weight changes, and the table of intruder dimensions by kind of module."""

from __future__ import annotations

from collections.abc import Collection

from balora_audit.records import Series
from balora_audit.report.blocks import Block, Cell, Details, Figure, Note, Table
from balora_audit.report.figures import Line, curves
from balora_audit.report.numbers import MISSING, condition_title, digits, info
from balora_audit.report.rows import Reader
from balora_audit.report.tables import metric_table, slice_table

__all__ = ["WEIGHTS", "spectrum", "weights"]

WEIGHTS = ("weight_change", "weight_change_rank", "intruder_dimensions")
_PROBE = "collapse"
_INDICES = (1, 2, 3, 5, 10, 20, 50, 100)
_SMALLEST = 1e-7
_MOST_POINTS = 120


def spectrum(
    reader: Reader, name: str, caption: str, *, column: str = "sigma_normalised", y_label: str = "σ / Σσ", skip: Collection[str] = ()
) -> list[Block]:
    """Return a series over its index: one panel per training condition, one line per model (`skip` some), first seed."""
    found = [series for series in reader.series(_PROBE, name) if series.method not in skip]
    first = min((series.seed for series in found), default=0)
    spectral = column == "sigma_normalised"
    panels: dict[str, list[Line]] = {}
    rows: list[tuple[Cell, ...]] = []
    longest = 0
    for series in found:
        points = _points(series, column, smallest=_SMALLEST if spectral else -1.0)
        if series.seed != first or not points:
            continue
        longest = max(longest, len(points))
        thin = points[:: max(1, -(-len(points) // _MOST_POINTS))]
        title = reader.title(series.method)
        drawn = Line(model=reader.place(series.method), name=title, x=[x for x, _ in thin], y=[y for _, y in thin])
        panels.setdefault(f"trained on {condition_title(series.condition)}", []).append(drawn)
        at = dict(points)
        rows.append((title, condition_title(series.condition), *(digits(at[i]) if i in at else MISSING for i in _INDICES)))
    if not panels:
        return []
    shown = curves(panels, x_label=f"index (seed {first})", y_label=y_label, log_y=spectral)
    indices = [i for i in _INDICES if i <= longest]
    return [
        Figure(
            uri=shown.uri,
            width=shown.width,
            height=shown.height,
            alt=f"Line charts of {y_label} by index: one panel per training condition, one line per model.",
            caption=caption,
            table=Table(
                caption="Values at some indices; all of them are in audit.json",
                columns=("Model", "Trained on", *(f"index {i}" for i in indices)),
                align="lc" + "r" * len(indices),
                rows=tuple(row[: 2 + len(indices)] for row in rows),
                headers=2,
            ),
        )
    ]


def _points(series: Series, column: str, *, smallest: float) -> list[tuple[float, float]]:
    pairs = zip(series.columns.get("index", ()), series.columns.get(column, ()), strict=False)
    return [(float(x), float(y)) for x, y in pairs if isinstance(x, float | int) and isinstance(y, float | int) and y > smallest]


def weights(reader: Reader) -> list[Block]:
    """Return what training did to the weights: means over modules, by kind of module, and the spectrum of ΔW."""
    conditions = [c for c in reader.conditions(_PROBE, WEIGHTS) if set(WEIGHTS) & set(reader.metrics(_PROBE, c))]
    if not conditions:
        return [Note(text="Spectra of the weight change ΔW and intruder dimensions: not measured in this audit.", tone="quiet")]
    tables: list[Block] = []
    for condition in conditions:
        found = [metric for metric in WEIGHTS if metric in reader.metrics(_PROBE, condition)]
        tables.append(
            metric_table(reader, _PROBE, condition, found, f"Weights, means over modules, trained on {condition_title(condition)}")
        )
    folded = [
        slice_table(
            reader, _PROBE, metric, conditions, f"{info(metric).title[0].upper()}{info(metric).title[1:]} by kind of module", "Module"
        )
        for metric in WEIGHTS
        if any(slice.startswith("module=") for c in conditions for slice in reader.slices(_PROBE, metric, c))
    ]
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
