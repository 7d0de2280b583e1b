"""Further low-rank adapters, as peers to compare with (METHODS §1): one line each where PEFT already has the variant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import nn

from balora_audit.methods.lora import LORA
from balora_audit.methods.low_rank import Factors, LowRank
from balora_audit.models.spread import whole

__all__ = ["DORA", "OLORA", "RSLORA", "orthonormal_factors"]


def orthonormal_factors(modules: Mapping[str, nn.Linear], rank: int, scaling: float, seed: int) -> Factors:
    """Return OLoRA's start (Büyükakyüz 2024, arXiv 2406.01775): ``W = QR``, B the first r columns of Q, A the first r rows of R."""
    del scaling, seed
    factors: Factors = {}
    for name, module in modules.items():
        q, r = torch.linalg.qr(whole(module.weight.detach()).to("cpu", torch.float32))
        factors[name] = (r[:rank].clone(), q[:, :rank].clone())
    return factors


RSLORA = replace(
    LORA, name="rslora", title="rsLoRA", summary="LoRA scaled by α/√r (Kalajdzievski 2023, arXiv 2312.03732)", peft={"use_rslora": True}
)
DORA = replace(
    LORA,
    name="dora",
    title="DoRA",
    summary="LoRA on the direction, a trained vector for the magnitude (Liu et al. 2024, arXiv 2402.09353)",
    peft={"use_dora": True},
)
OLORA = LowRank(
    name="olora",
    title="OLoRA",
    summary="A and B start at the QR decomposition of W (arXiv 2406.01775)",
    initialisation="first r columns of Q and rows of R, W = QR",
    initialise=orthonormal_factors,
    seeded=False,
    anchored=True,
)
