"""From per-item evidence to comparisons and verdicts: everything paired, nothing from point estimates (METHODS §8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from balora_audit.comparison.decide import Audited, decide
from balora_audit.comparison.evidence import Evidence, Failures, Floors, Subject, difference, floor_of
from balora_audit.comparison.frontiers import Frontiers
from balora_audit.config import AuditConfig
from balora_audit.metric import Metric
from balora_audit.records import Claim, Comparison
from balora_audit.stats import holm

__all__ = ["Evidence", "Failures", "Floors", "compare_all"]


def compare_all(
    config: AuditConfig,
    claims: Sequence[Claim],
    pairs: Sequence[tuple[str, str]],
    evidence: Evidence,
    *,
    untrained: frozenset[str] = frozenset(),
    failures: Failures | None = None,
    floors: Floors | None = None,
    skill: Metric | None = None,
    controls: Mapping[str, str] | None = None,
    frontiers: Frontiers | None = None,
) -> list[Comparison]:
    """Return the declared claims with verdicts, then the exploratory rows.

    Parameters
    ----------
    untrained : frozenset of str
        The models for which distances from the base are zero by definition: no rows against them. What is always compared with them
        (``Metric.against_base``) has rows whatever the baselines are: that difference is the amplification.
    failures : mapping, optional
        A claim about a probe that has no findings in one of its cells is an error, for the reason that this gives.
    floors : mapping, optional
        A verdict that would not survive a difference that moves by so much is *inconclusive*.
    skill : Metric, optional
        On which it is decided whether two models are compared on what follows from it.
    controls : mapping, optional
        Condition → its control, where the skill is measured before the condition did what it does.
    frontiers : mapping, optional
        Method → its candidates, where settings were tuned: claims between two such methods are decided at equal skill.
    """
    audited = Audited(
        config=config,
        evidence=evidence,
        untrained=untrained,
        failures=failures or {},
        floors=floors or {},
        skill=skill,
        controls=controls or {},
        frontiers=frontiers or {},
    )
    decided = [decide(audited, claim) for claim in claims]
    taken = {Subject.of(claim) for claim in claims}
    candidates = [name for name in config.model_names if name not in untrained]
    amplified = [(base, name) for base in sorted(untrained) for name in candidates if (base, name) not in pairs]
    exploratory = []
    for baseline, candidate in (*pairs, *amplified):
        for subject, against_base in _common(evidence, baseline, candidate).items():
            if subject in taken or (baseline in untrained and against_base == "trivial"):
                continue
            if (baseline, candidate) in amplified and against_base != "always":
                continue
            exploratory.append(replace(difference(config, evidence, subject), floor=floor_of(audited.floors, subject)))
    return [*_adjust(decided), *exploratory]


def _adjust(rows: list[Comparison]) -> list[Comparison]:
    """Holm over each probe's family of claims, by the p-value of what decided each; what was not compared counts for none."""
    adjusted = list(rows)
    for probe in dict.fromkeys(row.probe for row in rows):
        places = [index for index, row in enumerate(rows) if row.probe == probe]
        for index, value in zip(places, holm([_deciding_p(rows[index]) for index in places]), strict=True):
            adjusted[index] = replace(rows[index], p_adjusted=value)
    return adjusted


def _deciding_p(row: Comparison) -> float | None:
    if row.verdict == "not comparable":
        return None
    if row.at_equal_skill is not None:
        return row.at_equal_skill.p_value
    return row.p_value if row.matched is None else row.matched.p_value


def _common(evidence: Evidence, baseline: str, candidate: str) -> dict[Subject, str]:
    """Return what was measured of whole test sets for both models under one condition and seed → how it stands to the base."""
    found: dict[Subject, str] = {}
    for cell, by_probe in evidence.items():
        others = evidence.get(cell._replace(method=baseline), {})
        if cell.method != candidate:
            continue
        for probe, findings in by_probe.items():
            for metric, slice in findings.scores:
                if slice.whole and probe in others and (metric, slice) in others[probe].scores:
                    record = findings.probe.record(metric)
                    subject = Subject(
                        baseline=baseline, candidate=candidate, condition=cell.condition, probe=probe, metric=metric, slice=slice
                    )
                    found[subject] = "compared" if record is None else record.against_base
    return found
