"""Section 7: recall by class under each training condition, gaps between groups, counterfactuals, amplification."""

from __future__ import annotations

from balora_audit.report.blocks import Block, Details, Note, Section
from balora_audit.report.numbers import condition_title
from balora_audit.report.rows import Reader
from balora_audit.report.tables import comparison_table, dot_figure, metric_table, section_or_reason, slice_name, slice_table

__all__ = ["imbalance"]

_PROBE = "imbalance"
_GAPS = ("tpr_gap_rms", "worst_group_accuracy", "counterfactual_flip_rate", "counterfactual_shift", "worst_class_recall", "prior_shift")


def imbalance(reader: Reader) -> Section:
    """Return per-class recall, the summary metrics, group gaps and counterfactual flips, and what grew over the base."""
    blocks: list[Block] = []
    blocks += _by_class(reader, "recall", "Recall by class", "recall, %", zero=False)
    for condition in reader.conditions(_PROBE):
        metrics = reader.metrics(_PROBE, condition)
        if metrics:
            caption = f"Classes, groups and counterfactuals, trained on {condition_title(condition)}"
            blocks.append(metric_table(reader, _PROBE, condition, metrics, caption))
    blocks += _by_class(reader, "tpr_gap", "True-positive-rate gap between the groups by class", "gap, points", zero=True)
    conditions = [c for c in reader.conditions(_PROBE, ("accuracy",)) if reader.slices(_PROBE, "accuracy", c) != ["all"]]
    if conditions:
        table = slice_table(reader, _PROBE, "accuracy", conditions, "Accuracy by group", "Group")
        blocks.append(Details(summary="Accuracy by group", blocks=(table,)))
    blocks += _amplified(reader)
    return section_or_reason(reader, _PROBE, "Imbalance and groups", blocks)


def _by_class(reader: Reader, metric: str, caption: str, y_label: str, *, zero: bool) -> list[Block]:
    conditions = [c for c in reader.conditions(_PROBE, (metric,)) if any("=" in s for s in reader.slices(_PROBE, metric, c))]
    if not conditions:
        return []
    slices = list(dict.fromkeys(s for c in conditions for s in reader.slices(_PROBE, metric, c) if "=" in s))
    order = "Classes in the order of the data's labels; a long tail runs from the first (most frequent) to the last."
    figure = dot_figure(
        reader,
        _PROBE,
        {f"trained on {condition_title(c)}": [(metric, s, c) for s in slices] for c in conditions},
        groups=[slice_name(s) for s in slices],
        caption=f"{caption}, shared axes. {order if not zero else 'Zero: both groups are found alike.'}",
        alt=f"Dots with whiskers: {caption.lower()}, one panel per training condition, one marker per model.",
        y_label=y_label,
        table=slice_table(reader, _PROBE, metric, conditions, caption, "Class"),
        zero=zero,
    )
    return [] if figure is None else [figure]


def _amplified(reader: Reader) -> list[Block]:
    rows = [
        row
        for row in reader.record.comparisons
        if row.probe == _PROBE and row.baseline in reader.untrained and row.metric in _GAPS and row.delta is not None
    ]
    note = Note(
        text="Gaps describe these test items; they are no statement about people beyond them.",
        tone="quiet",
    )
    if not rows:
        return [
            Note(text="Amplification over the base: not measured, no paired difference from the base is on record.", tone="quiet"),
            note,
        ]
    caption = "Amplification: each measure of a fine-tuned model minus that of the base, on the same items"
    return [comparison_table(reader, caption, rows, verdicts=False), note]
