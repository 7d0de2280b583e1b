"""How good every model is at its task, under every training condition, beside what would be possible and what words alone give."""

from __future__ import annotations

from balora_audit.report.blocks import Block, Note, Table, TableCell
from balora_audit.report.builder import SectionBuilder, blocks_or_reason
from balora_audit.report.charts import dot_figure
from balora_audit.report.numbers import MISSING, capitalised, condition_title, interval_text, isolated, value_text
from balora_audit.report.rows import SKILL, Reader
from balora_audit.report.tables import metric_table
from balora_audit.slices import CLEAN

__all__ = ["TASK_SKILL"]


def _blocks(reader: Reader) -> list[Block]:
    """Return skill by training condition, its tables, and the references."""
    blocks: list[Block] = []
    conditions = reader.conditions(SKILL)
    if reader.skill is not None:
        known = reader.skill
        blocks += dot_figure(
            reader,
            SKILL,
            {"": [(known.name, CLEAN, c) for c in conditions]},
            groups=[condition_title(c) for c in conditions],
            caption=f"{capitalised(known.title)} on the clean test texts by training condition. Many flaws follow from skill: a model that "
            "is right more often has more to lose, and one that trained further has moved further.",
            alt=f"Dots with whiskers: {known.title} on the clean test texts by training condition, one marker per model.",
            y_label=f"{known.title}, %" if known.unit == "share" else known.title,
            table=None,
        )
    for condition in conditions:
        metrics = reader.metrics(SKILL, condition, CLEAN)
        caption = f"Clean test texts, trained on {condition_title(condition)}"
        blocks.append(metric_table(reader, SKILL, condition, metrics, caption, slice=CLEAN))
    return blocks_or_reason(reader, SKILL, [*blocks, *_references(reader)])


TASK_SKILL = SectionBuilder(name="skill", title="Task skill", blocks=_blocks, probe=SKILL)


def _references(reader: Reader) -> list[Block]:
    rows: list[tuple[TableCell, ...]] = []
    for row in reader.record.references:
        metric = reader.metric(row.metric)
        interval = MISSING if row.ci_low is None else interval_text(row.ci_low, row.ci_high, metric)
        where = MISSING if row.condition is None else condition_title(row.condition)
        seed = MISSING if row.seed is None else str(row.seed)
        rows.append((isolated(row.title), where, seed, value_text(row.value, metric), interval, isolated(row.note)))
    if not rows:
        return []
    table = Table(
        caption=f"References for {reader.metric(reader.record.references[0].metric).title}: no fine-tuned model is among them",
        columns=("Reference", "Trained on", "Seed", "Value", f"{reader.level} interval", "What it is"),
        align="lclrrl",
        rows=tuple(rows),
    )
    note = Note(text="A fine-tuned model that is no better than a bag of words has learned words, whatever else it was.", tone="quiet")
    return [table, note]
