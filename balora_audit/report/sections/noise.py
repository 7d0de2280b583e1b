"""Answers over the severity of input noise, and memorisation of wrong labels."""

from __future__ import annotations

from balora_audit.report.blocks import Block, Details, Figure, Note, Table, TableCell
from balora_audit.report.builder import SectionBuilder, blocks_or_reason
from balora_audit.report.charts import dot_figure, measured_line, whiskers
from balora_audit.report.figures import Line, curves
from balora_audit.report.numbers import capitalised, condition_title
from balora_audit.report.rows import SKILL, Reader, Summary
from balora_audit.report.sections.doses import doses
from balora_audit.report.tables import cells, metric_table, metric_tables, part_tables
from balora_audit.slices import ALL, CLEAN, Slice

__all__ = ["NOISE"]

_PROBE = "noise"


def _blocks(reader: Reader) -> list[Block]:
    """Return severity curves per kind of noise, the summary metrics, and memorisation under label noise."""
    blocks: list[Block] = []
    for metric in reader.group(_PROBE, "curve"):
        for condition in reader.conditions(_PROBE, (metric,)):
            blocks += _severity(reader, metric, condition)
    label_noise = reader.group(_PROBE, "label noise")
    blocks += metric_tables(reader, _PROBE, "Noise robustness over all kinds and severities", without=label_noise)
    blocks += _inapplicable(reader)
    folded = part_tables(reader, _PROBE, reader.group(_PROBE, "folded"), " by kind and severity", "Noise")
    if folded:
        blocks.append(Details(summary="By kind and severity: drops, flips and the realised rate of noise", blocks=tuple(folded)))
    blocks += _memorised(reader, label_noise)
    return blocks_or_reason(reader, _PROBE, blocks)


NOISE = SectionBuilder(name="noise", title="Noise robustness", blocks=_blocks, probe=_PROBE)


def _severity(reader: Reader, metric: str, condition: str) -> list[Block]:
    """Return one metric over severity, one panel per kind of noise, with summaries over severities in the table beneath."""
    graded = [slice for slice in reader.slices(_PROBE, metric, condition) if slice.kind == "noise"]
    kinds = list(dict.fromkeys(slice.name for slice in graded))
    severities = sorted({slice.severity for slice in graded if slice.severity is not None})
    summaries = _summaries(reader, condition, kinds)
    panels: dict[str, list[Line]] = {}
    rows: list[tuple[TableCell, ...]] = []
    drawn: list[Summary] = []
    for kind in kinds:
        slices = [CLEAN, *(Slice("noise", kind, severity) for severity in severities)]
        for model in reader.models:
            clean = SKILL if reader.get(SKILL, metric, CLEAN, condition, model) is not None else _PROBE
            found = [reader.get(clean if slice == CLEAN else _PROBE, metric, slice, condition, model) for slice in slices]
            line = measured_line(reader, model, found, (0, *severities))
            if line is None:
                continue
            panels.setdefault(kind, []).append(line)
            drawn += [f for f in found if f is not None and f.value is not None]
            more = [reader.get(_PROBE, name, of[kind], condition, model) if kind in of else None for name, of in summaries]
            rows.append((kind, reader.title(model), *cells([*found, *more])))
    if not panels:
        return []
    known = reader.metric(metric)
    title = capitalised(known.title)
    items = " / ".join(f"{count:,}" for count in sorted({f.n for f in drawn}))
    unit = "%" if known.unit == "share" else known.unit
    heads = [capitalised(reader.metric(name).title) for name, _ in summaries]
    caption = f"{title} over severity, trained on {condition_title(condition)}, {items} items per point"
    return [
        Figure(
            picture=curves(panels, x_label="severity of the input noise (0: clean text)", y_label=f"{known.title}, {unit}"),
            alt=f"Line charts of {known.title} over noise severity: one panel per kind of noise ({', '.join(kinds)}), one line per model.",
            caption=f"{caption}. The steeper the fall, the more the noise costs; shared axes. {whiskers(reader)}",
            table=Table(
                caption=f"{title} by kind of noise and severity, {items} items each",
                columns=("Noise", "Model", "Clean", *(f"Severity {severity}" for severity in severities), *heads),
                align="ll" + "r" * (1 + len(severities) + len(heads)),
                rows=tuple(rows),
                headers=2,
                evidence=tuple(dict.fromkeys(path for f in drawn for path in f.evidence)),
            ),
        )
    ]


def _summaries(reader: Reader, condition: str, kinds: list[str]) -> list[tuple[str, dict[str, Slice]]]:
    """Return the metrics over all severities of a kind of noise, with the slice of each kind that they were measured on."""
    found = []
    for metric in reader.group(_PROBE, "by kind"):
        slices = {slice.name: slice for slice in reader.slices(_PROBE, metric, condition) if slice.kind == "part" and slice.name in kinds}
        if slices:
            found.append((metric, slices))
    return found


def _inapplicable(reader: Reader) -> list[Block]:
    """Name the kinds of noise that cannot touch these texts; they are in no figure and no mean."""
    reasons: dict[str, dict[str, None]] = {}
    for row in reader.rows(_PROBE):
        slice = reader.slice_of(row)
        if slice.kind == "part" and row.reason is not None and "applies to none" in row.reason:
            reasons.setdefault(row.reason, {})[slice.title] = None
    return [Note(text=f"Not measured: {', '.join(kinds)}: {reason}.", tone="quiet") for reason, kinds in reasons.items()]


def _memorised(reader: Reader, metrics: list[str]) -> list[Block]:
    conditions = [c for c in reader.conditions(_PROBE) if any(ALL in reader.slices(_PROBE, metric, c) for metric in metrics)]
    if not conditions:
        return []
    curve = doses(
        reader,
        _PROBE,
        "noise",
        metrics,
        "Answers on training items whose label was wrong, over the share of wrong labels. At 0: the model trained on clean labels (the "
        "control), on the items that the largest share mislabels; what rises above it was memorised.",
    )
    tables = [
        metric_table(reader, _PROBE, c, metrics, f"Training items with a wrong label, trained on {condition_title(c)}") for c in conditions
    ]
    fitted = any(cell.method in reader.untrained and (cell.trainable_parameters or 0) > 0 for cell in reader.record.cells)
    text = (
        "The base has a head fitted on the same wrong labels: its row shows what frozen features and a head alone memorise."
        if fitted
        else "The base saw no labels: its row shows how often the wrong label is given anyway. Memorisation counts as a flaw only "
        "beyond that, and beyond what the same method says trained on the true labels (the excess)."
    )
    note = Note(text=text, tone="quiet")
    if curve:  # the same numbers, over the dose
        return [*curve, *tables, note]
    figure = dot_figure(
        reader,
        _PROBE,
        {f"trained on {condition_title(c)}": [(metric, ALL, c) for metric in metrics] for c in conditions},
        groups=[reader.metric(metric).title for metric in metrics],
        caption="Answers on training items whose label was wrong: the wrong label that was trained, or the true one.",
        alt="Dots with whiskers: share of mislabelled training items answered with the wrong and with the true label, by model.",
        y_label="share of items, %",
        table=tables[0],
    )
    return [*figure, *tables[1:], note] if figure else [*tables, note]
