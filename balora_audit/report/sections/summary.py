"""What was completed, and what a reader must know before anything else."""

from __future__ import annotations

from collections.abc import Sequence

from balora_audit.records import VERDICT_ICONS, CellRow, Comparison, Failure, Verdict
from balora_audit.report.blocks import Badge, Block, Details, Link, Links, Note, Stats
from balora_audit.report.builder import SectionBuilder
from balora_audit.report.numbers import condition_title, isolated
from balora_audit.report.rows import SKILL, Reader
from balora_audit.report.sentences import equal_skill_sentence, matched_sentence, skill_sentence, verdict_sentence
from balora_audit.report.stability import stability_line

__all__ = ["STATUS", "SUMMARY", "place"]

_MOST_FINDINGS = 6
_UNEQUAL = "Not compared, since skill differs by more than its margin"
_UNKNOWN = "Not compared, since skill was not measured of both"
_NO_RANGE = "Not compared, since the candidates of the two methods reach no common range of skill"
_DECIDED: tuple[Verdict, ...] = ("supported", "contradicted", "equivalent")

STATUS: dict[str, Badge] = {
    "complete": Badge(icon="✓", word="complete", tone="good"),
    "incomplete": Badge(icon="!", word="incomplete", tone="bad"),
    "empty": Badge(icon="∅", word="nothing measured", tone="fault"),
    "failed": Badge(icon="!", word="failed", tone="fault"),
    "skipped": Badge(icon="∅", word="skipped", tone="open"),
}


def _blocks(reader: Reader) -> list[Block]:
    """Return what was found, skill first; then progress, sizes and every warning: what failed, what was skipped, what is limited."""
    record = reader.record
    numbers = sum(row.value is not None for row in record.measurements)
    empty = len(reader.unmeasured())
    blocks: list[Block] = [
        *_findings(reader),
        Stats(
            rows=(
                ("planned measurements", f"{record.units.completed:,} of {record.units.planned:,} completed"),
                ("status", STATUS[record.status]),
                ("models", str(len(record.models))),
                ("seeds", str(len(reader.seeds))),
                ("numbers measured", f"{numbers:,}"),
                ("without a value", _reasons(empty) if empty else "none"),
            )
        ),
    ]
    blocks += [Note(text=_failed(reader, failure), tone="warning") for failure in record.errors]
    told = {(failure.method, failure.condition, failure.seed) for failure in record.errors}
    for cell in record.cells:
        if cell.status != "complete" and (cell.method, cell.condition, cell.seed) not in told:
            blocks.append(Note(text=f"{place(reader, cell)} {cell.status}: {cell.reason or 'no reason recorded'}", tone="warning"))
    noted = set() if record.tuning is None else set(record.tuning.notes)
    blocks += [Note(text=text, tone="warning") for text in record.warnings if text not in noted]
    if record.tuning is not None and noted:
        remarks = tuple(Note(text=text, tone="warning") for text in record.tuning.notes)
        blocks.append(Details(summary=f"What limits the tuning: {_counted(len(remarks), 'remark')}", blocks=remarks))
    return blocks


def _findings(reader: Reader) -> list[Block]:
    """Return the skills, then what was decided of the claims, most telling first, then what was not compared and not decided."""
    told = [Note(text=text, tone="finding")] if (text := skill_sentence(reader)) else []
    rows = [row for row in reader.record.comparisons if row.claim is not None]
    # between fine-tuned models before the change from the base, at equal skill before the rest, skill before what may follow from it
    order = sorted(
        range(len(rows)),
        key=lambda at: (rows[at].baseline in reader.untrained, *_weight(rows[at]), rows[at].probe != SKILL, at),
    )
    decided = [rows[at] for at in order if rows[at].verdict in _DECIDED]
    for row in decided[:_MOST_FINDINGS]:
        said = equal_skill_sentence(reader, row) or matched_sentence(reader, row) or verdict_sentence(reader, row)
        told.append(Note(text=f"{VERDICT_ICONS[row.verdict or 'not run']} {said}", tone="finding"))
    uncompared = [rows[at] for at in order if rows[at].verdict == "not comparable"]
    alone = [row for row in uncompared if row.at_equal_skill is None]
    undecided = [rows[at] for at in order if rows[at].verdict == "inconclusive"]
    told += _left_open(reader, "not comparable", _UNEQUAL, [row for row in alone if row.skill_delta is not None])
    told += _left_open(reader, "not comparable", _UNKNOWN, [row for row in alone if row.skill_delta is None])
    told += _left_open(reader, "not comparable", _NO_RANGE, [row for row in uncompared if row.at_equal_skill is not None])
    told += _left_open(reader, "inconclusive", "Not decided", undecided)
    if not told:
        return []
    told += [Note(text=text)] if (text := stability_line(reader)) else []
    more = len(decided) - _MOST_FINDINGS
    key = "▲ better, ▼ worse, ≈ equivalent: the first model named, beside the second."
    rest = f" {more} more decided claims are in the verdicts." if more > 0 else ""
    return [*told, Note(text=f"{key}{rest}", tone="quiet")]


def _weight(row: Comparison) -> tuple[bool, bool]:
    """Put what was decided at equal skill first, and of that what is not equivalent."""
    return row.at_equal_skill is None, row.at_equal_skill is not None and row.verdict == "equivalent"


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"


def _left_open(reader: Reader, verdict: Verdict, words: str, rows: Sequence[Comparison]) -> list[Note]:
    """Name what was not compared or not decided, by pair of models."""
    about: dict[str, dict[str, None]] = {}
    for row in rows:
        pair = f"{reader.title(row.candidate)} beside {reader.title(row.baseline)}"
        about.setdefault(pair, {})[reader.metric_title(row)] = None
    pairs = "; ".join(f"{pair}: {', '.join(titles)}" for pair, titles in about.items())
    return [Note(text=f"{VERDICT_ICONS[verdict]} {words}. {pairs}.", tone="finding")] if about else []


SUMMARY = SectionBuilder(name="summary", title="Summary", blocks=_blocks)


def place(reader: Reader, of: CellRow | Failure) -> str:
    """Say which model, trained on what, with which seed."""
    model = "a unit of work" if of.method is None else reader.title(of.method)
    condition = "" if of.condition is None else f" ({condition_title(of.condition)})"
    return f"{model}{condition}" + ("" if of.seed is None else f", seed {of.seed}")


def _reasons(empty: int) -> Links:
    return Links(before=f"{empty:,}, reasons in ", links=(Link(section="limits", text="section {number}"),))


def _failed(reader: Reader, failure: Failure) -> str:
    return f"{place(reader, failure)} failed in the stage “{isolated(failure.stage)}”: {failure.message}"
