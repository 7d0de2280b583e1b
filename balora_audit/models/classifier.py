"""The forward pass of a model with a classification or regression head: body → features, head → logits.

Shapes: B texts, T tokens, F features, C classes (1 for regression), L asked depths. Encoders and decoders alike: what enters the last
linear layer is taken for the features, at the last token of a text where the head runs on every token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from balora_audit.errors import ModelError
from balora_audit.models.forward import pick_depths

__all__ = ["ClassifierForward"]


class ClassifierForward:
    """Runs an ``AutoModelForSequenceClassification`` and hands out features and logits apart.

    The head is looked up by name at every pass: an adapter puts a trained copy in its place and takes it away again, so
    that the head follows the adapter (and the original head the switched-off adapter).
    """

    family = "nlu"

    def __init__(self, model: Any, outputs: int) -> None:
        self.model = model
        linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear) and module.out_features == outputs]
        if not linear:
            raise ModelError(f"{type(model).__name__} has no linear layer of {outputs} outputs: no head to train")
        self.head_name = linear[-1]
        self.outputs = outputs
        self.head.float()

    @property
    def head(self) -> nn.Linear:
        """The original head, whatever is in its place now."""
        module: Any = self.model.get_submodule(self.head_name)
        original: nn.Linear = getattr(module, "original_module", module)
        return original

    @torch.no_grad()
    def set_head(self, weight_CF: Tensor, bias_C: Tensor) -> None:
        """Set the original head; one without a bias of its own gets none, so its bias must be zero."""
        bias: Tensor | None = self.head.bias
        self.head.weight.copy_(weight_CF)
        if bias is not None:
            bias.copy_(bias_C)
        elif bool(bias_C.any()):
            raise ValueError("this head has no bias, and the given one is not zero")

    def features(self, ids_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """Return what enters the head, (B, F), in the model's number format."""
        return self._enter(ids_BT, mask_BT)[0]

    def features_and_depths(self, ids_BT: Tensor, mask_BT: Tensor, layers: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return what enters the head, (B, F), and the hidden states after the blocks `layers`, (B, L, D) float32.

        The states are those of the token that the head reads: the last one where the head runs on every token (a decoder),
        else the first one (an encoder). See `balora_audit.models.forward.pick_depths` for how depths are counted.
        """
        features_BF, output, read_B = self._enter(ids_BT, mask_BT, output_hidden_states=True)
        rows_B = torch.arange(len(read_B), device=read_B.device)
        depths = pick_depths(getattr(output, "hidden_states", None), layers)
        return features_BF, torch.stack([states_BTD[rows_B, read_B].float() for states_BTD in depths], dim=1)

    def _enter(self, ids_BT: Tensor, mask_BT: Tensor, **options: bool) -> tuple[Tensor, Any, Tensor]:
        """Run the model; return what enters the head (B, F), the whole output, and which token the head reads (B,)."""
        caught: list[Tensor] = []
        kept = self.head.weight.dtype  # a trained head is kept in float32, whatever the body computes in

        def catch(_: Any, arguments: tuple[Any, ...]) -> tuple[Tensor]:
            caught.append(arguments[0])
            return (arguments[0].to(kept),)

        handle = self.model.get_submodule(self.head_name).register_forward_pre_hook(catch)
        try:
            output = self.model(input_ids=ids_BT, attention_mask=mask_BT, **options)
        finally:
            handle.remove()
        entered = caught[0]
        if entered.ndim == 2:
            return entered, output, torch.zeros_like(mask_BT[:, 0])
        last_B = mask_BT.sum(dim=1) - 1
        return entered[torch.arange(len(entered), device=entered.device), last_B], output, last_B

    def logits(self, features_BF: Tensor) -> Tensor:
        """Return float32 logits (B, C) by the head that is in place now."""
        logits: Tensor = self.model.get_submodule(self.head_name)(features_BF.to(self.head.weight.dtype))
        return logits
