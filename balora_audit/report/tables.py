"""Tables that several sections share: metrics by model, slices by model, paired differences."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from balora_audit.records import Comparison
from balora_audit.report.blocks import Block, Estimate, Table, TableCell
from balora_audit.report.numbers import MISSING, capitalised, change, condition_title, count_text, interval_text, p_text
from balora_audit.report.rows import SKILL, Reader, Summary
from balora_audit.slices import ALL, Slice

__all__ = ["DIRECTION", "cells", "comparison_table", "metric_table", "metric_tables", "part_tables", "slice_table"]

_MOST_REASONS = 12
FOLLOWS = "†"
_MARK = f"{FOLLOWS} follows from skill, or grows with training: compare it only between models of equal skill."
DIRECTION = {True: "higher is better", False: "lower is better", None: ""}
"""What a reader is told of a metric's direction."""


def metric_table(reader: Reader, probe: str, condition: str, metrics: Sequence[str], caption: str, slice: Slice = ALL) -> Table:
    """Return a table with one row per metric and one column per model, values with intervals, and how many items they are of.

    The first row is the models' skill on clean test data, without which no other number is read.
    """
    rows: list[tuple[TableCell, ...]] = []
    seen: list[Summary | None] = []
    marked = False
    if probe != SKILL and reader.skill is not None and (skills := reader.skill_of(condition)):
        title = f"{reader.skill.title} on clean test texts"
        rows.append((title, DIRECTION[reader.skill.higher_is_better], _counts(skills), *cells(skills)))
    for metric in metrics:
        found = reader.across(probe, metric, slice, condition)
        seen += found
        known = reader.metric(metric)
        follows = probe != SKILL and known.skill in ("follows", "trained")
        marked = marked or follows
        rows.append(
            (f"{known.title} {FOLLOWS}" if follows else known.title, DIRECTION[known.higher_is_better], _counts(found), *cells(found))
        )
    return Table(
        caption=caption,
        columns=("Metric", "Direction", "Items", *(reader.title(model) for model in reader.models)),
        align="ll" + "r" * (1 + len(reader.models)),
        rows=tuple(rows),
        notes=(*_notes(reader, seen), *((_MARK,) if marked else ())),
        evidence=_evidence(seen),
    )


def metric_tables(reader: Reader, probe: str, caption: str, *, without: Collection[str] = ()) -> list[Block]:
    """Return one such table for each training condition, of all metrics but some."""
    tables: list[Block] = []
    for condition in reader.conditions(probe):
        metrics = [metric for metric in reader.metrics(probe, condition) if metric not in without]
        if metrics:
            tables.append(metric_table(reader, probe, condition, metrics, f"{caption}, trained on {condition_title(condition)}"))
    return tables


def slice_table(reader: Reader, probe: str, metric: str, conditions: Sequence[str], caption: str, head: str) -> Table:
    """Return a table with one row per condition and slice of a metric (but all items and the clean texts) and one column per model."""
    rows: list[tuple[TableCell, ...]] = []
    seen: list[Summary | None] = []
    for condition in conditions:
        for slice in reader.parts(probe, metric, condition):
            found = reader.across(probe, metric, slice, condition)
            seen += found
            rows.append((condition_title(condition), slice.title, _counts(found), *cells(found)))
    return Table(
        caption=caption,
        columns=("Trained on", head, "Items", *(reader.title(model) for model in reader.models)),
        align="cl" + "r" * (1 + len(reader.models)),
        rows=tuple(rows),
        headers=2,
        notes=_notes(reader, seen),
        evidence=_evidence(seen),
    )


def part_tables(reader: Reader, probe: str, metrics: Sequence[str], by: str, head: str) -> list[Block]:
    """Return the slices of each metric that has any but all items and the clean texts; `by` says in the caption what they are."""
    tables: list[Block] = []
    for metric in metrics:
        conditions = [c for c in reader.conditions(probe, (metric,)) if reader.parts(probe, metric, c)]
        if conditions:
            tables.append(slice_table(reader, probe, metric, conditions, f"{capitalised(reader.metric(metric).title)}{by}", head))
    return tables


def comparison_table(reader: Reader, caption: str, rows: Sequence[Comparison], *, verdicts: bool) -> Table:
    """Return paired differences with their intervals, tests and numbers of items and seeds."""
    columns = [
        "Candidate − baseline",
        "Metric",
        "Trained on",
        "Δ",
        *(["Margin", "Verdict"] if verdicts else []),
        "p",
        "Items",
        "Seeds",
        "Test",
    ]
    body: list[tuple[TableCell, ...]] = []
    for row in rows:
        metric = reader.metric(row.metric)
        interval = None if row.ci_low is None else interval_text(row.ci_low, row.ci_high, metric, signed=True)
        decided: list[TableCell] = [change(row.margin, metric).removeprefix("+"), _verdict(reader, row)] if verdicts else []
        adjusted = None if row.p_adjusted is None or not verdicts else f"adjusted {p_text(row.p_adjusted)}"
        body.append(
            (
                f"{reader.title(row.candidate)} − {reader.title(row.baseline)}",
                ", ".join(part for part in (reader.metric_title(row, (ALL,)), DIRECTION[row.higher_is_better]) if part),
                condition_title(row.condition),
                Estimate(text=change(row.delta, metric), below=interval),
                *decided,
                Estimate(text=p_text(row.p_value), below=adjusted),
                count_text(row.n_items),
                str(row.n_seeds),
                row.test or MISSING,
            )
        )
    floors = [
        f"{reader.metric_title(row, (ALL,))} {change(row.floor, reader.metric(row.metric)).removeprefix('+')}" for row in rows if row.floor
    ]
    moved = f"Numerical floor (how far a difference moves with batch size and order): {'; '.join(dict.fromkeys(floors))}." if floors else ""
    reasons = dict.fromkeys(f"{reader.metric_title(row, (ALL,))}, {row.condition}: {row.reason}." for row in rows if row.reason)
    return Table(
        caption=caption,
        columns=tuple(columns),
        align="llcr" + ("rl" if verdicts else "") + "rrrw",
        rows=tuple(body),
        notes=(f"Beneath a difference: its {reader.level} interval.", *((moved,) if moved else ()), *tuple(reasons)[:_MOST_REASONS]),
    )


def _verdict(reader: Reader, row: Comparison) -> TableCell:
    """Return the verdict, and beneath it the matched metric, or the equal skill, that it was decided on."""
    if row.at_equal_skill is not None:
        return Estimate(text=row.verdict or MISSING, below="at equal skill")
    if row.matched is None:
        return row.verdict or MISSING
    return Estimate(text=row.verdict or MISSING, below=f"on {reader.metric(row.matched.metric).title}")


def cells(found: Iterable[Summary | None]) -> list[TableCell]:
    """Return what stands in a table for each summary: a dash where there is none."""
    return [MISSING if summary is None else summary.cell for summary in found]


def _counts(found: Iterable[Summary | None]) -> str:
    counts = sorted({f.n for f in found if f is not None and f.value is not None})
    return " / ".join(f"{count:,}" for count in counts) or MISSING


def _notes(reader: Reader, seen: Sequence[Summary | None]) -> tuple[str, ...]:
    notes = [
        f"{MISSING} {f.metric.title} was not measured: {f.reason}."
        for f in seen
        if f is not None and f.value is None and f.reason is not None
    ]
    notes += [
        f"{f.metric.title}: a value lies outside its own interval, because resampling items shifts this measure; read it with care."
        for f in seen
        if f is not None and f.value is not None and f.low is not None and f.high is not None and not f.low <= f.value <= f.high
    ]
    if any(f is not None and len(f.values) > 1 for f in seen):
        notes.append("Values are means over seeds, with each seed's own value beneath.")
    elif any(f is not None and f.low is not None for f in seen):
        notes.append(f"Beneath a value: its {reader.level} interval over items.")
    return tuple(dict.fromkeys(notes))


def _evidence(seen: Sequence[Summary | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(path for f in seen if f is not None for path in f.evidence))
