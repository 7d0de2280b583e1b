"""Section 8: numbers first, then layers, spectra and weights, then the joint t-SNE with its warning."""

from __future__ import annotations

from collections import Counter

from balora_audit.report.blocks import Block, Cell, Details, Figure, Note, Section, Table
from balora_audit.report.figures import Line, curves
from balora_audit.report.figures_effects import scatter
from balora_audit.report.numbers import MISSING, condition_title, info
from balora_audit.report.rows import Reader
from balora_audit.report.sections.spectra import WEIGHTS, spectrum, weights
from balora_audit.report.tables import by_condition, line, metric_table, section_or_reason, whiskers

__all__ = ["collapse"]

_PROBE = "collapse"
_HEADLINE = "effective_rank"
_BY_LAYER = ("effective_rank", "iso_score", "anisotropy", "cka_to_base", "principal_angle_to_base", "knn_accuracy")


def collapse(reader: Reader) -> Section:
    """Return the measures of features and weights, the spectra on a log scale, layers, angles, and the t-SNE facets."""
    blocks: list[Block] = []
    for condition in reader.conditions(_PROBE):
        metrics = [metric for metric in reader.metrics(_PROBE, condition) if metric not in WEIGHTS]
        if metrics:
            caption = f"Features of the test items, trained on {condition_title(condition)}"
            blocks.append(metric_table(reader, _PROBE, condition, metrics, caption))
    blocks += [*_bounded(reader), *by_condition(reader, _PROBE, _HEADLINE)]
    by_layer = [c for c in reader.conditions(_PROBE) if _of_layer(reader.slices(_PROBE, _HEADLINE, c))]
    if by_layer:
        blocks.append(_layers(reader, by_layer[0]))
    if by_layer[1:]:
        tables = tuple(_layer_table(reader, condition) for condition in by_layer[1:])
        blocks.append(Details(summary="Features by layer under the other conditions", blocks=tables))
    blocks += spectrum(
        reader,
        "spectrum",
        "Normalised singular values of the centred features on shared axes: the steeper the fall, the fewer directions are in use.",
    )
    blocks += [*_angles(reader), *weights(reader), *_tsne(reader)]
    return section_or_reason(reader, _PROBE, "Representation collapse", blocks)


def _bounded(reader: Reader) -> list[Block]:
    """Say where the number of items, not of dimensions, bounds every rank."""
    items = {row.n for row in reader.record.measurements if (row.probe, row.metric, row.slice) == (_PROBE, _HEADLINE, "all") and row.n}
    lengths = {len(series.columns.get("index", ())) for series in reader.series(_PROBE, "spectrum")}
    if not items or not lengths or max(lengths) < min(items):
        return []
    return [
        Note(
            text=f"{min(items):,} items in more dimensions: no rank can exceed {min(items) - 1:,}, whatever the model. Compare models "
            "with one another, not with audits of other sizes.",
            tone="quiet",
        )
    ]


def _layers(reader: Reader, condition: str) -> Block:
    layers = _of_layer(reader.slices(_PROBE, _HEADLINE, condition))
    panels: dict[str, list[Line]] = {}
    for metric in _BY_LAYER:
        for place, model in enumerate(reader.models):
            found = [reader.get(_PROBE, metric, f"layer={layer}", condition, model) for layer in layers]
            points = [(float(x), f) for x, f in enumerate(found) if f is not None and f.value is not None]
            if points:
                panels.setdefault(info(metric).title, []).append(line(place, reader.title(model), points))
    table = _layer_table(reader, condition)
    if not panels:
        return table
    ticks = [str(layer) for layer in layers]
    shown = curves(panels, x_label="layer (0: embeddings)", y_label="value (shares in %)", shared_y=False, ticks=ticks)
    return Figure(
        uri=shown.uri,
        width=shown.width,
        height=shown.height,
        alt=f"Line charts over the layers: one panel per measure ({', '.join(panels)}), one line per model.",
        caption=f"Features by layer, trained on {condition_title(condition)}. {whiskers(reader)}",
        table=table,
    )


def _layer_table(reader: Reader, condition: str) -> Table:
    layers = _of_layer(reader.slices(_PROBE, _HEADLINE, condition))
    measured = [row.metric for row in reader.record.measurements if row.probe == _PROBE and row.slice == f"layer={layers[0]}"]
    rows: list[tuple[Cell, ...]] = []
    for metric in dict.fromkeys(measured):
        for model in reader.models:
            found = [reader.get(_PROBE, metric, f"layer={layer}", condition, model) for layer in layers]
            if any(f is not None for f in found):
                rows.append((info(metric).title, reader.title(model), *(MISSING if f is None else f.cell for f in found)))
    return Table(
        caption=f"Features by layer, trained on {condition_title(condition)}",
        columns=("Metric", "Model", *(f"layer {layer}" for layer in layers)),
        align="ll" + "r" * len(layers),
        rows=tuple(rows),
        headers=2,
    )


def _of_layer(slices: list[str]) -> list[int]:
    return sorted(int(slice.partition("=")[2]) for slice in slices if slice.startswith("layer="))


def _angles(reader: Reader) -> list[Block]:
    return spectrum(
        reader,
        "principal_angles",
        "Principal angles, in radians, between the leading feature subspaces of a model and of the base: 0 is the same direction, "
        "π/2 one that the base does not have.",
        column="radians",
        y_label="angle, radians",
        skip=reader.untrained,
    )


def _tsne(reader: Reader) -> list[Block]:
    names = list(dict.fromkeys(s.name for s in reader.record.series if s.probe == _PROBE and s.name.partition(":")[0] == "tsne"))
    return [block for name in names for block in _projection(reader, name, several=len(names) > 1)]


def _projection(reader: Reader, name: str, *, several: bool) -> list[Block]:
    facets: dict[str, tuple[list[float], list[float], list[str]]] = {}
    for series in reader.series(_PROBE, name):
        columns = series.columns
        labels = columns.get("label") or (None,) * len(columns.get("x", ()))
        points = [
            (float(x), float(y), "no label" if label is None else str(label))
            for x, y, label in zip(columns.get("x", ()), columns.get("y", ()), labels, strict=False)
            if isinstance(x, float | int) and isinstance(y, float | int)
        ]
        if points:
            facets[reader.title(series.method)] = ([x for x, _, _ in points], [y for _, y, _ in points], [n for _, _, n in points])
    if not facets:
        return []
    shown = scatter(facets)
    counts = {title: Counter(names) for title, (_, _, names) in facets.items()}
    classes = sorted({name for found in counts.values() for name in found})
    perplexity = name.partition(":")[2]
    which = f" at perplexity {perplexity}" if perplexity else ""
    both = " Only what both perplexities show deserves a second look." if several else ""
    return [
        Figure(
            uri=shown.uri,
            width=shown.width,
            height=shown.height,
            alt=f"Scatter plots of a joint t-SNE{which}: one panel per model on shared axes, points coloured by class.",
            caption=f"One joint t-SNE{which} of the same items for all models. Illustration only: the size of clusters and the distance "
            f"between them are not evidence, and no verdict rests on this picture.{both}",
            table=Table(
                caption="Points drawn, by class; their coordinates, which have no unit, are in audit.json",
                columns=("Class", *facets),
                align="l" + "r" * len(facets),
                rows=tuple((name, *(str(counts[title][name]) for title in facets)) for name in classes),
            ),
        )
    ]
