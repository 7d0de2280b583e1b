"""Audits fine-tuned language models: what they inherited or amplified, and which method did it least."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from balora_audit.interface.api import Audit, compare, load

__all__ = ["Audit", "compare", "load"]


def __getattr__(name: str) -> Any:
    """Load the Python interface on first use, so that ``--help`` and the metrics need no torch."""
    if name in __all__:
        from balora_audit.interface import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
