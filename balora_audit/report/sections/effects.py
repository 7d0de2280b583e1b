"""Section 5: every paired difference, as forest plots by unit and as their twin tables."""

from __future__ import annotations

from balora_audit.records import Comparison
from balora_audit.report.blocks import Block, Details, Figure, Note, Section
from balora_audit.report.figures_effects import Effect, forest
from balora_audit.report.numbers import PROBE_TITLES, condition_title, info, scale
from balora_audit.report.rows import Reader
from balora_audit.report.style import label
from balora_audit.report.tables import comparison_table

__all__ = ["effects"]

_MOST_LETTERS = 28
_DIRECTION = {True: " · ↑ better", False: " · ↓ better", None: ""}


def effects(reader: Reader) -> Section:
    """Return the declared claims drawn by metric family with their table, then the exploratory differences by probe."""
    rows = reader.record.comparisons
    declared = [row for row in rows if row.claim is not None]
    blocks: list[Block] = []
    if declared:
        blocks += _forests(reader, declared)
        caption = "The declared claims: paired differences, candidate minus baseline"
        blocks.append(comparison_table(reader, caption, declared, verdicts=True))
    else:
        blocks.append(Note(text="No claim was declared for this audit."))
    other = [row for row in rows if row.claim is None]
    for probe in dict.fromkeys(row.probe for row in other):
        chosen = [row for row in other if row.probe == probe]
        title = PROBE_TITLES.get(probe, probe)
        caption = f"{title}: differences that were not declared in advance; no verdict, no correction for their number"
        table = comparison_table(reader, caption, chosen, verdicts=False)
        inner: tuple[Block, ...] = (*_forests(reader, chosen), table)
        blocks.append(Details(summary=f"{title}: {len(chosen)} exploratory differences", blocks=inner))
    return Section(id="effects", title="Effects overview", blocks=tuple(blocks))


def _forests(reader: Reader, rows: list[Comparison]) -> list[Block]:
    families: dict[str, list[Comparison]] = {}
    for row in rows:
        if row.delta is not None and row.ci_low is not None and row.ci_high is not None:
            families.setdefault("share" if info(row.metric).unit == "share" else row.metric, []).append(row)
    if not families:
        return [Note(text="None of these differences has an interval to draw.")]
    return [_forest(reader, name, members) for name, members in families.items()]


def _forest(reader: Reader, family: str, rows: list[Comparison]) -> Figure:
    drawn = [_effect(reader, row) for row in rows]
    known = info(family)
    unit = "percentage points" if family == "share" else known.title + (f" in {known.unit}" if known.unit == "nats" else "")
    shown = forest(drawn, x_label=f"Δ = candidate − baseline, {unit}")
    apart = sum(not low <= 0 <= high for low, high in ((row.low, row.high) for row in drawn))
    margins = "; band: the margin" if any(row.margin is not None for row in drawn) else ""
    return Figure(
        uri=shown.uri,
        width=shown.width,
        height=shown.height,
        alt=f"Forest plot of {len(drawn)} paired differences in {unit}: intervals, the zero line and margins. The table has all numbers.",
        caption=f"{apart} of {len(drawn)} intervals exclude zero. Differences in {unit}, {reader.level} intervals{margins}, "
        "coloured by candidate.",
    )


def _effect(reader: Reader, row: Comparison) -> Effect:
    by = scale(row.metric)
    where = "" if row.slice in ("all", "clean") else f" [{row.slice}]"
    candidate, baseline = reader.title(row.candidate), reader.title(row.baseline)
    return Effect(
        group=f"{info(row.metric).title}{where} · {condition_title(row.condition)}{_DIRECTION[row.higher_is_better]}",
        text=f"{label(candidate, _MOST_LETTERS)} − {label(baseline, _MOST_LETTERS)}",
        model=reader.place(row.candidate),
        candidate=candidate,
        delta=by * (row.delta or 0.0),
        low=by * (row.ci_low or 0.0),
        high=by * (row.ci_high or 0.0),
        margin=None if row.margin is None else by * row.margin,
    )
