"""What units of work cost on this machine, as measured by earlier runs; ``plan`` reads it, nothing is guessed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from balora_audit.files import cache_dir, write_atomic
from balora_audit.models.precision import cpu_name

if TYPE_CHECKING:
    from balora_audit.run.plan import Plan

__all__ = ["per_item", "record"]


def record(plan: Plan, kind: str, seconds: float, items: int) -> None:
    """Remember the seconds per item of a kind of unit, for this model, number format and processor."""
    if items <= 0:
        return
    known = _read()
    known.setdefault(_machine(plan), {})[kind] = seconds / items
    write_atomic(cache_dir() / "costs.json", json.dumps(known, indent=1))


def per_item(plan: Plan, kind: str) -> float | None:
    """Return the measured seconds per item, or None when this machine has not done such a unit yet."""
    return _read().get(_machine(plan), {}).get(kind)


def _machine(plan: Plan) -> str:
    return f"{plan.model.fingerprint[:16]} {plan.dtype} {plan.device} {cpu_name()}"


def _read() -> dict[str, dict[str, float]]:
    path = cache_dir() / "costs.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
