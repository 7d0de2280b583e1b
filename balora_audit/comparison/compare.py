"""From per-item evidence to comparisons and verdicts: everything paired, nothing from point estimates (METHODS §8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from balora_audit.config import AuditConfig
from balora_audit.probes.evidence import Findings
from balora_audit.records import Claim, Comparison
from balora_audit.stats import (
    ItemScores,
    Jackknife,
    holm,
    minimum_detectable_effect,
    paired,
    paired_jackknife,
    verdict,
)
from balora_audit.vocabulary import METRICS

__all__ = ["Evidence", "compare_all"]

Evidence = Mapping[tuple[str, str, int], Mapping[str, Findings]]
"""(method, condition, seed) → probe → findings; a cell that failed is absent."""

_TRIVIAL_AGAINST_BASE = {"cka_to_base", "principal_angle_to_base", "retained", "lost", "gained", "perplexity_ratio", "kl_per_token"}
_SLICES = ("all", "clean")


def compare_all(
    config: AuditConfig,
    claims: Sequence[Claim],
    pairs: Sequence[tuple[str, str]],
    evidence: Evidence,
    *,
    untrained: frozenset[str] = frozenset(),
) -> list[Comparison]:
    """Return the declared claims with verdicts, then the exploratory rows.

    `untrained` names the models for which distances from the base are zero by definition: no rows against them. Group gaps
    are compared with them in any case, whatever the baselines are: that difference is the amplification.
    """
    decided = [_decide(config, claim, evidence) for claim in claims]
    adjusted = _adjust(decided)
    taken = {(row.baseline, row.candidate, row.condition, row.probe, row.metric, row.slice) for row in adjusted}
    exploratory = []
    candidates = [name for name in config.model_names if name not in untrained]
    amplified = [(base, name) for base in sorted(untrained) for name in candidates if (base, name) not in pairs]
    for baseline, candidate in (*pairs, *amplified):
        for condition, probe, metric, slice in _common(evidence, baseline, candidate):
            if (baseline, candidate, condition, probe, metric, slice) in taken:
                continue
            if (baseline, candidate) in amplified and probe != "imbalance":
                continue
            if baseline in untrained and metric in _TRIVIAL_AGAINST_BASE:
                continue
            exploratory.append(_compare(config, evidence, baseline, candidate, condition, probe, metric, slice))
    return [*adjusted, *exploratory]


def _decide(config: AuditConfig, claim: Claim, evidence: Evidence) -> Comparison:
    row = _compare(config, evidence, claim.baseline, claim.candidate, claim.condition, claim.probe, claim.metric, claim.slice)
    failed = [
        (method, claim.condition, seed)
        for method in (claim.baseline, claim.candidate)
        for seed in config.seeds
        if (method, claim.condition, seed) not in evidence
    ]
    said = "error" if failed else verdict(row.ci_low, row.ci_high, claim.margin, claim.higher_is_better)
    reason = row.reason
    if failed:
        reason = "failed: " + ", ".join(f"{method} under {condition}, seed {seed}" for method, condition, seed in failed)
    if said == "inconclusive" and row.ci_low is not None and row.ci_high is not None:
        smallest = minimum_detectable_effect(row.ci_low, row.ci_high, config.ci)
        detectable = f"the smallest difference that this design finds with 80 % power is about {smallest:.3g}"
        reason = f"{reason}; {detectable}" if reason else detectable
    return replace(row, claim=claim.id, margin=claim.margin, higher_is_better=claim.higher_is_better, verdict=said, reason=reason)


def _adjust(rows: list[Comparison]) -> list[Comparison]:
    """Holm over each probe's family of claims."""
    adjusted = list(rows)
    for probe in dict.fromkeys(row.probe for row in rows):
        places = [index for index, row in enumerate(rows) if row.probe == probe]
        for index, value in zip(places, holm([rows[index].p_value for index in places]), strict=True):
            adjusted[index] = replace(rows[index], p_adjusted=value)
    return adjusted


def _common(evidence: Evidence, baseline: str, candidate: str) -> list[tuple[str, str, str, str]]:
    found: dict[tuple[str, str, str, str], None] = {}
    for (method, condition, seed), by_probe in evidence.items():
        if method != candidate or (baseline, condition, seed) not in evidence:
            continue
        for probe, findings in by_probe.items():
            other = evidence[baseline, condition, seed].get(probe)
            for metric, slice in findings.scores:
                if (slice in _SLICES or probe == "harness") and other is not None and (metric, slice) in other.scores:
                    found[condition, probe, metric, slice] = None
    return list(found)


def _compare(
    config: AuditConfig,
    evidence: Evidence,
    baseline: str,
    candidate: str,
    condition: str,
    probe: str,
    metric: str,
    slice: str,
) -> Comparison:
    mine: list[ItemScores | Jackknife] = []
    theirs: list[ItemScores | Jackknife] = []
    reasons: list[str] = []
    for seed in config.seeds:
        both = []
        for method in (candidate, baseline):
            findings = evidence.get((method, condition, seed), {}).get(probe)
            found = findings.scores.get((metric, slice)) if findings is not None else None
            if found is None:
                reasons.append(_why(findings, method, metric, slice))
            both.append(found)
        if both[0] is not None and both[1] is not None:
            mine.append(both[0])
            theirs.append(both[1])
    empty = Comparison(
        baseline=baseline,
        candidate=candidate,
        condition=condition,
        probe=probe,
        metric=metric,
        slice=slice,
        delta=None,
        ci_level=config.ci,
        n_items=0,
        n_seeds=len(mine),
        higher_is_better=_direction(evidence, candidate, probe, metric, slice),
        reason=reasons[0] if reasons else None,
    )
    if not mine:
        return empty
    if isinstance(mine[0], Jackknife):
        return _from_jackknife(config, empty, mine, theirs)
    return _from_items(config, empty, mine, theirs)


def _direction(evidence: Evidence, method: str, probe: str, metric: str, slice: str) -> bool | None:
    if metric in METRICS and probe != "harness":
        return METRICS[metric].higher_is_better
    rows = (row for (name, *_), found in evidence.items() if name == method and probe in found for row in found[probe].measurements)
    return next((row.higher_is_better for row in rows if (row.metric, row.slice) == (metric, slice)), None)


def _why(findings: Findings | None, method: str, metric: str, slice: str) -> str:
    if findings is None:
        return f"{method} was not measured"
    rows = [row for row in findings.measurements if row.metric == metric and row.slice == slice]
    return f"{method}: {rows[0].reason}" if rows and rows[0].reason else f"{method}: {metric} was not measured"


def _from_items(config: AuditConfig, empty: Comparison, mine: Sequence[object], theirs: Sequence[object]) -> Comparison:
    candidate = [scores for scores in mine if isinstance(scores, ItemScores)]
    baseline = [scores for scores in theirs if isinstance(scores, ItemScores)]
    found = paired(candidate, baseline, level=config.ci, n_resamples=config.resamples, seed=0)
    losses = [
        f"{found.n_lost} items were measured for one model only and left out" if found.n_lost else None,
        f"{found.n_excluded} scores were not finite and left out" if found.n_excluded else None,
    ]
    lost = "; ".join(part for part in losses if part) or None
    return replace(
        empty,
        delta=found.delta,
        ci_low=found.ci_low,
        ci_high=found.ci_high,
        p_value=found.p_value,
        test=found.test,
        baseline_value=found.baseline_value,
        candidate_value=found.candidate_value,
        n_items=found.n_items,
        reason="; ".join(part for part in (found.reason or empty.reason, lost) if part) or None,
    )


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
    return replace(
        empty,
        delta=found.delta,
        ci_low=found.ci_low,
        ci_high=found.ci_high,
        p_value=found.p_value,
        test=found.test,
        baseline_value=found.baseline_value,
        candidate_value=found.candidate_value,
        n_items=candidate[0].items,
    )
