"""Head and loss in one pass over chunks of positions: no M×V matrix is ever kept. M valid positions, D hidden, V vocabulary.

The gradient with respect to the hidden states is worked out beside the value, so that the backward pass is one product with
a number. The singular values of the M×V logits ``Z = H·Wᵀ`` are those of the M×D matrix ``H·L`` with ``L·Lᵀ = WᵀW``, exactly:
that term never sees the vocabulary (METHODS §2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from balora_audit.penalties import Penalties, Weights, active
from balora_audit.penalties.chunk import Chunk, ChunkTerm
from balora_audit.training.loss import Loss
from balora_audit.training.process_group import ProcessGroup

__all__ = ["Head", "can_fuse", "fused_loss"]

_CHUNK_BYTES = 32 * 2**20


class Head:
    """A frozen linear head: ``Z = H·Wᵀ + b``, with what a term on the singular values of its logits needs."""

    def __init__(self, weight_VD: Tensor, bias_V: Tensor | None) -> None:
        self.weight_VD = weight_VD.detach()
        self.bias_V = None if bias_V is None else bias_V.detach()

    def logits(self, states_MD: Tensor) -> Tensor:
        """Return float32 logits (M, V)."""
        return functional.linear(states_MD, self.weight_VD, self.bias_V).float()

    @cached_property
    def factor(self) -> Tensor:
        """L with ``L·Lᵀ = WᵀW`` (float32; one row and column more where there is a bias), from a float64 Gram matrix."""
        weight = self.weight_VD
        size = weight.shape[1] + (self.bias_V is not None)
        gram = torch.zeros(size, size, dtype=torch.float64, device=weight.device)
        rows = max(1, _CHUNK_BYTES // (8 * size))
        for start in range(0, weight.shape[0], rows):
            part = weight[start : start + rows].double()
            if self.bias_V is not None:
                part = torch.cat([part, self.bias_V[start : start + rows, None].double()], dim=1)
            gram += part.T @ part
        factor, failed = torch.linalg.cholesky_ex(gram)
        if int(failed):  # a head of deficient rank
            values, vectors = torch.linalg.eigh(gram)
            factor = vectors * values.clamp_min(0).sqrt()
        single: Tensor = factor.float()
        return single

    def reduced(self, states_MD: Tensor) -> Tensor:
        """Return an M×D matrix with the singular values of the logits; differentiable."""
        states = states_MD.float()
        if self.bias_V is not None:
            states = torch.cat([states, states.new_ones(len(states), 1)], dim=1)
        return states @ self.factor


def can_fuse(penalties: Penalties | None) -> bool:
    """Whether every active penalty, in its configured shape, has a part in the fused pass."""
    return penalties is None or all(penalty.fuses(penalties) for penalty in active(penalties.weights).values())


def fused_loss(
    states_MD: Tensor,
    head: Head,
    targets_M: Tensor,
    *,
    teacher_MD: Tensor | None,
    penalties: Penalties | None,
    weights: Weights,
    count: int | None = None,
    share: float = 1.0,
    process_group: ProcessGroup = ProcessGroup(),  # noqa: B008 - frozen
    has_rows: bool = True,
) -> Loss:
    """Return what `balora_audit.training.loss.assemble` returns for the logits of these states, without the logits.

    Parameters
    ----------
    states_MD : Tensor
        Final hidden states of the student at this process's valid positions.
    teacher_MD : Tensor, optional
        Those of the frozen teacher under the same head; needed when a penalty of positive weight compares with it.
    penalties : Penalties, optional
        For which `can_fuse` holds.
    weights : mapping
        λ by penalty at this step; a term of weight 0 is neither computed nor logged.
    count : int, optional
        Divide the sums over positions by this (all positions of a step); default M.
    share : float
        This batch's share of the step's positions: the weight of a term on its singular values.
    process_group : ProcessGroup
        Singular values are those of all processes' positions; such a term is logged in parts that add up to it.
    has_rows : bool
        False for a process without rows of its own, whose states stand in for none and count for nothing.
    """
    used = active(weights) if penalties is not None else {}
    makers = {name: maker for name, penalty in used.items() if (maker := penalty.chunk_term(penalties)) is not None}
    spectra = {name: value for name, penalty in used.items() if (value := penalty.spectral_value(penalties)) is not None}
    settings = _PassSettings(head=head, makers=makers, weights=weights, count=count or len(targets_M))
    total, sums = _FusedHead.apply(states_MD, targets_M, teacher_MD, settings)  # type: ignore[no-untyped-call]
    if not has_rows:
        total, sums = total * 0.0, sums * 0.0
    terms = dict(zip(("task", *makers), sums, strict=True))
    if spectra:
        own_MD = states_MD if has_rows else states_MD[:0]
        all_MD = process_group.gather_rows(own_MD)
        reduced_MD = head.reduced(all_MD)
        for name, value in spectra.items():
            term = value(reduced_MD, head.weight_VD.shape[0])
            total = total + weights[name] * share * term
            terms[name] = term * share * (len(own_MD) / len(all_MD))
    return Loss(total=total, terms={name: terms[name] for name in ("task", *used)})


@dataclass(frozen=True, slots=True, kw_only=True)
class _PassSettings:
    """What a pass through the head needs beside its tensors."""

    head: Head
    makers: Mapping[str, Callable[[float], ChunkTerm]]
    weights: Weights
    count: int


class _FusedHead(torch.autograd.Function):
    """Cross-entropy plus the weighted penalties that are means over positions, each a sum over positions divided by `count`."""

    @staticmethod
    def forward(
        ctx: Any, states_MD: Tensor, targets_M: Tensor, teacher_MD: Tensor | None, settings: _PassSettings
    ) -> tuple[Tensor, Tensor]:
        gradient_MD = torch.empty_like(states_MD)
        sums = torch.zeros(1 + len(settings.makers), dtype=torch.float64, device=states_MD.device)
        rows = max(1, _CHUNK_BYTES // (4 * settings.head.weight_VD.shape[0]))
        for start in range(0, len(states_MD), rows):
            part = slice(start, start + rows)
            teacher = None if teacher_MD is None else teacher_MD[part]
            gradient_MD[part] = _chunk(states_MD[part], targets_M[part], teacher, settings, sums)
        sums = sums / settings.count
        ctx.save_for_backward(gradient_MD)
        weights = torch.tensor([1.0, *(settings.weights[name] for name in settings.makers)], dtype=torch.float64, device=sums.device)
        logged = sums.float()
        ctx.mark_non_differentiable(logged)
        return (sums * weights).sum().float(), logged

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor, None, None, None]:
        gradient_MD: Tensor = ctx.saved_tensors[0]
        return gradient_MD * outputs[0].to(gradient_MD.dtype), None, None, None


def _chunk(states_MD: Tensor, targets_M: Tensor, teacher_MD: Tensor | None, settings: _PassSettings, sums: Tensor) -> Tensor:
    """Add a chunk's terms to `sums` and return its gradient with respect to the states; works in place on few buffers."""
    head = settings.head
    terms = [make(settings.weights[name]) for name, make in settings.makers.items()]
    logits_MV = head.logits(states_MD)
    peak_M1 = logits_MV.amax(dim=1, keepdim=True)
    picked_M1 = logits_MV.gather(1, targets_M[:, None])
    for term in terms:
        term.begin(logits_MV)
    teacher_logits = None if teacher_MD is None else partial(head.logits, teacher_MD)
    chunk = Chunk(logits_MV.sub_(peak_M1), {term.temperature for term in terms}, teacher_logits)
    sums[0] += (chunk.log_mass_M1 + peak_M1 - picked_M1).double().sum()
    for index, term in enumerate(terms, start=1):
        sums[index] += term.value(chunk)
    gradient_MV = chunk.gradient_MV
    if multiple := sum(term.softmax_multiple for term in terms):
        gradient_MV.mul_(1 + multiple)
    for term in terms:
        term.add_gradient(chunk)
    gradient_MV.scatter_add_(1, targets_M[:, None], gradient_MV.new_full((len(targets_M), 1), -1.0))
    gradient_MV.div_(settings.count)
    return gradient_MV.to(head.weight_VD.dtype) @ head.weight_VD
