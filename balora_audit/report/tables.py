"""Tables and dot figures that several sections share: metrics by model, slices by model, paired differences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from balora_audit.records import Comparison
from balora_audit.report.blocks import Block, Cell, Estimate, Figure, Note, Section, Table
from balora_audit.report.figures import Line, dots
from balora_audit.report.numbers import MISSING, change, condition_title, count_text, info, interval_text, p_text, scale
from balora_audit.report.rows import Reader, Summary

__all__ = [
    "by_condition",
    "comparison_table",
    "dot_figure",
    "line",
    "metric_table",
    "section_or_reason",
    "slice_name",
    "slice_table",
    "whiskers",
]

_MOST_REASONS = 12
_DIRECTION = {True: "higher is better", False: "lower is better", None: ""}


def metric_table(
    reader: Reader, probe: str, condition: str, metrics: Sequence[str], caption: str, slice: str = "all", *, counted: str = "Items"
) -> Table:
    """Return a table with one row per metric and one column per model, values with intervals, and n (of what, in `counted`)."""
    rows: list[tuple[Cell, ...]] = []
    seen: list[Summary | None] = []
    for metric in metrics:
        found = reader.across(probe, metric, slice, condition)
        seen += found
        name = info(metric)
        rows.append((name.title, _DIRECTION[name.higher_is_better], _counts(found), *_cells(found)))
    return Table(
        caption=caption,
        columns=("Metric", "Direction", counted, *(reader.title(model) for model in reader.models)),
        align="ll" + "r" * (1 + len(reader.models)),
        rows=tuple(rows),
        notes=_notes(reader, seen),
        evidence=_evidence(seen),
    )


def slice_table(
    reader: Reader, probe: str, metric: str, conditions: Sequence[str], caption: str, head: str, *, counted: str = "Items"
) -> Table:
    """Return a table with one row per condition and slice of a metric (other than ``all``) and one column per model."""
    rows: list[tuple[Cell, ...]] = []
    seen: list[Summary | None] = []
    for condition in conditions:
        for slice in reader.slices(probe, metric, condition):
            if slice in ("all", "clean"):
                continue
            found = reader.across(probe, metric, slice, condition)
            seen += found
            rows.append((condition_title(condition), slice_name(slice), _counts(found), *_cells(found)))
    return Table(
        caption=caption,
        columns=("Trained on", head, counted, *(reader.title(model) for model in reader.models)),
        align="cl" + "r" * (1 + len(reader.models)),
        rows=tuple(rows),
        headers=2,
        notes=_notes(reader, seen),
        evidence=_evidence(seen),
    )


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
    body: list[tuple[Cell, ...]] = []
    for row in rows:
        interval = None if row.ci_low is None else interval_text(row.ci_low, row.ci_high, row.metric, signed=True)
        decided: list[Cell] = [change(row.margin, row.metric).removeprefix("+"), row.verdict or MISSING] if verdicts else []
        adjusted = None if row.p_adjusted is None or not verdicts else f"adjusted {p_text(row.p_adjusted)}"
        body.append(
            (
                f"{reader.title(row.candidate)} − {reader.title(row.baseline)}",
                ", ".join(part for part in (_metric(row), _DIRECTION[row.higher_is_better]) if part),
                condition_title(row.condition),
                Estimate(text=change(row.delta, row.metric), below=interval),
                *decided,
                Estimate(text=p_text(row.p_value), below=adjusted),
                count_text(row.n_items),
                str(row.n_seeds),
                row.test or MISSING,
            )
        )
    reasons = dict.fromkeys(f"{_metric(row)}, {row.condition}: {row.reason}." for row in rows if row.reason)
    return Table(
        caption=caption,
        columns=tuple(columns),
        align="llcr" + ("rl" if verdicts else "") + "rrrw",
        rows=tuple(body),
        notes=(f"Beneath a difference: its {reader.level} interval.", *tuple(reasons)[:_MOST_REASONS]),
    )


def dot_figure(
    reader: Reader,
    probe: str,
    panels: Mapping[str, Sequence[tuple[str, str, str]]],
    *,
    groups: Sequence[str],
    caption: str,
    alt: str,
    y_label: str,
    table: Table | None,
    zero: bool = False,
) -> Figure | None:
    """Return dots for each group and model; ``panels`` maps a title to one (metric, slice, condition) per group.

    None when no model has a number to draw.
    """
    drawn: dict[str, list[Line]] = {}
    for title, keys in panels.items():
        for place, model in enumerate(reader.models):
            found = [reader.get(probe, metric, slice, condition, model) for metric, slice, condition in keys]
            points = [(x, f) for x, f in enumerate(found) if f is not None and f.value is not None]
            if points:
                drawn.setdefault(title, []).append(line(place, reader.title(model), points))
    if not drawn:
        return None
    shown = dots(drawn, groups, y_label=y_label, zero=zero)
    return Figure(uri=shown.uri, width=shown.width, height=shown.height, alt=alt, caption=f"{caption} {whiskers(reader)}", table=table)


def by_condition(reader: Reader, probe: str, metric: str) -> list[Block]:
    """Return one metric of a probe drawn over the training conditions; its numbers stand in the tables beside it."""
    conditions = [c for c in reader.conditions(probe, (metric,)) if "all" in reader.slices(probe, metric, c)]
    name = info(metric)
    unit = {"share": ", %", "nats": ", nats"}.get(name.unit, "")
    figure = dot_figure(
        reader,
        probe,
        {"": [(metric, "all", c) for c in conditions]},
        groups=[condition_title(c) for c in conditions],
        caption=f"{name.title[0].upper()}{name.title[1:]} by training condition ({_DIRECTION[name.higher_is_better]}).",
        alt=f"Dots with whiskers: {name.title} by training condition, one marker per model; the tables of this section have the numbers.",
        y_label=f"{name.title}{unit}",
        table=None,
    )
    return [] if figure is None else [figure]


def line(model: int, name: str, points: Sequence[tuple[float, Summary]]) -> Line:
    """Return a model's points in the unit they are drawn in."""
    by = scale(points[0][1].metric)
    return Line(
        model=model,
        name=name,
        x=[float(x) for x, _ in points],
        y=[by * f.value for _, f in points if f.value is not None],
        low=[None if f.low is None else by * f.low for _, f in points],
        high=[None if f.high is None else by * f.high for _, f in points],
        seeds=[[by * value for value in f.values] for _, f in points],
    )


def whiskers(reader: Reader) -> str:
    """Say what the whiskers of figures are."""
    if len(reader.seeds) > 1:
        text = f"Markers: mean over {len(reader.seeds)} seeds; small dots: single seeds."
        return f"{text} A model with one value has its {reader.level} interval."
    return f"Whiskers: {reader.level} intervals over items."


def section_or_reason(reader: Reader, probe: str, title: str, blocks: Sequence[Block]) -> Section:
    """Return a probe's section, or the section that says why nothing was measured; never empty figures."""
    if blocks and reader.measured(probe):
        return Section(id=probe, title=title, blocks=tuple(blocks))
    reasons = list(dict.fromkeys(row.reason for row in reader.unmeasured(probe) if row.reason))
    asked = reader.record.config.get("probes")
    if reasons:
        why = "; ".join(reasons)
    elif isinstance(asked, list) and probe not in asked:
        why = "the probe was not asked for"
    elif reader.record.errors:
        why = "every model it needs failed; the summary lists the failures"
    else:
        why = "the audit holds no numbers of this probe"
    return Section(id=probe, title=title, blocks=(Note(text=f"Not measured: {why}."),))


def slice_name(slice: str) -> str:
    """Return a slice as a reader says it: ``class=nurse`` → ``nurse``, ``typo@3`` → ``typo, severity 3``."""
    kind, found, severity = slice.partition("@")
    if found:
        return f"{kind}, severity {severity}"
    return slice.partition("=")[2] or slice


def _cells(found: Iterable[Summary | None]) -> list[Cell]:
    return [MISSING if summary is None else summary.cell for summary in found]


def _counts(found: Iterable[Summary | None]) -> str:
    counts = sorted({f.n for f in found if f is not None and f.value is not None})
    return " / ".join(f"{count:,}" for count in counts) or MISSING


def _notes(reader: Reader, seen: Sequence[Summary | None]) -> tuple[str, ...]:
    notes = [
        f"{MISSING} {info(f.metric).title} was not measured: {f.reason}."
        for f in seen
        if f is not None and f.value is None and f.reason is not None
    ]
    notes += [
        f"{info(f.metric).title}: a value lies outside its own interval, because resampling items shifts this measure; read it with care."
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


def _metric(row: Comparison) -> str:
    return info(row.metric).title + ("" if row.slice == "all" else f" [{row.slice}]")
