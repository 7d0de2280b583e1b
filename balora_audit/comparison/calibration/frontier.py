"""Claims between simulated methods that are tuned: one frontier of skill and flaw, learning-rate scales that differ, the audit's own code.

Two methods that have the same flaw at each skill, but need learning rates that differ by a factor (as LoRA and PiSSA do), are equal in all
that matters. At one common rate one of them is more skilled, so that it also has more of whatever grows with skill.

Shapes: N item.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, cast

import numpy as np
from scipy.stats import norm

from balora_audit.cells import CellId
from balora_audit.comparison.calibration.flaws import FLAWS, TEST_ITEMS
from balora_audit.comparison.calibration.kind import item_names, normal_items
from balora_audit.comparison.claims import margin_of
from balora_audit.comparison.compare import compare_all
from balora_audit.comparison.frontiers import Candidate
from balora_audit.config import AuditConfig
from balora_audit.probes import PROBES, Context, Findings
from balora_audit.probes.skill import ACCURACY, SKILL
from balora_audit.records import Claim, Comparison, Verdict
from balora_audit.slices import ALL, CLEAN
from balora_audit.stats import ItemScores, wilson
from balora_audit.stats.items import FloatArray

__all__ = ["Tuned", "skill_at", "tuned_cell", "tuned_cells"]

RATIOS = (1.0, 2.5, 5.0)
"""By what factor the candidate's learning rates act more strongly than the baseline's."""

_GRID = (2e-4, 5e-4, 1.25e-3, 3.1e-3)
_RESAMPLES = 300
_MODELS = ("lora", "balora")
_SEED_SKILL = 0.08
"""Standard deviation over seeds of a checkpoint's skill, on the probit scale: it moves along its frontier."""

_FINDS: tuple[Verdict, ...] = ("supported", "contradicted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """One row of the page: a flaw, the factor between the methods' learning rates, seeds, and the planted gap of their frontiers."""

    flaw: str
    ratio: float
    seeds: int
    planted: float


def tuned_cells(*, fast: bool) -> list[Tuned]:
    """Return the rows: no gap at every factor, and a clear one at the middle one."""
    flaws = ("flips", "KL") if fast else tuple(FLAWS)
    ratios = RATIOS[2:] if fast else RATIOS
    null = [Tuned(flaw=flaw, ratio=ratio, seeds=seeds, planted=0.0) for flaw, seeds, ratio in product(flaws, (1, 3), ratios)]
    return null + [Tuned(flaw=flaw, ratio=RATIOS[1], seeds=seeds, planted=FLAWS[flaw].gap) for flaw, seeds in product(flaws, (1, 3))]


def skill_at(rate: float, ratio: float) -> float:
    """Return the accuracy that training with a learning rate brings: it rises with the logarithm of the rate and saturates.

    Examples
    --------
    >>> [round(skill_at(rate, 1.0), 2) for rate in (2e-4, 5e-4, 1.25e-3, 3.1e-3)]
    [0.49, 0.61, 0.73, 0.81]
    """
    return 0.35 + 0.52 / (1 + float(np.exp(-2.6 * (np.log10(rate * ratio) + 3.3))))


def tuned_cell(cell: Tuned, audits: int, rng: np.random.Generator) -> dict[str, Any]:
    """Count the verdicts at equal skill, between each method's own best rate, and at every common rate alone.

    The truth of the matched difference is the planted gap: with one seed that of these checkpoints, with several that of the methods.
    """
    flaw = FLAWS[cell.flaw]
    config = AuditConfig(models=("base", *_MODELS), seeds=tuple(range(cell.seeds)), resamples=_RESAMPLES)
    record = PROBES[flaw.probe].record(flaw.metric)
    if record is None or record.higher_is_better is None:
        raise ValueError(f"need a metric with a better end, got {flaw.metric!r}")
    claim = Claim(
        id="planted", baseline=_MODELS[0], candidate=_MODELS[1], condition="clean", probe=flaw.probe, metric=flaw.metric,
        margin=margin_of(config, record), higher_is_better=record.higher_is_better, relative_margin=record.relative_margin,
    )  # fmt: skip
    rows = [_audit(config, claim, cell, rng) for _ in range(audits)]
    matched = [row.at_equal_skill for row in rows if row.at_equal_skill is not None]
    bounds = [(found.ci_low, found.ci_high) for found in matched]
    given = [(low, high) for low, high in bounds if low is not None and high is not None]
    deltas = [found.delta for found in matched if found.delta is not None]
    singles = Counter(single.verdict for row in rows for single in row.single_rates)
    right = _FINDS[(cell.planted > 0) != claim.higher_is_better]
    return {
        "flaw": cell.flaw, "ratio": cell.ratio, "seeds": cell.seeds, "planted": cell.planted, "audits": audits,
        "withheld": audits - len(given),
        "coverage": _share(sum(low <= cell.planted <= high for low, high in given), len(given)),
        "verdict": _share(sum(row.verdict in _FINDS for row in rows), audits),
        "power": _share(sum(row.verdict == right for row in rows), audits) if cell.planted else None,
        "own_best": _share(sum(row.own_best in _FINDS for row in rows), audits),
        "single_rates": round(sum(singles[name] for name in _FINDS) / max(1, singles.total()), 4),
        "any_single_rate": _share(sum(any(single.verdict in _FINDS for single in row.single_rates) for row in rows), audits),
        "delta": round(float(np.mean(deltas)), 6) if deltas else None,
        "half_width": round(float(np.mean([(high - low) / 2 for low, high in given])), 6) if given else None,
    }  # fmt: skip


def _share(successes: int, n: int) -> list[float] | None:
    """Return a rate and its Wilson interval."""
    return [round(value, 4) for value in (successes / n, *wilson(successes, n))] if n else None


def _audit(config: AuditConfig, claim: Claim, cell: Tuned, rng: np.random.Generator) -> Comparison:
    easy_N, shared = normal_items(TEST_ITEMS, rng), FLAWS[cell.flaw].shared(rng)
    frontiers = {
        method: _candidates(method, ratio, gap, cell, easy_N, shared, rng)
        for method, ratio, gap in ((claim.baseline, 1.0, 0.0), (claim.candidate, cell.ratio, cell.planted))
    }
    evidence = {
        CellId(method, "clean", seed): by_probe
        for method, candidates in frontiers.items()
        for candidate in candidates
        if candidate.chosen
        for seed, by_probe in candidate.found.items()
    }
    return compare_all(config, [claim], [], evidence, skill=ACCURACY, frontiers=frontiers)[0]


def _candidates(
    method: str, ratio: float, gap: float, cell: Tuned, easy_N: FloatArray, shared: FloatArray, rng: np.random.Generator
) -> list[Candidate]:
    """Return a method's grid; validation chooses the rate whose first checkpoint is the most skilled one in truth."""
    found, skills = [], []
    for place, rate in enumerate(_GRID):
        drawn = {seed: _checkpoint(skill_at(rate, ratio), gap, cell, easy_N, shared, rng) for seed in range(cell.seeds)}
        skills.append(drawn[0][0])
        found.append(
            Candidate(
                method=method, setting=f"rate {rate:g}", place=(place,), rate=rate, others=(),
                found={seed: by_probe for seed, (_, by_probe) in drawn.items()}, chosen=False,
            )
        )  # fmt: skip
    best = int(np.argmax(skills))
    return [replace(candidate, chosen=place == best) for place, candidate in enumerate(found)]


def _checkpoint(
    mean_skill: float, gap: float, cell: Tuned, easy_N: FloatArray, shared: FloatArray, rng: np.random.Generator
) -> tuple[float, dict[str, Findings]]:
    """Return a checkpoint's true skill and its evidence; only where there are several seeds does it lie off its method's frontier."""
    flaw = FLAWS[cell.flaw]
    skill = float(norm.cdf(norm.ppf(mean_skill) + _SEED_SKILL * rng.normal()))
    off = flaw.between * float(rng.normal()) if cell.seeds > 1 else 0.0
    right_N = easy_N + rng.normal(0, 0.4, TEST_ITEMS) < norm.ppf(skill) * np.sqrt(1.16)
    answers = ItemScores.mean_of(item_names(TEST_ITEMS), right_N.astype(np.float64))
    drawn = flaw.draw(flaw.at(skill) + gap + off, shared, rng)
    # a context serves the measurements only, which no comparison of these metrics reads
    context = cast(Context, None)
    return skill, {
        SKILL.name: Findings(context, SKILL, scores={(ACCURACY.name, CLEAN): answers}),
        flaw.probe: Findings(context, PROBES[flaw.probe], scores={(flaw.metric, ALL): drawn}),
    }
