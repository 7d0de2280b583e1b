"""LoRA: ``W + (α/r)·BA`` with B = 0 and A Kaiming-uniform (Hu et al. 2021, arXiv 2106.09685; METHODS §1)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import nn

from balora_audit.methods.low_rank import Factors, LowRank

__all__ = ["LORA", "kaiming_factors"]


def kaiming_factors(modules: Mapping[str, nn.Linear], rank: int, scaling: float, seed: int) -> Factors:
    """Return A ~ Kaiming-uniform (a = √5, as PEFT draws it) and B = 0 for every module, from one seeded generator."""
    del scaling
    generator = torch.Generator().manual_seed(seed)
    factors: Factors = {}
    for name, module in modules.items():
        a_RI = torch.empty(rank, module.in_features)
        nn.init.kaiming_uniform_(a_RI, a=math.sqrt(5), generator=generator)
        factors[name] = (a_RI, torch.zeros(module.out_features, rank))
    return factors


LORA = LowRank(
    name="lora",
    title="LoRA",
    summary="low-rank update, random A and zero B (arXiv 2106.09685)",
    initialisation="A Kaiming-uniform, B zero",
    initialise=kaiming_factors,
)
