"""What other packages bring, found through entry points: one group for each kind of thing, ``balora_audit.<kind>``.

Nothing is registered anywhere: a registry is its package's own literal table together with what was found here, as a new value.
The table has the notation of entry points, so a line means the same in both places.
See docs/extending.md.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from balora_audit.errors import ConfigurationError

__all__ = ["Extension", "Extensions", "built_in", "checked", "described", "find_extensions"]

Thing = TypeVar("Thing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """One entry point: who brings it, and why it could not be used if it could not."""

    kind: str
    name: str
    package: str
    version: str
    failure: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Extensions(Generic[Thing]):
    """The extensions of one kind: those that can be used by name, and all of them with their origin.

    ``taken`` are the names that the package itself uses; an extension that wanted one of them is refused and replaces nothing.
    """

    things: Mapping[str, Thing]
    origins: tuple[Extension, ...]
    taken: frozenset[str] = frozenset()

    def require(self, names: Iterable[str]) -> None:
        """Raise `ConfigurationError` where one of the names is an extension that could not be used."""
        missing = {name for name in names if name not in self.things and name not in self.taken}
        for found in self.origins:
            if found.failure is not None and found.name in missing:
                raise ConfigurationError(
                    f"the {found.kind} {found.name!r} comes with the package {found.package} {found.version}, which cannot be "
                    f"used: {found.failure}"
                )


def checked(kind: type[Thing], name: str, thing: object, *, called: str | None = None) -> Thing:
    """Return the thing that goes by a name; `called` says in a reader's words what it is, where it bears its name itself.

    Raises
    ------
    TypeError
        It is of another type.
    ValueError
        It bears another name.
    """
    if not isinstance(thing, kind):
        raise TypeError(f"it is no {kind.__name__} but a {type(thing).__name__}")
    if called is not None and (own := getattr(thing, "name")) != name:  # noqa: B009 - only some kinds bear a name
        raise ValueError(f"the {called} is called {own!r} and its entry {name!r}")
    return thing


def built_in(table: Mapping[str, str], check: Callable[[str, object], Thing]) -> dict[str, Thing]:
    """Return what a package's own table names: name → ``module:object``, the notation of entry points, under the same check.

    One line of the table is all that something new needs beside its file.
    """
    found = {}
    for name, place in table.items():
        module, _, attribute = place.partition(":")
        found[name] = check(name, getattr(importlib.import_module(module), attribute))
    return found


def find_extensions(kind: str, check: Callable[[str, object], Thing], taken: Mapping[str, object]) -> Extensions[Thing]:
    """Load what installed packages offer in the group ``balora_audit.<kind>s``; what cannot be used is kept with its reason.

    Parameters
    ----------
    kind : str
        ``probe``, ``measure``, ``perturbation``, ``method`` or ``section``.
    check : callable
        (name, what the entry point names) → the thing; raises `TypeError` or `ValueError` with the reason why it is none.
    taken : mapping
        The built-in things, whose names are refused: nothing replaces one.
    """
    things: dict[str, Thing] = {}
    origins = []
    for point in sorted(importlib.metadata.entry_points(group=f"balora_audit.{kind}s"), key=lambda point: (point.name, point.value)):
        package, version = (point.dist.name, point.dist.version) if point.dist is not None else ("unknown", "unknown")
        failure = None
        try:
            if point.name in taken or point.name in things:
                raise ValueError(f"a {kind} called {point.name!r} exists already")
            things[point.name] = check(point.name, point.load())
        except Exception as error:  # noqa: BLE001 - whatever a foreign package does, the audit's own parts must go on
            failure = f"{type(error).__name__}: {error}"
        origins.append(Extension(kind=kind, name=point.name, package=package, version=version, failure=failure))
    return Extensions(things=things, origins=tuple(origins), taken=frozenset(taken))


def described(origins: Iterable[Extension]) -> dict[str, dict[str, dict[str, str]]]:
    """Return, for the provenance of an audit, kind → name → package and version of the extensions that can be used."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for one in origins:
        if one.failure is None:
            found.setdefault(one.kind, {})[one.name] = {"package": one.package, "version": one.version}
    return found
