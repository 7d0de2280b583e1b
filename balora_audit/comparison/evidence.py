"""From per-item evidence to paired differences (METHODS §8): what two models gave on the same items, under the same seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from balora_audit.cells import CellId
from balora_audit.config import AuditConfig
from balora_audit.metric import Metric
from balora_audit.probes import Findings
from balora_audit.records import Claim, Comparison, Measurement
from balora_audit.slices import Slice
from balora_audit.stats import ItemScores, Jackknife, PairedResult, paired, paired_jackknife

__all__ = ["Evidence", "Failures", "Floors", "Subject", "difference", "floor_of", "joined", "record_of", "score_of", "value_of"]

Evidence = Mapping[CellId, Mapping[str, Findings]]
"""Cell → probe → findings; a cell that failed is absent, and so is a probe that failed in it."""

Failures = Mapping[tuple[CellId, str], str]
"""(cell, probe) → why there are no findings."""

Floors = Mapping[tuple[CellId, str, str, Slice], float]
"""(cell, probe, metric, slice) → how much the number moves with the batches that it is computed in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a comparison is about."""

    baseline: str
    candidate: str
    condition: str
    probe: str
    metric: str
    slice: Slice

    @classmethod
    def of(cls, claim: Claim) -> Subject:
        """Return what a claim is about."""
        return cls(
            baseline=claim.baseline,
            candidate=claim.candidate,
            condition=claim.condition,
            probe=claim.probe,
            metric=claim.metric,
            slice=Slice.parse(claim.slice),
        )


def score_of(found: Mapping[str, Findings], probe: str, metric: str, slice: Slice) -> ItemScores | Jackknife | None:
    """Return the evidence of a number in what the probes found of one model; None where there is none."""
    findings = found.get(probe)
    return None if findings is None else findings.scores.get((metric, slice))


def record_of(evidence: Evidence, subject: Subject) -> Metric | None:
    """Return the record of a subject's metric, as the findings declare it."""
    found = (by_probe[subject.probe] for by_probe in evidence.values() if subject.probe in by_probe)
    return next((record for findings in found if (record := findings.probe.record(subject.metric)) is not None), None)


def value_of(evidence: Evidence, subject: Subject, method: str, seeds: Sequence[int]) -> float | None:
    """Return the mean over seeds of a model's own value; None where it has none."""
    cells = (CellId(method, subject.condition, seed) for seed in seeds)
    rows = (row for cell in cells for row in _rows(evidence.get(cell, {}).get(subject.probe), subject))
    values = [row.value for row in rows if row.value is not None]
    return sum(values) / len(values) if values else None


def floor_of(floors: Floors, subject: Subject) -> float | None:
    """Return how much a difference can move with the batches; None where it was not seen.

    Whatever model was scored twice under the condition stands for both models of the difference, whose changes add up.
    """
    about = [subject.probe, subject.metric, subject.slice]
    changes = [change for (cell, *of), change in floors.items() if cell.condition == subject.condition and of == about]
    return 2 * max(changes) if changes else None


def difference(config: AuditConfig, evidence: Evidence, subject: Subject) -> Comparison:
    """Return the paired difference of what a subject is about, over all seeds for which both models have it; no verdict."""
    candidate: list[ItemScores | Jackknife] = []
    baseline: list[ItemScores | Jackknife] = []
    reasons: list[str] = []
    for seed in config.seeds:
        both = []
        for method in (subject.candidate, subject.baseline):
            findings = evidence.get(CellId(method, subject.condition, seed), {}).get(subject.probe)
            scores = findings.scores.get((subject.metric, subject.slice)) if findings is not None else None
            if scores is None:
                reasons.append(_why(findings, method, subject))
            both.append(scores)
        if both[0] is not None and both[1] is not None:
            candidate.append(both[0])
            baseline.append(both[1])
    empty = Comparison(
        baseline=subject.baseline,
        candidate=subject.candidate,
        condition=subject.condition,
        probe=subject.probe,
        metric=subject.metric,
        slice=str(subject.slice),
        delta=None,
        ci_level=config.ci,
        n_items=0,
        n_seeds=len(candidate),
        higher_is_better=_direction(evidence, subject),
        reason=reasons[0] if reasons else None,
    )
    if not candidate:
        return empty
    if isinstance(candidate[0], Jackknife):
        return _from_jackknife(config, empty, candidate, baseline)
    return _from_items(config, empty, candidate, baseline)


def _direction(evidence: Evidence, subject: Subject) -> bool | None:
    rows = (row for cell, found in evidence.items() if cell.method == subject.candidate for row in _rows(found.get(subject.probe), subject))
    return next((row.higher_is_better for row in rows), None)


def _rows(findings: Findings | None, subject: Subject) -> list[Measurement]:
    rows = findings.measurements if findings is not None else []
    return [row for row in rows if (row.metric, row.slice) == (subject.metric, str(subject.slice))]


def _why(findings: Findings | None, method: str, subject: Subject) -> str:
    if findings is None:
        return f"{method} was not measured"
    reason = next((row.reason for row in _rows(findings, subject)), None)
    return f"{method}: {reason or f'{subject.metric} was not measured'}"


def _from_items(config: AuditConfig, empty: Comparison, mine: Sequence[object], theirs: Sequence[object]) -> Comparison:
    candidate = [scores for scores in mine if isinstance(scores, ItemScores)]
    baseline = [scores for scores in theirs if isinstance(scores, ItemScores)]
    found = paired(candidate, baseline, level=config.ci, n_resamples=config.resamples, seed=0)
    losses = [
        f"{found.n_lost} items were measured for one model only and left out" if found.n_lost else None,
        f"{found.n_excluded} scores were not finite and left out" if found.n_excluded else None,
    ]
    return _filled(empty, found, n_items=found.n_items, reason=joined(found.reason or empty.reason, *losses))


def joined(*parts: str | None) -> str | None:
    """Return the reasons that there are as one; None where there is none."""
    return "; ".join(part for part in parts if part) or None


def _from_jackknife(config: AuditConfig, empty: Comparison, mine: Sequence[object], theirs: Sequence[object]) -> Comparison:
    candidate = [found for found in mine if isinstance(found, Jackknife)]
    baseline = [found for found in theirs if isinstance(found, Jackknife)]
    found = paired_jackknife(candidate, baseline, level=config.ci)
    return _filled(empty, found, n_items=candidate[0].items, reason=empty.reason)


def _filled(empty: Comparison, found: PairedResult, *, n_items: int, reason: str | None) -> Comparison:
    return replace(
        empty,
        delta=found.delta,
        ci_low=found.ci_low,
        ci_high=found.ci_high,
        p_value=found.p_value,
        test=found.test,
        baseline_value=found.baseline_value,
        candidate_value=found.candidate_value,
        n_items=n_items,
        reason=reason,
        detectable=found.detectable,
    )
