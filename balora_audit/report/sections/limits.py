"""Section 13: what this audit does not say, what was not measured, and every metric in one sentence."""

from __future__ import annotations

from balora_audit.report.blocks import Block, Definitions, Details, Note, Section, Table
from balora_audit.report.numbers import BUILT_IN, PROBE_TITLES, condition_title, info
from balora_audit.report.rows import Reader

__all__ = ["limits"]

_MOST_ROWS = 60


def limits(reader: Reader) -> Section:
    """Return the limits in words, the quantities without a value and why, and the glossary."""
    blocks: list[Block] = [
        Note(
            text="What this audit does not say: how the models behave on other data, at other sizes, ranks or learning rates; whether "
            "they are safe or suited to a use; anything about groups beyond those named. Synthetic data test mechanisms, not a population."
        ),
        Note(
            text="Intervals cover the choice of test items; with several seeds also that of the seed. They do not cover the choice of "
            "data set, prompt or hyperparameters. An inconclusive verdict is no evidence of sameness."
        ),
    ]
    present = {row.probe for row in reader.record.measurements}
    absent = [PROBE_TITLES[name] for name in BUILT_IN if name not in present]
    if absent:
        blocks.append(Note(text=f"Not part of this audit: {', '.join(absent)}.", tone="warning"))
    blocks += _unmeasured(reader)
    used = dict.fromkeys(
        [*(row.metric for row in reader.record.measurements), *(row.metric for row in reader.record.comparisons)],
    )
    if used:
        rows = tuple((info(name).title, f"{info(name).meaning} ({info(name).source})") for name in used)
        blocks.append(
            Details(summary=f"Glossary: {len(used)} metrics, each in one sentence with its source", blocks=(Definitions(rows=rows),))
        )
    return Section(id="limits", title="Limits and glossary", blocks=tuple(blocks))


def _unmeasured(reader: Reader) -> list[Block]:
    rows = tuple(
        dict.fromkeys(
            (
                f"{PROBE_TITLES.get(row.probe, row.probe)}: {info(row.metric).title}" + ("" if row.slice == "all" else f" [{row.slice}]"),
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
