"""Fine-tuning methods: one file each (one line for a variant of LoRA), one line each in :data:`METHODS`.

Methods of other packages come in through the entry-point group ``balora_audit.methods``; see docs/extending.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path

from balora_audit.errors import ConfigurationError, unknown_name
from balora_audit.extensions import Extensions, built_in, find_extensions
from balora_audit.methods.grammar import SPELLINGS, are_one_model, parse, spelled
from balora_audit.methods.imported import Imported
from balora_audit.methods.method import Method
from balora_audit.methods.tuned import TunedMethod

__all__ = ["METHODS", "SPELLINGS", "Method", "TunedMethod", "available", "extensions", "find_methods"]


def _checked(name: str, thing: object) -> Method:
    if not isinstance(thing, Method):
        raise TypeError(f"it is a {type(thing).__name__}, not a balora_audit.methods.Method")
    if thing.name != name:
        raise ValueError(f"it calls itself {thing.name!r}, its entry point {name!r}")
    return thing


METHODS: dict[str, Method] = built_in(
    {
        "base": "balora_audit.methods.base:BASE",
        "lora": "balora_audit.methods.lora:LORA",
        "pissa": "balora_audit.methods.pissa:PISSA",
        "balora": "balora_audit.methods.balora:BALORA",
        "rslora": "balora_audit.methods.variants:RSLORA",
        "dora": "balora_audit.methods.variants:DORA",
        "olora": "balora_audit.methods.variants:OLORA",
        "full": "balora_audit.methods.full:FULL",
    },
    _checked,
)
"""The built-in methods by name. ``lora[+cr]``, ``balora[-cr]`` and ``NAME=PATH`` are made from these by :func:`find_methods`."""

_NAME = re.compile(r"(?!(?i:con|prn|aux|nul|com\d|lpt\d)(\.|$))[A-Za-z0-9]([\w.-]*[\w-])?", re.ASCII)
"""What a folder can be called on every file system."""
_TRAINED_ELSEWHERE = "was trained elsewhere, so it cannot take penalties"


def extensions() -> Extensions[Method]:
    """Return the methods that installed packages bring."""
    return find_extensions("method", _checked, METHODS)


def available() -> dict[str, Method]:
    """Return the built-in methods and those of installed packages, by name."""
    return {**METHODS, **extensions().things}


def find_methods(specs: Iterable[str]) -> dict[str, Method]:
    """Return name → method for what a user lists: a name, one with terms such as ``lora[+cr]``, or ``mine=path/to/adapter``.

    Raises
    ------
    ConfigurationError
        A name, a term or a folder that does not exist, terms that a method cannot take, or two names of one model.

    Examples
    --------
    >>> [(method.title, method.start) for method in find_methods(["balora", "lora[+dr+cr]"]).values()]
    [('BA-LoRA', 'pissa'), ('LoRA + consistency and diversity', 'lora')]
    """
    listed, found = list(specs), extensions()
    found.require(tuple(spec.partition("[")[0] for spec in listed if spec not in METHODS))
    known = {**METHODS, **found.things}
    imported = [spec.partition("=")[0] for spec in listed if "=" in spec]
    methods = [_find(spec, known, imported) for spec in listed]
    for first, second in combinations((method for method in methods if isinstance(method, TunedMethod)), 2):
        if first.name != second.name and are_one_model(first, second):
            both = f"{spelled(first.start, first.terms)}, one model under two names"
            raise ConfigurationError(f"--models: {first.name!r} and {second.name!r} are both {both}; list one of them")
    return {method.name: method for method in methods}


def _find(spec: str, known: dict[str, Method], imported: Sequence[str]) -> Method:
    if "=" in spec:
        name, _, path = spec.partition("=")
        return _imported(name, path, known)
    if spec in known:
        return known[spec]
    spelling = parse(spec)
    if spelling is None:
        raise unknown_name("method", spec, [*known, *SPELLINGS])
    method = known.get(spelling.method)
    if isinstance(method, TunedMethod):
        return spelling.of(method)
    trained = [name for name, method in known.items() if isinstance(method, TunedMethod)]
    if method is not None or spelling.method in imported:
        why = "is not trained here step by step, so it cannot take penalties" if method is not None else _TRAINED_ELSEWHERE
        raise ConfigurationError(f"{spec!r}: {spelling.method!r} {why}; these can: {', '.join(trained)}")
    raise ConfigurationError(f"{spec!r}: {unknown_name('method', spelling.method, trained)}")


def _imported(name: str, path: str, known: dict[str, Method]) -> Method:
    folder = Path(path).expanduser()
    if "[" in name:
        raise ConfigurationError(f"--models {name}={path}: {name.partition('[')[0]!r} {_TRAINED_ELSEWHERE}; leave the brackets out")
    if not _NAME.fullmatch(name) or name in known:
        reason = (
            "is a method's own name"
            if name in known
            else "must be letters, digits, '.', '-' and '_', no point at its end, and no device such as con"
        )
        raise ConfigurationError(f"--models {name}={path}: the name {name!r} {reason}; choose another, as in mine={path}")
    if not (folder / "adapter_config.json").is_file():
        raise ConfigurationError(f"--models {name}={path}: there is no adapter_config.json in {folder}; give a PEFT adapter's folder")
    return Imported(name=name, title=name, summary=f"trained elsewhere: {folder}", initialisation="trained elsewhere", folder=folder)
