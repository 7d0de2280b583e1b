"""Candidates as frontiers of skill and flaw, and the difference between two of them at equal skill (METHODS §9)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from balora_audit.cells import CellId
from balora_audit.comparison.evidence import Subject, difference, score_of
from balora_audit.config import AuditConfig
from balora_audit.metric import Metric
from balora_audit.probes import Findings
from balora_audit.probes.skill import SKILL
from balora_audit.records import AtEqualSkill, FrontierPoint, SingleRate
from balora_audit.slices import CLEAN, Slice
from balora_audit.stats import Contrast, Curve, ItemScores, Jackknife, frontier_contrast, interval, rising, verdict

__all__ = [
    "RESAMPLES",
    "TRAINED_ON",
    "Candidate",
    "Frontiers",
    "at_equal_skill",
    "curves",
    "frontier_points",
    "is_skill",
    "joined",
    "single_rates",
]

RESAMPLES = 2000
"""Of every contrast, at most."""

TRAINED_ON = "clean"
"""The condition that candidates are trained under."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """One setting of one method: where it lies on the grid, and what the light battery found under each seed.

    With a ``share`` below 1 it is the state after that share of its steps.
    """

    method: str
    setting: str
    place: tuple[int, ...]
    rate: float
    others: tuple[tuple[str, float], ...]
    found: Mapping[int, Mapping[str, Findings]]
    chosen: bool
    share: float = 1.0

    def score(self, seed: int, probe: str, metric: str, slice: Slice) -> ItemScores | Jackknife | None:
        """Return the evidence of a number; None where there is none."""
        return score_of(self.found.get(seed, {}), probe, metric, slice)

    def skill(self, seeds: Sequence[int], skill: Metric) -> float | None:
        """Return the mean skill over seeds; None where a seed has none."""
        scores = [self.score(seed, SKILL.name, skill.name, CLEAN) for seed in seeds]
        values = [scores.value() for scores in scores if isinstance(scores, ItemScores)]
        known = [value for value in values if value is not None]
        return float(np.mean(known)) if len(known) == len(seeds) else None


Frontiers = Mapping[str, Sequence[Candidate]]
"""Method → its candidates; empty where nothing was tuned."""


def is_skill(skill: Metric, probe: str, metric: str) -> bool:
    """Whether a number is the skill that frontiers are drawn over, and so has no frontier of its own."""
    return (probe, metric) == (SKILL.name, skill.name)


def joined(candidates: Sequence[Candidate], seeds: Sequence[int], skill: Metric) -> list[Candidate]:
    """Return the candidates that a frontier joins: of equal other settings and shares, those up to the rate that brings most skill.

    What a rate beyond that did is training that went too far: nobody would choose it, and it has a flaw of its own at each skill. A state
    on the way of such a training is not joined either, though a short training may get most out of its high rate.
    """
    known = [(candidate, value) for candidate in candidates if (value := candidate.skill(seeds, skill)) is not None]
    chosen: list[Candidate] = []
    for group in dict.fromkeys((candidate.others, candidate.share) for candidate, _ in known):
        of_group = [(candidate, value) for candidate, value in known if (candidate.others, candidate.share) == group]
        sign = -1 if skill.higher_is_better is False else 1
        kept = rising([candidate.rate for candidate, _ in of_group], [sign * value for _, value in of_group])
        chosen += [candidate for (candidate, _), keep in zip(of_group, kept, strict=True) if keep]
    whole = {candidate.setting for candidate in chosen if candidate.share == 1}
    return [candidate for candidate in chosen if candidate.setting in whole]


def curves(candidates: Sequence[Candidate], seeds: Sequence[int], skill: Metric, probe: str, metric: str, slice: Slice) -> list[Curve]:
    """Return a frontier as one curve for each seed; empty where no candidate has the number under all seeds.

    What two models are compared on item by item, on those for which both qualify, is at equal skill already: it has no frontier.
    """
    whole = [
        candidate
        for candidate in joined(candidates, seeds, skill)
        if all(candidate.score(seed, probe, metric, slice) is not None for seed in seeds)
    ]
    first = whole[0].score(seeds[0], probe, metric, slice) if whole else None
    if not whole or (isinstance(first, ItemScores) and first.common):
        return []
    found = []
    for seed in seeds:
        skills = [candidate.score(seed, SKILL.name, skill.name, CLEAN) for candidate in whole]
        flaws = [candidate.score(seed, probe, metric, slice) for candidate in whole]
        found.append(
            Curve(skill=tuple(score for score in skills if score is not None), flaw=tuple(score for score in flaws if score is not None))
        )
    return found


def at_equal_skill(config: AuditConfig, frontiers: Frontiers, skill: Metric, subject: Subject) -> AtEqualSkill | None:
    """Return the gap of two methods' frontiers in a metric; None where one of the two has none."""
    if subject.condition != TRAINED_ON or is_skill(skill, subject.probe, subject.metric):
        return None
    both = [
        curves(frontiers.get(method, ()), config.seeds, skill, subject.probe, subject.metric, subject.slice)
        for method in (subject.candidate, subject.baseline)
    ]
    if not all(both):
        return None
    found = frontier_contrast(both, (1, -1), level=config.ci, n_resamples=min(RESAMPLES, config.resamples), seed=0)
    return _recorded(found, points=(len(both[1][0].skill), len(both[0][0].skill)))


def _recorded(found: Contrast, *, points: tuple[int, int]) -> AtEqualSkill:
    candidate_value, baseline_value = found.levels if found.levels else (None, None)
    return AtEqualSkill(
        delta=found.delta,
        ci_low=found.ci_low,
        ci_high=found.ci_high,
        p_value=found.p_value,
        baseline_value=baseline_value,
        candidate_value=candidate_value,
        skill_low=found.skill_low,
        skill_high=found.skill_high,
        interpolation=found.interpolation,
        detectable=found.detectable,
        n_items=found.n_items,
        points=points,
        reason=found.reason,
    )


def single_rates(
    config: AuditConfig, frontiers: Frontiers, subject: Subject, margin: float, *, higher_is_better: bool
) -> tuple[SingleRate, ...]:
    """Return what each common setting alone would have said: both models trained with it, its own interval beside the margin."""
    baseline = {candidate.place: candidate for candidate in frontiers.get(subject.baseline, ()) if candidate.share == 1}
    found = []
    for candidate in frontiers.get(subject.candidate, ()):
        other = baseline.get(candidate.place)
        if candidate.share != 1 or other is None:
            continue
        evidence = {CellId(one.method, TRAINED_ON, seed): by_probe for one in (candidate, other) for seed, by_probe in one.found.items()}
        row = difference(config, evidence, replace(subject, condition=TRAINED_ON))
        found.append(
            SingleRate(
                baseline_setting=other.setting,
                candidate_setting=candidate.setting,
                delta=row.delta,
                ci_low=row.ci_low,
                ci_high=row.ci_high,
                verdict=verdict(row.ci_low, row.ci_high, margin, higher_is_better),
            )
        )
    return tuple(found)


def frontier_points(config: AuditConfig, frontiers: Frontiers, skill: Metric) -> Iterator[FrontierPoint]:
    """Yield every candidate as a point of skill and flaw, for each whole metric of the light battery and each seed."""
    for candidates in frontiers.values():
        on_line = joined(candidates, config.seeds, skill)
        for candidate in candidates:
            for seed, by_probe in candidate.found.items():
                known = candidate.score(seed, SKILL.name, skill.name, CLEAN)
                value = known.value() if isinstance(known, ItemScores) else None
                if value is None or not isinstance(known, ItemScores):
                    continue
                low, high = interval(known, level=config.ci, n_resamples=RESAMPLES, seed=0) or (None, None)
                for probe, findings in by_probe.items():
                    for row in findings.measurements:
                        if row.value is None or not Slice.parse(row.slice).whole or is_skill(skill, probe, row.metric):
                            continue
                        yield FrontierPoint(
                            method=candidate.method,
                            setting=candidate.setting,
                            share=candidate.share,
                            seed=seed,
                            probe=probe,
                            metric=row.metric,
                            slice=row.slice,
                            skill=value,
                            skill_low=low,
                            skill_high=high,
                            value=row.value,
                            ci_low=row.ci_low,
                            ci_high=row.ci_high,
                            n=row.n,
                            joined=candidate in on_line,
                            chosen=candidate.chosen,
                        )
