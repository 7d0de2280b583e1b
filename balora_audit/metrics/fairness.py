"""Differences between groups, class by class (METHODS §5).

``y`` are true and ``p`` predicted class indices, (N,); ``group`` names the group of each item, (N,). Classes are those that occur in
``y`` or ``p`` and groups those in ``group``, unless they are named.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from balora_audit.metrics.arrays import Float, Int, labels, of_one_length
from balora_audit.metrics.ratios import Combine, Ratios

__all__ = [
    "classes_of_both",
    "demographic_parity_difference",
    "demographic_parity_difference_ratios",
    "equalized_odds_difference",
    "equalized_odds_difference_ratios",
    "tpr_gap",
    "tpr_gap_null",
    "tpr_gap_ratios",
    "tpr_gap_rms_ratios",
    "tpr_gap_squared",
    "worst_group_accuracy_ratios",
]

Flags = NDArray[np.bool_]
Rate = tuple[Flags, Flags]
"""Which items hit and which count, (N,) each: a ratio of their sums."""


def worst_group_accuracy_ratios(y: Any, p: Any, group: Any, *, groups: Sequence[Any] | None = None) -> Ratios:
    """Return the accuracies of the groups, and their minimum (Sagawa et al. 2020)."""
    true, answer, of = _checked(y, p, group)
    inside = [of == name for name in (np.unique(of) if groups is None else groups)]
    return _ratios([(members & (answer == true), members) for members in inside], len(true), "min")


def tpr_gap(y: Any, p: Any, group: Any, *, pair: tuple[Any, Any] | None = None) -> dict[int, float]:
    """Return class → recall in the first group minus recall in the second (De-Arteaga et al. 2019).

    `pair` names the groups; by default there must be exactly two, taken in sorted order. Classes without items of both
    groups are left out. Their root mean square is the summary used in verdicts.
    """
    true, _, of = _checked(y, p, group)
    pair = _two(of, pair)
    return {c: tpr_gap_ratios(y, p, group, of_class=c, pair=pair).defined_value() for c in classes_of_both(true, of, pair)}


def classes_of_both(y: Any, group: Any, pair: tuple[Any, Any]) -> list[int]:
    """Return the classes that have items of both groups of a pair, in ascending order."""
    true, of = labels(y, name="y"), np.asarray(group)
    of_one_length(y=true, group=of)
    return [int(c) for c in np.intersect1d(true[of == pair[0]], true[of == pair[1]])]


def tpr_gap_ratios(y: Any, p: Any, group: Any, *, of_class: int, pair: tuple[Any, Any]) -> Ratios:
    """Return a class's recalls in the two groups, and their difference."""
    true, answer, of = _checked(y, p, group)
    return _ratios([_recall(true, answer, of == name, of_class) for name in pair], len(true), "difference")


def tpr_gap_rms_ratios(y: Any, p: Any, group: Any, *, pair: tuple[Any, Any]) -> Ratios:
    """Return the recalls of the classes that both groups have, and the root mean square of their differences."""
    true, answer, of = _checked(y, p, group)
    classes = classes_of_both(true, of, pair)
    return _ratios([_recall(true, answer, of == name, c) for name in pair for c in classes], len(true), "rms_difference")


def tpr_gap_squared(y: Any, p: Any, group: Any, *, pair: tuple[Any, Any] | None = None) -> float:
    """Return the mean squared gap between two groups' recalls over classes, its sampling variance taken off (METHODS §5).

    With n₁, n₂ items of a class and recalls p₁, p₂: ``(p₁ − p₂)² − p₁(1 − p₁)/(n₁ − 1) − p₂(1 − p₂)/(n₂ − 1)``, which is 0 on average where
    the recalls are equal, however few items there are. Classes with fewer than two items of a group are left out.

    Raises
    ------
    ValueError
        No class has two items of both groups.

    Examples
    --------
    >>> y, group = np.zeros(8, dtype=int), np.array(["a"] * 4 + ["b"] * 4)
    >>> round(tpr_gap_squared(y, np.array([0, 0, 0, 0, 1, 1, 1, 1]), group), 3), round(tpr_gap_squared(y, np.array([0, 1] * 4), group), 3)
    (1.0, -0.167)
    """
    true, answer, of = _checked(y, p, group)
    first, second = _two(of, pair)
    found = []
    for c in classes_of_both(true, of, (first, second)):
        rights = [(answer == c)[(true == c) & (of == name)] for name in (first, second)]
        if min(len(right) for right in rights) < 2:
            continue
        (one, n_one), (two, n_two) = ((float(right.mean()), len(right)) for right in rights)
        found.append((one - two) ** 2 - one * (1 - one) / (n_one - 1) - two * (1 - two) / (n_two - 1))
    if not found:
        raise ValueError("no class has two items of both groups")
    return float(np.mean(found))


def tpr_gap_null(y: Any, p: Any, group: Any, *, permutations: int, seed: int, pair: tuple[Any, Any] | None = None) -> Float:
    """Return root mean square gaps with the two groups shuffled within each class, (permutations,): what chance alone shows.

    Raises
    ------
    ValueError
        No class has items of both groups.
    """
    true, answer, of = _checked(y, p, group)
    first, second = _two(of, pair)
    rng = np.random.default_rng(seed)
    squares = []
    for c in classes_of_both(true, of, (first, second)):
        inside = (true == c) & ((of == first) | (of == second))
        right, count = (answer == c)[inside], int((inside & (of == first)).sum())
        hits = rng.hypergeometric(int(right.sum()), int((~right).sum()), count, size=permutations)
        squares.append((hits / count - (right.sum() - hits) / (len(right) - count)) ** 2)
    if not squares:
        raise ValueError("no class has items of both groups")
    return np.asarray(np.sqrt(np.mean(squares, axis=0)))


def demographic_parity_difference(y: Any, p: Any, group: Any) -> float:
    """Return the largest difference between two groups in the share of items answered as any one class, 0 to 1.

    With two classes this is fairlearn's ``demographic_parity_difference``. (N,) labels, answers and groups; at least two groups.
    """
    return demographic_parity_difference_ratios(y, p, group).defined_value()


def demographic_parity_difference_ratios(
    y: Any, p: Any, group: Any, *, classes: Sequence[int] | None = None, groups: Sequence[Any] | None = None
) -> Ratios:
    """Return, for each class and pair of groups, how often it is answered in both, and the largest of their differences."""
    true, answer, of = _checked(y, p, group)
    pairs = _pairs(of, groups)
    compared = [
        ((inside & (answer == c), inside), (other & (answer == c), other))
        for c in _classes(true, answer, classes)
        for inside, other in pairs
    ]
    return _largest_difference(compared, len(true))


def equalized_odds_difference(y: Any, p: Any, group: Any) -> float:
    """Return the largest difference between two groups in the true- or false-positive rate of any class, 0 to 1.

    With two classes this is fairlearn's ``equalized_odds_difference`` (Hardt et al. 2016). A rate without items in a group
    (a class that none of its members has) is left out, not taken for 0.

    Raises
    ------
    ValueError
        There are fewer than two groups, or no rate has items in two of them.
    """
    return equalized_odds_difference_ratios(y, p, group).defined_value()


def equalized_odds_difference_ratios(
    y: Any, p: Any, group: Any, *, classes: Sequence[int] | None = None, groups: Sequence[Any] | None = None
) -> Ratios:
    """Return, for each class and pair of groups, true- and false-positive rates in both, and the largest of their differences."""
    true, answer, of = _checked(y, p, group)
    pairs = _pairs(of, groups)
    compared = []
    for c in _classes(true, answer, classes):
        for inside, other in pairs:
            for asked in (true == c, true != c):
                one, two = (inside & asked, other & asked)
                if one.any() and two.any():
                    compared.append(((one & (answer == c), one), (two & (answer == c), two)))
    return _largest_difference(compared, len(true))


def _checked(y: Any, p: Any, group: Any) -> tuple[Int, Int, NDArray[Any]]:
    true, answer, of = labels(y, name="y"), labels(p, name="p"), np.asarray(group)
    of_one_length(y=true, p=answer, group=of)
    return true, answer, of


def _two(of: NDArray[Any], pair: tuple[Any, Any] | None) -> tuple[Any, Any]:
    """Return the two groups: those that are named, or the only two there are."""
    if pair is not None:
        return pair
    names = np.unique(of)
    if len(names) != 2:
        raise ValueError(f"name the pair of groups; there are {len(names)}: {names.tolist()}")
    return names[0], names[1]


def _classes(true: Int, answer: Int, classes: Sequence[int] | None) -> Iterable[int]:
    return np.union1d(true, answer).tolist() if classes is None else classes


def _pairs(of: NDArray[Any], groups: Sequence[Any] | None) -> list[tuple[Flags, Flags]]:
    """Return which items are in the one and in the other group, for each pair of groups."""
    names = np.unique(of) if groups is None else groups
    if len(names) < 2:
        raise ValueError("a difference between groups needs at least two of them")
    return [(of == one, of == other) for one, other in combinations(names, 2)]


def _recall(true: Int, answer: Int, members: Flags, c: int) -> Rate:
    of_class = members & (true == c)
    return of_class & (answer == c), of_class


def _largest_difference(compared: Sequence[tuple[Rate, Rate]], count: int) -> Ratios:
    return _ratios([*(one for one, _ in compared), *(other for _, other in compared)], count, "max_difference")


def _ratios(rates: Sequence[Rate], count: int, combine: Combine) -> Ratios:
    hits, items = (np.array([rate[side] for rate in rates], dtype=np.float64).reshape(len(rates), count) for side in (0, 1))
    return Ratios(numerators=hits, denominators=items, combine=combine)
