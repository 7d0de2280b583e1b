"""A metric over the dose of what was done to the training data: wrong labels, imbalance, a planted correlation."""

from __future__ import annotations

from collections.abc import Sequence

from balora_audit.data.conditions import parse
from balora_audit.errors import ConfigurationError
from balora_audit.report.blocks import Block
from balora_audit.report.charts import Place, curves_over, table_over
from balora_audit.report.rows import Reader
from balora_audit.slices import ALL, Slice

__all__ = ["doses"]

_SAID = {
    "noise": "share of wrong training labels",
    "imbalance": "imbalance ratio of the training data",
    "correlate": "majority group's share in each class of the training data",
}


def doses(reader: Reader, probe: str, kind: str, metrics: Sequence[str], caption: str) -> list[Block]:
    """Return the figure of some metrics over the doses of one kind of condition; nothing with fewer than two doses.

    The model trained on clean data stands at the dose that means *nothing done*: 0 wrong labels (measured on the items that
    the largest dose mislabels), imbalance ratio 1.
    """
    places = _places(reader, probe, kind, metrics)
    if len(places) < 2:
        return []
    figure = curves_over(
        reader,
        probe,
        metrics,
        places,
        x_label=f"{_SAID[kind]} (evenly spaced)",
        over=f"the {_SAID[kind]}",
        caption=caption,
        table=table_over(reader, probe, metrics, places, f"By {_SAID[kind]}"),
    )
    return [] if figure is None else [figure]


def _places(reader: Reader, probe: str, kind: str, metrics: Sequence[str]) -> list[Place]:
    """Return the doses with their condition and slice, in rising order."""
    found: list[tuple[float, Place]] = []
    for condition in reader.conditions(probe, metrics):
        dose = _dose(condition, kind)
        if dose is not None and _has(reader, probe, metrics, condition, ALL):
            found.append((dose, (f"{dose:g}", condition, ALL)))
    if not found:
        return []
    flipped = Slice("flips", max(found)[1][1])
    if kind == "noise" and _has(reader, probe, metrics, "clean", flipped):
        found.append((0.0, ("0", "clean", flipped)))
    if kind == "imbalance" and _has(reader, probe, metrics, "clean", ALL):
        found.append((1.0, ("1", "clean", ALL)))
    return [place for _, place in sorted(found)]


def _dose(condition: str, kind: str) -> float | None:
    """Return the dose of a condition of this kind alone; None of any other, and of one that this version cannot read."""
    try:
        doses = dict(parse(condition).doses)
    except ConfigurationError:
        return None
    return doses.get(kind) if len(doses) == 1 else None


def _has(reader: Reader, probe: str, metrics: Sequence[str], condition: str, slice: Slice) -> bool:
    return any(slice in reader.slices(probe, metric, condition) for metric in metrics)
