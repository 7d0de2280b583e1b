"""What ``plan`` prints: units, which of them are there, and what they cost on this machine, measured or unknown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from balora_audit.run import costs
from balora_audit.run.plan import Cell, Plan
from balora_audit.run.store import RunStore

__all__ = ["preview", "print_preview"]


def preview(plan: Plan, folder: Path) -> dict[str, Any]:
    """Return the plan as JSON-ready data; ``seconds`` is None where this machine has no measurement yet."""
    store = RunStore(folder)
    rows: list[dict[str, Any]] = []
    seen: set[str] = set()
    for cell in plan.cells:
        for stage, key, seconds, size in _units(plan, cell):
            if key not in seen:
                seen.add(key)
                method, condition, seed = cell.id
                where = {
                    "method": method,
                    "condition": condition if cell.train_key else "-",
                    "seed": seed if cell.train_key else None,
                }
                rows.append({**where, "unit": stage, "items": size, "cached": store.has(key), "seconds": seconds})
    todo = [row for row in rows if not row["cached"]]
    known = [row["seconds"] for row in todo]
    return {
        "model": plan.model.name,
        "data": plan.dataset.name,
        "dtype": plan.dtype,
        "device": plan.device,
        "train_rows": len(plan.dataset.train),
        "test_rows": len(plan.dataset.test),
        "claims": [claim.id for claim in plan.claims],
        "units": rows,
        "planned": len(rows),
        "cached": len(rows) - len(todo),
        "seconds": None if any(value is None for value in known) else sum(known),
    }


def _units(plan: Plan, cell: Cell) -> list[tuple[str, str, float | None, int]]:
    found = []
    if cell.train_key is not None:
        training = plan.config.training
        items = (cell.context.steps or 0) * training.batch_size * training.accumulation
        cost = costs.per_item(plan, f"train:{cell.context.method}")
        found.append(("train", cell.train_key, None if cost is None else cost * items, items))
    again = ((f"{name}, again", key, cell.rebatched[name]) for name, key in cell.rebatched_keys.items())
    for name, key, request in (*((name, key, cell.requests[name]) for name, key in cell.score_keys.items()), *again):
        cost = costs.per_item(plan, f"score:{request.kind}")
        found.append((f"score {name}", key, None if cost is None else cost * request.size, request.size))
    return found


def print_preview(found: Mapping[str, Any]) -> None:
    """Print a preview as plain lines."""
    typer.echo(
        f"{found['model']} in {found['dtype']} on {found['device']}; {found['data']}: {found['train_rows']} training and "
        f"{found['test_rows']} test rows; {len(found['claims'])} claims"
    )
    for row in found["units"]:
        seed = "" if row["seed"] is None else f" seed {row['seed']}"
        cost = "there" if row["cached"] else "unknown" if row["seconds"] is None else f"{row['seconds']:.1f} s"
        typer.echo(f"{row['method']:8} {row['condition']:14}{seed:8} {row['unit']:24} {row['items']:6} items  {cost}")
    total = "unknown until measured once" if found["seconds"] is None else f"about {found['seconds']:.0f} s"
    typer.echo(f"{found['planned']} units, {found['cached']} there already; the rest takes {total}")
