"""How long work tells what it is doing; the command line draws it, a library user may ignore it."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Progress", "Silent"]


class Progress(Protocol):
    """Receives stages and steps. ``total`` is a number of steps in the unit named."""

    def stage(self, title: str, total: int, unit: str) -> None:
        """Begin a stage; the one before it is over."""
        ...

    def advance(self, steps: int = 1) -> None:
        """Report steps of the current stage."""
        ...

    def say(self, text: str) -> None:
        """Report something that happened."""
        ...


class Silent:
    """Says nothing."""

    def stage(self, title: str, total: int, unit: str) -> None:
        """Ignore."""

    def advance(self, steps: int = 1) -> None:
        """Ignore."""

    def say(self, text: str) -> None:
        """Ignore."""
