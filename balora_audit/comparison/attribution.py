"""What the initialisation does, what the penalties do, and how they interact, where an audit holds the four corners (METHODS §9)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from balora_audit.cells import CellId
from balora_audit.comparison.evidence import Evidence, score_of
from balora_audit.comparison.frontiers import RESAMPLES, TRAINED_ON, Candidate, Frontiers, curves, is_skill, joined
from balora_audit.config import AuditConfig
from balora_audit.methods import Method
from balora_audit.methods.tuned import TunedMethod
from balora_audit.metric import Metric
from balora_audit.records import Claim, Effect
from balora_audit.slices import Slice
from balora_audit.stats import Contrast, Curve, contrast, frontier_contrast

__all__ = ["attribution", "corners"]

Term = Literal["initialisation", "penalties", "interaction", "dose"]
Corners = tuple[str, str, str, str]
"""Neither, the other initialisation, the penalties, both."""

_EFFECTS: dict[Term, tuple[float, float, float, float]] = {
    "initialisation": (-0.5, 0.5, -0.5, 0.5),
    "penalties": (-0.5, -0.5, 0.5, 0.5),
    "interaction": (1.0, -1.0, -1.0, 1.0),
}
_PENALTIES = "penalties."


@dataclass(frozen=True, slots=True, kw_only=True)
class _About:
    """A number that effects are told of."""

    probe: str
    metric: str
    slice: Slice
    higher_is_better: bool


def corners(methods: Mapping[str, Method]) -> list[Corners]:
    """Return every four methods of the audit that are two initialisations, each with and without the same penalties.

    Examples
    --------
    >>> from balora_audit.methods import find_methods
    >>> corners(find_methods(["base", "lora", "pissa", "lora[+cr+dr+svdr]", "balora"]))
    [('lora', 'pissa', 'lora[+cr+dr+svdr]', 'balora')]
    """
    named = {(method.start, method.terms): name for name, method in methods.items() if isinstance(method, TunedMethod)}
    plain = [start for start, terms in named if not terms]
    found = []
    for number, first in enumerate(plain):
        for other in plain[number + 1 :]:
            for terms in dict.fromkeys(terms for start, terms in named if terms and start == first):
                if (other, terms) in named:
                    none: frozenset[str] = frozenset()
                    found.append((named[first, none], named[other, none], named[first, terms], named[other, terms]))
    return found


def attribution(
    config: AuditConfig,
    methods: Mapping[str, Method],
    evidence: Evidence,
    frontiers: Frontiers,
    skill: Metric,
    claims: Sequence[Claim],
) -> Iterator[Effect]:
    """Yield the effects of every four corners, and of the weight of a penalty where one is tuned, in what is claimed of clean training.

    Each is told between the methods' own best settings and, for what follows from skill, between their frontiers.
    """
    about = {
        (claim.probe, claim.metric, claim.slice): _About(
            probe=claim.probe, metric=claim.metric, slice=Slice.parse(claim.slice), higher_is_better=claim.higher_is_better
        )
        for claim in claims
        if claim.condition == TRAINED_ON
    }
    for of_four in corners(methods):
        for number in about.values():
            families = _curves(config, [frontiers.get(name, ()) for name in of_four], skill, number)
            for term, weights in _EFFECTS.items():
                yield _own_best(config, evidence, of_four, number, term, weights)
                if any(families):  # else it is skill itself or matched item by item, or no candidate is tested for it
                    yield _on_frontiers(config, families, of_four, number, term, weights)
    for method, candidates in frontiers.items():
        yield from _doses(config, method, candidates, skill, list(about.values()))


def _curves(config: AuditConfig, families: Sequence[Sequence[Candidate]], skill: Metric, number: _About) -> list[list[Curve]]:
    """Return each family's frontier in a number; none of any family where one has no candidates, or the number is skill itself."""
    if not all(families) or is_skill(skill, number.probe, number.metric):
        return []
    return [curves(candidates, config.seeds, skill, number.probe, number.metric, number.slice) for candidates in families]


def _own_best(config: AuditConfig, evidence: Evidence, of_four: Corners, number: _About, term: Term, weights: tuple[float, ...]) -> Effect:
    families = []
    for name in of_four:
        cells = [evidence.get(CellId(name, TRAINED_ON, seed), {}) for seed in config.seeds]
        scores = [score_of(found, number.probe, number.metric, number.slice) for found in cells]
        families.append([score for score in scores if score is not None])
    if any(len(family) != len(config.seeds) for family in families):
        return _effect(config, Contrast(reason="it was not measured of all four models"), "own best", of_four, number, term, weights)
    result = contrast(families, weights, level=config.ci, n_resamples=RESAMPLES, seed=0)
    return _effect(config, result, "own best", of_four, number, term, weights)


def _on_frontiers(
    config: AuditConfig,
    families: Sequence[Sequence[Curve]],
    models: tuple[str, ...],
    number: _About,
    term: Term,
    weights: tuple[float, ...],
    detail: str = "",
) -> Effect:
    if not all(families):
        result = Contrast(reason="a frontier has no point with this number")
    else:
        result = frontier_contrast(families, weights, level=config.ci, n_resamples=RESAMPLES, seed=0)
    return _effect(config, result, "equal skill", models, number, term, weights, detail)


def _doses(config: AuditConfig, method: str, candidates: Sequence[Candidate], skill: Metric, about: Sequence[_About]) -> Iterator[Effect]:
    """Yield, for every penalty whose weight was varied, what each larger weight changes beside the smallest one, at equal skill."""
    axes = dict.fromkeys(axis for candidate in candidates for axis, _ in candidate.others if axis.startswith(_PENALTIES))
    for axis in axes:
        by_weight: dict[float, list[Candidate]] = {}
        for candidate in joined(candidates, config.seeds, skill):
            by_weight.setdefault(dict(candidate.others)[axis], []).append(candidate)
        if not by_weight:  # no candidate's skill is known
            continue
        least, *larger = sorted(by_weight)
        for weight in larger:
            for number in about:
                if is_skill(skill, number.probe, number.metric):
                    continue
                families = _curves(config, [by_weight[least], by_weight[weight]], skill, number)
                detail = f"{axis.removeprefix(_PENALTIES)} {weight:g} beside {least:g}"
                yield _on_frontiers(config, families, (method,), number, "dose", (-1.0, 1.0), detail)


def _effect(
    config: AuditConfig,
    found: Contrast,
    at: Literal["own best", "equal skill"],
    models: tuple[str, ...],
    number: _About,
    term: Term,
    weights: tuple[float, ...],
    detail: str = "",
) -> Effect:
    return Effect(
        term=term,
        at=at,
        models=models,
        weights=weights,
        probe=number.probe,
        metric=number.metric,
        slice=str(number.slice),
        delta=found.delta,
        ci_low=found.ci_low,
        ci_high=found.ci_high,
        ci_level=config.ci,
        p_value=found.p_value,
        skill_low=found.skill_low,
        skill_high=found.skill_high,
        n_items=found.n_items,
        n_seeds=len(config.seeds),
        higher_is_better=number.higher_is_better,
        detail=detail,
        reason=found.reason,
    )
