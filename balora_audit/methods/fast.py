"""A LoRA layer's forward and backward pass as one function, for training.

PEFT's own layer runs base, A, B, scaling and sum as separate steps that each keep their inputs. Here the input is kept
once, in its own number format, the sum is one product that accumulates, and a frozen branch costs no gradient of its own.
The value is PEFT's (tested); saved adapters are PEFT's anyway.

Shapes: N tokens, I in, O out, R stored rank, r trained rank.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["adapted_forward"]


def adapted_forward(
    layer: Any, live_a: nn.Parameter, live_b: nn.Parameter, frozen: tuple[Tensor, Tensor] | None, scaling: float
) -> Callable[..., Tensor]:
    """Return a forward for a PEFT LoRA layer: ``x·Wᵀ + bias + s·(x·Aᵀ)·Bᵀ``, with ``[A; A₀]`` and ``[B, B₀]`` if `frozen`."""

    def forward(x: Tensor, *_: Any, **__: Any) -> Tensor:
        base = layer.base_layer
        if layer.disable_adapters:
            plain: Tensor = base(x)
            return plain
        found: Tensor = _Adapted.apply(x, base.weight, base.bias, live_a, live_b, frozen, scaling)  # type: ignore[no-untyped-call]
        return found

    return forward


class _Adapted(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight_OI: Tensor,
        bias_O: Tensor | None,
        a_rI: Tensor,
        b_Or: Tensor,
        frozen: tuple[Tensor, Tensor] | None,
        scaling: float,
    ) -> Tensor:
        a_RI = a_rI if frozen is None else torch.cat([a_rI, frozen[0]])
        b_OR = b_Or if frozen is None else torch.cat([b_Or, frozen[1]], dim=1)
        y = functional.linear(x, weight_OI, bias_O)
        flat_NO = y.view(-1, y.shape[-1])
        reduced_NR = x.reshape(-1, x.shape[-1]).to(a_RI.dtype) @ a_RI.T
        if flat_NO.dtype == b_OR.dtype:
            flat_NO.addmm_(reduced_NR, b_OR.T, alpha=scaling)
        else:
            y = flat_NO.to(b_OR.dtype).addmm_(reduced_NR, b_OR.T, alpha=scaling).to(y.dtype).view(y.shape)
        ctx.save_for_backward(x, weight_OI, a_RI, b_OR, reduced_NR[:, : len(a_rI)].contiguous())
        ctx.scaling, ctx.rank = scaling, len(a_rI)
        return y

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor | None, ...]:
        x, weight_OI, a_RI, b_OR, reduced_Nr = ctx.saved_tensors
        gradient = outputs[0]
        flat_NO = gradient.reshape(-1, gradient.shape[-1])
        exact_NO = flat_NO.to(b_OR.dtype)
        back_NR = (exact_NO @ b_OR).mul_(ctx.scaling)
        gradient_b = (exact_NO.T @ reduced_Nr).mul_(ctx.scaling) if ctx.needs_input_grad[4] else None
        gradient_a = None
        if ctx.needs_input_grad[3]:
            gradient_a = back_NR[:, : ctx.rank].T @ x.reshape(-1, x.shape[-1]).to(a_RI.dtype)
        gradient_x = None
        if ctx.needs_input_grad[0]:
            through = flat_NO @ weight_OI
            if through.dtype == a_RI.dtype:
                through.addmm_(back_NR, a_RI)
            else:
                through = through.to(a_RI.dtype).addmm_(back_NR, a_RI).to(through.dtype)
            gradient_x = through.view(x.shape)
        return gradient_x, None, None, gradient_a, gradient_b, None, None
