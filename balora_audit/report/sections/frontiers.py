"""Flaw against skill: the frontiers of tuned methods, what is decided on them, how settings were chosen, and what does what."""

from __future__ import annotations

from collections.abc import Sequence

from balora_audit.records import VERDICT_ICONS, AtEqualSkill, Comparison
from balora_audit.report.blocks import Block, Details, Estimate, Note, Table, TableCell
from balora_audit.report.builder import SectionBuilder
from balora_audit.report.numbers import MISSING, capitalised, change, interval_text, magnitude, plain, range_text, value_text
from balora_audit.report.rows import Reader
from balora_audit.report.sections.attribution import attribution_blocks
from balora_audit.report.sections.frontier_figure import frontier_figure
from balora_audit.report.sections.tuning import tuning_blocks
from balora_audit.report.sections.verdicts import BADGES
from balora_audit.report.stability import Stability
from balora_audit.report.tables import DIRECTION

__all__ = ["FRONTIERS"]

_MOST_OPEN = 4
"""Pairs of methods whose differences are open."""
_STABILITY = (
    "Single settings: of the settings that both methods were trained with, how many would alone have given the verdict in this row, its "
    "opposite, another one, or none."
)


def _blocks(reader: Reader) -> list[Block]:
    """Return the figure, the matched differences, the tuning and the attribution; one note where nothing was tuned."""
    if reader.record.tuning is None:
        return [
            Note(
                text="Nothing was tuned: all methods were trained with the settings that they were given, so that a difference between two "
                "of them may be one of their settings. With candidates, methods are compared at equal skill.",
                tone="quiet",
            )
        ]
    matched = [row for row in reader.record.comparisons if row.claim is not None and row.at_equal_skill is not None]
    blocks = [*frontier_figure(reader, matched), *_matched(reader, matched), *tuning_blocks(reader), *attribution_blocks(reader)]
    return blocks or [Note(text="No candidate has a number to show.")]


FRONTIERS = SectionBuilder(name="frontiers", title="Skill and flaws", blocks=_blocks)


def _matched(reader: Reader, matched: Sequence[Comparison]) -> list[Block]:
    """Return the differences at equal skill, one table for each pair of methods, folded where there are many pairs."""
    tables: list[Block] = []
    how = f"Beneath a difference: its {reader.level} interval, items resampled once for all candidates. {_STABILITY}"
    for candidate, baseline in dict.fromkeys((row.candidate, row.baseline) for row in matched):
        rows = [row for row in matched if (row.candidate, row.baseline) == (candidate, baseline)]
        tables.append(_pair(reader, rows, f"{reader.title(candidate)} − {reader.title(baseline)}", () if tables else (how,)))
    if len(tables) <= _MOST_OPEN:
        return tables
    rest = len(tables) - _MOST_OPEN
    folded = Details(summary=f"{rest} more pair{'' if rest == 1 else 's'} of methods at equal skill", blocks=tuple(tables[_MOST_OPEN:]))
    return [*tables[:_MOST_OPEN], folded]


def _pair(reader: Reader, rows: Sequence[Comparison], pair: str, notes: tuple[str, ...]) -> Table:
    skill = reader.skill
    title = "skill" if skill is None else skill.title
    reasons = dict.fromkeys(
        f"{MISSING} {reader.metric_title(row)}: {gap.reason}." for row in rows if (gap := row.at_equal_skill) is not None and gap.reason
    )
    return Table(
        caption=f"{pair}, at equal {title}: the mean gap of their frontiers over the {title} that both reach",
        columns=(
            "Metric", "Verdict", "Difference", "Margin", "Candidate / baseline", f"{capitalised(title)} compared",
            "At each one's own best", "Single settings",
        ),
        align="wlrrrrll",
        rows=tuple(_pair_row(reader, row, gap) for row in rows if (gap := row.at_equal_skill) is not None),
        notes=(*notes, *reasons),
    )  # fmt: skip


def _pair_row(reader: Reader, row: Comparison, gap: AtEqualSkill) -> tuple[TableCell, ...]:
    metric, skill = reader.metric(row.metric), reader.skill
    interval = None if gap.ci_low is None else interval_text(gap.ci_low, gap.ci_high, metric, signed=True)
    levels = MISSING
    if gap.candidate_value is not None and gap.baseline_value is not None:
        levels = f"{plain(gap.candidate_value, metric)} / {value_text(gap.baseline_value, metric)}"
    first, _, rest = Stability.of([row]).short.partition("; ")
    return (
        Estimate(text=reader.metric_title(row), below=DIRECTION[row.higher_is_better]),
        BADGES[row.verdict or "not run"],
        Estimate(text=change(gap.delta, metric), below=interval),
        MISSING if row.margin is None else magnitude(row.margin, metric, unit=False),
        levels,
        MISSING if skill is None or gap.skill_low is None else range_text(gap.skill_low, gap.skill_high, skill),
        MISSING if row.own_best is None else f"{VERDICT_ICONS[row.own_best]} {row.own_best}".replace(" ", "\N{NO-BREAK SPACE}"),
        Estimate(text=first or MISSING, below=rest or None),
    )
