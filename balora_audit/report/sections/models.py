"""How each model was made, what each training run did, and its loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from balora_audit.records import Series
from balora_audit.report.blocks import Block, Details, Figure, Note, Table, TableCell
from balora_audit.report.builder import SectionBuilder
from balora_audit.report.charts import series_line, series_points
from balora_audit.report.figures import Line, curves
from balora_audit.report.numbers import MISSING, bytes_text, condition_title, count_text, digits, isolated
from balora_audit.report.rows import Reader
from balora_audit.report.sections.summary import STATUS, place

__all__ = ["MODELS"]

_STEP_HEADS = ("First", "20 %", "40 %", "60 %", "80 %", "Last")
_TABLE_STEPS = len(_STEP_HEADS)
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
    figure = _losses(reader)
    blocks.append(figure if figure is not None else Note(text="No training losses are on record.", tone="quiet"))
    terms = _penalties(reader)
    if terms is not None:
        blocks.append(terms)
    return blocks


MODELS = SectionBuilder(name="models", title="Model matrix", blocks=_blocks)


def _setup(reader: Reader) -> Table:
    rows: list[tuple[TableCell, ...]] = [
        (
            model.title,
            model.method,
            model.initialisation,
            MISSING if model.rank is None else str(model.rank),
            MISSING if model.alpha is None else f"{model.alpha:g}",
            ", ".join(model.target_modules) or MISSING,
            _regularizers(model.settings.get("regularizers")),
        )
        for model in reader.record.models
    ]
    return Table(
        caption="How each model was made",
        columns=("Model", "Method", "Initialisation", "Rank", "α", "Target modules", "Regularizers"),
        align="lllrrll",
        rows=tuple(rows),
    )


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
            "Model", "Trained on", "Seed", "Status", "Trainable parameters", "Examples", "Steps",
            *(f"Final {term} loss" for term in terms), "Seconds", "Peak memory",
        ),
        align="lcrlrrr" + "r" * len(terms) + "rr",
        rows=tuple(rows),
        headers=3,
        notes=tuple(dict.fromkeys(remarks)),
    )  # fmt: skip


def _regularizers(settings: object) -> str:
    if not isinstance(settings, Mapping):
        return "none"
    return ", ".join(f"{name} {value}" for name, value in settings.items() if value is not None) or "none"


def _losses(reader: Reader) -> Figure | None:
    """Return the task loss: one panel per training condition."""
    found = [(series, condition_title(series.condition), "task") for series in reader.series("training", "losses")]
    return _drawn(
        reader,
        found,
        y_label="task loss, nats",
        alt="Line charts of the task loss over training steps: one panel per training condition, one line per model.",
        caption="Task loss by training step, first seed, shared axes. All models of a panel saw the same examples in the same order.",
        table_caption="Task loss at evenly spaced steps (loss at step)",
    )


def _penalties(reader: Reader) -> Figure | None:
    """Return the regularizers' terms: one panel per term and training condition, each with a scale of its own."""
    losses = reader.series("training", "losses")
    terms = dict.fromkeys(name for series in losses for name in series.columns if name not in _NO_TERMS)
    found = [
        (series, f"{isolated(term)}, {condition_title(series.condition)}", term)
        for term in terms
        for series in losses
        if term in series.columns
    ]
    return _drawn(
        reader,
        found,
        y_label="unweighted term",
        alt="Line charts of the regularizers' terms over training steps: one panel per term and condition, one line per model.",
        caption=(
            "The regularizers' terms by training step, first seed, before their weights are applied; each panel has its own scale. "
            "A term is computed, and drawn, only while its weight is positive."
        ),
        table_caption="Regularizer terms at evenly spaced steps (term at step)",
        shared_y=False,
    )


def _drawn(
    reader: Reader,
    found: Sequence[tuple[Series, str, str]],
    *,
    y_label: str,
    alt: str,
    caption: str,
    table_caption: str,
    shared_y: bool = True,
) -> Figure | None:
    """Draw a column of each (series, panel, column) over the steps, for the first seed."""
    first = min((series.seed for series, _, _ in found), default=0)
    panels: dict[str, list[Line]] = {}
    rows: list[tuple[TableCell, ...]] = []
    for series, panel, column in found:
        points = series_points(series, "step", column)
        if series.seed != first or not points:
            continue
        line = series_line(reader, series, points, _MOST_POINTS)
        panels.setdefault(panel, []).append(line)
        at = [points[round(i * (len(points) - 1) / (_TABLE_STEPS - 1))] for i in range(_TABLE_STEPS)]
        rows.append((line.name, panel, *(f"{digits(y)} at {x:g}" for x, y in at)))
    if not panels:
        return None
    return Figure(
        picture=curves(panels, x_label=f"training step (seed {first})", y_label=y_label, shared_y=shared_y),
        alt=alt,
        caption=caption,
        table=Table(
            caption=table_caption,
            columns=("Model", "Trained on" if shared_y else "Term", *_STEP_HEADS),
            align="lc" + "r" * _TABLE_STEPS,
            rows=tuple(rows),
            headers=2,
        ),
    )
