"""What this audit does not say, what was not measured, and every metric in one sentence."""

from __future__ import annotations

from balora_audit.report.blocks import Block, Definitions, Details, Note, Table
from balora_audit.report.builder import SectionBuilder
from balora_audit.report.numbers import change, condition_title
from balora_audit.report.rows import Reader
from balora_audit.slices import ALL

__all__ = ["LIMITS"]

_MOST_ROWS = 60
_TERMS = (
    ("own best", "A method with the setting of the smallest loss on the validation rows."),
    ("frontier", "A method's candidates as points of skill and flaw, joined in order of skill, up to the rate that brings most skill."),
    (
        "equal skill",
        "The mean gap of two frontiers over the range of skill that both reach. Flaws that follow from skill, or grow with training, are "
        "compared there.",
    ),
    ("stability", "Of the settings that both methods were trained with, the share that alone would have given the same verdict."),
)
"""Words of comparisons between tuned methods."""


def _blocks(reader: Reader) -> list[Block]:
    """Return the limits in words, the quantities without a value and why, and the glossary."""
    blocks: list[Block] = [
        Note(
            text="What this audit does not say: how the models behave on other data, at other sizes or ranks, with "
            f"{'other' if reader.record.tuning is None else 'untried'} learning rates; whether "
            "they are safe or suited to a use; anything about groups beyond those named. Synthetic data test mechanisms, not a population."
        ),
        Note(
            text="Intervals cover the choice of test items; with several seeds also that of the seed. They do not cover the choice of "
            "data set, prompt or hyperparameters. An inconclusive verdict is no evidence of sameness."
        ),
    ]
    present = {row.probe for row in reader.record.measurements}
    absent = [reader.probe_title(probe.name) for probe in reader.record.probes if probe.name not in present]
    if absent:
        blocks.append(Note(text=f"Not part of this audit: {', '.join(absent)}.", tone="warning"))
    blocks += [*_floors(reader), *_unmeasured(reader)]
    used = dict.fromkeys(
        [*(row.metric for row in reader.record.measurements), *(row.metric for row in reader.record.comparisons)],
    )
    if used:
        known = [reader.metric(name) for name in used]
        rows = tuple((metric.title, f"{metric.meaning} ({metric.source})") for metric in known)
        rows = (*rows, *(_TERMS if reader.record.tuning is not None else ()))
        blocks.append(
            Details(summary=f"Glossary: {len(used)} metrics, each in one sentence with its source", blocks=(Definitions(rows=rows),))
        )
    return blocks


LIMITS = SectionBuilder(name="limits", title="Limits and glossary", blocks=_blocks)


def _floors(reader: Reader) -> list[Block]:
    """Return how far numbers move with the batches that they are computed in, where they do."""
    rows = [row for row in reader.record.floors if row.change > 0]
    if not rows:
        return []
    rows.sort(key=lambda row: (row.probe, row.metric, row.condition))
    table = Table(
        caption=f"Numerical floor, showing {min(len(rows), _MOST_ROWS)} of {len(rows)} numbers that move",
        columns=("Metric", "Model", "Trained on", "Moves by"),
        align="llcr",
        rows=tuple(
            (
                f"{reader.probe_title(row.probe)}: {reader.metric(row.metric).title}",
                reader.title(row.method),
                condition_title(row.condition),
                change(row.change, reader.metric(row.metric)).removeprefix("+"),
            )
            for row in rows[:_MOST_ROWS]
        ),
    )
    same = len(reader.record.floors) - len(rows)
    text = (
        f"One model was scored twice, in other batches and another order: {len(rows):,} of its numbers moved, {same:,} did not. Twice the "
        "move is the numerical floor of a difference; a verdict that it would change is inconclusive."
    )
    return [Note(text=text, tone="quiet"), Details(summary="How far numbers move with batch size and order", blocks=(table,))]


def _unmeasured(reader: Reader) -> list[Block]:
    rows = tuple(
        dict.fromkeys(
            (
                f"{reader.probe_title(row.probe)}: {reader.metric_title(row, (ALL,))}",
                reader.title(row.method),
                condition_title(row.condition),
                str(row.reason),
            )
            for row in reader.unmeasured()
        )
    )
    if not rows:
        return []
    table = Table(
        caption=f"Not measured, and why: showing {min(len(rows), _MOST_ROWS)} of {len(rows)}",
        columns=("Metric", "Model", "Trained on", "Reason"),
        align="llll",
        rows=rows[:_MOST_ROWS],
    )
    return [Details(summary=f"{len(rows)} quantities were not measured, and why", blocks=(table,))]
