"""The settings that are tried for every trained method: a grid, its points, and what one of them changes of a recipe (METHODS §9)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import numpy as np
from pydantic import ValidationError

from balora_audit.config import AdapterConfig, AuditConfig, TrainingConfig
from balora_audit.config.tuning import AXES
from balora_audit.errors import ConfigurationError
from balora_audit.training.workshop import Recipe

__all__ = ["RATE", "Place", "Setting", "SettingGrid", "applied", "grid_of"]

RATE = "learning_rate"
_FACTORS = (0.3, 1.2, 4.8, 19.2)
"""The default grid, in multiples of the configured learning rate: 1.5e-4, 6e-4, 2.4e-3 and 9.6e-3 for the default one.

Principal starts have their best at a few 1e-4 there, random ones at a few 1e-3: both lie inside, four apart.
"""

_MOST = 12
"""Of larger grids so many points are drawn at random."""

Place = tuple[int, ...]
"""Where a setting lies on each axis, the learning rate first; beyond the ends where the grid was extended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One point of the grid for one method: where it lies, and the value on each axis."""

    place: Place
    values: tuple[tuple[str, float], ...]

    @property
    def name(self) -> str:
        """As ``audit.json`` calls it: ``learning_rate=0.0005``.

        Examples
        --------
        >>> Setting(place=(1, 0), values=(("learning_rate", 5e-4), ("rank", 8.0))).name
        'learning_rate=0.0005,rank=8'
        """
        return ",".join(f"{axis}={value:g}" for axis, value in self.values)

    @property
    def folder(self) -> PurePosixPath:
        """What its folder is called."""
        return PurePosixPath(self.name.replace("=", "-"))

    @property
    def rate(self) -> float:
        """The learning rate."""
        return dict(self.values)[RATE]

    @property
    def others(self) -> tuple[tuple[str, float], ...]:
        """The values on the other axes."""
        return tuple((axis, value) for axis, value in self.values if axis != RATE)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingGrid:
    """The axes and the places on them that are tried, round by round: the same for every method.

    With ``relative``, the learning rates are multiples of each method's own, since some have one of their own.
    """

    axes: Mapping[str, tuple[float, ...]]
    relative: bool
    rounds: tuple[tuple[Place, ...], ...]
    budget: int | None = None

    @property
    def places(self) -> tuple[Place, ...]:
        """All places, those of the extensions last."""
        return tuple(itertools.chain.from_iterable(self.rounds))

    def setting(self, place: Place, own_rate: float) -> Setting:
        """Return what is tried at a place for a method whose own learning rate is given."""
        rate = self._rate(place[0]) * (own_rate if self.relative else 1.0)
        rest = [(axis, values[index]) for (axis, values), index in zip(list(self.axes.items())[1:], place[1:], strict=True)]
        return Setting(place=place, values=((RATE, float(f"{rate:.6g}")), *rest))

    def _rate(self, index: int) -> float:
        rates = self.axes[RATE]
        if 0 <= index < len(rates):
            return rates[index]
        if index < 0:
            return rates[0] * (rates[0] / rates[1]) ** -index
        return rates[-1] * (rates[-1] / rates[-2]) ** (index - len(rates) + 1)

    @property
    def ends(self) -> tuple[int, int]:
        """The lowest and the highest place on the axis of learning rates that is tried."""
        indices = [place[0] for place in self.places]
        return min(indices), max(indices)

    @property
    def can_extend(self) -> bool:
        """Whether there is a step to go on by, and room for another candidate."""
        return len(self.axes[RATE]) > 1 and (self.budget is None or len(self.places) < self.budget)

    def extended(self, bests: Sequence[Place]) -> SettingGrid | None:
        """Return the grid with a learning rate more behind each end at which a method has its best; None where there is nothing to add."""
        low, high = self.ends
        if not self.can_extend or low == high:
            return None
        added: dict[Place, None] = {}
        for best in bests:
            if best[0] == low:
                added[(low - 1, *best[1:])] = None
            if best[0] == high:
                added[(high + 1, *best[1:])] = None
        room = len(added) if self.budget is None else self.budget - len(self.places)
        new = tuple(place for place in added if place not in self.places)[:room]
        return replace(self, rounds=(*self.rounds, new)) if new else None


def grid_of(config: AuditConfig) -> SettingGrid:
    """Return the grid of a configuration: all of its points, or so many drawn at random where there are more than are tried."""
    given, training = dict(config.tuning), config.training
    relative = RATE not in given and bool(training.learning_rates)
    around = _FACTORS if relative else tuple(float(f"{factor * training.learning_rate:.6g}") for factor in _FACTORS)
    axes = {RATE: given.pop(RATE, around), **given}
    everything = list(itertools.product(*(range(len(values)) for values in axes.values())))
    most = config.tune_budget or _MOST
    if len(everything) > most and len(axes) == 1:
        chosen = sorted({round(place) for place in np.linspace(0, len(everything) - 1, most)})
    elif len(everything) > most:
        chosen = sorted(int(i) for i in np.random.default_rng([config.data_seed, 21]).choice(len(everything), size=most, replace=False))
    else:
        chosen = list(range(len(everything)))
    return SettingGrid(axes=axes, relative=relative, rounds=(tuple(everything[i] for i in chosen),), budget=config.tune_budget)


def applied(recipe: Recipe, setting: Setting) -> Recipe:
    """Return a recipe with the values of a setting in place of its own.

    Raises
    ------
    ConfigurationError
        A value that the setting of that name cannot have.
    """
    changes: dict[str, dict[str, float]] = {"training": {"learning_rate": setting.rate}, "adapter": {}, "penalties": {}}
    for axis, value in setting.others:
        part, field = AXES[axis]
        changes[part][field] = value
    try:
        training = TrainingConfig.model_validate({**recipe.training.model_dump(), **changes["training"], "learning_rates": {}})
        adapter = AdapterConfig.model_validate({**recipe.adapter.model_dump(), **changes["adapter"]})
    except ValidationError as error:
        raise ConfigurationError(f"tuning: {setting.name}: {error.errors()[0]['msg']}") from error
    return replace(recipe, training=training, adapter=adapter, penalties=recipe.penalties.override(changes["penalties"]))
