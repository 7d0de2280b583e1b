"""Class labels as data have them: the order of their values, and what they are called."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from balora_audit.errors import DataError

__all__ = ["LabelNames", "label_order", "name_labels"]

LabelNames = Sequence[str] | Mapping[str, str] | None
"""One name per value in order, or by value (a value that is not named keeps its own); None: the values are the names."""

_WHOLE_NUMBER = re.compile(r"-?\d+")


def label_order(values: Iterable[str]) -> list[str]:
    """Return each value once: by number where all are whole numbers, else by letters.

    Examples
    --------
    >>> label_order(["10", "9", "10", "-1"]), label_order(["10", "9", "x"])
    (['-1', '9', '10'], ['10', '9', 'x'])
    """
    ordered = sorted(set(values))
    return sorted(ordered, key=int) if all(_WHOLE_NUMBER.fullmatch(value) for value in ordered) else ordered


def name_labels(values: Sequence[str], given: LabelNames, *, where: str) -> list[str]:
    """Return the names of label values, in the order of the values.

    Parameters
    ----------
    values : sequence of str
        As :func:`label_order` gives them.
    given : sequence or mapping of str, optional
        The user's names; white space around a name is dropped.
    where : str
        What the labels are of; opens every message.

    Raises
    ------
    DataError
        Too few or too many names, a name for a value that no row has, or names that are empty or the same.

    Examples
    --------
    >>> name_labels(["0", "1", "2"], {"0": "bad", "2": "good"}, where="reviews.csv")
    ['bad', '1', 'good']
    """
    names = [str(name).strip() for name in _named(values, given, where)]
    if len(set(names)) != len(names) or not all(names):
        raise DataError(f"{where}: label names must be distinct and not empty, got {', '.join(map(repr, names))}")
    return names


def _named(values: Sequence[str], given: LabelNames, where: str) -> Sequence[str]:
    if given is None:
        return values
    if isinstance(given, Mapping):
        unknown = next((value for value in given if value not in values), None)
        if unknown is not None:
            raise DataError(f"{where}: label_names names the label {unknown!r}, which no row has; labels: {', '.join(values)}")
        return [given.get(value, value) for value in values]
    if len(given) != len(values):
        raise DataError(f"{where}: label_names gives {len(given)} names for {len(values)} labels: {', '.join(values)}")
    return given
