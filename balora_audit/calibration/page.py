"""The calibration's page and figures: plain Markdown and SVG, the same bytes for the same numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from balora_audit.audit import write_atomic

__all__ = ["lines", "write"]

_COLOURS = ("#1b6ca8", "#c2571a", "#3c8d40", "#8a4fa3", "#7a7a7a", "#b03060")
_INTRO = """# Calibration

Simulated audits with a known truth, judged by the same code as real ones (`conclusions.compare_all`). Items have their own
difficulty, which both models share; training seeds shift a model's skill by a standard deviation of {tau} (on the probit scale
of right and wrong answers). {audits} audits per row, {resamples} resamples, seed {seed}; nominal level 95 %.

With one seed the truth is the difference of the two checkpoints at hand, and where no effect is planted they are equal in
skill. With two or more, it is the difference of the methods, over all seeds. Two checkpoints of one method do differ by their
seeds: a one-seed verdict is none about the method. A metric without a default margin is judged at 0.
Withheld intervals are counted apart, never as covering. In brackets:
Wilson's interval of each share. Cells whose bracket lies outside 90–97 % are marked **!**.

Regenerate with `balora-audit calibrate --audits {audits} --seed {seed}`.
"""


def lines(found: dict[str, Any]) -> list[str]:
    """Return the table of the planted and the null cells, as Markdown."""
    table = [
        "| statistic | items | seeds | planted | coverage | excludes 0 | verdict at the default margin | withheld |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in found["cells"]:
        covered = row["coverage"]
        mark = " **!**" if covered and (covered[2] < 0.90 or covered[1] > 0.97) else ""
        table.append(
            f"| {row['kind']} | {row['n']} | {row['seeds']} | {row['effect']:g} | {_said(covered)}{mark} | "
            f"{_said(row['excludes_zero'])} | {_said(row['verdict'])} | {row['withheld']} |"
        )
    return table


def write(found: dict[str, Any], out: Path) -> list[Path]:
    """Write calibration.json, calibration.md and the figures below `out`; return the paths."""
    figures = out / "calibration"
    figures.mkdir(parents=True, exist_ok=True)
    power = _chart(found["power"], "seeds", "effect", "excludes_zero", "planted effect", "interval excludes 0")
    shown = [row for row in found["cells"] if row["seeds"] == max(r["seeds"] for r in found["cells"]) and row["effect"] == 0]
    coverage = _chart(shown, "kind", "n", "coverage", "items", "coverage", guides=(0.90, 0.97))
    dose = ["| seeds | planted | true Δ | mean Δ | excludes 0 |", "|---|---|---|---|---|"]
    for row in found["power"]:
        dose.append(f"| {row['seeds']} | {row['effect']:g} | {row['truth']:.4f} | {row['delta']:.4f} | {_said(row['excludes_zero'])} |")
    parts = [
        _INTRO.format(**found),
        "## Coverage and false verdicts\n", _outside(found), *lines(found), "\n![Coverage](calibration/coverage.svg)\n",
        "## Power and dose–response: a rate on 150 items\n", *dose, "\n![Power](calibration/power.svg)",
    ]  # fmt: skip
    written = {
        out / "calibration.json": json.dumps(found, indent=1, sort_keys=True, allow_nan=False),
        out / "calibration.md": "\n".join(parts),
        figures / "coverage.svg": coverage,
        figures / "power.svg": power,
    }
    for path, text in written.items():
        write_atomic(path, text + "\n")
    return list(written)


def _outside(found: dict[str, Any]) -> str:
    """Say in words where an interval covers less, or more, than the bound allows."""
    short = [row for row in found["cells"] if row["coverage"] and row["coverage"][2] < 0.90]
    wide = sum(1 for row in found["cells"] if row["coverage"] and row["coverage"][1] > 0.97)
    named = "; ".join(f"{r['kind']}, {r['n']} items, {r['seeds']} seeds, planted {r['effect']:g}" for r in short) or "none"
    null = [row for row in found["cells"] if row["effect"] == 0 and row["excludes_zero"] and row["excludes_zero"][1] > 0.05]
    false = "; ".join(f"{r['kind']}, {r['n']} items, {r['seeds']} seeds" for r in null) or "none"
    return (
        f"Too narrow, whatever the error of the simulation: {named}. Too wide, so that they find less than they could: {wide} cells. "
        f"More than 5 % false findings where nothing is planted, beyond that error: {false}.\n"
    )


def _said(share: list[float] | None) -> str:
    return f"{100 * share[0]:.1f} % [{100 * share[1]:.1f}, {100 * share[2]:.1f}]" if share else "none given"


def _chart(rows: list[dict[str, Any]], by: str, x: str, y: str, x_title: str, y_title: str, *, guides: tuple[float, ...] = (0.05,)) -> str:
    """Return an SVG of shares with their Wilson intervals, one line for each value of `by`."""
    places = sorted({row[x] for row in rows})
    floor = 0.8 if min(guides) > 0.5 else 0.0
    across = {place: 70 + 380 * (index + 0.5) / len(places) for index, place in enumerate(places)}

    def height(share: float) -> float:
        return 260 - 230 * (max(floor, share) - floor) / (1 - floor)

    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 620 310" font-family="sans-serif" font-size="12" role="img">',
        f"<title>{y_title} against {x_title}</title>",
        '<rect width="620" height="310" fill="white"/>',
        '<path d="M70 30V260H450" fill="none" stroke="#444"/>',
        f'<text x="260" y="300" text-anchor="middle">{x_title}</text><text x="70" y="20">{y_title}</text>',
    ]
    parts += [f'<text x="{px:.1f}" y="278" text-anchor="middle">{place:g}</text>' for place, px in across.items()]
    for share in (floor, (1 + floor) / 2, 1.0):
        parts.append(f'<text x="62" y="{height(share) + 4:.1f}" text-anchor="end">{100 * share:.0f} %</text>')
    for share in guides:
        parts.append(f'<path d="M70 {height(share):.1f}H450" stroke="#999" stroke-dasharray="4 3"/>')
    for index, name in enumerate(dict.fromkeys(row[by] for row in rows)):
        colour = _COLOURS[index % len(_COLOURS)]
        points = []
        for row in rows:
            if row[by] == name and row[y]:
                px = across[row[x]] + 4 * (index - 2)
                share, low, high = row[y]
                points.append(f"{px:.1f},{height(share):.1f}")
                parts.append(f'<path d="M{px:.1f} {height(low):.1f}V{height(high):.1f}" stroke="{colour}"/>')
        parts.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="2"/>')
        label = f"{name} seeds" if by == "seeds" else name
        parts.append(f'<text x="465" y="{45 + 18 * index}" fill="{colour}">{label}</text>')
    return "\n".join([*parts, "</svg>"])
