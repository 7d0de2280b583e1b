"""The exceptions of the package, and what each one means to the caller.

::

    AuditError                 root; ``exit_code`` 2 unless a subclass says otherwise
    ├── ConfigurationError     a flag, a configuration file or a combination of both is wrong
    ├── DataError              a data file or a data set cannot be used
    ├── ModelError             a model, tokenizer or adapter cannot be used
    ├── StoreError             the run folder cannot be read or written
    ├── UnitError              one unit of work failed; the rest of the run goes on
    │   └── Unusable           what was trained can stand for no model, and would not if it were trained again
    └── NothingMeasured        the run ended without one measurement (exit code 5)

Messages say what is wrong, where, and the way out. Wrong *arguments* of the pure functions
(``metrics``, ``regularizers``, ``stats``) are ``ValueError``, as in the libraries they stand beside.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "AuditError",
    "ConfigurationError",
    "DataError",
    "ModelError",
    "NothingMeasured",
    "StoreError",
    "UnitError",
    "Unusable",
    "near",
    "nearest",
    "unknown_name",
]


class AuditError(Exception):
    """Something the user can mend; shown without a traceback."""

    exit_code = 2


class ConfigurationError(AuditError):
    """A flag, an environment variable or a configuration file is wrong."""


class DataError(AuditError):
    """A data file or a data set cannot be used."""


class ModelError(AuditError):
    """A model, tokenizer or adapter cannot be used."""


class StoreError(AuditError):
    """The run folder cannot be read or written."""


class UnitError(AuditError):
    """One unit of work failed; it is recorded under ``errors`` and the rest goes on."""

    exit_code = 3


class Unusable(UnitError):
    """What was trained can stand for no model, and would not if it were trained again: it diverged, learned nothing, gives no numbers."""


class NothingMeasured(AuditError):
    """The run ended without one measurement."""

    exit_code = 5


def nearest(name: str, known: Iterable[str], *, count: int = 1) -> list[str]:
    """Return the known names nearest to a wrong one, the nearest first; none where none is near."""
    return difflib.get_close_matches(name, list(known), n=count, cutoff=0.6)


def near(name: str, known: Iterable[str], *, count: int = 1) -> str:
    """Return the end of a message that asks for the known names nearest to a wrong one; nothing where none is near.

    Parameters
    ----------
    name : str
        What was given.
    known : iterable of str
        What there is.
    count : int
        How many names to offer at most, the nearest first.

    Examples
    --------
    >>> near("balroa", ["base", "lora", "balora"])
    " — did you mean 'balora'?"
    >>> near("lor", ["base", "lora", "balora"], count=2)
    " — did you mean 'lora', 'balora'?"
    >>> near("xyz", ["base", "lora", "balora"])
    ''
    """
    found = nearest(name, known, count=count)
    return f" — did you mean {', '.join(map(repr, found))}?" if found else ""


def unknown_name(kind: str, name: str, valid: Iterable[str]) -> ConfigurationError:
    """Build the error for a name that is not known, with a near name and all valid ones.

    Examples
    --------
    >>> str(unknown_name("method", "balroa", ["base", "lora", "balora"]))
    "unknown method 'balroa' — did you mean 'balora'? Valid: base, lora, balora"
    >>> str(unknown_name("method", "xyz", ["base", "lora"]))
    "unknown method 'xyz'. Valid: base, lora"
    """
    names = list(valid)
    return ConfigurationError(f"unknown {kind} {name!r}{near(name, names) or '.'} Valid: {', '.join(names)}")
