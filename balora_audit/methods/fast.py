"""A LoRA layer's forward and backward pass as one function, for training one adapter or several abreast.

PEFT's own layer runs base, A, B, scaling and sum as separate steps that each keep their inputs. Here the input is kept
once, in its own number format, the sum is one product that accumulates, and a frozen branch costs no gradient of its own.
The value is PEFT's (tested); saved adapters are PEFT's anyway.

Shapes: N tokens, I in, O out, R stored rank, r trained rank, K adapters abreast.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["abreast_forward", "adapted_forward"]


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


def abreast_forward(
    layer: Any, live: Callable[[], Sequence[tuple[nn.Parameter, nn.Parameter]]], frozen: tuple[Tensor, Tensor] | None, scaling: float
) -> Callable[..., Tensor]:
    """Return the forward of K adapters in one layer: the first K-th of the rows passes through the first pair that `live` gives, and so on.

    All share the base's weight and, if there is one, the frozen branch.
    """

    def forward(x: Tensor, *_: Any, **__: Any) -> Tensor:
        base = layer.base_layer
        if layer.disable_adapters:
            plain: Tensor = base(x)
            return plain
        sides_A, sides_B = zip(*live(), strict=True)
        found: Tensor = _Abreast.apply(x, base.weight, base.bias, frozen, scaling, *sides_A, *sides_B)  # type: ignore[no-untyped-call]
        return found

    return forward


class _Abreast(torch.autograd.Function):
    """`_Adapted` for K adapters; N tokens are those of one of them."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight_OI: Tensor, bias_O: Tensor | None, frozen: tuple[Tensor, Tensor] | None, scaling: float, *live: Tensor
    ) -> Tensor:
        count, rank = len(live) // 2, len(live[0])
        a_KRI = torch.stack([a if frozen is None else torch.cat([a, frozen[0]]) for a in live[:count]])
        b_KOR = torch.stack([b if frozen is None else torch.cat([b, frozen[1]], dim=1) for b in live[count:]])
        y = functional.linear(x, weight_OI, bias_O)
        y_KNO = y.view(count, -1, y.shape[-1])
        reduced_KNR = torch.bmm(x.reshape(count, -1, x.shape[-1]).to(a_KRI.dtype), a_KRI.mT)
        if y.dtype == b_KOR.dtype:
            y_KNO.baddbmm_(reduced_KNR, b_KOR.mT, alpha=scaling)
        else:
            y = y_KNO.to(b_KOR.dtype).baddbmm_(reduced_KNR, b_KOR.mT, alpha=scaling).to(y.dtype).view(y.shape)
        ctx.save_for_backward(x, weight_OI, a_KRI, b_KOR, reduced_KNR[..., :rank].contiguous())
        ctx.scaling, ctx.rank = scaling, rank
        return y

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor | None, ...]:
        x, weight_OI, a_KRI, b_KOR, reduced_KNr = ctx.saved_tensors
        count, gradient = len(a_KRI), outputs[0]
        exact_KNO = gradient.reshape(count, -1, gradient.shape[-1]).to(b_KOR.dtype)
        back_KNR = torch.bmm(exact_KNO, b_KOR).mul_(ctx.scaling)
        gradient_KOr = torch.bmm(exact_KNO.mT, reduced_KNr).mul_(ctx.scaling)
        gradient_KrI = torch.bmm(back_KNR[..., : ctx.rank].mT, x.reshape(count, -1, x.shape[-1]).to(a_KRI.dtype))
        gradient_x = None
        if ctx.needs_input_grad[0]:
            through = gradient @ weight_OI
            through_KNI = through.view(count, -1, through.shape[-1])
            if through.dtype == a_KRI.dtype:
                through_KNI.baddbmm_(back_KNR, a_KRI)
            else:
                through = through_KNI.to(a_KRI.dtype).baddbmm_(back_KNR, a_KRI).to(through.dtype)
            gradient_x = through.view(x.shape)
        return gradient_x, None, None, None, None, *gradient_KrI.unbind(), *gradient_KOr.unbind()
