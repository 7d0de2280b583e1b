"""Run the simulated audits through `conclusions.compare_all` and count what it says."""

from __future__ import annotations

import zlib
from typing import Any, cast

import numpy as np

from balora_audit.audit import Claim
from balora_audit.calibration.simulate import KINDS, Kind, method_truth
from balora_audit.conclusions import compare_all
from balora_audit.config import AuditConfig
from balora_audit.errors import ConfigurationError
from balora_audit.probes.evidence import Context, Findings
from balora_audit.progress import Progress
from balora_audit.stats import wilson

__all__ = ["calibrate"]

TAU = 0.1
PLANTED = 0.3
EFFECTS = (0.0, 0.1, 0.2, 0.4, 0.8)
_RESAMPLES = 500
_PROBE = "calibration"


def calibrate(audits: int, seed: int, progress: Progress, *, fast: bool = False) -> dict[str, Any]:
    """Return coverage, false verdicts and power of the audit's own comparisons, with Wilson intervals.

    One seed: the truth is that of the two checkpoints, equal in skill where no effect is planted. More: that of the method.
    """
    sizes, counts = ((150,), (1, 3)) if fast else ((50, 150, 400), (1, 2, 3, 5))
    cells = [(kind, n, seeds, effect) for kind in KINDS for n in sizes for seeds in counts for effect in (0.0, PLANTED)]
    powers = [("rate", 150, seeds, effect) for seeds in counts for effect in EFFECTS]
    progress.stage("simulated audits", len(cells) + len(powers), "cells")
    rows = []
    for cell in cells:
        rows.append(_cell(*cell, audits, seed))
        progress.advance()
    curve = []
    for cell in powers:
        curve.append(_cell(*cell, audits, seed + 1))
        progress.advance()
    return {"audits": audits, "seed": seed, "tau": TAU, "planted": PLANTED, "resamples": _RESAMPLES, "cells": rows, "power": curve}


def _cell(name: str, n: int, seeds: int, effect: float, audits: int, seed: int) -> dict[str, Any]:
    kind = KINDS[name]
    rng = np.random.default_rng([seed, zlib.crc32(name.encode()), n, seeds, round(1000 * effect)])
    tau = 0.0 if seeds == 1 and effect == 0 else TAU  # two checkpoints of one method differ; equal ones are the null of one seed
    hits, given, excluded, said, found = 0, 0, 0, 0, []
    target = method_truth(kind, effect, tau) - method_truth(kind, 0.0, tau)
    for _ in range(audits):
        row, checkpoints = _audit(kind, n, seeds, effect, tau, rng)
        truth = checkpoints if seeds == 1 else target
        if row.delta is not None:
            found.append(row.delta)
        if row.ci_low is None or row.ci_high is None:
            continue
        given += 1
        hits += row.ci_low <= truth <= row.ci_high
        excluded += row.ci_low > 0 or row.ci_high < 0
        said += row.verdict in {"supported", "contradicted"}
    return {
        "kind": name, "n": n, "seeds": seeds, "effect": effect, "audits": audits, "withheld": audits - given,
        "coverage": _share(hits, given), "excludes_zero": _share(excluded, given), "verdict": _share(said, given),
        "delta": round(float(np.mean(found)), 6) if found else None, "truth": round(target, 6),
    }  # fmt: skip


def _share(successes: int, n: int) -> list[float] | None:
    """Return a rate and its Wilson interval."""
    return [round(value, 4) for value in (successes / n, *wilson(successes, n))] if n else None


def _margin(config: AuditConfig, metric: str) -> float:
    try:
        return config.margin(metric)
    except ConfigurationError:  # no default margin of its own
        return 0.0


def _audit(kind: Kind, n: int, seeds: int, effect: float, tau: float, rng: np.random.Generator) -> tuple[Any, float]:
    config = AuditConfig(models=("base", "lora", "balora"), seeds=tuple(range(seeds)), resamples=_RESAMPLES)
    items = kind.items(n, rng)
    evidence, truths = {}, {"lora": 0.0, "balora": 0.0}
    for seed in range(seeds):
        for method, mean in (("lora", 0.0), ("balora", effect)):
            skill = mean + tau * float(rng.normal())
            truths[method] += kind.truth(skill) / seeds
            # a context serves the measurements only, which no comparison reads
            found = Findings(context=cast(Context, None), probe=_PROBE, scores={(kind.metric, "all"): kind.draw(items, skill, rng)})
            evidence[method, "clean", seed] = {_PROBE: found}
    claim = Claim(
        id="planted", baseline="lora", candidate="balora", condition="clean", probe=_PROBE, metric=kind.metric,
        margin=_margin(config, kind.metric), higher_is_better=True,
    )  # fmt: skip
    return compare_all(config, [claim], [], evidence)[0], truths["balora"] - truths["lora"]
