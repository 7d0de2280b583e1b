"""What ``plan`` prints: units, which of them are there, and what they cost on this machine, measured or unknown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from balora_audit.run import costs
from balora_audit.run.plan import Cell, Plan, Trial
from balora_audit.run.store import RunStore
from balora_audit.run.tuning import settle

__all__ = ["preview", "print_preview"]

Unit = tuple[str, str, float | None, int]
"""What is done, its key, the seconds that it takes (None: unknown), and on how many items."""


def preview(plan: Plan, folder: Path) -> dict[str, Any]:
    """Return the plan as JSON-ready data; ``seconds`` is None where this machine has no measurement yet.

    Where the candidates of a tuning are all there, the plan is the one with the chosen settings.
    """
    store = RunStore(folder)
    known = settle(plan, store, lost={}) if folder.is_dir() else None
    plan, settled = (plan, plan.grid is None) if known is None else (known, True)
    rows: list[dict[str, Any]] = []
    seen: set[str] = set()
    of_trials = [(trial.cell, trial.setting.name, _of_trial(plan, trial)) for trial in plan.trials if trial.train_key not in plan.failed]
    of_cells = [(cell, "", _units(plan, cell)) for cell in plan.cells]
    for cell, setting, units in (*of_trials, *of_cells):
        for stage, key, seconds, size in units:
            if key not in seen:
                seen.add(key)
                method, condition, seed = cell.id
                where = {
                    "method": method,
                    "condition": condition if cell.train_key else "-",
                    "seed": seed if cell.train_key else None,
                    "setting": setting or None,
                }
                rows.append({**where, "unit": stage, "items": size, "cached": store.has(key), "seconds": seconds})
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
        "cached": sum(row["cached"] for row in rows),
        "seconds": _cost(rows),
        "tuning": None if plan.grid is None else _tuning(plan, rows, settled=settled),
    }


def _tuning(plan: Plan, rows: Sequence[Mapping[str, Any]], *, settled: bool) -> dict[str, Any]:
    """Return what tuning adds: the candidates, the seconds that they are left to take, and the settings once they are chosen."""
    return {
        "candidates": len(plan.trials),
        "validation_rows": len(plan.dataset.validation),
        "axes": {axis: list(values) for axis, values in (plan.grid.axes if plan.grid is not None else {}).items()},
        "seconds": _cost([row for row in rows if row["setting"] is not None]),
        "chosen": {method: setting.name for method, setting in plan.settings.items()} if settled else None,
    }


def _cost(rows: Sequence[Mapping[str, Any]]) -> float | None:
    known = [row["seconds"] for row in rows if not row["cached"]]
    return None if any(value is None for value in known) else sum(known)


def _of_trial(plan: Plan, trial: Trial) -> list[Unit]:
    cost = costs.per_item(plan, f"score:{trial.validation.kind}")
    size = trial.validation.size
    return [
        *_units(plan, trial.cell, together=True),
        ("score validation", trial.validation_key, None if cost is None else cost * size, size),
        *(unit for cell in trial.partial for unit in _scores(plan, cell)),
    ]


def _units(plan: Plan, cell: Cell, *, together: bool = False) -> list[Unit]:
    found: list[Unit] = []
    if cell.train_key is not None:
        training = cell.recipe.training
        items = (cell.context.steps or 0) * training.batch_size * training.accumulation
        single = costs.per_item(plan, f"train:{cell.context.method}")
        cost = costs.per_item(plan, f"tune:{cell.context.method}") if together else None
        cost = single if cost is None else cost
        found.append(("train", cell.train_key, None if cost is None else cost * items, items))
    return [*found, *_scores(plan, cell)]


def _scores(plan: Plan, cell: Cell) -> list[Unit]:
    found: list[Unit] = []
    after = "" if cell.share == 1 else f", share {cell.share:g}"
    again = ((f"{name}, again", key, cell.rebatched[name]) for name, key in cell.rebatched_keys.items())
    for name, key, request in (*((name, key, cell.requests[name]) for name, key in cell.score_keys.items()), *again):
        cost = costs.per_item(plan, f"score:{request.kind}")
        found.append((f"score {name}{after}", key, None if cost is None else cost * request.size, request.size))
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
        where = row["setting"] or row["condition"]
        typer.echo(f"{row['method']:8} {where:22}{seed:8} {row['unit']:24} {row['items']:6} items  {cost}")
    total = "unknown until measured once" if found["seconds"] is None else f"about {found['seconds']:.0f} s"
    if (tuning := found["tuning"]) is not None:
        _print_tuning(tuning)
    typer.echo(f"{found['planned']} units, {found['cached']} there already; the rest takes {total}")


def _print_tuning(tuning: Mapping[str, Any]) -> None:
    tried = "; ".join(f"{axis} {', '.join(f'{value:g}' for value in values)}" for axis, values in tuning["axes"].items())
    cost = "an unknown part" if tuning["seconds"] is None else f"about {tuning['seconds']:.0f} s"
    typer.echo(
        f"tuning: {tuning['candidates']} candidates ({tried}), chosen on {tuning['validation_rows']} validation rows; {cost} of the time"
    )
    if tuning["chosen"] is None:
        typer.echo("what is trained beside them waits for the choice, and a best value at an end adds candidates")
    else:
        typer.echo("chosen: " + "; ".join(f"{method} {name}" for method, name in tuning["chosen"].items()))
