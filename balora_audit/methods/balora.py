"""BA-LoRA: PiSSA plus consistency, diversity and singular-value regularizers (arXiv 2408.04556; METHODS §1–2), and its ablations."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from balora_audit.errors import ConfigurationError
from balora_audit.methods.method import Method
from balora_audit.methods.pissa import PISSA
from balora_audit.penalties import PENALTIES, Penalties

__all__ = ["ABBREVIATIONS", "BALORA", "ablation"]

ABBREVIATIONS = {penalty.abbreviation: name for name, penalty in PENALTIES.items()}
"""Penalty by the abbreviation that ablations call it by: ``balora[-cr]``, ``balora[svdr]``."""


def _only(kept: Collection[str]) -> Callable[[Penalties], Penalties]:
    return lambda preset: preset.only(kept)


BALORA = replace(
    PISSA,
    name="balora",
    title="BA-LoRA",
    summary="PiSSA plus consistency, diversity and singular-value regularizers (arXiv 2408.04556)",
    penalties=_only(PENALTIES),
)


def ablation(spec: str, text: str) -> Method:
    """Return BA-LoRA without some of its penalties, or with only some of them.

    Parameters
    ----------
    spec : str
        The whole name, ``balora[-cr]``.
    text : str
        What stands in the brackets: abbreviations to leave out, each after a ``-``, or to keep, joined by ``+``.

    Raises
    ------
    ConfigurationError
        An abbreviation that no penalty has.

    Examples
    --------
    >>> ablation("balora[-cr]", "-cr").title
    'BA-LoRA without consistency'
    """
    without = text.startswith("-")
    terms = text[1:].split("-") if without else text.split("+")
    for term in terms:
        if term not in ABBREVIATIONS:
            wanted = ", ".join(ABBREVIATIONS)
            raise ConfigurationError(f"{spec!r}: the terms are {wanted}, as in balora[-cr], balora[-cr-dr], balora[svdr] or balora[cr+dr]")
    named = tuple(ABBREVIATIONS[term] for term in terms)
    listed = " and ".join(named)
    choice = "without" if without else "with only"
    return replace(
        BALORA,
        name=spec,
        title=f"BA-LoRA {choice} {listed}",
        summary=f"BA-LoRA {choice} the {listed} term{'s' if len(named) > 1 else ''}",
        penalties=_only([name for name in PENALTIES if (name in named) != without]),
    )
