"""BA-LoRA's regularizers as settings: every weight and shape, and the published presets (METHODS §2)."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["REGULARIZERS", "Family", "Frozen", "Penalties", "RegularizerPreset"]

RegularizerPreset = Literal["iclr2026", "paper-v1"]


class Frozen(BaseModel):
    """Settings that cannot be changed once made, and that know every name in them."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Family = Literal["nlg", "nlu"]
"""Language modelling (the answer is text), or a classification or regression head."""


class Penalties(Frozen):
    """BA-LoRA's three output-space penalties (METHODS §2); a weight of 0 switches a term off."""

    consistency: float = Field(ge=0, description="λ₁, weight of the consistency term")
    diversity: float = Field(ge=0, description="λ₂, weight of the diversity term")
    spectral: float = Field(ge=0, description="λ₃, weight of the singular-value term")
    temperature: float = Field(default=1.0, gt=0, description="T of the consistency term")
    top_k: int | None = Field(default=None, ge=2, description="K candidates of the entropy, None for all")
    k: int = Field(ge=1, description="leading singular values of the singular-value term")
    norm: Literal["nuclear", "fro"] = Field(default="nuclear", description="norm that the leading singular values are compared with")
    schedule: Literal["constant", "staged"] = Field(default="constant", description="course of the weights over the steps")
    consistency_form: Literal["kl", "mse"] = Field(default="kl", description="how student and teacher are compared")
    diversity_form: Literal["entropy", "covariance"] = Field(default="entropy", description="what the diversity term looks at")


REGULARIZERS: dict[str, dict[Family, Penalties]] = {
    "iclr2026": {
        "nlg": Penalties(
            consistency=0.025, diversity=0.005, spectral=0.005, temperature=2.0, top_k=20, k=10, norm="fro", schedule="staged"
        ),
        "nlu": Penalties(consistency=0.15, diversity=0.03, spectral=0.03, temperature=2.0, k=5, diversity_form="covariance"),
    },
    "paper-v1": {
        "nlg": Penalties(consistency=1e-4, diversity=3e-4, spectral=1e-4, k=3),
        "nlu": Penalties(consistency=1e-4, diversity=4e-4, spectral=1e-4, k=3, consistency_form="mse", diversity_form="covariance"),
    },
}
"""BA-LoRA's published settings, by family of task (METHODS §2)."""
