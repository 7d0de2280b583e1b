"""Turning what callers have (numpy arrays, torch tensors, sequences) into checked numpy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Float", "Int", "labels", "matrix", "numpy_of", "of_one_length"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]


def numpy_of(value: Any) -> NDArray[Any]:
    """Return an array of what is given, torch tensors included."""
    if hasattr(value, "detach"):  # a torch tensor, recognised without importing torch; NumPy has no bfloat16
        value = value.detach().double().cpu().numpy() if value.is_floating_point() else value.detach().cpu().numpy()
    return np.asarray(value)


def matrix(x: Any, *, center: bool, name: str = "x") -> Float:
    """Return an (N, D) float64 matrix, centred by column if asked; raises `ValueError` when it is none or not finite."""
    found = np.asarray(numpy_of(x), dtype=np.float64)
    if found.ndim != 2 or 0 in found.shape:
        raise ValueError(f"{name} must be a non-empty (items, dimensions) matrix, got shape {found.shape}")
    if not np.isfinite(found).all():
        raise ValueError(f"{name} has values that are not finite; exclude those items first")
    return found - found.mean(axis=0) if center else found


def labels(values: Any, *, name: str) -> Int:
    """Return a one-dimensional array of class indices; raises `ValueError` otherwise."""
    found = numpy_of(values)
    if found.ndim != 1 or len(found) == 0:
        raise ValueError(f"{name} must be a non-empty one-dimensional array, got shape {found.shape}")
    if not np.issubdtype(found.dtype, np.integer) and not np.issubdtype(found.dtype, np.bool_):
        raise ValueError(f"{name} must hold integer labels, got {found.dtype}")
    return found.astype(np.int64)


def of_one_length(**arrays: NDArray[Any]) -> None:
    """Raise `ValueError` unless all the arrays have as many items."""
    sizes = {name: len(values) for name, values in arrays.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"need one value per item: {', '.join(f'{name} has {size}' for name, size in sizes.items())}")
