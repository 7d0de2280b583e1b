"""A metric over the dose of what was done to the training data: wrong labels, imbalance, a planted correlation."""

from __future__ import annotations

from collections.abc import Sequence

from balora_audit.report.blocks import Block, Cell, Figure, Table
from balora_audit.report.figures import Line, curves
from balora_audit.report.numbers import MISSING, info
from balora_audit.report.rows import Reader
from balora_audit.report.tables import line, whiskers

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
    panels: dict[str, list[Line]] = {}
    rows: list[tuple[Cell, ...]] = []
    for metric in metrics:
        for number, model in enumerate(reader.models):
            found = [reader.get(probe, metric, slice, condition, model) for _, condition, slice in places]
            points = [(float(x), f) for x, f in enumerate(found) if f is not None and f.value is not None]
            if points:
                panels.setdefault(info(metric).title, []).append(line(number, reader.title(model), points))
                rows.append((info(metric).title, reader.title(model), *(MISSING if f is None else f.cell for f in found)))
    if not panels:
        return []
    shares = all(info(metric).unit == "share" for metric in metrics)
    ticks = [dose for dose, _, _ in places]
    x_label = f"{_SAID[kind]} (evenly spaced)"
    shown = curves(panels, x_label=x_label, y_label="share of items, %" if shares else "value", ticks=ticks, shared_y=shares)
    return [
        Figure(
            uri=shown.uri,
            width=shown.width,
            height=shown.height,
            alt=f"Line charts over the {_SAID[kind]}: one panel per measure ({', '.join(panels)}), one line per model.",
            caption=f"{caption} {whiskers(reader)}",
            table=Table(
                caption=f"By {_SAID[kind]}",
                columns=("Metric", "Model", *ticks),
                align="ll" + "r" * len(ticks),
                rows=tuple(rows),
                headers=2,
            ),
        )
    ]


def _places(reader: Reader, probe: str, kind: str, metrics: Sequence[str]) -> list[tuple[str, str, str]]:
    """Return (dose as printed, condition, slice) in rising order."""
    found: list[tuple[float, str, str, str]] = []
    for condition in reader.conditions(probe, metrics):
        name, _, dose = condition.partition(":")
        if name == kind and "+" not in condition and any("all" in reader.slices(probe, metric, condition) for metric in metrics):
            found.append((float(dose), dose, condition, "all"))
    if not found:
        return []
    largest = max(found)[2]
    if kind == "noise" and any(f"flips={largest}" in reader.slices(probe, metric, "clean") for metric in metrics):
        found.append((0.0, "0", "clean", f"flips={largest}"))
    if kind == "imbalance" and any("all" in reader.slices(probe, metric, "clean") for metric in metrics):
        found.append((1.0, "1", "clean", "all"))
    return [place[1:] for place in sorted(found)]
