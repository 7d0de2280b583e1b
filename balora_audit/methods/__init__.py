"""Fine-tuning methods: one file each (one line for a variant of LoRA), one line each in :data:`METHODS`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from balora_audit.errors import ConfigurationError, unknown_name
from balora_audit.methods.balora import ABBREVIATIONS, BALORA, ablation
from balora_audit.methods.base import BASE
from balora_audit.methods.lora import LORA
from balora_audit.methods.method import Method
from balora_audit.methods.pissa import PISSA
from balora_audit.methods.variants import DORA, FULL, OLORA, RSLORA

__all__ = ["METHODS", "Method", "find_methods"]

METHODS: dict[str, Method] = {
    "base": BASE,
    "lora": LORA,
    "pissa": PISSA,
    "balora": BALORA,
    "rslora": RSLORA,
    "dora": DORA,
    "olora": OLORA,
    "full": FULL,
}
"""The methods by name. ``balora[…]`` and ``NAME=PATH`` are made from these by :func:`find_methods`."""

_ABLATION = re.compile(r"balora\[(?P<terms>[^\]]*)\]")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


def find_methods(specs: Iterable[str]) -> dict[str, Method]:
    """Return name → method for what a user lists: a name, an ablation such as ``balora[-cr]``, or ``mine=path/to/adapter``.

    Raises
    ------
    ConfigurationError
        A name, a term or a folder that does not exist.
    """
    found = [_find(spec) for spec in specs]
    return {method.name: method for method in found}


def _find(spec: str) -> Method:
    if "=" in spec:
        return _imported(*spec.split("=", 1))
    bracketed = _ABLATION.fullmatch(spec)
    if bracketed is not None:
        return ablation(spec, bracketed["terms"])
    if spec not in METHODS:
        raise unknown_name("method", spec, [*METHODS, *(f"balora[-{term}]" for term in ABBREVIATIONS)])
    return METHODS[spec]


def _imported(name: str, path: str) -> Method:
    folder = Path(path).expanduser()
    if not _NAME.fullmatch(name) or name in METHODS:
        reason = "is a method's own name" if name in METHODS else "may have letters, digits, '.', '-' and '_' only"
        raise ConfigurationError(f"--models {name}={path}: the name {name!r} {reason}; choose another, as in mine={path}")
    if not (folder / "adapter_config.json").is_file():
        raise ConfigurationError(f"--models {name}={path}: there is no adapter_config.json in {folder}; give a PEFT adapter's folder")
    return Method(
        name=name,
        title=name,
        summary=f"trained elsewhere: {folder}",
        initialisation="trained elsewhere",
        tuning="imported",
        folder=folder,
    )
