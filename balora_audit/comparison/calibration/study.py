"""Run the simulated audits through `comparison.compare.compare_all` and count what it says."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from balora_audit.cells import CellId
from balora_audit.comparison.calibration.frontier import tuned_cell, tuned_cells
from balora_audit.comparison.calibration.kind import Kind
from balora_audit.comparison.calibration.matched import GAPS, matched_cell
from balora_audit.comparison.calibration.simulate import KINDS, method_truth
from balora_audit.comparison.compare import compare_all
from balora_audit.config import AuditConfig
from balora_audit.probes import PROBES, Context, Findings, Probe
from balora_audit.progress import Progress
from balora_audit.records import Claim, Comparison
from balora_audit.slices import ALL
from balora_audit.stats import Jackknife, interval, wilson

__all__ = ["calibrate"]

TAU = 0.1
LARGE_TAU = 0.3
PLANTED = 0.3
EFFECTS = (0.0, 0.1, 0.2, 0.4, 0.8)
POWER_KINDS = ("rate", "mean", "jackknife")
_POWER_ITEMS = 150
_RESAMPLES = 500
_PROBE = Probe(name="calibration", title="Calibration", summary="simulated audits", measures=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One row of the page: a kind of statistic, items, seeds, planted effect, and how much seeds vary."""

    kind: str
    n: int
    seeds: int
    effect: float
    tau: float


def calibrate(audits: int, seed: int, progress: Progress, *, fast: bool = False) -> dict[str, Any]:
    """Return coverage, false verdicts and power of the audit's own comparisons, with Wilson intervals.

    One seed: the truth is that of the two checkpoints, equal in skill where no effect is planted. More: that of the method.
    """
    sizes, counts = ((150,), (1, 3)) if fast else ((50, 150, 400), (1, 2, 3, 5))
    kinds = {name: kind for name, kind in KINDS.items() if not fast or kind.share == 1}
    cells = [
        cell
        for name, kind in kinds.items()
        for n in _sizes(kind, sizes)
        for seeds in (counts if kind.share == 1 else (1, 3))
        for cell in _of(name, n, seeds)
    ]
    powers = [
        Cell(kind=kind, n=_POWER_ITEMS, seeds=seeds, effect=effect, tau=TAU)
        for kind in POWER_KINDS
        for seeds in counts
        for effect in EFFECTS
    ]
    single = [(name, n) for name, kind in kinds.items() for n in _sizes(kind, sizes)]
    unequal = [(gap, planted) for planted in (0.0, PLANTED) for gap in (GAPS if not fast else GAPS[::2])]
    tuned = tuned_cells(fast=fast)
    progress.stage("simulated audits", len(cells) + len(powers) + len(single) + len(unequal) + len(tuned), "cells")
    found: dict[str, Any] = {
        "audits": audits,
        "seed": seed,
        "tau": TAU,
        "large_tau": LARGE_TAU,
        "planted": PLANTED,
        "resamples": _RESAMPLES,
    }
    for name, rows, of_seed in (("cells", cells, seed), ("power", powers, seed + 1)):
        found[name] = []
        for cell in rows:
            found[name].append(_cell(cell, audits, of_seed))
            progress.advance()
    found["single"] = []
    for kind, n in single:
        found["single"].append(_single(kind, n, audits, seed))
        progress.advance()
    found["matched"] = []
    for gap, planted in unequal:
        found["matched"].append(matched_cell(gap, planted, audits, _generator(seed, "matched", gap, planted)))
        progress.advance()
    found["tuned"] = []
    for one in tuned:
        rng = _generator(seed, f"tuned {one.flaw}", one.ratio, one.seeds, abs(one.planted))
        found["tuned"].append(tuned_cell(one, audits, rng))
        progress.advance()
    return found


def _sizes(kind: Kind, common: tuple[int, ...]) -> tuple[int, ...]:
    """Return the numbers of items that a kind is simulated with: its own, or those that all others have."""
    return common if kind.sizes is None else tuple(n for n in kind.sizes if len(common) > 1 or n in common)


def _audits(kind: Kind, audits: int) -> int:
    return max(1, round(kind.share * audits))


def _of(kind: str, n: int, seeds: int) -> list[Cell]:
    """Return the cells of one design; two checkpoints of one method differ, so equal ones are the null of a single seed."""
    null = (0.0,) if seeds == 1 else (TAU, LARGE_TAU)
    planted = Cell(kind=kind, n=n, seeds=seeds, effect=PLANTED, tau=TAU)
    return [*(Cell(kind=kind, n=n, seeds=seeds, effect=0.0, tau=tau) for tau in null), planted]


def _generator(seed: int, name: str, *numbers: float) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(name.encode()), *(round(1000 * number) for number in numbers)])


def _cell(cell: Cell, audits: int, seed: int) -> dict[str, Any]:
    kind = KINDS[cell.kind]
    audits = _audits(kind, audits)
    rng = _generator(seed, cell.kind, cell.n, cell.seeds, cell.effect, cell.tau)
    config = AuditConfig(models=("base", "lora", "balora"), seeds=tuple(range(cell.seeds)), resamples=_RESAMPLES)
    claim = Claim(
        id="planted", baseline="lora", candidate="balora", condition="clean", probe=_PROBE.name, metric=kind.metric,
        margin=_margin(kind.metric), higher_is_better=True,
    )  # fmt: skip
    hits, given, excluded, said, found = 0, 0, 0, 0, []
    target = method_truth(kind, cell.effect, cell.tau) - method_truth(kind, 0.0, cell.tau)
    for _ in range(audits):
        row, checkpoints = _audit(config, claim, kind, cell, rng)
        truth = checkpoints if cell.seeds == 1 else target
        if row.delta is not None:
            found.append(row.delta)
        if row.ci_low is None or row.ci_high is None:
            continue
        given += 1
        hits += row.ci_low <= truth <= row.ci_high
        excluded += row.ci_low > 0 or row.ci_high < 0
        said += row.verdict in {"supported", "contradicted"}
    return {
        "kind": cell.kind, "n": cell.n, "seeds": cell.seeds, "effect": cell.effect, "tau": cell.tau, "audits": audits,
        "withheld": audits - given, "coverage": _share(hits, given), "excludes_zero": _share(excluded, given),
        "verdict": _share(said, given), "delta": round(float(np.mean(found)), 6) if found else None, "truth": round(target, 6),
    }  # fmt: skip


def _single(name: str, n: int, audits: int, seed: int) -> dict[str, Any]:
    """Count how often the interval of one model covers its truth."""
    kind = KINDS[name]
    audits = _audits(kind, audits)
    rng = _generator(seed, f"single {name}", n)
    hits, given = 0, 0
    for _ in range(audits):
        scores = kind.draw(kind.items(n, rng), 0.0, rng)
        if isinstance(scores, Jackknife):
            bounds: tuple[float, float] | None = scores.interval()
        else:
            bounds = interval(scores, n_resamples=_RESAMPLES)
        if bounds is not None:
            given += 1
            hits += bounds[0] <= kind.truth(0.0) <= bounds[1]
    return {"kind": name, "n": n, "audits": audits, "withheld": audits - given, "coverage": _share(hits, given)}


def _share(successes: int, n: int) -> list[float] | None:
    """Return a rate and its Wilson interval."""
    return [round(value, 4) for value in (successes / n, *wilson(successes, n))] if n else None


def _margin(metric: str) -> float:
    records = (probe.record(metric) for probe in PROBES.values())
    return next((record.margin or 0.0 for record in records if record is not None), 0.0)


def _audit(config: AuditConfig, claim: Claim, kind: Kind, cell: Cell, rng: np.random.Generator) -> tuple[Comparison, float]:
    """Return the row that the audit gives the planted claim, and the true difference of the very checkpoints."""
    items = kind.items(cell.n, rng)
    evidence, truths = {}, {"lora": 0.0, "balora": 0.0}
    for seed in range(cell.seeds):
        for method, mean in (("lora", 0.0), ("balora", cell.effect)):
            skill = mean + cell.tau * float(rng.normal())
            truths[method] += kind.truth(skill) / cell.seeds
            # a context serves the measurements only, which no comparison reads
            found = Findings(context=cast(Context, None), probe=_PROBE, scores={(kind.metric, ALL): kind.draw(items, skill, rng)})
            evidence[CellId(method, "clean", seed)] = {_PROBE.name: found}
    return compare_all(config, [claim], [], evidence)[0], truths["balora"] - truths["lora"]
