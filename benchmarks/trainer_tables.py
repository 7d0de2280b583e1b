"""The Markdown tables of `trainer.py`, and the figures that are aimed at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["memory_table", "speed_table", "sweep_table"]

TARGETS = {
    ("balora-warm", "plain"): 1.10,
    ("balora-cold", "plain"): 1.45,
    ("balora-warm", "published"): 0.50,
}
MEMORY_TARGETS = {("balora-warm", "plain"): 1.05, ("balora-warm", "published"): 0.75}


Variants = Mapping[str, tuple[str, Any]]


def _cell(share: Mapping[str, float] | None, target: float | None) -> str:
    if share is None:
        return "–"
    text = f"{share['median']:.2f} ({share['low']:.2f}–{share['high']:.2f})"
    return text if target is None else f"{text}, {'≤' if share['median'] <= target else 'misses'} {target:.2f}"


def speed_table(title: str, found: Mapping[str, Any], variants: Variants) -> str:
    """Return the Markdown table of step times."""
    lines = [
        f"**{title}**", "",
        "| variant | s/step | fastest | × plain LoRA | × published | loss at step 0 |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, row in found.items():
        cells = [_cell(row.get(other), TARGETS.get((name, other))) for other in ("plain", "published")]
        times = f"{row['seconds']:.3f} | {row['fastest']:.3f}"
        lines.append(f"| {variants[name][0]} | {times} | {cells[0]} | {cells[1]} | {row['first_loss']:.4f} |")
    return "\n".join([*lines, ""])


def memory_table(dtype: str, found: Mapping[str, Mapping[str, int | None]], variants: Variants) -> str:
    """Return the Markdown table of peak memory."""
    lines = [f"**{dtype}**, resident memory", "", "| variant | idle MB | peak MB | × plain LoRA | × published |", "|---|---|---|---|---|"]
    for name, row in found.items():
        cells = []
        for other in ("plain", "published"):
            mine, theirs = row["peak"], found.get(other, {}).get("peak")
            target = MEMORY_TARGETS.get((name, other))
            text = f"{mine / theirs:.2f}" if mine and theirs else "–"
            cells.append(f"{text}, {'≤' if mine / theirs <= target else 'misses'} {target}" if target and mine and theirs else text)
        lines.append(f"| {variants[name][0]} | {(row['idle'] or 0) / 1e6:.0f} | {(row['peak'] or 0) / 1e6:.0f} | {cells[0]} | {cells[1]} |")
    return "\n".join([*lines, ""])


def sweep_table(dtype: str, found: Sequence[Mapping[str, Any]]) -> str:
    """Return the Markdown table of ratios over vocabulary and length."""
    lines = [
        f"**{dtype}**, sweep", "",
        "| V | batch | plain s/step | warm × plain | cold × plain | warm × published |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for row in found:
        warm, cold = row["balora-warm"], row["balora-cold"]
        lines.append(
            f"| {row['vocabulary']} | {row['rows']}×{row['length']} | {row['plain']['seconds']:.2f} | {warm['plain']['median']:.2f} | "
            f"{cold['plain']['median']:.2f} | {warm['published']['median']:.2f} |"
        )
    return "\n".join([*lines, ""])
