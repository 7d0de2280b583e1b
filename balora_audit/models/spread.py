"""Weights that are spread over several processes (FSDP)."""

from __future__ import annotations

from typing import Any

from torch import Tensor

__all__ = ["whole"]


def whole(tensor: Tensor) -> Tensor:
    """Return all of a tensor, also of one that is spread over processes; these must then all ask for it."""
    gathered: Any = getattr(tensor, "full_tensor", None)
    found: Tensor = tensor if gathered is None else gathered()
    return found
