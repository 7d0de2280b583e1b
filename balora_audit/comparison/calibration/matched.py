"""Claims on what follows from skill, between simulated models of unequal skill that are equally robust, or not."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

import numpy as np
from scipy.stats import norm

from balora_audit.cells import CellId
from balora_audit.comparison.calibration.claimed import survival_scores
from balora_audit.comparison.calibration.kind import item_names, normal_items
from balora_audit.comparison.compare import compare_all
from balora_audit.config import AuditConfig
from balora_audit.probes import PROBES, Context, Findings
from balora_audit.probes.skill import ACCURACY, SKILL
from balora_audit.records import Claim
from balora_audit.slices import ALL, CLEAN
from balora_audit.stats import ItemScores, verdict, wilson

__all__ = ["GAPS", "matched_cell"]

GAPS = (0.0, 0.3, 0.6, 1.0)
"""How much more skilled the candidate is, on the probit scale of right and wrong answers."""

_ITEMS = 384
_SURVIVES = 1.0
_MARGIN = 0.02
_GIVEN = ("supported", "contradicted", "equivalent", "inconclusive", "not comparable")


def matched_cell(gap: float, planted: float, audits: int, rng: np.random.Generator) -> dict[str, Any]:
    """Count the verdicts on *the candidate loses less accuracy under noise*, by its own interval and as the audit decides.

    Parameters
    ----------
    gap : float
        By how much the candidate is more skilled.
    planted : float
        By how much less of it survives noise, on the probit scale; 0 is no difference in robustness.
    """
    config = AuditConfig(models=("base", "lora", "balora"), resamples=300)
    claim = Claim(
        id="planted", baseline="lora", candidate="balora", condition="clean", probe="noise", metric="accuracy_drop", margin=_MARGIN,
        higher_is_better=False,
    )  # fmt: skip
    own: Counter[str] = Counter()
    decided: Counter[str] = Counter()
    for _ in range(audits):
        easy_N = normal_items(_ITEMS, rng)
        evidence = {
            CellId(model, "clean", 0): _evidence(easy_N, skill, survives, rng)
            for model, skill, survives in (("lora", 0.0, _SURVIVES), ("balora", gap, _SURVIVES - planted))
        }
        row = compare_all(config, [claim], [], evidence, skill=ACCURACY)[0]
        own[verdict(row.ci_low, row.ci_high, _MARGIN, False)] += 1
        decided[str(row.verdict)] += 1
    return {"gap": gap, "planted": planted, "audits": audits, "own": _shares(own, audits), "decided": _shares(decided, audits)}


def _evidence(easy_N: np.ndarray, skill: float, survives: float, rng: np.random.Generator) -> dict[str, Findings]:
    right_N = (easy_N + rng.normal(0, 0.3, len(easy_N)) < 0.2 + skill).astype(np.float64)
    survived = survival_scores(right_N, float(norm.cdf(survives)), rng)
    names = item_names(len(right_N))
    noise = {
        ("survival", ALL): survived,
        ("accuracy_drop", ALL): ItemScores.mean_of(names, right_N - survived.numerators[0]),
    }
    # a context serves the measurements only, which no comparison of these metrics reads
    context = cast(Context, None)
    return {
        SKILL.name: Findings(context, SKILL, scores={(ACCURACY.name, CLEAN): ItemScores.mean_of(names, right_N)}),
        "noise": Findings(context, PROBES["noise"], scores={**noise}),
    }


def _shares(counts: Counter[str], audits: int) -> dict[str, list[float]]:
    return {name: [round(value, 4) for value in (counts[name] / audits, *wilson(counts[name], audits))] for name in _GIVEN}
