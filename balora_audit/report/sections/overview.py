"""Sections 1–4: header, verdicts, scope, model matrix."""

from __future__ import annotations

from balora_audit.audit import Claim, Comparison
from balora_audit.report.blocks import Block, Card, Cards, Definitions, Details, Figure, Note, Section, Stats, Table
from balora_audit.report.figures import Curve, curves
from balora_audit.report.numbers import MISSING, bytes_text, change, interval_text, value_text
from balora_audit.report.rows import Reader
from balora_audit.vocabulary import METRICS, PROBE_TITLES

__all__ = ["VERDICTS", "models", "scope", "summary", "verdicts"]

VERDICTS: dict[str, tuple[str, str]] = {
    "supported": ("▲", "good"),
    "contradicted": ("▼", "bad"),
    "equivalent": ("≈", "same"),
    "inconclusive": ("?", "open"),
    "not run": ("∅", "none"),
    "error": ("!", "fault"),
}
"""Verdict → icon and tone; the word always stands beside them."""


def summary(reader: Reader) -> Section:
    """Return what was completed and what a reader must know first."""
    record = reader.record
    blocks: list[Block] = [
        Stats(
            rows=(
                ("units of work", f"{record.units.completed} of {record.units.planned} completed"),
                ("measurements", str(sum(row.value is not None for row in record.measurements))),
                ("models", ", ".join(reader.titles.values())),
                ("seeds", str(len(record.config.get("seeds", [])))),
                ("status", record.status),
            )
        )
    ]
    blocks += [
        Note(text=f"{_place(f.method, f.condition, f.seed)} failed while in {f.stage}: {f.message}", tone="warning") for f in record.errors
    ]
    blocks += [Note(text=text, tone="warning") for text in record.warnings]
    return Section(id="summary", title="Summary", blocks=tuple(blocks))


def verdicts(reader: Reader) -> Section:
    """Return one card per declared claim, grouped by probe."""
    record = reader.record
    claims = {claim.id: claim for claim in record.claims}
    decided = [row for row in record.comparisons if row.claim is not None]
    if not decided:
        return Section(id="verdicts", title="Verdicts", blocks=(Note(text="No claim was declared for this audit."),))
    counts = {name: sum(row.verdict == name for row in decided) for name in VERDICTS}
    blocks: list[Block] = [
        Stats(rows=tuple((f"{VERDICTS[name][0]} {name}", str(count)) for name, count in counts.items() if count)),
        Note(
            text="Each card judges the claim that the first model is better than the second by more than the margin. "
            "Supported: the whole interval lies beyond the margin on the better side. Contradicted: beyond it on the worse "
            "side. Equivalent: wholly inside the margin. Inconclusive: anything else.",
            tone="quiet",
        ),
    ]
    for probe in dict.fromkeys(row.probe for row in decided):
        cards = tuple(_card(reader, row, claims.get(row.claim or "")) for row in decided if row.probe == probe)
        blocks.append(Cards(title=PROBE_TITLES.get(probe, probe), cards=cards))
    return Section(id="verdicts", title="Verdicts", blocks=tuple(blocks))


def _card(reader: Reader, row: Comparison, claim: Claim | None) -> Card:
    verdict = row.verdict or "not run"
    icon, tone = VERDICTS[verdict]
    info = METRICS[row.metric]
    better = "higher" if row.higher_is_better else "lower"
    candidate, baseline = reader.titles.get(row.candidate, row.candidate), reader.titles.get(row.baseline, row.baseline)
    margin = claim.margin if claim is not None else row.margin
    said = f"{candidate} has {better} {info.title} than {baseline}"
    if margin:
        said += f", by more than {_size(margin, row.metric)}"
    return Card(
        verdict=verdict,
        icon=icon,
        tone=tone,
        claim=f"{said} ({row.condition}).",
        sentence=_sentence(reader, row),
        detail=_detail(row),
    )


def _sentence(reader: Reader, row: Comparison) -> str:
    candidate, baseline = reader.titles.get(row.candidate, row.candidate), reader.titles.get(row.baseline, row.baseline)
    if row.delta is None or row.ci_low is None:
        return f"No verdict: {row.reason or 'nothing was measured'}."
    info = METRICS[row.metric]
    if row.delta == 0:
        found = f"{candidate} and {baseline} have the same {info.title}"
    else:
        than = "higher" if row.delta > 0 else "lower"
        found = f"{candidate}'s {info.title} was {_size(abs(row.delta), row.metric)} {than} than {baseline}'s"
    seeds = f"{row.n_seeds} seed{'s' if row.n_seeds != 1 else ''}"
    text = (
        f"{found} ({100 * row.ci_level:g} % interval of the difference "
        f"{interval_text(row.ci_low, row.ci_high, row.metric, signed=True)}; {seeds}; {row.n_items} items)."
    )
    return text + (" About these checkpoints, not the method." if row.n_seeds < 3 else "")


def _size(value: float, metric: str) -> str:
    if METRICS[metric].unit == "share":
        return f"{100 * value:.1f} points"
    unit = METRICS[metric].unit
    return change(value, metric).lstrip("+") + (f" {unit}" if unit == "nats" else "")


def _detail(row: Comparison) -> str:
    values = f"{value_text(row.candidate_value, row.metric)} against {value_text(row.baseline_value, row.metric)}"
    return f"{values}; {row.test}" if row.test else values


def scope(reader: Reader) -> Section:
    """Return what was asked, of what, and what was fixed in advance."""
    record = reader.record
    data, model = record.provenance.get("data", {}), record.provenance.get("model", {})
    config = record.config
    rows = (
        ("Question", "Did fine-tuning inherit or amplify flaws of the base model, and which of these methods did it least?"),
        ("Base model", f"{model.get('name', MISSING)} ({model.get('origin', MISSING)})"),
        (
            "Data",
            f"{data.get('name', MISSING)}: {data.get('train_rows', MISSING)} training and {data.get('test_rows', MISSING)} test items",
        ),
        ("Models compared", ", ".join(reader.titles.values())),
        ("Training conditions", ", ".join(config.get("conditions", []))),
        ("Probes", ", ".join(config.get("probes", []))),
        ("Seeds", ", ".join(str(seed) for seed in config.get("seeds", []))),
        (
            "Intervals",
            f"{100 * config.get('ci', 0.95):g} %, paired over the same items and seeds, {config.get('resamples', MISSING)} resamples",
        ),
        ("Multiplicity", "Holm over the claims of each probe; verdicts rest on intervals, not on p-values"),
        ("Deviations", _deviations(reader)),
    )
    claims = Table(
        caption=f"The {len(record.claims)} claims, declared before anything was computed",
        columns=("Candidate", "Baseline", "Condition", "Metric", "Better", "Margin"),
        rows=tuple(
            (
                reader.titles.get(claim.candidate, claim.candidate),
                reader.titles.get(claim.baseline, claim.baseline),
                claim.condition,
                METRICS[claim.metric].title,
                "higher" if claim.higher_is_better else "lower",
                _size(claim.margin, claim.metric),
            )
            for claim in record.claims
        ),
        headers=1,
        numeric_from=5,
    )
    return Section(id="scope", title="Scope", blocks=(Definitions(rows=rows), Details(summary="The declared claims", blocks=(claims,))))


def _deviations(reader: Reader) -> str:
    failed = [cell for cell in reader.record.cells if cell.status != "complete"]
    if not failed:
        return "none: everything planned was carried out"
    return "not carried out: " + ", ".join(_place(cell.method, cell.condition, cell.seed) for cell in failed)


def models(reader: Reader) -> Section:
    """Return the model matrix and the training curves."""
    record = reader.record
    setup = Table(
        caption="How each model was made",
        columns=("Model", "Method", "Initialisation", "Rank", "α", "Target modules", "Regularizers"),
        rows=tuple(
            (
                model.title,
                model.method,
                model.initialisation,
                MISSING if model.rank is None else str(model.rank),
                MISSING if model.alpha is None else f"{model.alpha:g}",
                ", ".join(model.target_modules) or MISSING,
                _regularizers(model.settings.get("regularizers")),
            )
            for model in record.models
        ),
        numeric_from=99,
    )
    cells = Table(
        caption="What each training run did",
        columns=(
            "Model",
            "Condition",
            "Seed",
            "Status",
            "Trainable parameters",
            "Examples",
            "Steps",
            "Final loss by term",
            "Seconds",
            "Peak memory",
        ),
        rows=tuple(
            (
                reader.titles.get(cell.method, cell.method),
                cell.condition,
                str(cell.seed),
                cell.status if cell.reason is None else f"{cell.status}: {cell.reason}",
                MISSING if cell.trainable_parameters is None else f"{cell.trainable_parameters:,}",
                MISSING if cell.examples is None else str(cell.examples),
                MISSING if cell.steps is None else str(cell.steps),
                ", ".join(f"{name} {value:.3g}" for name, value in cell.losses.items()) or MISSING,
                MISSING if cell.wall_seconds is None else f"{cell.wall_seconds:.1f}",
                bytes_text(cell.peak_memory_bytes),
            )
            for cell in record.cells
        ),
        headers=2,
        numeric_from=2,
    )
    blocks: list[Block] = [setup, cells]
    figure = _losses(reader)
    if figure is not None:
        blocks.append(figure)
    return Section(id="models", title="Model matrix", blocks=tuple(blocks))


def _regularizers(settings: object) -> str:
    if not isinstance(settings, dict):
        return "none"
    return ", ".join(f"{name} {value}" for name, value in settings.items() if value is not None)


def _losses(reader: Reader) -> Figure | None:
    panels: dict[str, list[Curve]] = {}
    rows: list[tuple[str, ...]] = []
    for series in reader.series("training", "losses"):
        task = [float(value) for value in series.columns.get("task", ()) if isinstance(value, float | int)]
        steps = [float(value) for value in series.columns.get("step", ()) if isinstance(value, float | int)]
        if not task or series.seed != reader.record.config.get("seeds", [series.seed])[0] or series.method not in reader.models:
            continue
        line = Curve(model=reader.models.index(series.method), name=reader.titles[series.method], x=steps, y=task)
        panels.setdefault(series.condition, []).append(line)
        middle = len(task) // 2
        rows.append((reader.titles[series.method], series.condition, f"{task[0]:.3g}", f"{task[middle]:.3g}", f"{task[-1]:.3g}"))
    if not panels:
        return None
    return Figure(
        uri=curves(panels, x_label="training step (first seed)", y_label="task loss, nats"),
        alt="Line charts of the task loss over training steps, one panel per condition, one line per model.",
        caption="Task loss by step. All models of a panel saw the same examples in the same order.",
        table=Table(
            caption="Task loss at the first, middle and last step",
            columns=("Model", "Condition", "First", "Middle", "Last"),
            rows=tuple(rows),
            numeric_from=2,
            headers=2,
        ),
    )


def _place(method: str | None, condition: str | None, seed: int | None) -> str:
    return f"{method or 'a model'} under {condition or 'a condition'}, seed {seed if seed is not None else MISSING}"
