"""Training conditions: what is done to the training data before any method sees it (METHODS §3)."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from balora_audit.data.dataset import AuditDataset, Example
from balora_audit.errors import ConfigurationError, DataError, unknown_name

__all__ = ["Condition", "Conditioned", "apply", "available", "parse"]

_KINDS = {
    "clean": "the training data as given",
    "noise:ρ": "each training label replaced, with probability ρ, by a uniformly drawn other label (0 < ρ < 1)",
    "imbalance:IR": "long tail: class c keeps n_max·IR^(−c/(C−1)) of its examples (IR > 1)",
    "correlate:ρ": "the majority group's share of each class is ρ in training (0.5 ≤ ρ ≤ 1); needs groups",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A condition, or several joined by ``+``; None where a kind is not applied. ``str()`` gives the canonical name."""

    noise: float | None = None
    imbalance: float | None = None
    correlate: float | None = None

    @property
    def is_clean(self) -> bool:
        """Whether nothing is changed."""
        return self.noise is None and self.imbalance is None and self.correlate is None

    def __str__(self) -> str:
        parts = [
            f"{name}:{value:g}"
            for name, value in (("correlate", self.correlate), ("imbalance", self.imbalance), ("noise", self.noise))
            if value is not None
        ]
        return "+".join(parts) or "clean"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditioned:
    """The training examples under a condition, and what it changed (ids included)."""

    train: tuple[Example, ...]
    changed: dict[str, Any]


def available() -> dict[str, str]:
    """Return the kinds of condition and one line about each."""
    return dict(_KINDS)


def parse(text: str) -> Condition:
    """Read a condition such as ``clean``, ``noise:0.3`` or ``imbalance:20+noise:0.1``.

    Raises
    ------
    ConfigurationError
        Unknown kind, missing or out-of-range number, a kind named twice.
    """
    if text.strip() == "clean":
        return Condition()
    found: dict[str, float] = {}
    for part in text.split("+"):
        name, separator, number = part.strip().partition(":")
        if name not in ("noise", "imbalance", "correlate"):
            raise unknown_name("condition", part.strip(), ["clean", "noise:ρ", "imbalance:IR", "correlate:ρ"])
        if name in found:
            raise ConfigurationError(f"condition {text!r} names {name} twice")
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if not separator or not math.isfinite(value):
            raise ConfigurationError(f"condition {part.strip()!r} needs a number, for example {name}:{_EXAMPLE[name]}")
        low, high = _RANGES[name]
        if not low <= value <= high or (name == "noise" and value in (0, 1)) or (name == "imbalance" and value == 1):
            raise ConfigurationError(f"condition {part.strip()!r} is out of range: {_KINDS[f'{name}:{_SYMBOL[name]}']}")
        found[name] = value
    return Condition(**found)


_EXAMPLE = {"noise": "0.3", "imbalance": "20", "correlate": "0.9"}
_SYMBOL = {"noise": "ρ", "imbalance": "IR", "correlate": "ρ"}
_RANGES = {"noise": (0.0, 1.0), "imbalance": (1.0, 1e6), "correlate": (0.5, 1.0)}


def apply(dataset: AuditDataset, condition: Condition, seed: int) -> Conditioned:
    """Return the training examples under a condition; every kind draws from a stream of its own.

    The order of the kept examples is the data set's. Applied in the order correlate, imbalance, noise.

    Raises
    ------
    ConfigurationError
        The data have no labels, or no groups to correlate with.
    DataError
        Too few examples to leave every class at least one.
    """
    train: Sequence[Example] = dataset.train
    changed: dict[str, Any] = {}
    if condition.is_clean:
        return Conditioned(train=tuple(train), changed=changed)
    if dataset.task != "classification":
        raise ConfigurationError(f"condition {str(condition)!r} needs class labels, and the data are prompts and responses")
    if condition.correlate is not None:
        train = _correlate(train, dataset, condition.correlate, _stream("correlate", seed))
        changed["correlate_kept"] = len(train)
    if condition.imbalance is not None:
        train = _imbalance(train, dataset, condition.imbalance, _stream("imbalance", seed))
        kept = Counter(example.label for example in train)
        changed["kept_per_class"] = {name: kept[index] for index, name in enumerate(dataset.label_names)}
    if condition.noise is not None:
        train, changed["flipped"] = _noise(train, len(dataset.label_names), condition.noise, _stream("noise", seed))
    changed["removed"] = len(dataset.train) - len(train)
    return Conditioned(train=tuple(train), changed=changed)


def _stream(kind: str, seed: int) -> np.random.Generator:
    return np.random.default_rng([int.from_bytes(hashlib.sha256(kind.encode()).digest()[:4], "big"), seed])


def _noise(
    train: Sequence[Example], classes: int, share: float, rng: np.random.Generator
) -> tuple[list[Example], dict[str, dict[str, int]]]:
    hit = rng.random(len(train)) < share
    shift = rng.integers(1, classes, size=len(train))
    noisy: list[Example] = []
    flipped: dict[str, dict[str, int]] = {}
    for example, is_hit, by in zip(train, hit, shift, strict=True):
        if not is_hit or example.label is None:
            noisy.append(example)
            continue
        wrong = (example.label + int(by)) % classes
        flipped[example.id] = {"clean": example.label, "noisy": wrong}
        noisy.append(replace(example, label=wrong))
    return noisy, flipped


def _imbalance(train: Sequence[Example], dataset: AuditDataset, ratio: float, rng: np.random.Generator) -> list[Example]:
    classes = len(dataset.label_names)
    counts = Counter(example.label for example in train)
    most = max(counts.values())
    keep: set[str] = set()
    for label in range(classes):
        ids = [example.id for example in train if example.label == label]
        quota = max(1, round(most * ratio ** (-label / (classes - 1))))
        chosen = rng.permutation(len(ids))[:quota]
        keep.update(ids[index] for index in chosen)
    return [example for example in train if example.id in keep]


def _correlate(train: Sequence[Example], dataset: AuditDataset, share: float, rng: np.random.Generator) -> list[Example]:
    """Thin out each class until its majority group has the wanted share.

    The majority group of a class is its larger group in the data (the first by name on a tie); with exactly balanced
    groups it alternates over the classes, so that the correlation carries information. Examples without a group, or of a
    third one, are kept aside.
    """
    groups = sorted({example.group for example in train if example.group is not None} - {"neutral"})
    if len(groups) != 2:
        raise ConfigurationError(
            f"correlate:ρ needs examples of exactly two groups besides 'neutral', the data have {groups or 'none'}; map a "
            "column with --columns group=NAME"
        )
    keep: set[str] = {example.id for example in train if example.group not in groups}
    for label, name in enumerate(dataset.label_names):
        by_group = {g: [e.id for e in train if e.label == label and e.group == g] for g in groups}
        sizes = [len(by_group[g]) for g in groups]
        if min(sizes) == 0:
            raise DataError(f"class {name!r} has training examples of one group only; correlate:ρ cannot be set there")
        major = (label % 2) if sizes[0] == sizes[1] else int(sizes[1] > sizes[0])
        # the largest class of the wanted composition that the examples allow
        total = int(min(sizes[major] / share, sizes[1 - major] / (1 - share) if share < 1 else math.inf))
        wanted = {major: round(total * share), 1 - major: total - round(total * share)}
        for index, group in enumerate(groups):
            order = rng.permutation(len(by_group[group]))[: wanted[index]]
            keep.update(by_group[group][position] for position in order)
    return [example for example in train if example.id in keep]
