"""PiSSA: A and B start at the principal part of W (Meng et al. 2024, arXiv 2404.02948; METHODS §1).

PEFT's own PiSSA overwrites W with the residual. Here W stays what it is and the update is written as a difference,
``ΔW = s·(BA − B₀A₀)`` (see `balora_audit.methods.low_rank.LowRank`), which is the same function: ``W_res + s·BA = W + ΔW``.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import scipy.linalg
import torch
from torch import nn

from balora_audit.methods.low_rank import Factors, LowRank
from balora_audit.models.spread import whole

__all__ = ["PISSA", "principal_factors"]


def principal_factors(modules: Mapping[str, nn.Linear], rank: int, scaling: float, seed: int) -> Factors:
    """Return ``A = √(S/s) Vᵀ`` and ``B = U √(S/s)`` of the top-r singular triplets, s = α/r the scaling; `seed` is not needed.

    The triplets come from the eigenvectors of the smaller Gram matrix in float64, of which only the top r are computed:
    an order of magnitude cheaper than a full SVD. Squaring costs accuracy only for singular values below about 1e-8 of the
    largest, and the principal part is the other end of the spectrum.
    """
    del seed
    return {name: _principal(module, rank, scaling) for name, module in modules.items()}


def _principal(module: nn.Linear, rank: int, scaling: float) -> tuple[torch.Tensor, torch.Tensor]:
    w_OI = whole(module.weight.detach()).to("cpu", torch.float64).numpy()
    small = min(w_OI.shape)
    wide = w_OI.shape[0] < w_OI.shape[1]
    gram = w_OI @ w_OI.T if wide else w_OI.T @ w_OI
    eigenvalues, vectors = scipy.linalg.eigh(gram, subset_by_index=[small - rank, small - 1])
    sigma = np.sqrt(np.maximum(eigenvalues[::-1], 0.0))
    vectors = vectors[:, ::-1]
    safe = np.where(sigma > 0, sigma, 1.0)
    u_OR = vectors if wide else (w_OI @ vectors) / safe
    vt_RI = (vectors.T @ w_OI) / safe[:, None] if wide else vectors.T
    root = np.sqrt(sigma / scaling)
    a_RI = torch.from_numpy(root[:, None] * vt_RI).to(torch.float32)
    b_OR = torch.from_numpy(u_OR * root).to(torch.float32)
    return a_RI, b_OR


PISSA = LowRank(
    name="pissa",
    title="PiSSA",
    summary="A and B start at the principal singular triplets of W (arXiv 2404.02948)",
    initialisation="principal singular triplets of W",
    initialise=principal_factors,
    seeded=False,
    anchored=True,
)
