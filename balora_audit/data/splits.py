"""Splits of rows: what test splits are called, setting one aside, and keeping some rows of each class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from balora_audit.data.columns import Row

__all__ = ["TEST_SHARE", "TEST_SPLITS", "hold_out", "set_aside", "subsample"]

TEST_SPLITS = ("test", "validation", "dev")
"""Names of test splits in folders and on the Hub; the first that is there is taken."""

TEST_SHARE = 0.25
"""Of the rows that have no test split, at most this share is set aside."""


def set_aside(rows: Sequence[Row], rng: np.random.Generator, test_rows: int) -> tuple[list[Row], list[Row]]:
    """Return training and test rows out of one table: each class in proportion, every text once.

    The share of a class is rounded, and one row of it at least is left for training: there may be fewer test rows than asked for.
    """
    unique = list({row["text"]: row for row in rows}.values())
    share = min(TEST_SHARE, test_rows / len(unique))
    chosen: set[int] = set()
    for places in _places_by_label(unique).values():
        count = min(len(places) - 1, max(1, round(share * len(places))))
        chosen.update(places[index] for index in rng.permutation(len(places))[:count])
    return [row for index, row in enumerate(unique) if index not in chosen], [unique[index] for index in sorted(chosen)]


def hold_out(rows: Sequence[Row], rng: np.random.Generator, count: int) -> tuple[list[Row], list[Row]]:
    """Return the rows that are left, and at most `count` that are held out, every text once: no text is in both, and no class is lost.

    At most `TEST_SHARE` of the texts are held out, each class in proportion, and of each class one text at least is left.
    """
    unique = list({row["text"]: row for row in rows}.values())
    chosen: set[str] = set()
    share = min(TEST_SHARE, count / len(unique))
    for places in _places_by_label(unique).values():
        most = min(len(places) - 1, round(share * len(places)))
        chosen.update(unique[places[index]]["text"] for index in rng.permutation(len(places))[:most])
    return [row for row in rows if row["text"] not in chosen], [row for row in unique if row["text"] in chosen]


def subsample(rows: Sequence[Row], most: int, rng: np.random.Generator) -> list[Row]:
    """Return `most` of the rows, each class in proportion; order is kept.

    No class is lost: where the smallest ones have no whole row by proportion they keep one, and there can be more rows than `most`.
    """
    if len(rows) <= most:
        return list(rows)
    by_label = _places_by_label(rows)
    exact = {label: most * len(places) / len(rows) for label, places in by_label.items()}
    quota = {label: max(1, int(count)) for label, count in exact.items()}
    room = most - sum(quota.values())
    for label in sorted(quota, key=lambda name: (-(exact[name] % 1), name)):
        if room > 0 and quota[label] < len(by_label[label]):
            quota[label] += 1
            room -= 1
    chosen: set[int] = set()
    for label, places in by_label.items():
        chosen.update(places[index] for index in rng.permutation(len(places))[: quota[label]])
    return [row for index, row in enumerate(rows) if index in chosen]


def _places_by_label(rows: Sequence[Row]) -> dict[str, list[int]]:
    """Return where the rows of each label are, labels in the order of their letters; rows of other tasks share one label."""
    by_label: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        by_label.setdefault(row.get("label", ""), []).append(index)
    return {label: by_label[label] for label in sorted(by_label)}
