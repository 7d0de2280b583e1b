"""From per-item evidence to comparisons and verdicts: everything paired, nothing from point estimates (METHODS §8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from balora_audit.cells import CellId
from balora_audit.config import AuditConfig
from balora_audit.probes import Findings
from balora_audit.records import Claim, Comparison, Measurement
from balora_audit.slices import Slice
from balora_audit.stats import (
    ItemScores,
    Jackknife,
    PairedResult,
    holm,
    minimum_detectable_effect,
    paired,
    paired_jackknife,
    verdict,
)

__all__ = ["Evidence", "Failures", "compare_all"]

Evidence = Mapping[CellId, Mapping[str, Findings]]
"""Cell → probe → findings; a cell that failed is absent, and so is a probe that failed in it."""

Failures = Mapping[tuple[CellId, str], str]
"""(cell, probe) → why there are no findings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Subject:
    """What a comparison is about."""

    baseline: str
    candidate: str
    condition: str
    probe: str
    metric: str
    slice: Slice


def compare_all(
    config: AuditConfig,
    claims: Sequence[Claim],
    pairs: Sequence[tuple[str, str]],
    evidence: Evidence,
    *,
    untrained: frozenset[str] = frozenset(),
    failures: Failures | None = None,
) -> list[Comparison]:
    """Return the declared claims with verdicts, then the exploratory rows.

    `untrained` names the models for which distances from the base are zero by definition: no rows against them. What is always
    compared with them (``Metric.against_base``) has rows whatever the baselines are: that difference is the amplification.
    A claim about a probe that has no findings in one of its cells is an error, for the reason that `failures` gives.
    """
    decided = [_decide(config, claim, evidence, failures or {}) for claim in claims]
    taken = {_about(claim) for claim in claims}
    candidates = [name for name in config.model_names if name not in untrained]
    amplified = [(base, name) for base in sorted(untrained) for name in candidates if (base, name) not in pairs]
    exploratory = []
    for baseline, candidate in (*pairs, *amplified):
        for subject, against_base in _common(evidence, baseline, candidate).items():
            if subject in taken or (baseline in untrained and against_base == "trivial"):
                continue
            if (baseline, candidate) in amplified and against_base != "always":
                continue
            exploratory.append(_compare(config, evidence, subject))
    return [*_adjust(decided), *exploratory]


def _about(claim: Claim) -> _Subject:
    return _Subject(
        baseline=claim.baseline,
        candidate=claim.candidate,
        condition=claim.condition,
        probe=claim.probe,
        metric=claim.metric,
        slice=Slice.parse(claim.slice),
    )


def _decide(config: AuditConfig, claim: Claim, evidence: Evidence, failures: Failures) -> Comparison:
    row = _compare(config, evidence, _about(claim))
    cells = [CellId(method, claim.condition, seed) for method in (claim.baseline, claim.candidate) for seed in config.seeds]
    failed = [cell for cell in cells if claim.probe not in evidence.get(cell, {})]
    said = "error" if failed else verdict(row.ci_low, row.ci_high, claim.margin, claim.higher_is_better)
    reason = row.reason
    if failed:
        reason = "failed: " + "; ".join(_failure(cell, failures.get((cell, claim.probe))) for cell in failed)
    if said == "inconclusive" and row.ci_low is not None and row.ci_high is not None:
        smallest = minimum_detectable_effect(row.ci_low, row.ci_high, config.ci)
        detectable = f"the smallest difference that this design finds with 80 % power is about {smallest:.3g}"
        reason = f"{reason}; {detectable}" if reason else detectable
    return replace(row, claim=claim.id, margin=claim.margin, higher_is_better=claim.higher_is_better, verdict=said, reason=reason)


def _failure(cell: CellId, reason: str | None) -> str:
    where = f"{cell.method} under {cell.condition}, seed {cell.seed}"
    return f"{where} ({reason})" if reason else where


def _adjust(rows: list[Comparison]) -> list[Comparison]:
    """Holm over each probe's family of claims."""
    adjusted = list(rows)
    for probe in dict.fromkeys(row.probe for row in rows):
        places = [index for index, row in enumerate(rows) if row.probe == probe]
        for index, value in zip(places, holm([rows[index].p_value for index in places]), strict=True):
            adjusted[index] = replace(rows[index], p_adjusted=value)
    return adjusted


def _common(evidence: Evidence, baseline: str, candidate: str) -> dict[_Subject, str]:
    """Return what was measured of whole test sets for both models under one condition and seed → how it stands to the base."""
    found: dict[_Subject, str] = {}
    for cell, by_probe in evidence.items():
        others = evidence.get(cell._replace(method=baseline), {})
        if cell.method != candidate:
            continue
        for probe, findings in by_probe.items():
            for metric, slice in findings.scores:
                if slice.whole and probe in others and (metric, slice) in others[probe].scores:
                    record = findings.probe.record(metric)
                    subject = _Subject(
                        baseline=baseline, candidate=candidate, condition=cell.condition, probe=probe, metric=metric, slice=slice
                    )
                    found[subject] = "compared" if record is None else record.against_base
    return found


def _compare(config: AuditConfig, evidence: Evidence, subject: _Subject) -> Comparison:
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


def _direction(evidence: Evidence, subject: _Subject) -> bool | None:
    rows = (row for cell, found in evidence.items() if cell.method == subject.candidate for row in _rows(found.get(subject.probe), subject))
    return next((row.higher_is_better for row in rows), None)


def _rows(findings: Findings | None, subject: _Subject) -> list[Measurement]:
    rows = findings.measurements if findings is not None else []
    return [row for row in rows if (row.metric, row.slice) == (subject.metric, str(subject.slice))]


def _why(findings: Findings | None, method: str, subject: _Subject) -> str:
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
    lost = "; ".join(part for part in losses if part) or None
    reason = "; ".join(part for part in (found.reason or empty.reason, lost) if part) or None
    return _filled(empty, found, n_items=found.n_items, reason=reason)


def _from_jackknife(config: AuditConfig, empty: Comparison, mine: Sequence[object], theirs: Sequence[object]) -> Comparison:
    candidate = [found for found in mine if isinstance(found, Jackknife)]
    baseline = [found for found in theirs if isinstance(found, Jackknife)]
    found = paired_jackknife(
        [c.estimate for c in candidate],
        [c.left_out for c in candidate],
        [b.estimate for b in baseline],
        [b.left_out for b in baseline],
        level=config.ci,
    )
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
    )
