"""Numbers first, then layers, spectra and weights, then the joint t-SNE with its warning."""

from __future__ import annotations

from collections import Counter

from balora_audit.report.blocks import Block, Details, Figure, Note, Table
from balora_audit.report.builder import SectionBuilder, blocks_or_reason
from balora_audit.report.charts import Place, by_condition, curves_over, table_over
from balora_audit.report.figures_effects import scatter
from balora_audit.report.numbers import condition_title
from balora_audit.report.rows import Reader
from balora_audit.report.sections.spectra import spectrum, weights
from balora_audit.report.tables import metric_tables
from balora_audit.slices import ALL

__all__ = ["COLLAPSE"]

_PROBE = "collapse"


def _blocks(reader: Reader) -> list[Block]:
    """Return the measures of features and weights, the spectra on a log scale, layers, angles, and the t-SNE facets."""
    headlines = reader.group(_PROBE, "headline")
    blocks: list[Block] = []
    for metric in headlines:
        blocks += by_condition(reader, _PROBE, metric)
    blocks += spectrum(
        reader,
        "rank_curve",
        "Effective rank of general text over the number of tokens that it is measured on: a rank has no meaning without its N, and models "
        "are compared at the same one.",
        index="tokens",
        column="rank",
        y_label="effective rank",
    )
    blocks += metric_tables(reader, _PROBE, "Features of general text and of the test items", without=reader.group(_PROBE, "weights"))
    text = (
        "On general text, which training did not ask about, lost dimensions are lost. On the test items, learning to tell classes apart "
        "lowers ranks by itself: these have no better end. CKA is the debiased estimator."
    )
    blocks.append(Note(text=text, tone="quiet"))
    blocks += _bounded(reader)
    blocks += _by_layer(reader)
    blocks += spectrum(
        reader,
        "spectrum",
        "Normalised singular values of the centred features on shared axes: the steeper the fall, the fewer directions are in use.",
    )
    return blocks_or_reason(reader, _PROBE, [*blocks, *_angles(reader), *weights(reader), *_tsne(reader)])


COLLAPSE = SectionBuilder(name="collapse", title="Representation collapse", blocks=_blocks, probe=_PROBE)


def _bounded(reader: Reader) -> list[Block]:
    """Say where the number of items, not of dimensions, bounds every rank."""
    items = {row.n for row in reader.rows(_PROBE) if row.metric == "effective_rank" and reader.slice_of(row) == ALL and row.n}
    lengths = {len(series.columns.get("index", ())) for series in reader.series(_PROBE, "spectrum")}
    if not items or not lengths or max(lengths) < min(items):
        return []
    return [
        Note(
            text=f"{min(items):,} test items in more dimensions: no rank of theirs can exceed {min(items) - 1:,}, whatever the model. "
            "Compare models with one another, not with audits of other sizes.",
            tone="quiet",
        )
    ]


def _by_layer(reader: Reader) -> list[Block]:
    """Return the curves over the layers under the first condition that has any, and the tables of the others."""
    places = {condition: _layers(reader, condition) for condition in reader.conditions(_PROBE)}
    conditions = [condition for condition, found in places.items() if found]
    if not conditions:
        return []
    first, *others = (_layer_table(reader, condition, places[condition]) for condition in conditions)
    figure = curves_over(
        reader,
        _PROBE,
        reader.group(_PROBE, "by layer"),
        places[conditions[0]],
        x_label="layer (0: embeddings)",
        over="the layers",
        caption=f"{first.caption}.",
        table=first,
    )
    folded = Details(summary="Features by layer under the other conditions", blocks=tuple(others))
    return [first if figure is None else figure, *([folded] if others else [])]


def _layers(reader: Reader, condition: str) -> list[Place]:
    measured = {slice for metric in reader.group(_PROBE, "by layer") for slice in reader.slices(_PROBE, metric, condition)}
    depths = {int(slice.name): slice for slice in measured if slice.kind == "layer" and slice.name.isdecimal()}
    return [(str(depth), condition, depths[depth]) for depth in sorted(depths)]


def _layer_table(reader: Reader, condition: str, places: list[Place]) -> Table:
    metrics = reader.metrics(_PROBE, condition, places[0][2])
    return table_over(reader, _PROBE, metrics, places, f"Features by layer, trained on {condition_title(condition)}", head="layer ")


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
    counts = {title: Counter(names) for title, (_, _, names) in facets.items()}
    classes = sorted({name for found in counts.values() for name in found})
    perplexity = name.partition(":")[2]
    which = f" at perplexity {perplexity}" if perplexity else ""
    both = " Only what both perplexities show deserves a second look." if several else ""
    return [
        Figure(
            picture=scatter(facets),
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
