"""Training conditions: what is done to the training data before any method sees it (METHODS §3); one kind per file."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from balora_audit.data.conditions.kind import ConditionKind
from balora_audit.data.dataset import AuditDataset, Example
from balora_audit.errors import ConfigurationError, unknown_name
from balora_audit.extensions import built_in, checked

__all__ = ["CONDITIONS", "Condition", "ConditionKind", "Conditioned", "apply", "available", "parse"]


CONDITIONS: dict[str, ConditionKind] = built_in(
    {
        "correlate": "balora_audit.data.conditions.correlate:CORRELATE",
        "imbalance": "balora_audit.data.conditions.imbalance:IMBALANCE",
        "balanced": "balora_audit.data.conditions.balanced:BALANCED",
        "noise": "balora_audit.data.conditions.noise:NOISE",
    },
    partial(checked, ConditionKind),
)
"""In the order in which they are applied and named, those that drop examples before those that change them."""

_CLEAN = "clean"
_UNCORRELATED = 0.5


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition, or several joined by ``+``; without any dose, the training data as given.

    Parameters
    ----------
    doses : tuple of (str, float)
        Kind and dose, each kind once, in any order; kept in the order of :data:`CONDITIONS`.

    Examples
    --------
    >>> both = Condition((("noise", 0.1), ("imbalance", 20.0)))
    >>> str(both), both.title
    ('imbalance:20+noise:0.1', 'imbalance 20:1, 10 % wrong labels')
    """

    doses: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        given = dict(self.doses)
        if len(given) != len(self.doses) or not given.keys() <= CONDITIONS.keys():
            raise ValueError(f"doses must be of different kinds among {', '.join(CONDITIONS)}, got {self.doses!r}")
        object.__setattr__(self, "doses", tuple((name, given[name]) for name in CONDITIONS if name in given))

    def __str__(self) -> str:
        return "+".join(f"{name}:{dose:g}" for name, dose in self.doses) or _CLEAN

    @property
    def is_clean(self) -> bool:
        """Whether nothing is changed."""
        return not self.doses

    @property
    def title(self) -> str:
        """The condition in words."""
        return ", ".join(CONDITIONS[name].title(dose) for name, dose in self.doses) or "clean data"

    def dose(self, kind: str) -> float | None:
        """Return the dose of a kind of condition; None where it is not applied."""
        return dict(self.doses).get(kind)

    @property
    def control(self) -> Condition | None:
        """The condition that is this one without what it asks about, with as many rows; None where there is none.

        Of label noise: the same rows with their true labels. Of imbalance: balanced classes. Of a correlation: none of it.

        Examples
        --------
        >>> str(parse("imbalance:20+noise:0.1").control), str(parse("imbalance:20").control), str(parse("correlate:0.9").control)
        ('imbalance:20', 'balanced:20', 'correlate:0.5')
        """
        doses = dict(self.doses)
        if "noise" in doses:
            return Condition(tuple((name, dose) for name, dose in self.doses if name != "noise"))
        if "imbalance" in doses and "balanced" not in doses:
            return Condition(tuple(("balanced" if name == "imbalance" else name, dose) for name, dose in self.doses))
        if doses.get("correlate", _UNCORRELATED) > _UNCORRELATED:
            return Condition(tuple((name, _UNCORRELATED if name == "correlate" else dose) for name, dose in self.doses))
        return None

    @property
    def noise(self) -> float | None:
        """The share of wrong labels."""
        return self.dose("noise")

    @property
    def imbalance(self) -> float | None:
        """The ratio of the largest class to the smallest."""
        return self.dose("imbalance")

    @property
    def correlate(self) -> float | None:
        """The majority group's share of a class."""
        return self.dose("correlate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditioned:
    """The training examples under a condition, and what it changed (ids included)."""

    train: tuple[Example, ...]
    changed: dict[str, Any]


def available() -> dict[str, str]:
    """Return how each condition is written, and one line about it."""
    return {_CLEAN: "the training data as given", **{kind.form: kind.summary for kind in CONDITIONS.values()}}


def parse(text: str) -> Condition:
    """Read a condition such as ``clean``, ``noise:0.3`` or ``imbalance:20+noise:0.1``.

    Raises
    ------
    ConfigurationError
        Unknown kind, missing or out-of-range number, a kind named twice.
    """
    if text.strip() == _CLEAN:
        return Condition()
    doses: dict[str, float] = {}
    for part in text.split("+"):
        name, dose = _read(part.strip())
        if name in doses:
            raise ConfigurationError(f"condition {text!r} names {name} twice")
        doses[name] = dose
    return Condition(tuple(doses.items()))


def _read(part: str) -> tuple[str, float]:
    name, _, number = part.partition(":")
    if name not in CONDITIONS:
        raise unknown_name("condition", part, available())
    kind = CONDITIONS[name]
    try:
        dose = float(number)
    except ValueError:
        dose = math.nan
    if not math.isfinite(dose):
        raise ConfigurationError(f"condition {part!r} needs a number, for example {name}:{kind.example}")
    if not kind.allows(dose):
        raise ConfigurationError(f"condition {part!r} is out of range: {kind.summary}")
    return name, dose


def apply(dataset: AuditDataset, condition: Condition, seed: int) -> Conditioned:
    """Return the training examples under a condition; every kind draws from a stream of its own.

    The order of the kept examples is the data set's. Kinds are applied in the order of :data:`CONDITIONS`.

    Raises
    ------
    ConfigurationError
        The data have no labels, or no groups to correlate with.
    DataError
        Too few examples to leave every class at least one.
    """
    rows = dataset.rows(seed)
    if condition.is_clean:
        return Conditioned(train=rows, changed={})
    if dataset.task != "classification":
        raise ConfigurationError(f"condition {str(condition)!r} needs class labels, and the data have none")
    train: Sequence[Example] = rows
    changed: dict[str, Any] = {}
    for name, dose in condition.doses:
        train, done = CONDITIONS[name].change(train, dataset, dose, seed, _stream(name, seed))
        changed |= done
    changed["removed"] = len(rows) - len(train)
    return Conditioned(train=tuple(train), changed=changed)


def _stream(kind: str, seed: int) -> np.random.Generator:
    return np.random.default_rng([int.from_bytes(hashlib.sha256(kind.encode()).digest()[:4], "big"), seed])
