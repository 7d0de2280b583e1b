"""Every paired difference, as forest plots by unit and as their twin tables."""

from __future__ import annotations

from balora_audit.metric import Metric
from balora_audit.records import Comparison
from balora_audit.report.blocks import Block, Details, Figure, Note
from balora_audit.report.builder import SectionBuilder
from balora_audit.report.figures_effects import Effect, forest
from balora_audit.report.numbers import condition_title, scale
from balora_audit.report.rows import Reader
from balora_audit.report.style import label
from balora_audit.report.tables import comparison_table

__all__ = ["EFFECTS"]

_MOST_LETTERS = 28
_DIRECTION = {True: " · ↑ better", False: " · ↓ better", None: ""}


def _blocks(reader: Reader) -> list[Block]:
    """Return the declared claims drawn by metric family with their table, then the exploratory differences by probe."""
    rows = reader.record.comparisons
    declared = [row.deciding for row in rows if row.claim is not None]
    blocks: list[Block] = []
    if declared:
        blocks += _forests(reader, declared)
        equal = ", at equal skill where that decided" if any(row.at_equal_skill is not None for row in declared) else ""
        caption = f"The declared claims: paired differences, candidate minus baseline{equal}"
        blocks.append(comparison_table(reader, caption, declared, verdicts=True))
    else:
        blocks.append(Note(text="No claim was declared for this audit."))
    other = [row for row in rows if row.claim is None]
    for probe in dict.fromkeys(row.probe for row in other):
        chosen = [row for row in other if row.probe == probe]
        title = reader.probe_title(probe)
        caption = f"{title}: differences that were not declared in advance; no verdict, no correction for their number"
        table = comparison_table(reader, caption, chosen, verdicts=False)
        # a difference of which neither end is the better one is told in the table, and not drawn as if it favoured a model
        inner: tuple[Block, ...] = (*_forests(reader, [row for row in chosen if row.higher_is_better is not None]), table)
        blocks.append(Details(summary=f"{title}: {len(chosen)} exploratory differences", blocks=inner))
    return blocks


EFFECTS = SectionBuilder(name="effects", title="Effects overview", blocks=_blocks)


def _forests(reader: Reader, rows: list[Comparison]) -> list[Block]:
    families: dict[str, list[Comparison]] = {}
    for row in rows:
        if row.delta is not None and row.ci_low is not None and row.ci_high is not None:
            families.setdefault(_unit(reader.metric(row.metric)), []).append(row)
    if not families:
        return [Note(text="None of these differences has an interval to draw.")]
    return [_forest(reader, unit, members) for unit, members in families.items()]


def _unit(metric: Metric) -> str:
    """Say what a difference is counted in: all shares have one axis, every other metric its own."""
    if metric.unit == "share":
        return "percentage points"
    return metric.title + (" in nats" if metric.unit == "nats" else "")


def _forest(reader: Reader, unit: str, rows: list[Comparison]) -> Figure:
    drawn = [_effect(reader, row) for row in rows]
    apart = sum(not low <= 0 <= high for low, high in ((row.low, row.high) for row in drawn))
    margins = "; band: the margin" if any(row.margin is not None for row in drawn) else ""
    return Figure(
        picture=forest(drawn, x_label=f"Δ = candidate − baseline, {unit}"),
        alt=f"Forest plot of {len(drawn)} paired differences in {unit}: intervals, the zero line and margins. The table has all numbers.",
        caption=f"{apart} of {len(drawn)} intervals exclude zero. Differences in {unit}, {reader.level} intervals{margins}, "
        "coloured by candidate.",
    )


def _effect(reader: Reader, row: Comparison) -> Effect:
    by = scale(reader.metric(row.metric))
    candidate, baseline = reader.title(row.candidate), reader.title(row.baseline)
    return Effect(
        group=f"{reader.metric_title(row)} · {condition_title(row.condition)}{_DIRECTION[row.higher_is_better]}",
        text=f"{label(candidate, _MOST_LETTERS)} − {label(baseline, _MOST_LETTERS)}",
        model=reader.place(row.candidate),
        candidate=candidate,
        delta=by * (row.delta or 0.0),
        low=by * (row.ci_low or 0.0),
        high=by * (row.ci_high or 0.0),
        margin=None if row.margin is None else by * row.margin,
    )
