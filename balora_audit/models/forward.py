"""The forward pass of a causal LM in two parts: body → hidden states, head → logits, only where they are read.

Shapes: B batch, T token, M read position, D hidden size, V vocabulary, L asked depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from balora_audit.errors import ModelError

__all__ = ["CausalForward", "Pass", "pick_depths"]

_TOLERANCE = 1e-3


@dataclass(slots=True, kw_only=True)
class Pass:
    """What one forward pass gave: hidden states (B, T, D), full logits only where the head cannot run apart, the cache.

    ``depths`` are the hidden states (B, T, D) at the depths that were asked for, in that order.
    """

    states_BTD: Tensor
    logits_BTV: Tensor | None
    cache: Any
    depths: tuple[Tensor, ...] = ()

    def depths_at(self, read_BT: Tensor) -> Tensor:
        """Return the states at the asked depths where `read_BT` is true, (M, L, D) float32."""
        return torch.stack([states_BTD[read_BT].float() for states_BTD in self.depths], dim=1)


def pick_depths(states: Sequence[Tensor] | None, layers: Sequence[int]) -> tuple[Tensor, ...]:
    """Return the hidden states at the asked depths: 0 is the embeddings, n what the n-th block gives.

    As in transformers, the last depth lies behind the final norm in models that have one there.

    Raises
    ------
    ModelError
        The model has no such depth, or does not show its hidden states.
    """
    if not layers:
        return ()
    if not states:
        raise ModelError("this model does not show the states between its blocks; leave the per-layer features out")
    wrong = [layer for layer in layers if not 0 <= layer < len(states)]
    if wrong:
        raise ModelError(f"there is no layer {wrong[0]}: this model has 0 (embeddings) to {len(states) - 1}")
    return tuple(states[layer] for layer in layers)


class CausalForward:
    """Runs the body of a causal LM and applies its head at chosen positions.

    Some architectures change the logits after the head (soft-capping, scaling). Construction compares the head's output
    with the model's own logits on a few tokens; where they differ, :attr:`selective` is False and the whole model runs,
    with the positions selected afterwards: slower, and right.
    """

    family = "nlg"

    def __init__(self, model: Any) -> None:
        self.model = model
        self.head: Any = self.model.get_output_embeddings()
        if self.head is None:
            raise ModelError(f"{type(model).__name__} has no language-model head; only causal language models are supported")
        self.body: Any = getattr(self.model, str(self.model.base_model_prefix), None)
        self.selective = self.body is not None and self._head_is_all()

    @torch.no_grad()
    def _head_is_all(self) -> bool:
        weight = self.head.weight
        ids_BT = torch.arange(1, 9, device=weight.device).remainder(weight.shape[0])[None, :]
        own = self.model(input_ids=ids_BT, use_cache=False).logits.float()
        try:
            ours = self.head(self.body(input_ids=ids_BT, use_cache=False).last_hidden_state).float()
        except (TypeError, AttributeError, RuntimeError):
            return False
        return own.shape == ours.shape and bool((own - ours).abs().max() <= _TOLERANCE * own.abs().max())

    @property
    def linear_head(self) -> nn.Linear | None:
        """The head where it can run apart and is one matrix product; None where only the whole model gives its logits."""
        return self.head if self.selective and type(self.head) is nn.Linear else None

    def run(
        self,
        ids_BT: Tensor,
        mask_BS: Tensor,
        *,
        positions_BT: Tensor | None = None,
        past: Any = None,
        keep_cache: bool = False,
        layers: Sequence[int] = (),
    ) -> Pass:
        """Run tokens (B, T) under an attention mask over past and present tokens (B, S ≥ T).

        The hidden states after the blocks `layers` are kept only when asked for; see `pick_depths`.
        """
        arguments = {
            "input_ids": ids_BT,
            "attention_mask": mask_BS,
            "position_ids": positions_BT,
            "past_key_values": past,
            "use_cache": keep_cache,
        }
        if self.selective:
            if layers:
                arguments["output_hidden_states"] = True
            output = self.body(**arguments)
            states_BTD, logits_BTV = output.last_hidden_state, None
        else:
            output = self.model(**arguments, output_hidden_states=True)
            states_BTD, logits_BTV = output.hidden_states[-1], output.logits
        depths = pick_depths(output.hidden_states, layers) if layers else ()
        return Pass(states_BTD=states_BTD, logits_BTV=logits_BTV, cache=output.past_key_values, depths=depths)

    def logits(self, done: Pass, read_BT: Tensor) -> Tensor:
        """Return float32 logits (M, V) at the positions where `read_BT` is true, row by row."""
        if done.logits_BTV is not None:
            return done.logits_BTV[read_BT].float()
        return self.logits_of(done.states_BTD[read_BT])

    def logits_of(self, states_MD: Tensor) -> Tensor:
        """Return float32 logits (M, V) of hidden states (M, D); exact only where :attr:`selective` holds."""
        # looked up anew: an adapter from elsewhere may have wrapped the head
        logits: Tensor = self.model.get_output_embeddings()(states_MD).float()
        return logits
