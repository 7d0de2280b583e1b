"""Recall by class under each training condition, gaps between groups, counterfactuals, amplification."""

from __future__ import annotations

from dataclasses import replace

from balora_audit.report.blocks import Block, Details, Note
from balora_audit.report.builder import SectionBuilder, blocks_or_reason
from balora_audit.report.charts import dot_figure
from balora_audit.report.numbers import condition_title, isolated
from balora_audit.report.rows import Reader
from balora_audit.report.sections.doses import doses
from balora_audit.report.tables import comparison_table, metric_tables, slice_table

__all__ = ["IMBALANCE"]

_PROBE = "imbalance"
_SMALL_GROUP = 5


def _blocks(reader: Reader) -> list[Block]:
    """Return per-class recall, the summary metrics, group gaps and counterfactual flips, and what grew over the base."""
    order = (
        "Classes in the order of the data's labels. Which of them are rare under imbalance rotates over the seeds; the control has as many "
    )
    order += "rows with balanced classes."
    blocks = _by_class(reader, "recall", "Recall by class", head="Class", y_label="recall, %", remark=order)
    caption = (
        "Recall over the imbalance of the training data; at 1 the training data are as given, and more of them: the cost of imbalance "
    )
    caption += "alone is in the tables, against a control of as many rows."
    blocks += doses(reader, _PROBE, "imbalance", reader.group(_PROBE, "recall over imbalance"), caption)
    caption = "Gaps between groups over the strength of the planted correlation: what rises was learned from it."
    blocks += doses(reader, _PROBE, "correlate", reader.group(_PROBE, "over correlation"), caption)
    blocks += metric_tables(reader, _PROBE, "Classes, groups and counterfactuals")
    alike = (
        "Zero: both groups are found alike. With few items in a cell equal groups show gaps too: the table has what shuffled groups show."
    )
    caption = "True-positive-rate gap between the groups by class"
    blocks += _by_class(reader, "tpr_gap", caption, y_label="gap, points", remark=alike, zero=True)
    caption = "Answers that change under the swap of identity terms, by class and by group"
    blocks += _by_class(reader, "counterfactual_flip_rate", caption, y_label="flips, %")
    return blocks_or_reason(reader, _PROBE, [*blocks, *_groups(reader), *_amplified(reader)])


IMBALANCE = SectionBuilder(name="imbalance", title="Imbalance and groups", blocks=_blocks, probe=_PROBE)


def _by_class(
    reader: Reader, metric: str, caption: str, *, y_label: str, head: str = "Class or group", remark: str = "", zero: bool = False
) -> list[Block]:
    slices = {
        c: [s for s in reader.slices(_PROBE, metric, c) if s.kind in ("class", "group")] for c in reader.conditions(_PROBE, (metric,))
    }
    conditions = [condition for condition, found in slices.items() if found]
    if not conditions:
        return []
    shown = list(dict.fromkeys(slice for found in slices.values() for slice in found))
    return dot_figure(
        reader,
        _PROBE,
        {f"trained on {condition_title(c)}": [(metric, slice, c) for slice in shown] for c in conditions},
        groups=[slice.title for slice in shown],
        caption=f"{caption}, shared axes. {remark}".rstrip(),
        alt=f"Dots with whiskers: {caption.lower()}, one panel per training condition, one marker per model.",
        y_label=y_label,
        table=slice_table(reader, _PROBE, metric, conditions, caption, head),
        zero=zero,
    )


def _groups(reader: Reader) -> list[Block]:
    conditions = [c for c in reader.conditions(_PROBE, ("accuracy",)) if reader.parts(_PROBE, "accuracy", c)]
    if not conditions:
        return []
    measured = [(reader.slice_of(row), row.n) for row in reader.rows(_PROBE) if row.metric == "accuracy"]
    small = sorted({isolated(slice.title) for slice, n in measured if slice.kind == "group" and n < _SMALL_GROUP})
    table = slice_table(reader, _PROBE, "accuracy", conditions, "Accuracy by group", "Group")
    if small:
        said = f"Fewer than {_SMALL_GROUP} test items, shown and never ranked or compared: {', '.join(small)}."
        table = replace(table, notes=(*table.notes, said))
    return [Details(summary="Accuracy by group", blocks=(table,))]


def _amplified(reader: Reader) -> list[Block]:
    gaps = reader.group(_PROBE, "gap")
    rows = [
        row
        for row in reader.record.comparisons
        if row.probe == _PROBE and row.baseline in reader.untrained and row.metric in gaps and row.delta is not None
    ]
    note = Note(text="Gaps describe these test items; they are no statement about people beyond them.", tone="quiet")
    if not rows:
        missing = "Amplification over the base: not measured, no paired difference from the base is on record."
        return [Note(text=missing, tone="quiet"), note]
    caption = "Amplification: each measure of a fine-tuned model minus that of the base, on the same items"
    return [comparison_table(reader, caption, rows, verdicts=False), note]
