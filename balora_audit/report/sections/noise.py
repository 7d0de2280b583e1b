"""Section 6: accuracy (or response NLL) over the severity of input noise, and memorisation of wrong labels."""

from __future__ import annotations

from balora_audit.report.blocks import Block, Cell, Details, Figure, Note, Section, Table
from balora_audit.report.figures import Line, curves
from balora_audit.report.numbers import MISSING, condition_title, info
from balora_audit.report.rows import Reader
from balora_audit.report.sections.doses import doses
from balora_audit.report.tables import dot_figure, line, metric_table, section_or_reason, slice_table, whiskers

__all__ = ["noise"]

_PROBE = "noise"
_CURVES = ("accuracy", "response_nll", "token_accuracy", "exact_match")
_BY_KIND = ("severity_area", "relative_drop", "response_nll_rise")
_FOLDED = ("accuracy_drop", "relative_drop", "flip_rate", "consistency", "response_nll_rise", "realised_rate", "applicable_texts")
_LABEL_NOISE = ("memorisation", "recovered_true")


def noise(reader: Reader) -> Section:
    """Return severity curves per kind of noise, the summary metrics, and memorisation under label noise."""
    blocks: list[Block] = []
    for metric in _CURVES:
        for condition in reader.conditions(_PROBE, (metric,)):
            blocks += _severity(reader, metric, condition)
    for condition in reader.conditions(_PROBE):
        metrics = [m for m in reader.metrics(_PROBE, condition) if m not in _LABEL_NOISE]
        if metrics:
            title = f"Noise robustness over all kinds and severities, trained on {condition_title(condition)}"
            blocks.append(metric_table(reader, _PROBE, condition, metrics, title))
    blocks += _inapplicable(reader)
    blocks += _folded(reader)
    blocks += _memorised(reader)
    blocks += _clean(reader)
    return section_or_reason(reader, _PROBE, "Noise robustness", blocks)


def _severity(reader: Reader, metric: str, condition: str) -> list[Block]:
    slices = [s for s in reader.slices(_PROBE, metric, condition) if s.rpartition("@")[2].isdigit()]
    kinds = list(dict.fromkeys(s.rpartition("@")[0] for s in slices))
    severities = sorted({int(s.rpartition("@")[2]) for s in slices})
    extra = [m for m in _BY_KIND if any(s in kinds for s in reader.slices(_PROBE, m, condition)) and metric != "token_accuracy"]
    panels: dict[str, list[Line]] = {}
    rows: list[tuple[Cell, ...]] = []
    paths: dict[str, None] = {}
    counts: set[int] = set()
    for kind in kinds:
        for place, model in enumerate(reader.models):
            steps = [(s, "clean" if s == 0 else f"{kind}@{s}") for s in (0, *severities)]
            found = [(s, reader.get(_PROBE, metric, slice, condition, model)) for s, slice in steps]
            points = [(float(s), f) for s, f in found if f is not None and f.value is not None]
            if not points:
                continue
            panels.setdefault(kind, []).append(line(place, reader.title(model), points))
            counts |= {f.n for _, f in points}
            paths |= dict.fromkeys(path for _, f in points for path in f.evidence)
            more = [reader.get(_PROBE, m, kind, condition, model) for m in extra]
            cells = [MISSING if f is None else f.cell for f in (*(f for _, f in found), *more)]
            rows.append((kind, reader.title(model), *cells))
    if not panels:
        return []
    name = info(metric)
    items = " / ".join(f"{count:,}" for count in sorted(counts))
    unit = ", %" if name.unit == "share" else f", {name.unit}"
    shown = curves(panels, x_label="severity of the input noise (0: clean text)", y_label=f"{name.title}{unit}")
    caption = f"{name.title[0].upper()}{name.title[1:]} over severity, trained on {condition_title(condition)}, {items} items per point"
    return [
        Figure(
            uri=shown.uri,
            width=shown.width,
            height=shown.height,
            alt=f"Line charts of {name.title} over noise severity: one panel per kind of noise ({', '.join(kinds)}), one line per model.",
            caption=f"{caption}. The steeper the fall, the more the noise costs; shared axes. {whiskers(reader)}",
            table=Table(
                caption=f"{name.title[0].upper()}{name.title[1:]} by kind of noise and severity, {items} items each",
                columns=("Noise", "Model", "Clean", *(f"Severity {s}" for s in severities), *(info(m).title.capitalize() for m in extra)),
                align="ll" + "r" * (1 + len(severities) + len(extra)),
                rows=tuple(rows),
                headers=2,
                evidence=tuple(paths),
            ),
        )
    ]


def _inapplicable(reader: Reader) -> list[Block]:
    """Name the kinds of noise that cannot touch these texts; they are in no figure and no mean."""
    reasons: dict[str, list[str]] = {}
    for row in reader.unmeasured(_PROBE):
        if row.slice not in ("all", "clean") and "@" not in row.slice and row.reason is not None and "applies to none" in row.reason:
            kinds = reasons.setdefault(row.reason, [])
            kinds += [] if row.slice in kinds else [row.slice]
    return [Note(text=f"Not measured: {', '.join(kinds)}: {reason}.", tone="quiet") for reason, kinds in reasons.items()]


def _folded(reader: Reader) -> list[Block]:
    tables: list[Block] = []
    for metric in _FOLDED:
        conditions = [c for c in reader.conditions(_PROBE, (metric,)) if set(reader.slices(_PROBE, metric, c)) - {"all", "clean"}]
        if conditions:
            title = info(metric).title
            tables.append(slice_table(reader, _PROBE, metric, conditions, f"{title[0].upper()}{title[1:]} by kind and severity", "Noise"))
    return [Details(summary="By kind and severity: drops, flips and the realised rate of noise", blocks=tuple(tables))] if tables else []


def _memorised(reader: Reader) -> list[Block]:
    conditions = [c for c in reader.conditions(_PROBE, _LABEL_NOISE) if "all" in reader.slices(_PROBE, _LABEL_NOISE[0], c)]
    if not conditions:
        return []
    curve = doses(
        reader,
        _PROBE,
        "noise",
        _LABEL_NOISE,
        "Answers on training items whose label was wrong, over the share of wrong labels. At 0: the model trained on clean labels, on the "
        "items that the largest share mislabels; what rises above it was memorised.",
    )
    tables = [
        metric_table(reader, _PROBE, c, _LABEL_NOISE, f"Training items with a wrong label, trained on {condition_title(c)}")
        for c in conditions
    ]
    fitted = any(cell.method in reader.untrained and (cell.trainable_parameters or 0) > 0 for cell in reader.record.cells)
    text = (
        "The base has a head fitted on the same wrong labels: its row shows what frozen features and a head alone memorise."
        if fitted
        else "The base saw no labels: its row shows how often the wrong label is given anyway. Memorisation counts as a flaw only "
        "beyond that."
    )
    note = Note(text=text, tone="quiet")
    if curve:  # the same numbers, over the dose
        return [*curve, *tables, note]
    figure = dot_figure(
        reader,
        _PROBE,
        {f"trained on {condition_title(c)}": [(metric, "all", c) for metric in _LABEL_NOISE] for c in conditions},
        groups=[info(metric).title for metric in _LABEL_NOISE],
        caption="Answers on training items whose label was wrong: the wrong label that was trained, or the true one.",
        alt="Dots with whiskers: share of mislabelled training items answered with the wrong and with the true label, by model.",
        y_label="share of items, %",
        table=tables[0],
    )
    return [*([*tables] if figure is None else [figure, *tables[1:]]), note]


def _clean(reader: Reader) -> list[Block]:
    conditions = [c for c in reader.conditions(_PROBE) if c != "clean"]
    tables: list[Block] = []
    for condition in conditions:
        metrics = reader.metrics(_PROBE, condition, "clean")
        if metrics:
            caption = f"Clean test texts, trained on {condition_title(condition)}"
            tables.append(metric_table(reader, _PROBE, condition, metrics, caption, slice="clean"))
    return [Details(summary="Clean test texts after training under the other conditions", blocks=tuple(tables))] if tables else []
