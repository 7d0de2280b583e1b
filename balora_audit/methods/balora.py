"""BA-LoRA: PiSSA plus consistency, diversity and singular-value regularizers (arXiv 2408.04556; METHODS §1–2).

It is ``pissa`` with every penalty, under the paper's name; what it leaves out is written as in `balora_audit.methods.grammar`.
"""

from __future__ import annotations

from dataclasses import replace

from balora_audit.methods.pissa import PISSA
from balora_audit.penalties import PENALTIES

__all__ = ["BALORA"]

BALORA = replace(
    PISSA,
    name="balora",
    title="BA-LoRA",
    summary="PiSSA plus consistency, diversity and singular-value regularizers (arXiv 2408.04556)",
    plain=PISSA.name,
    terms=frozenset(PENALTIES),
)
