"""What training did to the weights: spectra of ΔW and intruder dimensions, module by module (METHODS §6)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from balora_audit.metrics import dense_likeness, likeness, low_rank_singular_values
from balora_audit.models.load import LoadedModel
from balora_audit.models.spread import whole

__all__ = ["WeightAnalysis", "WeightScores"]

Array = NDArray[np.float64]

_ADAPTER = "default"
_KEPT_BYTES = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightScores:
    """The changed modules of one model: M of them, E of which were examined for intruder dimensions.

    ``modules`` holds their names as JSON in bytes; ``norm`` and ``change_norm`` (M,) are Frobenius norms of W and ΔW;
    ``change_sigma`` (M, R) the singular values of ΔW, largest first, zeros behind; ``examined`` (E,) indices into the modules;
    ``likeness`` (E, k) the largest cosine of each leading left singular vector of W + ΔW with any of W.
    """

    modules: NDArray[np.uint8]
    norm: NDArray[np.float64]
    change_norm: NDArray[np.float64]
    change_sigma: NDArray[np.float64]
    examined: NDArray[np.int64]
    likeness: NDArray[np.float64]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the modules, in the model's order."""
        return tuple(json.loads(self.modules.tobytes().decode("utf-8")))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """One module: W, and ΔW as factors (s·B, A) or, where no factors tell all, as W + ΔW."""

    name: str
    weight: Tensor
    factors: tuple[Tensor, Tensor] | None = None
    changed: Tensor | None = None


class WeightAnalysis:
    """Analyses what is in place on the base; decompositions of the base's own weights are kept for the next adapter.

    Parameters
    ----------
    modules : int
        How many modules, evenly spaced over the model, are examined for intruder dimensions.
    vectors : int
        How many leading singular vectors are examined in each.
    """

    def __init__(self, *, modules: int, vectors: int) -> None:
        self._modules, self._vectors = modules, vectors
        self._kept: dict[str, tuple[Array, Array, Array]] = {}

    def analyse(self, base: LoadedModel, off: Callable[[], AbstractContextManager[object]], *, full: bool) -> WeightScores:
        """Return the spectra of all changed linear modules and the likenesses of some; `off` switches the change off."""
        changes = list(_full(base, off) if full else _adapted(base.model))
        sigma = [_singular_values(change) for change in changes]
        width = max((len(values) for values in sigma), default=0)
        count = min(self._modules, len(changes))
        examined = np.unique(np.linspace(0, max(0, len(changes) - 1), count).round().astype(np.int64))
        likeness = [self._likeness(changes[index]) for index in examined]
        shown = min((len(values) for values in likeness), default=0)
        return WeightScores(
            modules=np.frombuffer(json.dumps([change.name for change in changes]).encode(), dtype=np.uint8),
            norm=np.array([float(change.weight.double().norm()) for change in changes]),
            change_norm=np.array([float(np.sqrt((values**2).sum())) for values in sigma]),
            change_sigma=np.array([np.pad(values, (0, width - len(values))) for values in sigma]).reshape(len(sigma), width),
            examined=examined,
            likeness=np.array([values[:shown] for values in likeness]).reshape(len(examined), shown),
        )

    def _likeness(self, change: _Change) -> Array:
        u, sigma, vt = self._decomposed(change)
        vectors = min(self._vectors, len(sigma))
        if change.factors is None:
            assert change.changed is not None
            return dense_likeness(u, _numpy(change.changed), k=vectors)
        b, a = (_numpy(factor) for factor in change.factors)
        return likeness(u, sigma, vt, b, a, k=vectors)

    def _decomposed(self, change: _Change) -> tuple[Array, Array, Array]:
        if change.name not in self._kept:
            found = np.linalg.svd(_numpy(change.weight), full_matrices=False)
            if sum(part.nbytes for kept in self._kept.values() for part in kept) > _KEPT_BYTES:
                self._kept.clear()
            self._kept[change.name] = (found.U, found.S, found.Vh)
        return self._kept[change.name]


def _singular_values(change: _Change) -> Array:
    if change.factors is not None:
        b, a = (_numpy(factor) for factor in change.factors)
        return low_rank_singular_values(b, a)
    assert change.changed is not None
    return np.asarray(np.linalg.svd(_numpy(change.changed) - _numpy(change.weight), compute_uv=False))


def _numpy(value: Tensor) -> Array:
    return np.asarray(value.detach().double().cpu().numpy())


def _adapted(model: nn.Module) -> Iterator[_Change]:
    for name, layer in model.named_modules():
        if _ADAPTER not in getattr(layer, "lora_A", {}):
            continue
        adapted: Any = layer
        weight: Tensor = whole(adapted.base_layer.weight.detach()).float()
        b_OR, a_RI = (whole(side[_ADAPTER].weight.detach()).float() for side in (adapted.lora_B, adapted.lora_A))
        if weight.shape != (len(b_OR), a_RI.shape[1]):
            weight = weight.T  # GPT-2 keeps its matrices transposed
        scaled_OR = adapted.scaling[_ADAPTER] * b_OR
        if _ADAPTER in getattr(adapted, "lora_magnitude_vector", {}):  # DoRA rescales whole rows of W + ΔW
            moved = weight + scaled_OR @ a_RI
            magnitude_O = adapted.lora_magnitude_vector[_ADAPTER].weight.detach().float()
            yield _Change(name=name, weight=weight, changed=moved * (magnitude_O / moved.norm(dim=1))[:, None])
        else:
            yield _Change(name=name, weight=weight, factors=(scaled_OR, a_RI))


@torch.no_grad()
def _full(base: LoadedModel, off: Callable[[], AbstractContextManager[object]]) -> Sequence[_Change]:
    linear = {name: m for name, m in base.model.named_modules() if isinstance(m, nn.Linear) and m is not base.head}
    moved = {name: whole(module.weight.detach()).float().clone() for name, module in linear.items()}
    with off():
        return [_Change(name=n, weight=whole(m.weight.detach()).float().clone(), changed=moved[n]) for n, m in linear.items()]
