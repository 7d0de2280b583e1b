"""What a method did to the weights: spectra of ΔW and intruder dimensions, module by module (METHODS §6)."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from balora_audit.metrics.weights import dense_likeness, likeness, low_rank_singular_values
from balora_audit.models.decompositions import Decompositions
from balora_audit.models.placed import WeightChange
from balora_audit.scoring.reader import Reader
from balora_audit.scoring.request import ScoreRequest
from balora_audit.scoring.scores import ScoreKind, Scores

__all__ = ["WEIGHTS", "WeightScores"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightScores(Scores):
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


def _score(request: ScoreRequest, reader: Reader) -> WeightScores:
    """Analyse what is in place.

    The settings are ``modules``, how many modules, evenly spaced over the model, are examined for intruder dimensions, and
    ``vectors``, how many leading singular vectors are examined in each.
    """
    settings = dict(request.settings)
    changes = list(reader.placed.changes())
    sigma = [_singular_values(change) for change in changes]
    width = max((len(values) for values in sigma), default=0)
    count = min(int(settings["modules"]), len(changes))
    examined = np.unique(np.linspace(0, max(0, len(changes) - 1), count).round().astype(np.int64))
    found = [_likeness(changes[index], reader.base.decompositions, int(settings["vectors"])) for index in examined]
    shown = min((len(values) for values in found), default=0)
    reader.advance(1)
    return WeightScores(
        modules=np.frombuffer(json.dumps([change.name for change in changes]).encode(), dtype=np.uint8),
        norm=np.array([float(change.weight.double().norm()) for change in changes]),
        change_norm=np.array([float(np.sqrt((values**2).sum())) for values in sigma]),
        change_sigma=np.array([np.pad(values, (0, width - len(values))) for values in sigma]).reshape(len(sigma), width),
        examined=examined,
        likeness=np.array([values[:shown] for values in found]).reshape(len(examined), shown),
    )


def _likeness(change: WeightChange, decompositions: Decompositions, vectors: int) -> Array:
    u, sigma, vt = decompositions.of(change.name, lambda: _numpy(change.weight))
    k = min(vectors, len(sigma))
    if change.factors is None:
        assert change.changed is not None
        return dense_likeness(u, _numpy(change.changed), k=k)
    b, a = (_numpy(factor) for factor in change.factors)
    return likeness(u, sigma, vt, b, a, k=k)


def _singular_values(change: WeightChange) -> Array:
    if change.factors is not None:
        b, a = (_numpy(factor) for factor in change.factors)
        return low_rank_singular_values(b, a)
    assert change.changed is not None
    return np.asarray(np.linalg.svd(_numpy(change.changed) - _numpy(change.weight), compute_uv=False))


def _numpy(value: Tensor) -> Array:
    return np.asarray(value.detach().double().cpu().numpy())


WEIGHTS = ScoreKind(scores=WeightScores, score=_score)
