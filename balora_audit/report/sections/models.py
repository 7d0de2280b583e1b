"""How each model was made, what each training run did, and its loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from balora_audit.records import ModelRow, Series
from balora_audit.report.blocks import Block, Details, Estimate, Figure, Note, Table, TableCell
from balora_audit.report.builder import SectionBuilder
from balora_audit.report.charts import Trace, series_points, traced, traces
from balora_audit.report.numbers import MISSING, bytes_text, condition_title, count_text, digits, isolated
from balora_audit.report.rows import Reader
from balora_audit.report.sections.summary import STATUS, place
from balora_audit.report.settings import tried

__all__ = ["MODELS"]

_STEP_HEADS = ("First", "20 %", "40 %", "60 %", "80 %", "Last")
_MOST_POINTS = 400
_NO_TERMS = {"step", "total", "task"}
_MOST_OPEN = 16


def _blocks(reader: Reader) -> list[Block]:
    """Return the model matrix and the training curves."""
    blocks: list[Block] = [_setup(reader) if reader.models else Note(text="No model is on record.")]
    count = len(reader.record.cells)
    if count > _MOST_OPEN:
        blocks.append(Details(summary=f"What each of the {count} training runs did", blocks=(_runs(reader),)))
    else:
        blocks.append(_runs(reader) if count else Note(text="No training run is on record."))
    return [*blocks, *_losses(reader), *_terms(reader)]


MODELS = SectionBuilder(name="models", title="Model matrix", blocks=_blocks)


def _setup(reader: Reader) -> Table:
    rows: list[tuple[TableCell, ...]] = [
        (
            model.title,
            model.method,
            model.initialisation,
            MISSING if model.rank is None else str(model.rank),
            MISSING if model.alpha is None else f"{model.alpha:g}",
            _rate(reader, model),
            ", ".join(model.target_modules) or MISSING,
            _regularizers(model.settings.get("regularizers")),
        )
        for model in reader.record.models
    ]
    return Table(
        caption="How each model was made",
        columns=("Model", "Method", "Initialisation", "Rank", "α", "Learning rate", "Target modules", "Regularizers"),
        align="lllrrrll",
        rows=tuple(rows),
    )


def _rate(reader: Reader, model: ModelRow) -> TableCell:
    """Return the learning rate that a model was trained with, and beneath it of how many settings it was chosen."""
    training = model.settings.get("training")
    rate = training.get("learning_rate") if isinstance(training, Mapping) else None
    if not isinstance(rate, int | float):
        return MISSING
    tuning = reader.record.tuning
    count = 0 if tuning is None or model.name not in tuning.choices else tried(tuning).get(model.name, 0)
    return Estimate(text=f"{rate:g}", below=f"chosen of {count}" if count > 1 else None)


def _runs(reader: Reader) -> Table:
    cells = reader.record.cells
    terms = list(dict.fromkeys(term for cell in cells for term in cell.losses))
    rows: list[tuple[TableCell, ...]] = [
        (
            reader.title(cell.method),
            condition_title(cell.condition),
            str(cell.seed),
            STATUS[cell.status],
            count_text(cell.trainable_parameters),
            count_text(cell.examples),
            count_text(cell.steps),
            MISSING if cell.epochs is None else f"{cell.epochs:.1f}",
            *(digits(cell.losses[term]) if term in cell.losses else MISSING for term in terms),
            MISSING if cell.wall_seconds is None else f"{cell.wall_seconds:,.1f}",
            bytes_text(cell.peak_memory_bytes),
        )
        for cell in cells
    ]
    remarks = [f"{place(reader, cell)}: {text}" for cell in cells for text in (cell.reason, *cell.notes) if text]
    return Table(
        caption="What each training run did",
        columns=(
            "Model", "Trained on", "Seed", "Status", "Trainable parameters", "Examples", "Steps", "Epochs",
            *(f"Final {term} loss" for term in terms), "Seconds", "Peak memory",
        ),
        align="lcrlrrrr" + "r" * len(terms) + "rr",
        rows=tuple(rows),
        headers=3,
        notes=tuple(dict.fromkeys(remarks)),
    )  # fmt: skip


def _regularizers(settings: object) -> str:
    if not isinstance(settings, Mapping):
        return "none"
    return ", ".join(f"{name} {value}" for name, value in settings.items() if value is not None) or "none"


def _losses(reader: Reader) -> list[Block]:
    """Return the task loss: one panel per training condition."""
    losses = [(condition_title(series.condition), series, series_points(series, "step", "task")) for series in _series(reader)]
    shown = traces(reader, losses, _MOST_POINTS)
    if not shown:
        return [Note(text="No training losses are on record.", tone="quiet")]
    return [
        Figure(
            picture=traced(shown, x_label="training step", y_label="task loss, nats"),
            alt="Line charts of the task loss over training steps: one panel per training condition, one line per model.",
            caption="Task loss by training step, first seed, shared axes. All models of a panel saw the same examples in the same order.",
            table=_at_steps(shown, "Task loss at evenly spaced steps (loss at step)", "Trained on"),
        )
    ]


def _terms(reader: Reader) -> list[Block]:
    """Return the regularizers' terms: one panel per term and training condition, each with a scale of its own."""
    names = dict.fromkeys(name for series in _series(reader) for name in series.columns if name not in _NO_TERMS)
    terms = [
        (f"{isolated(name)}, {condition_title(series.condition)}", series, series_points(series, "step", name))
        for name in names
        for series in _series(reader)
        if name in series.columns
    ]
    shown = traces(reader, terms, _MOST_POINTS)
    if not shown:
        return []
    return [
        Figure(
            picture=traced(shown, x_label="training step", y_label="unweighted term", shared_y=False),
            alt="Line charts of the regularizers' terms over training steps: one panel per term and condition, one line per model.",
            caption="The regularizers' terms by training step, first seed, before their weights are applied; each panel has its own scale. "
            "A term is computed, and drawn, only while its weight is positive.",
            table=_at_steps(shown, "Regularizer terms at evenly spaced steps (term at step)", "Term"),
        )
    ]


def _series(reader: Reader) -> list[Series]:
    return reader.series("training", "losses")


def _at_steps(shown: Sequence[Trace], caption: str, head: str) -> Table:
    rows: list[tuple[TableCell, ...]] = []
    for trace in shown:
        last = len(trace.points) - 1
        at = [trace.points[round(i * last / (len(_STEP_HEADS) - 1))] for i in range(len(_STEP_HEADS))]
        rows.append((trace.line.name, trace.panel, *(f"{digits(y)} at {x:g}" for x, y in at)))
    columns = ("Model", head, *_STEP_HEADS)
    return Table(caption=caption, columns=columns, align="lc" + "r" * len(_STEP_HEADS), rows=tuple(rows), headers=2)
