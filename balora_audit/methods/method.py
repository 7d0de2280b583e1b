"""What a fine-tuning method is: the one place where its name, its training, its place on the base and its needs are put together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from torch import nn

from balora_audit.errors import UnitError
from balora_audit.models.load import LoadedModel
from balora_audit.models.placed import Placed
from balora_audit.training.workshop import Job, Made, Recipe, Workshop

if TYPE_CHECKING:
    from balora_audit.config import AdapterConfig
    from balora_audit.data.conditions import Condition

__all__ = ["Method"]

_SHARE_OF_BASE = 10


@dataclass(frozen=True, kw_only=True)
class Method(ABC):
    """A fine-tuning method by name; a subclass is a way to fine-tune, an instance a method that a user can list.

    Parameters
    ----------
    name : str
        How a user lists it.
    title : str
        How the report calls it.
    summary : str
        One line for ``ls methods``.
    initialisation : str
        Where its trained numbers start, in words.
    """

    name: str
    title: str
    summary: str
    initialisation: str

    unit: ClassVar[str] = "train"
    """What its units of work in the store are called."""
    is_base: ClassVar[bool] = False
    """Whether this is the pre-trained model itself."""
    trains: ClassVar[bool] = True
    """Whether it is trained here, condition by condition."""

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules that define it: with what they import, they decide what it makes."""
        return (type(self).__module__,)

    @abstractmethod
    def key(self, recipe: Recipe, rows: Mapping[str, str], seed: int, steps: int | None) -> dict[str, Any] | None:
        """Return all that decides what :meth:`make` gives beside base, code and number format; None where there is nothing to make.

        `rows` tells the training rows and their task by their content; `steps` are those of the job.
        """

    @abstractmethod
    def make(self, workshop: Workshop, job: Job) -> Made:
        """Do what training a cell means for this method and write its files to the job's output; the base is untouched afterwards.

        Raises
        ------
        UnitError
            The training failed; other cells may still succeed.
        """

    def make_all(self, workshop: Workshop, jobs: Sequence[Job]) -> list[Made | UnitError]:
        """Do :meth:`make` for jobs of one training set that differ in their recipes; return what each made, or how it failed."""
        found: list[Made | UnitError] = []
        for job in jobs:
            try:
                found.append(self.make(workshop, job))
            except UnitError as error:
                found.append(error)
        return found

    @abstractmethod
    def place(self, base: LoadedModel, folder: Path) -> AbstractContextManager[Placed]:
        """Put what :meth:`make` wrote into a folder on the base for the time of a block.

        Raises
        ------
        ModelError
            The folder is damaged, or of another base.
        UnitError
            What lies there changes nothing, so that it cannot stand for a fine-tuned model.
        """

    def needed_bytes(self, weights_bytes: int) -> int:
        """Return a generous guess of what :meth:`make` writes, for a base of so many bytes."""
        return weights_bytes // _SHARE_OF_BASE

    def applies_to(self, condition: Condition) -> bool:
        """Whether models of this method are audited under a condition."""
        del condition
        return True

    def check_conditions(self, conditions: Sequence[Condition]) -> None:
        """Raise `ConfigurationError` where the audit lacks the condition that this method needs."""
        del conditions

    def check_modules(self, settings: AdapterConfig, model: nn.Module, head: nn.Module) -> None:
        """Raise `ConfigurationError` where the settings do not fit the model's modules, whose weights may be absent."""
        del settings, model, head

    def required_dtype(self, wanted: str) -> tuple[str, str] | None:
        """Return the number format that the base must have, and why; None where any will do.

        Raises
        ------
        ConfigurationError
            A user wants another one.
        """
        del wanted
        return None

    def settings(self, recipe: Recipe) -> dict[str, Any]:
        """Return what the audit shows of how the method was set, by field of `balora_audit.records.ModelRow`."""
        del recipe
        return {}
