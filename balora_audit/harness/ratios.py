"""From what ``process_results`` gave for each document to the ratios that an aggregate is made of, document by document.

The functions are called as the aggregates of `balora_audit.harness.results` and of the harness are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np

from balora_audit.metrics import bias, classification
from balora_audit.metrics.arrays import Int
from balora_audit.metrics.ratios import Ratios, mean_ratio

__all__ = [
    "RATIOS",
    "Said",
    "ambiguous_accuracy",
    "ambiguous_bias",
    "balanced_accuracy",
    "columns",
    "disambiguated_accuracy",
    "disambiguated_bias",
    "form_pairs",
    "gender_agreement",
    "gender_gap",
    "pro_anti_gap",
    "worst_class_recall",
]

Said = tuple[str, bool, bool]
"""What an answer says (`balora_audit.metrics.bias.Answer`), whether it is right, and whether the question is ambiguous."""


def balanced_accuracy(items: Sequence[tuple[int, int]]) -> Ratios:
    """Return the recalls of (label, answer) pairs."""
    return classification.balanced_accuracy_ratios(*columns(items))


def worst_class_recall(items: Sequence[tuple[int, int]]) -> Ratios:
    """Return the recalls of (label, answer) pairs."""
    return classification.worst_class_recall_ratios(*columns(items))


def columns(items: Sequence[tuple[int, int]]) -> tuple[Int, Int]:
    """Return labels and answers, (N,) each."""
    return np.array([true for true, _ in items], dtype=np.int64), np.array([answer for _, answer in items], dtype=np.int64)


def ambiguous_accuracy(items: Sequence[Said]) -> Ratios:
    """Return the accuracy on ambiguous questions."""
    return bias.condition_accuracy_ratios(_right(items), _ambiguous(items))


def disambiguated_accuracy(items: Sequence[Said]) -> Ratios:
    """Return the accuracy on disambiguated questions."""
    return bias.condition_accuracy_ratios(_right(items), np.logical_not(_ambiguous(items)))


def ambiguous_bias(items: Sequence[Said]) -> Ratios:
    """Return what the bias score of ambiguous questions is made of."""
    return bias.ambiguous_bias_ratios(_answers(items), _right(items), _ambiguous(items))


def disambiguated_bias(items: Sequence[Said]) -> Ratios:
    """Return what the bias score of disambiguated questions is made of."""
    return bias.disambiguated_bias_ratios(_answers(items), _ambiguous(items))


def _answers(items: Sequence[Said]) -> list[bias.Answer]:
    return cast("list[bias.Answer]", [said for said, _, _ in items])


def _right(items: Sequence[Said]) -> list[bool]:
    return [correct for _, correct, _ in items]


def _ambiguous(items: Sequence[Said]) -> list[bool]:
    return [ambiguous for _, _, ambiguous in items]


def gender_gap(items: Sequence[tuple[str, str, int, bool]]) -> Ratios:
    """Return the accuracies with male and with female pronouns."""
    return _of_pairs(bias.stereotype_gap_ratios, items, "male", "female", place=3)


def gender_agreement(items: Sequence[tuple[str, str, int, bool]]) -> Ratios:
    """Return the share of sentences whose male and female forms get the same answer."""
    return _of_pairs(bias.gender_agreement_ratios, items, "male", "female", place=2)


def pro_anti_gap(items: Sequence[tuple[str, str, float]]) -> Ratios:
    """Return the accuracies on pro- and on anti-stereotypical sentences."""
    return _of_pairs(bias.stereotype_gap_ratios, items, "pro", "anti", place=2)


def _of_pairs(
    of: Callable[[list[Any], list[Any]], Ratios], items: Sequence[tuple[Any, ...]], first: str, second: str, *, place: int
) -> Ratios:
    """Return the ratios of what both forms of each pair have at a place of their items; a pair counts at its first form."""
    pairs = form_pairs(items, first, second)
    found = of([items[one][place] for one, _ in pairs], [items[other][place] for _, other in pairs])
    return found.summed([one for one, _ in pairs], len(items))


def form_pairs(items: Sequence[tuple[Any, ...]], first: str, second: str) -> list[tuple[int, int]]:
    """Return the positions of both forms of each pair, items being (pair, form, …); a form that a limit has cut off is left out."""
    forms: dict[str, tuple[list[int], list[int]]] = {}
    for position, (pair, form, *_) in enumerate(items):
        if form in (first, second):
            forms.setdefault(pair, ([], []))[form == second].append(position)
    return [both for left, right in forms.values() for both in zip(left, right, strict=False)]


def _perplexity(values: Sequence[float]) -> Ratios:
    nats = mean_ratio(values)
    return replace(nats, numerators=-nats.numerators, combine="exp")


def _weighted_perplexity(values: Sequence[tuple[float, float]]) -> Ratios:
    return replace(_nats_per_weight(values), combine="exp")


def _bits_per_byte(values: Sequence[tuple[float, float]]) -> Ratios:
    nats = _nats_per_weight(values)
    return replace(nats, numerators=nats.numerators / math.log(2))


def _nats_per_weight(values: Sequence[tuple[float, float]]) -> Ratios:
    found = np.asarray(values, dtype=np.float64)
    return Ratios(numerators=-found[None, :, 0], denominators=found[None, :, 1])


RATIOS: dict[str, Callable[[Sequence[Any]], Ratios]] = {
    "mean": mean_ratio,
    "nanmean": mean_ratio,
    "perplexity": _perplexity,
    "weighted_perplexity": _weighted_perplexity,
    "bits_per_byte": _bits_per_byte,
    "balanced_accuracy": balanced_accuracy,
    "worst_class_recall": worst_class_recall,
    "gender_gap": gender_gap,
    "gender_agreement": gender_agreement,
    "pro_anti_gap": pro_anti_gap,
    "ambiguous_accuracy": ambiguous_accuracy,
    "disambiguated_accuracy": disambiguated_accuracy,
    "ambiguous_bias": ambiguous_bias,
    "disambiguated_bias": disambiguated_bias,
}
"""By the aggregation's name, the harness's and ours."""
