"""One card per claim that was declared in advance, and all of them at a glance."""

from __future__ import annotations

from balora_audit.records import VERDICT_ICONS, Comparison, Verdict
from balora_audit.report.blocks import Badge, Block, Card, Cards, Note, Stats, Table
from balora_audit.report.builder import SectionBuilder
from balora_audit.report.numbers import condition_title, value_text
from balora_audit.report.rows import Reader
from balora_audit.report.sentences import (
    claim_sentence,
    detectable_sentence,
    equal_skill_sentence,
    matched_sentence,
    own_best_sentence,
    verdict_sentence,
)
from balora_audit.report.stability import stability_sentence

__all__ = ["BADGES", "VERDICTS"]

_TONES: dict[Verdict, str] = {
    "supported": "good",
    "contradicted": "bad",
    "equivalent": "same",
    "inconclusive": "open",
    "not comparable": "none",
    "not run": "none",
    "error": "fault",
}
BADGES: dict[Verdict, Badge] = {verdict: Badge(icon=icon, word=verdict, tone=_TONES[verdict]) for verdict, icon in VERDICT_ICONS.items()}
"""Verdict → icon, word and tone; colour never stands alone."""

_NOT_CLAIMED = "not claimed"


def _blocks(reader: Reader) -> list[Block]:
    """Return the counts, a grid of all verdicts, and one card per declared claim, grouped by probe."""
    record = reader.record
    decided = [row for row in record.comparisons if row.claim is not None]
    missing = [claim for claim in record.claims if claim.id not in {row.claim for row in decided}]
    decided += [
        Comparison(
            claim=claim.id, baseline=claim.baseline, candidate=claim.candidate, condition=claim.condition, probe=claim.probe,
            metric=claim.metric, slice=claim.slice, delta=None, n_items=0, n_seeds=0,
            margin=None if claim.relative_margin else claim.margin,
            higher_is_better=claim.higher_is_better, verdict="not run", reason="it was declared but not computed",
        )
        for claim in missing
    ]  # fmt: skip
    if not decided:
        return [Note(text="No claim was declared for this audit.")]
    counts = {name: sum((row.verdict or "not run") == name for row in decided) for name in BADGES}
    blocks: list[Block] = [
        Stats(rows=tuple((f"{BADGES[name].icon} {name}", str(count)) for name, count in counts.items() if count)),
        Note(
            text="Each claim says that one model is better than another by more than a margin fixed in advance. Supported: the "
            "whole interval lies beyond the margin on the better side. Contradicted: wholly beyond it on the worse side. "
            "Equivalent: wholly inside the margin. Inconclusive: anything else. Not comparable: the measure follows from skill, the models "
            "are of unequal skill, and nothing was measured that compares them at equal skill. There is no overall score."
            f"{_between_tuned(reader)}",
            tone="quiet",
        ),
        _grid(reader, decided),
    ]
    for probe in dict.fromkeys(row.probe for row in decided):
        cards = tuple(_card(reader, row) for row in decided if row.probe == probe)
        blocks.append(Cards(title=reader.probe_title(probe), cards=cards))
    return blocks


VERDICTS = SectionBuilder(name="verdicts", title="Verdicts", blocks=_blocks)


def _between_tuned(reader: Reader) -> str:
    """Say how a claim between two tuned methods is decided; nothing where nothing was."""
    if all(row.at_equal_skill is None for row in reader.record.comparisons):
        return ""
    title = "skill" if reader.skill is None else reader.skill.title
    return (
        f" Where two methods were tuned and their candidates have the measure, a claim is decided at equal {title}: on the mean gap of "
        f"their frontiers over the {title} that both reach, not on each one's own best."
    )


def _grid(reader: Reader, decided: list[Comparison]) -> Table:
    pairs = list(dict.fromkeys((row.candidate, row.baseline) for row in decided))
    heads: dict[tuple[object, ...], tuple[str, ...]] = {}
    badges: dict[tuple[object, ...], dict[tuple[str, str], Badge]] = {}
    for row in decided:
        kind = (row.metric, row.slice, row.condition, row.higher_is_better)
        heads[kind] = (reader.metric_title(row), condition_title(row.condition), "higher" if row.higher_is_better else "lower")
        badges.setdefault(kind, {})[row.candidate, row.baseline] = BADGES[row.verdict or "not run"]
    return Table(
        caption="All declared claims at a glance: is the first model better than the second?",
        columns=("Metric", "Trained on", "Better is", *(f"{reader.title(c)} over {reader.title(b)}" for c, b in pairs)),
        align="lcl" + "l" * len(pairs),
        rows=tuple((*head, *(badges[kind].get(pair, _NOT_CLAIMED) for pair in pairs)) for kind, head in heads.items()),
    )


def _card(reader: Reader, row: Comparison) -> Card:
    if row.at_equal_skill is not None:
        said: tuple[str, ...] = (equal_skill_sentence(reader, row), detectable_sentence(reader, row), stability_sentence(reader, row))
        detail = " ".join(filter(None, (_levels(reader, row.deciding), own_best_sentence(reader, row))))
    else:
        said = (verdict_sentence(reader, row), matched_sentence(reader, row), detectable_sentence(reader, row))
        detail = _levels(reader, row)
    return Card(
        badge=BADGES[row.verdict or "not run"],
        claim=claim_sentence(reader, row),
        sentence=" ".join(filter(None, said)),
        detail=detail,
    )


def _levels(reader: Reader, row: Comparison) -> str:
    """Return the two values of a difference, those at equal skill said to be so; nothing where there is no difference."""
    if row.delta is None:
        return ""
    metric = reader.metric(row.metric)
    values = ((row.candidate, row.candidate_value), (row.baseline, row.baseline_value))
    told = ", ".join(f"{reader.title(model)} {value_text(value, metric)}" for model, value in values)
    return told if row.at_equal_skill is None else f"At equal {'skill' if reader.skill is None else reader.skill.title}: {told}."
