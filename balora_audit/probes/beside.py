"""The scores of other models that a model is measured beside: what a difference inside one measure is taken from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from balora_audit.probes.scores import Scores

__all__ = ["Beside"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """Scores by key of the requested set, of other models of the audit.

    Parameters
    ----------
    base : mapping, optional
        Of the untrained base under the same condition and seed; None where it is not part of the audit.
    control : mapping, optional
        Of the same method and seed, trained on the control of the condition: the rows without what the condition does to them.
    no_control : str
        Why there is none.
    """

    base: Mapping[str, Scores] | None = None
    control: Mapping[str, Scores] | None = None
    no_control: str = "this condition has no control"
