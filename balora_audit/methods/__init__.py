"""Fine-tuning methods: one file each, one line each in :data:`METHODS`."""

from __future__ import annotations

from balora_audit.methods.balora import BALORA
from balora_audit.methods.base import BASE
from balora_audit.methods.lora import LORA
from balora_audit.methods.method import Method
from balora_audit.methods.pissa import PISSA

__all__ = ["METHODS", "Method"]

METHODS: dict[str, Method] = {
    "base": BASE,
    "lora": LORA,
    "pissa": PISSA,
    "balora": BALORA,
}
