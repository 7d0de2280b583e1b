"""The verdict on a claim: from the interval of its own difference, or of the matched one where skills are unequal (METHODS §8, §9)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from balora_audit.cells import CellId
from balora_audit.comparison.claims import margin_of
from balora_audit.comparison.evidence import Evidence, Failures, Floors, Subject, difference, floor_of, joined, record_of, value_of
from balora_audit.comparison.frontiers import Frontiers, at_equal_skill, single_rates
from balora_audit.config import AuditConfig
from balora_audit.metric import Metric
from balora_audit.probes.skill import SKILL
from balora_audit.records import AtEqualSkill, Claim, Comparison, Matched, Verdict
from balora_audit.slices import CLEAN
from balora_audit.stats import minimum_detectable_effect, verdict

__all__ = ["Audited", "decide"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """What claims are decided on; see `balora_audit.comparison.compare.compare_all`."""

    config: AuditConfig
    evidence: Evidence
    untrained: frozenset[str]
    failures: Failures
    floors: Floors
    skill: Metric | None
    controls: Mapping[str, str]
    frontiers: Frontiers


def decide(audited: Audited, claim: Claim) -> Comparison:
    """Return the difference that a claim is about, with its verdict and the reason for it.

    Notes
    -----
    Between two tuned methods it is the gap of their frontiers that decides (METHODS §9), where candidates have the metric. Otherwise skill
    is unequal where it differs by more than its margin. It is that of the models trained on the control of the claim's condition
    where there is one: what the condition then does to skill is the effect that is asked about.
    """
    config = audited.config
    subject = Subject.of(claim)
    row = difference(config, audited.evidence, subject)
    margin = _margin(audited, claim, subject, row)
    row = replace(row, claim=claim.id, margin=margin, higher_is_better=claim.higher_is_better, floor=floor_of(audited.floors, subject))
    if row.detectable is not None:
        row = replace(row, detectable=None if margin is None else minimum_detectable_effect(margin, row.detectable))
    failed = _failed(audited, claim)
    if failed:
        return replace(row, verdict="error", reason=f"failed: {failed}")
    if margin is None:
        return replace(row, verdict="not run", reason=row.reason or "the margin is a share of the base's value, and there is none")
    tuned = None if audited.skill is None else at_equal_skill(config, audited.frontiers, audited.skill, subject)
    if tuned is not None and row.delta is not None:
        return _on_frontiers(audited, claim, replace(row, at_equal_skill=tuned), tuned, margin)
    metric = record_of(audited.evidence, subject)
    if row.delta is not None and metric is not None and _follows(metric, audited.untrained, subject):
        unequal, row = _unequal(audited, subject, row, metric)
        if unequal:
            return _at_equal_skill(audited, claim, row, metric)
    said, why = _settled(row.ci_low, row.ci_high, margin, claim.higher_is_better, row.floor)
    return replace(row, verdict=said, reason=joined(row.reason, why))


def _on_frontiers(audited: Audited, claim: Claim, row: Comparison, tuned: AtEqualSkill, margin: float) -> Comparison:
    """Decide a claim between two tuned methods on the gap of their frontiers; beside it what other designs would have said.

    These are the verdict between each method's own best setting, and that of every setting that both were trained with.
    """
    own, _ = _settled(row.ci_low, row.ci_high, margin, claim.higher_is_better, row.floor)
    single = single_rates(audited.config, audited.frontiers, Subject.of(claim), margin, higher_is_better=claim.higher_is_better)
    detectable = None if tuned.detectable is None else minimum_detectable_effect(margin, tuned.detectable)
    row = replace(row, own_best=own, single_rates=single, detectable=detectable)
    if tuned.delta is None or tuned.ci_low is None or tuned.ci_high is None:
        return replace(row, verdict="not comparable" if tuned.delta is None else "not run", reason=joined(row.reason, tuned.reason))
    said, why = _settled(tuned.ci_low, tuned.ci_high, margin, claim.higher_is_better, row.floor)
    return replace(row, verdict=said, reason=joined(row.reason, why))


def _margin(audited: Audited, claim: Claim, subject: Subject, row: Comparison) -> float | None:
    """Return δ as an amount; None where it is a share of a value that there is not."""
    if not claim.relative_margin:
        return claim.margin
    values = (value_of(audited.evidence, subject, name, audited.config.seeds) for name in sorted(audited.untrained))
    known = next((value for value in values if value is not None), row.baseline_value)
    return None if known is None else claim.margin * abs(known)


def _failed(audited: Audited, claim: Claim) -> str:
    """Say which of a claim's cells have no findings; nothing where all have."""
    cells = [CellId(method, claim.condition, seed) for method in (claim.baseline, claim.candidate) for seed in audited.config.seeds]
    return "; ".join(
        _failure(cell, audited.failures.get((cell, claim.probe))) for cell in cells if claim.probe not in audited.evidence.get(cell, {})
    )


def _failure(cell: CellId, reason: str | None) -> str:
    where = f"{cell.method} under {cell.condition}, seed {cell.seed}"
    return f"{where} ({reason})" if reason else where


def _follows(metric: Metric, untrained: frozenset[str], subject: Subject) -> bool:
    """Whether a difference in this metric can be one of skill alone; the plain change from the base is what was asked."""
    if metric.skill == "trained":
        return not untrained & {subject.baseline, subject.candidate}
    return metric.skill == "follows"


def _unequal(audited: Audited, subject: Subject, row: Comparison, metric: Metric) -> tuple[bool, Comparison]:
    """Return whether the models' skills differ by more than their margin, and the row with that difference or why it is not known."""
    if audited.skill is None:
        return False, row
    condition = audited.controls.get(subject.condition, subject.condition)
    asked = replace(subject, condition=condition, probe=SKILL.name, metric=audited.skill.name, slice=CLEAN)
    gap = difference(audited.config, audited.evidence, asked)
    title = audited.skill.title
    if gap.delta is None:
        return True, replace(row, reason=joined(row.reason, f"{metric.title} follows from skill, and {title} was not measured of both"))
    row = replace(row, skill_delta=gap.delta)
    if abs(gap.delta) <= margin_of(audited.config, audited.skill):
        return False, row
    why = f"{metric.title} follows from skill, and {title} on clean test data differs by more than its margin"
    return True, replace(row, reason=joined(row.reason, why))


def _at_equal_skill(audited: Audited, claim: Claim, row: Comparison, metric: Metric) -> Comparison:
    """Decide a claim on the matched metric, which compares at equal skill; without one, or without its number, not at all."""
    asked = replace(Subject.of(claim), metric=metric.matched or "")
    known = None if metric.matched is None else record_of(audited.evidence, asked)
    if known is None or known.higher_is_better is None or claim.higher_is_better != metric.higher_is_better:
        return replace(row, verdict="not comparable")
    found = difference(audited.config, audited.evidence, asked)
    if found.ci_low is None or found.ci_high is None:
        why = found.reason or f"{known.title} has no interval"
        return replace(row, verdict="not comparable", reason=joined(row.reason, why))
    matched = Matched(
        metric=known.name,
        slice=found.slice,
        delta=found.delta,
        ci_low=found.ci_low,
        ci_high=found.ci_high,
        p_value=found.p_value,
        baseline_value=found.baseline_value,
        candidate_value=found.candidate_value,
        n_items=found.n_items,
        margin=margin_of(audited.config, known),
        higher_is_better=known.higher_is_better,
    )
    said, closer = _settled(found.ci_low, found.ci_high, matched.margin, matched.higher_is_better, floor_of(audited.floors, asked))
    return replace(row, matched=matched, verdict=said, reason=joined(row.reason, f"decided on {known.title}", closer))


def _settled(
    low: float | None, high: float | None, margin: float, higher_is_better: bool, floor: float | None
) -> tuple[Verdict, str | None]:
    """Return the verdict on an interval, *inconclusive* where it would change if the ends moved by the numerical floor."""
    said = verdict(low, high, margin, higher_is_better)
    if low is None or high is None or not floor:
        return said, None
    if verdict(low - floor, high + floor, margin, higher_is_better) == said:
        return said, None
    return "inconclusive", "it lies closer to its margin than the numerical floor"
