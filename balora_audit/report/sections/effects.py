"""Section 5: every paired difference, as a forest plot and as a table."""

from __future__ import annotations

from balora_audit.audit import Comparison
from balora_audit.report.blocks import Block, Details, Figure, Note, Section, Table
from balora_audit.report.figures import Interval, forest
from balora_audit.report.numbers import MISSING, change, interval_text, p_text
from balora_audit.report.rows import Reader
from balora_audit.vocabulary import METRICS, PROBE_TITLES

__all__ = ["effects"]

COLUMNS = ("Difference", "Metric", "Condition", "Δ", "Interval", "Test", "p", "adjusted p", "Items", "Seeds")


def effects(reader: Reader) -> Section:
    """Return the declared claims drawn by metric family, and all comparisons in tables."""
    rows = reader.record.comparisons
    declared = [row for row in rows if row.claim is not None]
    blocks: list[Block] = []
    families: dict[str, list[Comparison]] = {}
    for row in declared:
        if row.delta is not None and row.ci_low is not None and row.ci_high is not None:
            name = "shares" if METRICS[row.metric].unit == "share" else row.metric
            families.setdefault(name, []).append(row)
    for name, members in families.items():
        blocks.append(_forest(reader, name, members))
    if not families:
        blocks.append(Note(text="No declared claim has an interval."))
    if declared:
        blocks.append(_table(reader, "Declared claims: paired differences, candidate minus baseline", declared))
    other = [row for row in rows if row.claim is None]
    if other:
        table = _table(reader, "Exploratory differences, not declared in advance: no verdict, no correction for their number", other)
        blocks.append(Details(summary=f"{len(other)} exploratory differences", blocks=(table,)))
    return Section(id="effects", title="Effects overview", blocks=tuple(blocks))


def _forest(reader: Reader, name: str, rows: list[Comparison]) -> Figure:
    scale = 100.0 if name == "shares" else 1.0
    drawn = [
        Interval(
            text=f"{METRICS[row.metric].title}: {_pair(reader, row)} ({row.condition})",
            model=reader.models.index(row.candidate) if row.candidate in reader.models else 0,
            delta=scale * (row.delta or 0.0),
            low=scale * (row.ci_low or 0.0),
            high=scale * (row.ci_high or 0.0),
            margin=None if row.margin is None else scale * row.margin,
        )
        for row in rows
    ]
    title = "percentage points" if name == "shares" else f"{METRICS[name].title}, {METRICS[name].unit}"
    clear = sum(row.verdict in ("supported", "contradicted") for row in rows)
    return Figure(
        uri=forest(drawn, x_label=f"Δ = candidate − baseline, {title}; grey band: margin"),
        alt=f"Forest plot of {len(rows)} paired differences in {title} with their intervals, the zero line and margin bands.",
        caption=f"{clear} of {len(rows)} intervals lie wholly beyond their margin; the table below has the numbers.",
    )


def _table(reader: Reader, caption: str, rows: list[Comparison]) -> Table:
    return Table(
        caption=caption,
        columns=COLUMNS,
        rows=tuple(
            (
                _pair(reader, row),
                _metric(row),
                row.condition,
                change(row.delta, row.metric),
                interval_text(row.ci_low, row.ci_high, row.metric, signed=True) if row.delta is not None else (row.reason or MISSING),
                row.test or MISSING,
                p_text(row.p_value),
                p_text(row.p_adjusted),
                str(row.n_items),
                str(row.n_seeds),
            )
            for row in rows
        ),
        numeric_from=3,
    )


def _metric(row: Comparison) -> str:
    where = "" if row.slice == "all" else f" [{row.slice}]"
    return f"{PROBE_TITLES.get(row.probe, row.probe)}: {METRICS[row.metric].title}{where}"


def _pair(reader: Reader, row: Comparison) -> str:
    return f"{reader.titles.get(row.candidate, row.candidate)} − {reader.titles.get(row.baseline, row.baseline)}"
