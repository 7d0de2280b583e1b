"""What the initialisation does, what the penalties do, and how the two interact (METHODS §9)."""

from __future__ import annotations

from collections.abc import Sequence

from balora_audit.records import Effect
from balora_audit.report.blocks import Block, Estimate, Note, Table, TableCell
from balora_audit.report.numbers import MISSING, change, interval_text, isolated, range_text
from balora_audit.report.rows import Reader
from balora_audit.report.tables import DIRECTION

__all__ = ["attribution_blocks"]

_Key = tuple[str, str, str, str, str]
"""Probe, metric, slice, term and detail."""


def attribution_blocks(reader: Reader) -> list[Block]:
    """Return one table for each four corners and one for the doses of each method; nothing where there are no effects."""
    effects = reader.record.attribution
    blocks: list[Block] = []
    corners = dict.fromkeys(found.models for found in effects if found.term != "dose")
    for models in corners:
        of_four = [found for found in effects if found.models == models and found.term != "dose"]
        blocks += [Note(text=_corners(reader, models)), _table(reader, of_four, _caption(reader, of_four))]
    for models in dict.fromkeys(found.models for found in effects if found.term == "dose"):
        doses = [found for found in effects if found.models == models and found.term == "dose"]
        name = reader.title(models[0]) if models else MISSING
        blocks.append(_table(reader, doses, f"{name}: what a larger weight of a penalty changes beside the smallest one"))
    return blocks


def _corners(reader: Reader, models: Sequence[str]) -> str:
    """Name the four corners, and say what an effect is."""
    if len(models) != 4:
        return f"Effects among {', '.join(reader.title(model) for model in models)}."
    neither, initialised, penalised, both = (reader.title(model) for model in models)
    return (
        f"Attribution, of four models: {neither} has neither, {initialised} the other initialisation, {penalised} the penalties, {both} "
        "both. The effect of the initialisation is the mean of its two differences, without and with the penalties; that of the penalties "
        "likewise; the interaction is the difference of the two. These are differences, not verdicts, and are not corrected for their number."
    )


def _caption(reader: Reader, effects: Sequence[Effect]) -> str:
    seeds = max((found.n_seeds for found in effects), default=0)
    return f"What initialisation and penalties change, with {reader.level} intervals, {seeds} seed{'' if seeds == 1 else 's'}"


def _table(reader: Reader, effects: Sequence[Effect], caption: str) -> Table:
    keys: dict[_Key, dict[str, Effect]] = {}
    for found in effects:
        keys.setdefault((found.probe, found.metric, found.slice, found.term, found.detail), {})[found.at] = found
    dose = any(found.term == "dose" for found in effects)
    skill = reader.skill
    title = "skill" if skill is None else skill.title
    rows: list[tuple[TableCell, ...]] = []
    for (*_, term, detail), by_place in keys.items():
        first = next(iter(by_place.values()))
        equal = by_place.get("equal skill")
        reach = MISSING
        if equal is not None and equal.skill_low is not None and skill is not None:
            reach = range_text(equal.skill_low, equal.skill_high, skill)
        head = (f"{reader.metric_title(first)}, {DIRECTION[first.higher_is_better]}".rstrip(", "), isolated(detail) if dose else term)
        own: tuple[TableCell, ...] = () if dose else (_cell(reader, by_place.get("own best")),)
        rows.append((*head, *own, _cell(reader, equal), reach, f"{first.n_items:,}"))
    reasons = dict.fromkeys(
        f"{reader.metric_title(f)}, {isolated(f.detail) or f.term}, at {f.at}: {f.reason}." for f in effects if f.reason
    )
    return Table(
        caption=caption,
        columns=(
            "Metric",
            "Weight" if dose else "Effect of",
            *(() if dose else ("At own best",)),
            f"At equal {title}",
            f"{title} compared",
            "Items",
        ),
        align="ll" + ("" if dose else "r") + "rrr",
        rows=tuple(rows),
        headers=2,
        notes=(f"Beneath a difference: its {reader.level} interval.", *reasons),
    )


def _cell(reader: Reader, effect: Effect | None) -> TableCell:
    if effect is None or effect.delta is None:
        return MISSING
    metric = reader.metric(effect.metric)
    interval = None if effect.ci_low is None else interval_text(effect.ci_low, effect.ci_high, metric, signed=True)
    return Estimate(text=change(effect.delta, metric), below=interval or "no interval")
