"""Section 7: recall by class under each training condition, gaps between groups, counterfactuals, amplification."""

from __future__ import annotations

from dataclasses import replace

from balora_audit.report.blocks import Block, Details, Note, Section
from balora_audit.report.numbers import condition_title
from balora_audit.report.rows import Reader
from balora_audit.report.sections.doses import doses
from balora_audit.report.tables import comparison_table, dot_figure, metric_table, section_or_reason, slice_name, slice_table

__all__ = ["imbalance"]

_PROBE = "imbalance"
_GAPS = (
    "tpr_gap_rms",
    "equalized_odds_difference",
    "demographic_parity_difference",
    "worst_group_accuracy",
    "counterfactual_flip_rate",
    "counterfactual_shift",
    "worst_class_recall",
    "prior_shift",
)
_RECALLS = ("balanced_accuracy", "head_recall", "medium_recall", "tail_recall", "worst_class_recall")
_SPURIOUS = ("tpr_gap_rms", "equalized_odds_difference", "counterfactual_flip_rate")
_SMALL_GROUP = 5


def imbalance(reader: Reader) -> Section:
    """Return per-class recall, the summary metrics, group gaps and counterfactual flips, and what grew over the base."""
    blocks: list[Block] = []
    blocks += _by_class(reader, "recall", "Recall by class", "recall, %", zero=False)
    caption = "Recall over the imbalance of the training data; at 1 the training data are as given."
    blocks += doses(reader, _PROBE, "imbalance", _RECALLS, caption)
    caption = "Gaps between groups over the strength of the planted correlation: what rises was learned from it."
    blocks += doses(reader, _PROBE, "correlate", _SPURIOUS, caption)
    for condition in reader.conditions(_PROBE):
        metrics = reader.metrics(_PROBE, condition)
        if metrics:
            caption = f"Classes, groups and counterfactuals, trained on {condition_title(condition)}"
            blocks.append(metric_table(reader, _PROBE, condition, metrics, caption))
    blocks += _by_class(reader, "tpr_gap", "True-positive-rate gap between the groups by class", "gap, points", zero=True)
    blocks += _counterfactuals(reader)
    blocks += _groups(reader)
    blocks += _amplified(reader)
    return section_or_reason(reader, _PROBE, "Imbalance and groups", blocks)


def _by_class(reader: Reader, metric: str, caption: str, y_label: str, *, zero: bool) -> list[Block]:
    conditions = [c for c in reader.conditions(_PROBE, (metric,)) if any("=" in s for s in reader.slices(_PROBE, metric, c))]
    if not conditions:
        return []
    slices = list(dict.fromkeys(s for c in conditions for s in reader.slices(_PROBE, metric, c) if "=" in s))
    order = "Zero: both groups are found alike." if zero else ""
    if metric == "recall":
        order = "Classes in the order of the data's labels; a long tail runs from the first (most frequent) to the last."
    figure = dot_figure(
        reader,
        _PROBE,
        {f"trained on {condition_title(c)}": [(metric, s, c) for s in slices] for c in conditions},
        groups=[slice_name(s) for s in slices],
        caption=f"{caption}, shared axes. {order}".rstrip(),
        alt=f"Dots with whiskers: {caption.lower()}, one panel per training condition, one marker per model.",
        y_label=y_label,
        table=slice_table(reader, _PROBE, metric, conditions, caption, "Class" if metric == "recall" else "Class or group"),
        zero=zero,
    )
    return [] if figure is None else [figure]


def _counterfactuals(reader: Reader) -> list[Block]:
    return _by_class(
        reader,
        "counterfactual_flip_rate",
        "Answers that change under the swap of identity terms, by class and by group",
        "flips, %",
        zero=False,
    )


def _groups(reader: Reader) -> list[Block]:
    conditions = [c for c in reader.conditions(_PROBE, ("accuracy",)) if reader.slices(_PROBE, "accuracy", c) != ["all"]]
    if not conditions:
        return []
    small = sorted(
        {
            row.slice.partition("=")[2]
            for row in reader.record.measurements
            if row.probe == _PROBE and row.metric == "accuracy" and row.slice.startswith("group=") and row.n < _SMALL_GROUP
        }
    )
    table = slice_table(reader, _PROBE, "accuracy", conditions, "Accuracy by group", "Group")
    if small:
        said = f"Fewer than {_SMALL_GROUP} test items, shown and never ranked or compared: {', '.join(small)}."
        table = replace(table, notes=(*table.notes, said))
    return [Details(summary="Accuracy by group", blocks=(table,))]


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
