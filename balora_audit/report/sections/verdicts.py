"""Section 2: one card per claim that was declared in advance, and all of them at a glance."""

from __future__ import annotations

from balora_audit.records import Comparison
from balora_audit.report.blocks import Badge, Block, Card, Cards, Cell, Note, Section, Stats, Table
from balora_audit.report.numbers import PROBE_TITLES, condition_title, info, value_text
from balora_audit.report.rows import Reader
from balora_audit.report.sentences import claim_sentence, verdict_sentence

__all__ = ["VERDICTS", "verdicts"]

VERDICTS: dict[str, Badge] = {
    "supported": Badge(icon="▲", word="supported", tone="good"),
    "contradicted": Badge(icon="▼", word="contradicted", tone="bad"),
    "equivalent": Badge(icon="≈", word="equivalent", tone="same"),
    "inconclusive": Badge(icon="?", word="inconclusive", tone="open"),
    "not run": Badge(icon="∅", word="not run", tone="none"),
    "error": Badge(icon="!", word="error", tone="fault"),
}
"""Verdict → icon, word and tone; colour never stands alone."""

_NOT_CLAIMED = "not claimed"


def verdicts(reader: Reader) -> Section:
    """Return the counts, a grid of all verdicts, and one card per declared claim, grouped by probe."""
    record = reader.record
    decided = [row for row in record.comparisons if row.claim is not None]
    missing = [claim for claim in record.claims if claim.id not in {row.claim for row in decided}]
    decided += [
        Comparison(
            claim=claim.id, baseline=claim.baseline, candidate=claim.candidate, condition=claim.condition, probe=claim.probe,
            metric=claim.metric, slice=claim.slice, delta=None, n_items=0, n_seeds=0, margin=claim.margin,
            higher_is_better=claim.higher_is_better, verdict="not run", reason="it was declared but not computed",
        )
        for claim in missing
    ]  # fmt: skip
    if not decided:
        return Section(id="verdicts", title="Verdicts", blocks=(Note(text="No claim was declared for this audit."),))
    counts = {name: sum((row.verdict or "not run") == name for row in decided) for name in VERDICTS}
    blocks: list[Block] = [
        Stats(rows=tuple((f"{VERDICTS[name].icon} {name}", str(count)) for name, count in counts.items() if count)),
        Note(
            text="Each claim says that one model is better than another by more than a margin fixed in advance. Supported: the "
            "whole interval lies beyond the margin on the better side. Contradicted: wholly beyond it on the worse side. "
            "Equivalent: wholly inside the margin. Inconclusive: anything else. There is no overall score.",
            tone="quiet",
        ),
        _grid(reader, decided),
    ]
    for probe in dict.fromkeys(row.probe for row in decided):
        cards = tuple(_card(reader, row) for row in decided if row.probe == probe)
        blocks.append(Cards(title=PROBE_TITLES.get(probe, probe), cards=cards))
    return Section(id="verdicts", title="Verdicts", blocks=tuple(blocks))


def _grid(reader: Reader, decided: list[Comparison]) -> Table:
    pairs = list(dict.fromkeys((row.candidate, row.baseline) for row in decided))
    kinds = list(dict.fromkeys((row.metric, row.slice, row.condition, row.higher_is_better) for row in decided))
    found = {(row.candidate, row.baseline, row.metric, row.slice, row.condition): row.verdict or "not run" for row in decided}
    rows: list[tuple[Cell, ...]] = []
    for metric, slice, condition, higher in kinds:
        badges: list[Cell] = []
        for candidate, baseline in pairs:
            verdict = found.get((candidate, baseline, metric, slice, condition))
            badges.append(_NOT_CLAIMED if verdict is None else VERDICTS[verdict])
        name = info(metric).title + ("" if slice in ("all", "clean") else f" [{slice}]")
        rows.append((name, condition_title(condition), "higher" if higher else "lower", *badges))
    return Table(
        caption="All declared claims at a glance: is the first model better than the second?",
        columns=("Metric", "Trained on", "Better is", *(f"{reader.title(c)} over {reader.title(b)}" for c, b in pairs)),
        align="lcl" + "l" * len(pairs),
        rows=tuple(rows),
    )


def _card(reader: Reader, row: Comparison) -> Card:
    detail = "" if row.delta is None else (
        f"{reader.title(row.candidate)} {value_text(row.candidate_value, row.metric)}, "
        f"{reader.title(row.baseline)} {value_text(row.baseline_value, row.metric)}"
    )  # fmt: skip
    return Card(
        badge=VERDICTS[row.verdict or "not run"],
        claim=claim_sentence(reader, row),
        sentence=verdict_sentence(reader, row),
        detail=detail,
    )
