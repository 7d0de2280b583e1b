"""What part of the data a number is of: one type, one printer, one parser."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

__all__ = ["ALL", "CLEAN", "Slice"]

Kind = Literal["all", "clean", "noise", "class", "group", "layer", "module", "flips", "task", "part"]

_NAMED: tuple[Kind, ...] = ("class", "group", "layer", "module", "flips")
_NOISE = re.compile(r"(?P<name>[^@=]+)@(?P<severity>\d+)")
_TASK = re.compile(r".+ \(version .*, \d+ shots(, .+)?\)")


@dataclass(frozen=True, slots=True, order=True)
class Slice:
    """A part of the data.

    Parameters
    ----------
    kind : str
        ``all`` items; the ``clean`` texts; copies under one kind of ``noise`` at one severity; items of a ``class`` or a ``group``;
        features of a ``layer``; weights of one kind of ``module``; training items whose label a condition ``flips``; a harness
        ``task``; any other ``part``, such as all severities of one kind of noise.
    name : str
        Which one: the class, the layer, the condition, the task with its version and shots, …
    severity : int, optional
        Of noise.

    Raises
    ------
    ValueError
        The printed form would be read as another slice.

    Examples
    --------
    >>> str(Slice("noise", "typo", 3)), str(Slice("class", "a@b")), str(ALL)
    ('typo@3', 'class=a@b', 'all')
    >>> Slice.parse("class=a@b").title, Slice.parse("typo@3").title, Slice.parse("layer=2").title
    ('a@b', 'typo, severity 3', 'layer 2')
    >>> Slice.parse("arc_easy (version 1.0, 0 shots)").short
    'arc_easy'
    """

    kind: Kind
    name: str = ""
    severity: int | None = None

    def __post_init__(self) -> None:
        if Slice._read(str(self)) != (self.kind, self.name, self.severity):
            raise ValueError(f"a slice of kind {self.kind!r} cannot be called {self.name!r}: it would be read as another one")

    def __str__(self) -> str:
        if self.kind in ("all", "clean"):
            return self.kind
        if self.kind == "noise":
            return f"{self.name}@{self.severity}"
        return f"{self.kind}={self.name}" if self.kind in _NAMED else self.name

    @classmethod
    def parse(cls, text: str) -> Slice:
        """Return the slice of a printed form; every text is one, and ``str(Slice.parse(text)) == text``."""
        return cls(*cls._read(text))

    @property
    def whole(self) -> bool:
        """Whether this is everything that was asked, and not a part that was picked out afterwards."""
        return self.kind in ("all", "clean", "task")

    @property
    def short(self) -> str:
        """What a user may call it: a task without its version, shots and filter, everything else as it is printed."""
        return self.name.rpartition(" (version ")[0] if self.kind == "task" else str(self)

    @property
    def title(self) -> str:
        """The slice as a reader says it."""
        if self.kind == "noise":
            return f"{self.name}, severity {self.severity}"
        return f"layer {self.name}" if self.kind == "layer" else self.name or self.kind

    @staticmethod
    def _read(text: str) -> tuple[Kind, str, int | None]:
        if text in ("all", "clean"):
            return ("all" if text == "all" else "clean"), "", None
        for kind in _NAMED:
            if text.startswith(f"{kind}="):
                return kind, text.removeprefix(f"{kind}="), None
        noise = _NOISE.fullmatch(text)
        if noise is not None and str(int(noise["severity"])) == noise["severity"]:
            return "noise", noise["name"], int(noise["severity"])
        return ("task" if _TASK.fullmatch(text) else "part"), text, None


ALL = Slice("all")
CLEAN = Slice("clean")
