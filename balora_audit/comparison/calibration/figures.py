"""The calibration's figures: plain SVG, the same bytes for the same numbers."""

from __future__ import annotations

from typing import Any

__all__ = ["HIGH", "LEVEL", "LOW", "coverage_dots", "power_chart"]

LOW, HIGH, LEVEL = 0.90, 0.97, 0.05
"""What coverage may be at a nominal level of 95 %, and how many findings may be false."""

_COLOURS = ("#1b6ca8", "#c2571a", "#3c8d40", "#8a4fa3")


def power_chart(rows: list[dict[str, Any]], kind: str) -> str:
    """Return an SVG of how often an effect is found, against its size; one line for each number of seeds."""
    effects = sorted({row["effect"] for row in rows})
    across = {effect: 70 + 380 * (index + 0.5) / len(effects) for index, effect in enumerate(effects)}
    parts = [
        *_frame(f"Power: {kind}", "planted effect", "interval excludes 0", (0.0, 0.5, 1.0), (LEVEL,), 0.0, 450),
        *(f'<text x="{px:.1f}" y="278" text-anchor="middle">{effect:g}</text>' for effect, px in across.items()),
    ]
    for index, seeds in enumerate(dict.fromkeys(row["seeds"] for row in rows)):
        points = []
        for row in rows:
            if row["seeds"] == seeds and row["excludes_zero"]:
                px = across[row["effect"]] + 4 * (index - 2)
                points.append(f"{px:.1f},{_height(row['excludes_zero'][0], 0.0):.1f}")
                parts.append(_whisker(px, row["excludes_zero"], 0.0, _COLOURS[index]))
        parts.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{_COLOURS[index]}" stroke-width="2"/>')
        parts.append(_key(465, index, f"{seeds} seed{'s' if seeds > 1 else ''}"))
    return "\n".join([*parts, "</svg>"])


def coverage_dots(rows: list[dict[str, Any]]) -> str:
    """Return an SVG of the coverage of every cell: statistics side by side, one colour for each number of seeds."""
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    counts = sorted({row["seeds"] for row in rows})
    floor, width = 0.8, 900 / len(kinds)
    parts = _frame("Coverage of every cell", "statistic", "coverage", (0.8, 0.9, 1.0), (LOW, 0.95, HIGH), floor, 970)
    for place, kind in enumerate(kinds):
        left = 70 + width * place
        parts.append(f'<text x="{left + width / 2:.1f}" y="278" text-anchor="middle">{kind.replace("_", " ")}</text>')
        mine = [row for row in rows if row["kind"] == kind and row["coverage"]]
        for index, row in enumerate(sorted(mine, key=lambda row: (row["seeds"], row["n"], row["effect"], row["tau"]))):
            px = left + width * (index + 1) / (len(mine) + 1)
            colour = _COLOURS[counts.index(row["seeds"])]
            parts.append(_whisker(px, row["coverage"], floor, colour))
            parts.append(f'<circle cx="{px:.1f}" cy="{_height(row["coverage"][0], floor):.1f}" r="1.6" fill="{colour}"/>')
    parts += [_key(985, index, f"{seeds} seed{'s' if seeds > 1 else ''}") for index, seeds in enumerate(counts)]
    return "\n".join([*parts, "</svg>"])


def _frame(
    title: str, x_title: str, y_title: str, ticks: tuple[float, ...], guides: tuple[float, ...], floor: float, right: int
) -> list[str]:
    """Return the opening of an SVG with its axes; `floor` is the share at the foot of the vertical one."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {right + 90} 310" font-family="sans-serif" font-size="12" role="img">',
        f"<title>{title}</title>",
        f'<rect width="{right + 90}" height="310" fill="white"/>',
        f'<path d="M70 30V260H{right}" fill="none" stroke="#444"/>',
        f'<text x="{(70 + right) / 2:.0f}" y="300" text-anchor="middle">{x_title}</text><text x="70" y="20">{y_title}</text>',
    ]
    parts += [f'<text x="62" y="{_height(share, floor) + 4:.1f}" text-anchor="end">{100 * share:.0f} %</text>' for share in ticks]
    return parts + [f'<path d="M70 {_height(share, floor):.1f}H{right}" stroke="#999" stroke-dasharray="4 3"/>' for share in guides]


def _height(share: float, floor: float) -> float:
    return 260 - 230 * (max(floor, share) - floor) / (1 - floor)


def _whisker(px: float, share: list[float], floor: float, colour: str) -> str:
    return f'<path d="M{px:.1f} {_height(share[1], floor):.1f}V{_height(share[2], floor):.1f}" stroke="{colour}" stroke-opacity="0.6"/>'


def _key(px: int, index: int, label: str) -> str:
    return f'<text x="{px}" y="{45 + 18 * index}" fill="{_COLOURS[index]}">{label}</text>'
