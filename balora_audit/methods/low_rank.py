"""Low-rank adapters: one class for all, an instance for each way to start and each variant that PEFT has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from balora_audit.methods.adapter import Attached, Factors, Initialiser, adapter_changes, attach, check_adapter, loaded, target_modules
from balora_audit.methods.tuned import TunedMethod
from balora_audit.models.load import LoadedModel
from balora_audit.models.placed import Placed
from balora_audit.training.workshop import Recipe, Workshop

if TYPE_CHECKING:
    from balora_audit.config import AdapterConfig

__all__ = ["Factors", "Initialiser", "LowRank"]


@dataclass(frozen=True, kw_only=True)
class LowRank(TunedMethod):
    """An update ``ΔW = s·BA`` of rank r, in PEFT's form.

    Parameters
    ----------
    initialise : callable
        Initial factors; they may depend on the base's weights and on the seed.
    seeded : bool
        Whether they depend on the seed; if not, they are computed once for all trainings of one shape.
    anchored : bool
        The initial factors stay as a frozen negative branch, ``ΔW = s·(BA − B₀A₀)``: the base is untouched, switching the
        adapter off *is* the teacher, and the saved adapter is an ordinary LoRA adapter of rank 2r.
    peft : mapping
        Further settings of `peft.LoraConfig` that make a variant of LoRA.
    """

    initialise: Initialiser
    seeded: bool = True
    anchored: bool = False
    peft: Mapping[str, Any] = field(default_factory=dict)

    @property
    def modules(self) -> tuple[str, ...]:
        """The class's module, and that of the initial factors."""
        return (type(self).__module__, self.initialise.__module__)

    def key(self, recipe: Recipe, rows: Mapping[str, str], seed: int, steps: int | None) -> dict[str, Any]:
        """Return what decides any training, and the form of the adapter."""
        return {**super().key(recipe, rows, seed, steps), "anchored": self.anchored, "peft": dict(self.peft)}

    def attach(self, workshop: Workshop, seed: int) -> Attached:
        """Put a fresh adapter on the base."""
        settings, base = workshop.recipe.adapter, workshop.base
        if self.seeded:
            return attach(base, self, settings, seed)

        def once() -> Factors:
            workshop.progress.say(f"decomposing the base's weights ({self.initialisation}), once")
            modules = target_modules(base.model, settings.target_modules, head=base.head)
            return self.initialise(modules, settings.rank, settings.alpha / settings.rank, 0)

        kept = f"{self.initialisation}, r = {settings.rank}, α = {settings.alpha}, modules {settings.target_modules}"
        return attach(base, self, settings, seed, factors=lambda: workshop.keep(kept, once))

    @contextmanager
    def place(self, base: LoadedModel, folder: Path) -> Iterator[Placed]:
        """Load the saved adapter."""
        with loaded(base, folder) as disabled:
            yield Placed(base=base, disabled=disabled, changes=lambda: adapter_changes(base.model))

    def check_modules(self, settings: AdapterConfig, model: nn.Module, head: nn.Module) -> None:
        """Raise where no module matches, or a rank is larger than a matrix allows."""
        modules = target_modules(model, settings.target_modules, head=head)
        check_adapter(self, settings, {name: (module.out_features, module.in_features) for name, module in modules.items()})

    def stored_rank(self, rank: int) -> int:
        """Return twice the rank where the initial factors are kept."""
        return rank * (2 if self.anchored else 1)
