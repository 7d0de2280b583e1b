"""LoRA: ``W + (α/r)·BA`` with B = 0 and A Kaiming-uniform (Hu et al. 2021, arXiv 2106.09685; METHODS §1)."""

from __future__ import annotations

import math

import torch
from torch import nn

from balora_audit.config import AdapterConfig
from balora_audit.methods.method import Factors, Method

__all__ = ["LORA", "kaiming_factors"]


def kaiming_factors(modules: dict[str, nn.Linear], settings: AdapterConfig, seed: int) -> Factors:
    """Return A ~ Kaiming-uniform (a = √5, as PEFT draws it) and B = 0 for every module, from one seeded generator."""
    generator = torch.Generator().manual_seed(seed)
    factors: Factors = {}
    for name, module in modules.items():
        a_RI = torch.empty(settings.rank, module.in_features)
        nn.init.kaiming_uniform_(a_RI, a=math.sqrt(5), generator=generator)
        factors[name] = (a_RI, torch.zeros(module.out_features, settings.rank))
    return factors


LORA = Method(
    name="lora",
    title="LoRA",
    summary="low-rank update, random A and zero B (arXiv 2106.09685)",
    initialisation="A Kaiming-uniform, B zero",
    initialise=kaiming_factors,
)
