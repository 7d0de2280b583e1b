"""How far a verdict at equal skill depends on having tuned: what each single setting alone would have said (METHODS §9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from balora_audit.records import Comparison, Verdict
from balora_audit.report.rows import Reader
from balora_audit.report.settings import tuned_thing

__all__ = ["Stability", "stability_line", "stability_sentence"]

_DECIDED: tuple[Verdict, ...] = ("supported", "contradicted", "equivalent", "inconclusive")
_OPPOSITE: dict[Verdict, Verdict] = {"supported": "contradicted", "contradicted": "supported"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stability:
    """How many single settings give the verdict of some claims, its opposite, another one, or none."""

    same: int = 0
    opposite: int = 0
    another: int = 0
    none: int = 0

    @classmethod
    def of(cls, rows: Sequence[Comparison]) -> Stability:
        """Count over every single setting of every row that has a verdict at equal skill."""
        pairs = [(row.verdict, single.verdict) for row in rows if row.verdict in _DECIDED for single in row.single_rates]
        none = sum(single not in _DECIDED for _, single in pairs)
        same = sum(single == verdict for verdict, single in pairs)
        opposite = sum(single == _OPPOSITE.get(verdict) for verdict, single in pairs if verdict is not None)
        return cls(same=same, opposite=opposite, another=len(pairs) - none - same - opposite, none=none)

    @property
    def said(self) -> int:
        """How many single settings give a verdict at all."""
        return self.same + self.opposite + self.another

    @property
    def short(self) -> str:
        """The counts in a few words: ``2 of 4 the same; 1 the opposite; 1 none``."""
        total = self.said + self.none
        if not total:
            return ""
        rest = ((self.opposite, "the opposite"), (self.another, "another"), (self.none, "no verdict"))
        return "; ".join(
            (f"{self.same} of {total} the same".replace(" ", "\N{NO-BREAK SPACE}"), *(f"{count} {word}" for count, word in rest if count))
        )


def stability_sentence(reader: Reader, row: Comparison) -> str:
    """Say what single settings would have said of a claim that was decided at equal skill; nothing of other claims."""
    counts = Stability.of([row])
    if not counts.said or row.at_equal_skill is None:
        return ""
    others = counts.opposite + counts.another
    told = f"{others} of {counts.said} something else" if others else f"the same, all {counts.said}"
    if counts.said == 1:
        told = "something else" if others else "the same"
    opposite = f", {counts.opposite} the opposite" if counts.opposite else ""
    none = f"; {counts.none} more would have given no verdict" if counts.none else ""
    return f"{_single(reader, counts.said)} would have said: {told}{opposite}{none}."


def stability_line(reader: Reader) -> str:
    """Say of all claims that were decided at equal skill how often one setting would have said something else; nothing without any."""
    rows = [row for row in reader.record.comparisons if row.claim is not None and row.at_equal_skill is not None]
    counts = Stability.of(rows)
    if not counts.said:
        return ""
    others = counts.opposite + counts.another
    opposite = f", the opposite in {counts.opposite}" if counts.opposite else ""
    none = f"; in {counts.none} more it would have given none" if counts.none else ""
    told = f"would have given another verdict in {others} of {counts.said} cases{opposite}{none}"
    return f"{_single(reader, 1)} {told} (a case: one claim, one {_thing(reader)})."


def _thing(reader: Reader) -> str:
    return "setting" if reader.record.tuning is None else tuned_thing(reader.record.tuning)


def _single(reader: Reader, count: int) -> str:
    thing = _thing(reader)
    alike = all(s.baseline_setting == s.candidate_setting for row in reader.record.comparisons for s in row.single_rates)
    if not alike and count == 1:
        return "A single place on the grid"
    if not alike:
        return "Single places on the grid"
    return f"A single common {thing}" if count == 1 else f"Single common {thing}s"
