"""Low-rank adapters: one class for all, an instance for each way to start and each variant that PEFT has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from balora_audit.errors import UnitError
from balora_audit.methods.abreast import Abreast, rows_stay_apart
from balora_audit.methods.adapter import (
    Attached,
    Factors,
    Initialiser,
    adapter_changes,
    attach,
    check_adapter,
    is_plain,
    loaded,
    target_modules,
)
from balora_audit.methods.tuned import TunedMethod
from balora_audit.models.forward import CausalForward
from balora_audit.models.load import LoadedModel
from balora_audit.models.placed import Placed
from balora_audit.training.workshop import Job, Made, Recipe, Workshop

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

    def can_train_together(self, workshop: Workshop, jobs: Sequence[Job]) -> bool:
        """Whether :meth:`make_together` can make these jobs: several that differ in the learning rate and output alone.

        The base must be a language model with a linear head that runs apart, and must keep the rows of a batch apart; the adapter
        ``s·BA`` without dropout; one process, without early stopping or checkpointed activations.
        """
        recipes = [_without_rates(job.recipe or workshop.recipe) for job in jobs]
        if len(jobs) < 2 or any((job.train, job.seed, job.steps) != (jobs[0].train, jobs[0].seed, jobs[0].steps) for job in jobs):
            return False
        adapter, training = recipes[0].adapter, recipes[0].training
        if any(recipe != recipes[0] for recipe in recipes) or training.patience or training.gradient_checkpointing:
            return False
        base, alone = workshop.base, workshop.process_group.size == 1 and not workshop.process_group.fully_sharded
        if not alone or not is_plain(self, adapter) or not isinstance(base.forward, CausalForward) or base.forward.linear_head is None:
            return False
        layers = target_modules(base.model, adapter.target_modules, head=base.head)
        return workshop.keep(f"rows stay apart in {adapter.target_modules}", lambda: rows_stay_apart(base, layers))

    def make_all(self, workshop: Workshop, jobs: Sequence[Job]) -> list[Made | UnitError]:
        """Make the jobs together where they can be, else, or where that takes too much memory, one by one."""
        if self.can_train_together(workshop, jobs):
            try:
                return self.make_together(workshop, jobs)
            except UnitError as error:
                workshop.progress.say(f"{error}; one adapter at a time")
        return super().make_all(workshop, jobs)

    def make_together(self, workshop: Workshop, jobs: Sequence[Job]) -> list[Made | UnitError]:
        """Do :meth:`make` for several jobs with one pass through the base for all; return what each made, or how it failed.

        The trained numbers are those of :meth:`make`, to rounding. A job's seconds are its share; its peak memory is that of all.

        Raises
        ------
        UnitError
            Memory ran out before any was done: they may still succeed one by one.
        ValueError
            They cannot be trained together; ask :meth:`can_train_together` first.
        """
        if not self.can_train_together(workshop, jobs):
            raise ValueError(f"these {len(jobs)} jobs of {self.name} cannot be trained together; make them one by one")
        workshop = workshop.under(jobs[0].recipe)
        encoder, penalties = workshop.encoder(), self.chosen_penalties(workshop.recipe)
        rows = workshop.encode(jobs[0].train, encoder)
        workshop.progress.stage(f"{jobs[0].title} and {len(jobs) - 1} more", workshop.steps(rows, jobs[0]), "steps")
        group = Abreast(self.attach(workshop, jobs[0].seed), len(jobs))
        found: list[Made | UnitError] = []
        try:
            shares = [self.shares(member, job) for member, job in zip(group.members, jobs, strict=True)]
            outcomes = workshop.fit_abreast(group, rows, penalties, method=self.name, jobs=jobs, shares=shares)
            notes = [
                *workshop.remarks(penalties, encoder, rows),
                f"trained in one pass with {len(jobs) - 1} other learning rates; the seconds are its share, the memory that of all",
            ]
            for member, outcome, job in zip(group.members, outcomes, jobs, strict=True):
                try:
                    found.append(self.finish(member, outcome, job, rows=len(rows), notes=notes))
                except UnitError as error:
                    found.append(error)
        finally:
            group.detach()
        return found

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


def _without_rates(recipe: Recipe) -> Recipe:
    training = recipe.training.model_copy(update={"learning_rate": 1.0, "learning_rates": {}})
    return replace(recipe, training=training)
