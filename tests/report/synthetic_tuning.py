"""A made-up audit in which every method was tuned: candidates, frontiers, gaps at equal skill, attribution."""

import dataclasses

import numpy as np
from synthetic_audit import METRICS

from balora_audit.records import AtEqualSkill, Effect, FrontierPoint, SingleRate, Tuning, TuningCandidate

RATES = (0.0002, 0.001, 0.005, 0.025)
CORNERS = ("lora", "pissa", "lora[+cr+dr+svdr]", "balora")
WEIGHTS = {"initialisation": (-0.5, 0.5, -0.5, 0.5), "penalties": (-0.5, -0.5, 0.5, 0.5), "interaction": (1.0, -1.0, -1.0, 1.0)}
SINGLE = ("supported", "equivalent", "contradicted", "not run")
SKILLS = (0.5125, 0.6375, 0.7625, 0.4375)


def setting(rate):
    return f"learning_rate={rate:g}"


def candidates(methods, seeds, rng):
    return tuple(
        TuningCandidate(
            method=method, setting=setting(rate), values={"learning_rate": rate}, seed=seed,
            validation=(loss := float(rng.uniform(0.4, 2))), ci_low=loss * 0.9, ci_high=loss * 1.1,
            wall_seconds=float(rng.uniform(5, 50)), chosen=rate == RATES[2],
        )
        for method in methods
        for rate in RATES
        for seed in seeds
    )  # fmt: skip


def point(method, place, seed, probe, metric, value):
    skill = SKILLS[place] + 0.01 * seed
    return FrontierPoint(
        method=method, setting=setting(RATES[place]), share=1.0, seed=seed, probe=probe, metric=metric, skill=skill, skill_low=skill - 0.04,
        skill_high=skill + 0.04, value=value, ci_low=value * 0.9, ci_high=value * 1.1, n=400, joined=place < 3, chosen=place == 2,
    )  # fmt: skip


def at_equal_skill(row, rng):
    """Return a claim between two tuned methods as decided on their frontiers."""
    value = 0.25 if METRICS[row.metric].unit == "share" else 12.0
    delta = float(rng.uniform(0.01, 0.05)) * value
    gap = AtEqualSkill(
        delta=delta, ci_low=delta - 0.03 * value, ci_high=delta + 0.03 * value, p_value=0.0321, baseline_value=value,
        candidate_value=value + delta, skill_low=0.5125, skill_high=0.7625, detectable=0.1 * value, n_items=384, points=(3, 3),
    )  # fmt: skip
    single = tuple(
        SingleRate(baseline_setting=setting(rate), candidate_setting=setting(rate), delta=delta, ci_low=0.0, ci_high=delta, verdict=verdict)
        for rate, verdict in zip(RATES, SINGLE, strict=True)
    )
    return dataclasses.replace(row, at_equal_skill=gap, own_best="inconclusive", single_rates=single, detectable=0.2 * value)


def effects(numbers, n_seeds, rng):
    return tuple(
        Effect(
            term=term, at=at, models=CORNERS, weights=weights, probe=probe, metric=metric,
            delta=(delta := float(rng.normal(0, 0.1))), ci_low=delta - 0.05, ci_high=delta + 0.05, p_value=0.2,
            skill_low=None if at == "own best" else 0.5125,
            skill_high=None if at == "own best" else 0.7625, n_items=400, n_seeds=n_seeds,
            higher_is_better=METRICS[metric].higher_is_better,
        )
        for probe, metric in numbers
        for at in ("own best", "equal skill")
        for term, weights in WEIGHTS.items()
    )  # fmt: skip


def tuned(audit, *, seed=0, **changes):
    """Return an audit with its fine-tuned models tuned; ``changes`` replace its fields."""
    rng = np.random.default_rng(seed)
    methods = [model.name for model in audit.models if model.method != "base"]
    seeds = sorted({cell.seed for cell in audit.cells}) or [0]
    numbers = list(dict.fromkeys((claim.probe, claim.metric) for claim in audit.claims if claim.condition == "clean"))
    points = tuple(
        point(method, place, seed, probe, metric, float(rng.uniform(0.1, 0.9)))
        for method in methods
        for place in range(len(RATES))
        for seed in seeds
        for probe, metric in numbers
    )
    decided = tuple(
        at_equal_skill(row, rng)
        if row.claim is not None and row.condition == "clean" and row.baseline in methods and row.delta is not None
        else row
        for row in audit.comparisons
    )
    fields = {
        "tuning": Tuning(
            metric="validation_nll", rows=96, axes={"learning_rate": (0.2, 1.0, 5.0, 25.0)}, relative=True,
            candidates=candidates(methods, seeds, rng), choices=dict.fromkeys(methods, setting(RATES[2])), notes=("LoRA: a remark",),
        ),
        "frontiers": points,
        "attribution": effects(numbers, len(seeds), rng),
        "comparisons": decided,
        "models": tuple(
            dataclasses.replace(model, settings={"training": {"learning_rate": RATES[2]}}) if model.name in methods else model
            for model in audit.models
        ),
    }  # fmt: skip
    return dataclasses.replace(audit, **{**fields, **changes})
