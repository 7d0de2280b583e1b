"""Hand-made candidates of tuned methods: points of skill and flaw at exact values, with items that all models share."""

from typing import cast

import numpy as np

from balora_audit.cells import CellId
from balora_audit.comparison.frontiers import Candidate
from balora_audit.probes import PROBES, Context, Findings
from balora_audit.records import Claim
from balora_audit.slices import ALL, CLEAN
from balora_audit.stats import ItemScores

RATES = (1e-4, 5e-4, 2.5e-3, 1.2e-2)
COUNT = 300
TEST, TEXTS = (tuple(f"{kind} {number}" for number in range(COUNT)) for kind in ("item", "text"))


def line(skill):
    """Return the flaw at a skill that all methods have in common; straight, so that chords lie on it."""
    return 2 * (skill - 0.4)


def exactly(value, ids, rng, spread=0.05):
    """Return items whose mean is the value, most of whose spread all models share."""
    shared = np.sin(np.arange(len(ids)))
    noise = spread * (shared + 0.3 * rng.normal(size=len(ids)))
    return ItemScores.mean_of(ids, value + noise - noise.mean())


def findings(skill, flaw, rng, probe="drift", metric="kl_per_token", spread=0.05):
    return {
        "skill": Findings(cast(Context, None), PROBES["skill"], scores={("accuracy", CLEAN): exactly(skill, TEST, rng, spread)}),
        probe: Findings(cast(Context, None), PROBES[probe], scores={(metric, ALL): exactly(flaw, TEXTS, rng, spread)}),
    }


def candidates(method, points, *, seeds=(0,), chosen=None, others=(), share=1.0, rates=RATES, start=0, **more):
    """Return a method's candidates at (skill, flaw), one for each rate; the last one is chosen unless told otherwise."""
    rng = np.random.default_rng([sum(map(ord, method)), len(others), start])
    return [
        Candidate(
            method=method, setting=f"{rate:g}", place=(start + place,), rate=rate, others=others, share=share,
            found={seed: findings(skill, flaw, rng, **more) for seed in seeds},
            chosen=place == (len(points) - 1 if chosen is None else chosen),
        )
        for place, (rate, (skill, flaw)) in enumerate(zip(rates, points, strict=False))
    ]  # fmt: skip


def own_best(frontiers):
    """Return the cells of the audit itself: each method with the setting that was chosen."""
    return {
        CellId(name, "clean", seed): by_probe
        for name, of_method in frontiers.items()
        for candidate in of_method
        if candidate.chosen
        for seed, by_probe in candidate.found.items()
    }


def claim(metric="kl_per_token", probe="drift", slice="all", margin=0.02, higher=False, **more):
    given = {"baseline": "lora", "candidate": "balora", "condition": "clean", **more}
    return Claim(id=metric, probe=probe, metric=metric, slice=slice, margin=margin, higher_is_better=higher, **given)
