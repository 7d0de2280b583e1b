"""What the initialisation does, what the penalties do, and how the two interact (METHODS §9)."""

from __future__ import annotations

from collections.abc import Sequence

from balora_audit.records import Effect
from balora_audit.report.blocks import Block, Estimate, Note, Table, TableCell
from balora_audit.report.numbers import MISSING, capitalised, change, interval_text, isolated, range_text
from balora_audit.report.rows import Reader
from balora_audit.report.tables import DIRECTION

__all__ = ["attribution_blocks"]

_TERMS = ("initialisation", "penalties", "interaction")


def attribution_blocks(reader: Reader) -> list[Block]:
    """Return one table for each four corners and one for the doses of each method; nothing where there are no effects."""
    effects = reader.record.attribution
    blocks: list[Block] = []
    for models in dict.fromkeys(found.models for found in effects if found.term != "dose"):
        of_four = [found for found in effects if found.models == models and found.term != "dose"]
        blocks += [Note(text=_corners(reader, models)), _effects(reader, of_four)]
    for models in dict.fromkeys(found.models for found in effects if found.term == "dose"):
        blocks.append(_doses(reader, [found for found in effects if found.models == models and found.term == "dose"]))
    return blocks


def _corners(reader: Reader, models: Sequence[str]) -> str:
    """Name the four corners, and say what an effect is."""
    if len(models) != 4:
        return f"Effects among {', '.join(reader.title(model) for model in models)}."
    neither, initialised, penalised, both = (reader.title(model) for model in models)
    return (
        f"Attribution, of four models: {neither} has neither, {initialised} the other initialisation, {penalised} the penalties, {both} "
        "both. The effect of the initialisation is the mean of its two differences, without and with the penalties, and that of the "
        "penalties likewise; the interaction is the difference of the two. These are differences, not verdicts, and are not corrected for "
        "their number."
    )


def _effects(reader: Reader, effects: Sequence[Effect]) -> Table:
    """Return two rows for each metric, at each one's own best and at equal skill, and one column for each effect."""
    places: dict[tuple[str, str, str, str], dict[str, Effect]] = {}
    for found in effects:
        places.setdefault((found.probe, found.metric, found.slice, found.at), {})[found.term] = found
    seeds = max(found.n_seeds for found in effects)
    rows: list[tuple[TableCell, ...]] = []
    for by_term in places.values():
        first = next(iter(by_term.values()))
        at: TableCell = "own best" if first.at == "own best" else Estimate(text=f"equal {_skill(reader)}", below=_compared(reader, first))
        cells = (_cell(reader, by_term.get(term)) for term in _TERMS)
        rows.append((_metric(reader, first), at, *cells, f"{min(found.n_items for found in by_term.values()):,}"))
    return Table(
        caption=f"What initialisation and penalties change, {seeds} seed{'' if seeds == 1 else 's'}",
        columns=("Metric", "At", *(capitalised(term) for term in _TERMS), "Items"),
        align="wl" + "r" * (len(_TERMS) + 1),
        rows=tuple(rows),
        headers=2,
        notes=_notes(reader, effects),
    )


def _doses(reader: Reader, effects: Sequence[Effect]) -> Table:
    models = effects[0].models
    return Table(
        caption=f"{reader.title(models[0]) if models else MISSING}: what a larger weight of a penalty changes beside the smallest one",
        columns=("Metric", "Weight", f"At equal {_skill(reader)}", f"{capitalised(_skill(reader))} compared", "Items"),
        align="wlrrr",
        rows=tuple(
            (_metric(reader, f), isolated(f.detail), _cell(reader, f), _compared(reader, f) or MISSING, f"{f.n_items:,}") for f in effects
        ),
        headers=2,
        notes=_notes(reader, effects),
    )


def _skill(reader: Reader) -> str:
    return "skill" if reader.skill is None else reader.skill.title


def _metric(reader: Reader, effect: Effect) -> Estimate:
    return Estimate(text=reader.metric_title(effect), below=DIRECTION[effect.higher_is_better] or None)


def _compared(reader: Reader, effect: Effect) -> str | None:
    if effect.skill_low is None or reader.skill is None:
        return None
    return range_text(effect.skill_low, effect.skill_high, reader.skill)


def _cell(reader: Reader, effect: Effect | None) -> TableCell:
    if effect is None or effect.delta is None:
        return MISSING
    metric = reader.metric(effect.metric)
    interval = None if effect.ci_low is None else interval_text(effect.ci_low, effect.ci_high, metric, signed=True)
    return Estimate(text=change(effect.delta, metric), below=interval or "no interval")


def _notes(reader: Reader, effects: Sequence[Effect]) -> tuple[str, ...]:
    about = (
        f"{reader.metric_title(found)}, {isolated(found.detail) or found.term}, at {found.at}: {found.reason}."
        for found in effects
        if found.reason
    )
    return (f"Beneath a difference: its {reader.level} interval.", *dict.fromkeys(about))
