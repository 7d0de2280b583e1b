"""Section 8: numbers first, then spectra, then the joint t-SNE with its warning."""

from __future__ import annotations

from collections import Counter

from balora_audit.audit import Series
from balora_audit.report.blocks import Block, Cell, Figure, Note, Section, Table
from balora_audit.report.figures import Line, curves
from balora_audit.report.figures_effects import scatter
from balora_audit.report.numbers import MISSING, condition_title, digits
from balora_audit.report.rows import Reader
from balora_audit.report.tables import by_condition, metric_table, section_or_reason

__all__ = ["collapse"]

_PROBE = "collapse"
_HEADLINE = "effective_rank"
_INDICES = (1, 2, 3, 5, 10, 20, 50, 100)
_SMALLEST = 1e-7
_MOST_POINTS = 300


def collapse(reader: Reader) -> Section:
    """Return the measures of the feature spectrum with intervals, the spectra on a log scale, and the t-SNE facets."""
    blocks: list[Block] = []
    conditions = reader.conditions(_PROBE)
    for condition in conditions:
        metrics = reader.metrics(_PROBE, condition)
        if metrics:
            caption = f"Features of the test items, trained on {condition_title(condition)}"
            blocks.append(metric_table(reader, _PROBE, condition, metrics, caption))
    blocks += [*by_condition(reader, _PROBE, _HEADLINE), *_spectra(reader)]
    blocks.append(Note(text="Spectra of the weight change ΔW and intruder dimensions: not measured in this audit.", tone="quiet"))
    blocks += _tsne(reader)
    return section_or_reason(reader, _PROBE, "Representation collapse", blocks)


def _spectra(reader: Reader) -> list[Block]:
    found = reader.series(_PROBE, "spectrum")
    first = min((series.seed for series in found), default=0)
    panels: dict[str, list[Line]] = {}
    rows: list[tuple[Cell, ...]] = []
    for series in found:
        points = _points(series)
        if series.seed != first or not points:
            continue
        thin = points[:: max(1, -(-len(points) // _MOST_POINTS))]
        title = reader.title(series.method)
        line = Line(model=reader.place(series.method), name=title, x=[x for x, _ in thin], y=[y for _, y in thin])
        panels.setdefault(f"trained on {condition_title(series.condition)}", []).append(line)
        at = dict(points)
        rows.append((title, condition_title(series.condition), *(digits(at[i]) if i in at else MISSING for i in _INDICES)))
    if not panels:
        return []
    shown = curves(panels, x_label=f"index of the singular value (seed {first})", y_label="σ / Σσ", log_y=True)
    return [
        Figure(
            uri=shown.uri,
            width=shown.width,
            height=shown.height,
            alt="Line charts of normalised singular values on a logarithmic scale: one panel per training condition, one line per model.",
            caption="Normalised singular values of the centred features on shared axes: the steeper the fall, the fewer directions "
            "are in use.",
            table=Table(
                caption="Normalised singular values at some indices; all of them are in audit.json",
                columns=("Model", "Trained on", *(f"index {i}" for i in _INDICES)),
                align="lc" + "r" * len(_INDICES),
                rows=tuple(rows),
                headers=2,
            ),
        )
    ]


def _points(series: Series) -> list[tuple[float, float]]:
    pairs = zip(series.columns.get("index", ()), series.columns.get("sigma_normalised", ()), strict=False)
    return [(float(x), float(y)) for x, y in pairs if isinstance(x, float | int) and isinstance(y, float | int) and y > _SMALLEST]


def _tsne(reader: Reader) -> list[Block]:
    facets: dict[str, tuple[list[float], list[float], list[str]]] = {}
    for series in reader.series(_PROBE, "tsne"):
        columns = series.columns
        labels = columns.get("label") or (None,) * len(columns.get("x", ()))
        points = [
            (float(x), float(y), "no label" if name is None else str(name))
            for x, y, name in zip(columns.get("x", ()), columns.get("y", ()), labels, strict=False)
            if isinstance(x, float | int) and isinstance(y, float | int)
        ]
        if points:
            facets[reader.title(series.method)] = ([x for x, _, _ in points], [y for _, y, _ in points], [name for _, _, name in points])
    if not facets:
        return []
    shown = scatter(facets)
    counts = {title: Counter(names) for title, (_, _, names) in facets.items()}
    classes = sorted({name for found in counts.values() for name in found})
    return [
        Figure(
            uri=shown.uri,
            width=shown.width,
            height=shown.height,
            alt="Scatter plots of a joint t-SNE: one panel per model on shared axes, points coloured by class.",
            caption="One joint t-SNE of the same items for all models. Illustration only: the size of clusters and the distance between "
            "them are not evidence, and no verdict rests on this picture.",
            table=Table(
                caption="Points drawn, by class; their coordinates, which have no unit, are in audit.json",
                columns=("Class", *facets),
                align="l" + "r" * len(facets),
                rows=tuple((name, *(str(counts[title][name]) for title in facets)) for name in classes),
            ),
        )
    ]
