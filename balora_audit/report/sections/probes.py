"""Sections 6–9: what each probe measured."""

from __future__ import annotations

from collections.abc import Sequence

from balora_audit.report.blocks import Block, Figure, Note, Section, Table
from balora_audit.report.figures import Curve, bars, curves, scatter
from balora_audit.report.numbers import MISSING, interval_text, value_text
from balora_audit.report.rows import Reader, Summary
from balora_audit.vocabulary import METRICS

__all__ = ["collapse", "drift", "imbalance", "metric_table", "noise"]


def noise(reader: Reader) -> Section:
    """Return severity curves per kind of noise, summary metrics, and memorisation under label noise."""
    blocks: list[Block] = []
    for metric in ("accuracy", "response_nll"):
        if "clean" in reader.conditions("noise", metric):
            blocks += _severity(reader, metric)
    for condition in reader.conditions("noise"):
        metrics = reader.metrics("noise", condition)
        if metrics:
            title = "under input noise, all kinds and severities" if condition == "clean" else f"under {condition}"
            blocks.append(metric_table(reader, "noise", condition, metrics, f"Noise robustness {title}"))
    if reader.conditions("noise", "memorisation"):
        blocks.append(
            Note(
                text="Memorisation: of the training items whose label was corrupted, the share that the model answers with the "
                "wrong label it was trained on. The base saw no labels; its row shows how often that label is given by chance.",
                tone="quiet",
            )
        )
    return _section(reader, "noise", "Noise robustness", blocks)


def _severity(reader: Reader, metric: str) -> list[Block]:
    slices = [s for s in reader.slices("noise", metric, "clean") if "@" in s]
    kinds = list(dict.fromkeys(s.split("@")[0] for s in slices))
    panels: dict[str, list[Curve]] = {}
    rows: list[tuple[str, ...]] = []
    severities = sorted({int(s.split("@")[1]) for s in slices})
    for kind in kinds:
        for index, model in enumerate(reader.models):
            found = [reader.get("noise", metric, "clean" if s == 0 else f"{kind}@{s}", "clean", model) for s in (0, *severities)]
            points = [(s, f) for s, f in zip((0, *severities), found, strict=True) if f is not None and f.value is not None]
            if not points:
                continue
            panels.setdefault(kind, []).append(_curve(index, reader.titles[model], points, scale=_scale(metric)))
            area = reader.get("noise", "severity_area", kind, "clean", model)
            drop = reader.get("noise", "relative_drop", kind, "clean", model)
            cells = [value_text(f.value, metric) if f is not None else MISSING for f in found]
            extra = [value_text(x.value, x.metric) if x is not None else MISSING for x in (area, drop)]
            rows.append((kind, reader.titles[model], *cells, *(extra if metric == "accuracy" else ())))
    if not panels:
        return []
    tail = ("Area", "Relative drop") if metric == "accuracy" else ()
    n = next((f.n for f in [reader.get("noise", metric, "clean", "clean", m) for m in reader.models] if f is not None), 0)
    info = METRICS[metric]
    return [
        Figure(
            uri=curves(
                panels,
                x_label="severity of the input noise (0: clean)",
                y_label=f"{info.title}{', %' if _scale(metric) == 100 else ''}",
            ),
            alt=f"Line charts of {info.title} over noise severity, one panel per kind of noise, one line per model, whiskers for intervals.",
            caption=f"{info.title.capitalize()} over severity on the same {n} test items for every model; whiskers are intervals.",
            table=Table(
                caption=f"{info.title.capitalize()} by kind of noise and severity, {n} items each",
                columns=("Noise", "Model", "Clean", *(f"Severity {s}" for s in severities), *tail),
                rows=tuple(rows),
                headers=2,
                numeric_from=2,
            ),
        )
    ]


def imbalance(reader: Reader) -> Section:
    """Return per-class recall under each condition, summary metrics, group gaps and counterfactual flips."""
    blocks: list[Block] = []
    for condition in reader.conditions("imbalance", "recall"):
        classes = [s for s in reader.slices("imbalance", "recall", condition) if s.startswith("class=")]
        blocks.append(_dots(reader, "imbalance", "recall", classes, condition, f"Recall by class, trained under {condition}"))
    for condition in reader.conditions("imbalance"):
        metrics = reader.metrics("imbalance", condition)
        if metrics:
            blocks.append(
                metric_table(reader, "imbalance", condition, metrics, f"Classes, groups and counterfactuals, trained under {condition}")
            )
        for metric, title in (("tpr_gap", "True-positive-rate gap between groups by class"), ("accuracy", "Accuracy by group")):
            slices = [s for s in reader.slices("imbalance", metric, condition) if s != "all"]
            if slices:
                blocks.append(_slice_table(reader, "imbalance", metric, slices, condition, f"{title}, trained under {condition}"))
    if blocks:
        blocks.append(
            Note(
                text="Amplification is a gap of a fine-tuned model minus that of the base on the same items: it stands in the effects "
                "overview as the difference from the base. Gaps describe this test set; they are not a statement about people.",
                tone="quiet",
            )
        )
    return _section(reader, "imbalance", "Imbalance and groups", blocks)


def collapse(reader: Reader) -> Section:
    """Return the numbers first, then spectra, then the joint t-SNE with its warning."""
    blocks: list[Block] = []
    for condition in reader.conditions("collapse"):
        metrics = reader.metrics("collapse", condition)
        blocks.append(metric_table(reader, "collapse", condition, metrics, f"Features of the test items, trained under {condition}"))
    panels: dict[str, list[Curve]] = {}
    first = reader.record.config.get("seeds", [0])[0]
    for series in reader.series("collapse", "spectrum"):
        if series.seed != first or series.method not in reader.models:
            continue
        pairs = [
            (float(x), float(y))
            for x, y in zip(series.columns["index"], series.columns["sigma_normalised"], strict=True)
            if x and y and not isinstance(x, str) and not isinstance(y, str) and y > 1e-6
        ]
        line = Curve(
            model=reader.models.index(series.method),
            name=reader.titles[series.method],
            x=[p[0] for p in pairs],
            y=[p[1] for p in pairs],
        )
        panels.setdefault(series.condition, []).append(line)
    if panels:
        rows = [
            (
                reader.titles[reader.models[line.model]],
                condition,
                *(f"{line.y[i]:.3g}" if i < len(line.y) else MISSING for i in (0, 1, 4, 9, 49)),
            )
            for condition, lines in panels.items()
            for line in lines
        ]
        blocks.append(
            Figure(
                uri=curves(panels, x_label="index of the singular value", y_label="σ / Σσ", log_y=True),
                alt="Line charts of normalised singular values on a logarithmic scale, one panel per condition, one line per model.",
                caption="Normalised singular values of the centred features on shared axes: a steeper fall means fewer directions in use.",
                table=Table(
                    caption="Normalised singular values at some indices",
                    columns=("Model", "Condition", "σ 1", "σ 2", "σ 5", "σ 10", "σ 50"),
                    rows=tuple(rows),
                    headers=2,
                    numeric_from=2,
                ),
            )
        )
    facets = {}
    for series in reader.series("collapse", "tsne"):
        if series.method in reader.models:
            xs, ys = ([float(v) for v in series.columns[axis] if isinstance(v, float | int)] for axis in ("x", "y"))
            names = ["" if v is None else str(v) for v in series.columns["label"]]
            facets[reader.titles[series.method]] = (reader.models.index(series.method), xs, ys, names)
    if facets:
        blocks.append(
            Figure(
                uri=scatter(facets),
                alt="Scatter plots of a joint t-SNE, one panel per model on shared axes, points coloured by class.",
                caption="One joint t-SNE of the same items for all models. Illustration only: the size of clusters and the distance "
                "between them are not evidence, and no verdict rests on this picture.",
            )
        )
    return _section(reader, "collapse", "Representation collapse", blocks)


def drift(reader: Reader) -> Section:
    """Return the drift measurements by condition."""
    blocks: list[Block] = [
        metric_table(reader, "drift", condition, reader.metrics("drift", condition), f"Distance from the base, trained under {condition}")
        for condition in reader.conditions("drift")
    ]
    return _section(reader, "drift", "Knowledge drift", blocks)


def metric_table(reader: Reader, probe: str, condition: str, metrics: Sequence[str], caption: str) -> Table:
    """Return a table with one row per metric and one column per model, values with intervals and n."""
    rows = []
    for metric in metrics:
        found = [reader.get(probe, metric, "all", condition, model) for model in reader.models]
        counts = {f.n for f in found if f is not None and f.value is not None}
        direction = {True: "higher is better", False: "lower is better", None: ""}[METRICS[metric].higher_is_better]
        n = ", ".join(str(count) for count in sorted(counts)) or MISSING
        rows.append((METRICS[metric].title, direction, n, *(_text(f) for f in found)))
    return Table(
        caption=caption,
        columns=("Metric", "Direction", "Items", *(reader.titles[model] for model in reader.models)),
        rows=tuple(rows),
        numeric_from=2,
    )


def _dots(reader: Reader, probe: str, metric: str, slices: list[str], condition: str, caption: str) -> Figure:
    lines = []
    for index, model in enumerate(reader.models):
        found = [reader.get(probe, metric, s, condition, model) for s in slices]
        points = [(place, f) for place, f in enumerate(found) if f is not None and f.value is not None]
        if points:
            lines.append(_curve(index, reader.titles[model], points, scale=100.0))
    return Figure(
        uri=bars([s.partition("=")[2] for s in slices], lines, y_label=f"{METRICS[metric].title}, %"),
        alt=f"Dots with whiskers: {METRICS[metric].title} for each class, one marker per model. {caption}.",
        caption=f"{caption}. Classes from the most to the least frequent in training where the condition is a long tail.",
        table=_slice_table(reader, probe, metric, slices, condition, caption),
    )


def _slice_table(reader: Reader, probe: str, metric: str, slices: list[str], condition: str, caption: str) -> Table:
    rows = []
    for s in slices:
        found = [reader.get(probe, metric, s, condition, model) for model in reader.models]
        n = next((str(f.n) for f in found if f is not None), MISSING)
        rows.append((s.partition("=")[2] or s, n, *(_text(f) for f in found)))
    return Table(
        caption=caption,
        columns=("Slice", "Items", *(reader.titles[m] for m in reader.models)),
        rows=tuple(rows),
        numeric_from=1,
    )


def _curve(model: int, name: str, points: Sequence[tuple[float, Summary]], *, scale: float) -> Curve:
    return Curve(
        model=model,
        name=name,
        x=[float(x) for x, _ in points],
        y=[scale * (f.value or 0.0) for _, f in points],
        low=[None if f.low is None else scale * f.low for _, f in points],
        high=[None if f.high is None else scale * f.high for _, f in points],
    )


def _scale(metric: str) -> float:
    return 100.0 if METRICS[metric].unit == "share" else 1.0


def _text(found: Summary | None) -> str:
    if found is None:
        return MISSING
    if found.value is not None and found.low is not None and len(found.values) == 1:
        return f"{value_text(found.value, found.metric)} ({interval_text(found.low, found.high, found.metric)})"
    return found.text


def _section(reader: Reader, probe: str, title: str, blocks: list[Block]) -> Section:
    if not blocks:
        asked = probe in reader.record.config.get("probes", [])
        why = "no model of this audit could be measured; see the summary" if asked else "the probe was not asked for"
        blocks = [Note(text=f"Not measured: {why}.")]
    return Section(id=probe, title=title, blocks=tuple(blocks))
