"""Statistics: paired intervals, tests, corrections, verdicts. numpy and scipy only."""

from __future__ import annotations

from balora_audit.stats.corrections import holm
from balora_audit.stats.frontiers import Contrast, Curve, contrast, frontier_contrast, rising
from balora_audit.stats.intervals import interval
from balora_audit.stats.items import ItemScores
from balora_audit.stats.jackknife import Jackknife, paired_jackknife
from balora_audit.stats.paired import PairedResult, paired
from balora_audit.stats.rates import paired_rate_interval, wilson
from balora_audit.stats.seeds import over_seeds
from balora_audit.stats.studentised import bootstrap_weights, spread_of
from balora_audit.stats.tests import mcnemar_exact, paired_permutation
from balora_audit.stats.verdicts import minimum_detectable_effect, verdict

__all__ = [
    "Contrast",
    "Curve",
    "ItemScores",
    "Jackknife",
    "PairedResult",
    "bootstrap_weights",
    "contrast",
    "frontier_contrast",
    "holm",
    "interval",
    "mcnemar_exact",
    "minimum_detectable_effect",
    "over_seeds",
    "paired",
    "paired_jackknife",
    "paired_permutation",
    "paired_rate_interval",
    "rising",
    "spread_of",
    "verdict",
    "wilson",
]
