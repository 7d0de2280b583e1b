"""Fine-tuning methods: one file each (one line for a variant of LoRA), one line each in :data:`METHODS`.

Methods of other packages come in through the entry-point group ``balora_audit.methods``; see docs/extending.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from balora_audit.errors import ConfigurationError, unknown_name
from balora_audit.extensions import Extensions, built_in, find_extensions
from balora_audit.methods.balora import ABBREVIATIONS, ablation
from balora_audit.methods.imported import Imported
from balora_audit.methods.method import Method

__all__ = ["METHODS", "Method", "available", "extensions", "find_methods"]


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
"""The built-in methods by name. ``balora[…]`` and ``NAME=PATH`` are made from these by :func:`find_methods`."""

_ABLATION = re.compile(r"balora\[(?P<terms>[^\]]*)\]")
_NAME = re.compile(r"(?!(?i:con|prn|aux|nul|com\d|lpt\d)(\.|$))[A-Za-z0-9]([\w.-]*[\w-])?", re.ASCII)
"""What a folder can be called on every file system."""


def extensions() -> Extensions[Method]:
    """Return the methods that installed packages bring."""
    return find_extensions("method", _checked, METHODS)


def available() -> dict[str, Method]:
    """Return the built-in methods and those of installed packages, by name."""
    return {**METHODS, **extensions().things}


def find_methods(specs: Iterable[str]) -> dict[str, Method]:
    """Return name → method for what a user lists: a name, an ablation such as ``balora[-cr]``, or ``mine=path/to/adapter``.

    Raises
    ------
    ConfigurationError
        A name, a term or a folder that does not exist.
    """
    listed, found = list(specs), extensions()
    found.require(tuple(spec for spec in listed if spec not in METHODS))
    known = {**METHODS, **found.things}
    methods = [_find(spec, known) for spec in listed]
    return {method.name: method for method in methods}


def _find(spec: str, known: dict[str, Method]) -> Method:
    if "=" in spec:
        name, _, path = spec.partition("=")
        return _imported(name, path, known)
    bracketed = _ABLATION.fullmatch(spec)
    if bracketed is not None:
        return ablation(spec, bracketed["terms"])
    if spec not in known:
        raise unknown_name("method", spec, [*known, *(f"balora[-{term}]" for term in ABBREVIATIONS)])
    return known[spec]


def _imported(name: str, path: str, known: dict[str, Method]) -> Method:
    folder = Path(path).expanduser()
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
