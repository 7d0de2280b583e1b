"""The calibration's page and figures: plain Markdown and SVG, the same bytes for the same numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from balora_audit.files import write_atomic
from balora_audit.stats import wilson

__all__ = ["lines", "write"]

_COLOURS = ("#1b6ca8", "#c2571a", "#3c8d40", "#8a4fa3")
_LOW, _HIGH, _LEVEL = 0.90, 0.97, 0.05
_INTRO = """# Calibration

Simulated audits with a known truth, judged by the same code as real ones (`comparison.compare.compare_all`). Items have their own
difficulty, which both models share; training seeds shift a model's skill by a standard deviation τ of {tau} or {large_tau} (on the probit
scale of right and wrong answers). {audits} audits per row, {resamples} resamples, seed {seed}; nominal level 95 %.

With one seed the truth is the difference of the two checkpoints at hand, and where no effect is planted they are equal in
skill. With two or more, it is the difference of the methods, over all seeds. Two checkpoints of one method do differ by their
seeds: a one-seed verdict is none about the method. A metric without a default margin is judged at 0.
Withheld intervals are counted apart, never as covering. In brackets: Wilson's interval of each share. Coverage whose
bracket lies outside 90–97 % is marked **!**, and so is a share of false findings whose bracket lies above 5 %.

| statistic | what it stands for |
|---|---|
| rate | right or wrong answers, such as an accuracy |
| mean | numbers per item |
| ratio | a sum over a sum, such as a KL per token; texts of 5 to 44 tokens |
| skewed mean | log-normal numbers, a few items of which make up most |
| drop | −1, 0 or 1 per item, mostly 0, such as an accuracy drop |
| balanced | the mean of three recalls, of classes with 60, 30 and 10 % of the items |
| min | the smallest of three recalls |
| rms_difference | the root mean square gap of two classes' recalls between two groups |
| jackknife | the effective rank of eight features |
| survival | shares of noisy copies on the items that both models answer correctly; the models of a pair are unequal in skill |
| excess | one flip minus another of the same item, such as flips over placebo, or wrong labels over the control |
| lean | the size of a difference of two shares of the same items |
| cost | the mean over two classes of a recall lost |
| gap squared | the mean squared gap of two classes' recalls between two groups, its sampling variance taken off |
| wide rank | the effective rank of 576 features of 128 items |
| wide CKA | the debiased CKA of 576 features of 128 items with another model's |

Regenerate with `balora-audit calibrate --audits {audits} --seed {seed}`.
"""

_POWER = """Where 0 is planted, two checkpoints of one method still differ by their seeds: one seed of each finds that
difference and cannot tell it from one between methods. Several seeds do not.
"""


_MATCHED = """The claim *the candidate loses less accuracy under noise*, between a candidate that is more skilled by some amount (on the
probit scale) and a baseline, 384 items. By its own interval such a claim judges skill: who is right more often has more to lose. The
audit decides it on survival where skills are unequal. With no difference planted every *supported* and *contradicted* is false.
"""


def _matched(rows: list[dict[str, Any]]) -> list[str]:
    """Return how often each verdict is given, by the claim's own interval and as it is decided."""
    table = [
        "| skill gap | planted | own interval: supported | own interval: contradicted | decided: supported | decided: contradicted |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        said = [_said(row[of][name]) for of in ("own", "decided") for name in ("supported", "contradicted")]
        table.append(_line(f"{row['gap']:g}", f"{row['planted']:g}", *said))
    return table


def lines(found: dict[str, Any]) -> list[str]:
    """Return the table of the planted and the null cells, as Markdown."""
    table = [
        "| statistic | items | seeds | planted | τ | coverage | excludes 0 | verdict at the default margin | withheld |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in found["cells"]:
        said = [
            f"{_said(row['coverage'])}{_mark(_missed(row))}",
            f"{_said(row['excludes_zero'])}{_mark(_false(row))}",
            _said(row["verdict"]),
        ]
        table.append(_line(row["kind"], row["n"], row["seeds"], f"{row['effect']:g}", f"{row['tau']:g}", *said, row["withheld"]))
    return table


def write(found: dict[str, Any], out: Path) -> list[Path]:
    """Write calibration.json, calibration.md and the figures below `out`; return the paths."""
    figures = out / "calibration"
    figures.mkdir(parents=True, exist_ok=True)
    dose = ["| statistic | seeds | planted | true Δ | mean Δ | excludes 0 |", "|---|---|---|---|---|---|"]
    for row in found["power"]:
        differences = f"{row['truth']:.4f}", f"{row['delta']:.4f}"
        dose.append(_line(row["kind"], row["seeds"], f"{row['effect']:g}", *differences, _said(row["excludes_zero"])))
    single = ["| statistic | items | coverage | withheld |", "|---|---|---|---|"]
    for row in found["single"]:
        single.append(_line(row["kind"], row["n"], f"{_said(row['coverage'])}{_mark(_missed(row))}", row["withheld"]))
    kinds = list(dict.fromkeys(row["kind"] for row in found["power"]))
    drawings = [f"![Power: {kind}](calibration/power-{kind}.svg)" for kind in kinds]
    parts = [
        _INTRO.format(**found),
        "## In short\n", *_summary(found), "\n![Coverage](calibration/coverage.svg)\n",
        "## Power and dose–response on 150 items\n", _POWER, *drawings, "", *dose,
        "\n## Coverage and false findings, every cell\n", *lines(found),
        "\n## Intervals of one model\n", *single,
        "\n## Claims at unequal skill\n", _MATCHED, *_matched(found["matched"]),
    ]  # fmt: skip
    written = {
        out / "calibration.json": json.dumps(found, indent=1, sort_keys=True, allow_nan=False),
        out / "calibration.md": "\n".join(parts),
        figures / "coverage.svg": _dots(found["cells"]),
    }
    for kind in kinds:
        rows = [row for row in found["power"] if row["kind"] == kind]
        written[figures / f"power-{kind}.svg"] = _chart(rows, kind)
    for path, text in written.items():
        write_atomic(path, text + "\n")
    return list(written)


def _summary(found: dict[str, Any]) -> list[str]:
    """Say in words and by number of seeds how the coverage and the false findings lie against their bounds."""
    table = ["| seeds | coverage, least to most | false findings, least to most | false findings, all cells |", "|---|---|---|---|"]
    for seeds in sorted({row["seeds"] for row in found["cells"]}):
        rows = [row for row in found["cells"] if row["seeds"] == seeds and row["coverage"]]
        null = [row for row in rows if row["effect"] == 0]
        given = [row["audits"] - row["withheld"] for row in null]
        wrong = sum(round(row["excludes_zero"][0] * n) for row, n in zip(null, given, strict=True))
        pooled = [wrong / sum(given), *wilson(wrong, sum(given))] if sum(given) else None
        spans = _span([row["coverage"][0] for row in rows]), _span([row["excludes_zero"][0] for row in null])
        table.append(_line(seeds, *spans, _said(pooled)))
    rows = [row for row in (*found["cells"], *found["single"]) if row["coverage"]]
    parts = {
        "too narrow": [row for row in rows if row["coverage"][2] < _LOW],
        "too wide": [row for row in rows if row["coverage"][1] > _HIGH],
        "too many false findings": [row for row in rows if _false(row)],
    }
    told = [f"{name}: {'; '.join(map(_named, bad)) or 'none'}" for name, bad in parts.items()]
    return [*table, "", f"Beyond the error of the simulation, among {len(rows)} cells, {'. '.join(told)}."]


def _named(row: dict[str, Any]) -> str:
    if "seeds" not in row:
        return f"{row['kind']}, {row['n']} items, one model"
    return f"{row['kind']}, {row['n']} items, seeds {row['seeds']}, planted {row['effect']:g}, τ {row['tau']:g}"


def _missed(row: dict[str, Any]) -> bool:
    return bool(row["coverage"]) and (row["coverage"][2] < _LOW or row["coverage"][1] > _HIGH)


def _false(row: dict[str, Any]) -> bool:
    return row.get("effect") == 0 and bool(row["excludes_zero"]) and row["excludes_zero"][1] > _LEVEL


def _line(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _mark(bad: bool) -> str:
    return " **!**" if bad else ""


def _span(shares: list[float]) -> str:
    return f"{100 * min(shares):.1f}–{100 * max(shares):.1f} %" if shares else "none"


def _said(share: list[float] | None) -> str:
    return f"{100 * share[0]:.1f} % [{100 * share[1]:.1f}, {100 * share[2]:.1f}]" if share else "none given"


def _chart(rows: list[dict[str, Any]], kind: str) -> str:
    """Return an SVG of how often an effect is found, against its size; one line for each number of seeds."""
    effects = sorted({row["effect"] for row in rows})
    across = {effect: 70 + 380 * (index + 0.5) / len(effects) for index, effect in enumerate(effects)}
    parts = [
        *_frame(f"Power: {kind}", "planted effect", "interval excludes 0", (0.0, 0.5, 1.0), (_LEVEL,), 0.0, 450),
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


def _dots(rows: list[dict[str, Any]]) -> str:
    """Return an SVG of the coverage of every cell: statistics side by side, one colour for each number of seeds."""
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    counts = sorted({row["seeds"] for row in rows})
    floor, width = 0.8, 900 / len(kinds)
    parts = _frame("Coverage of every cell", "statistic", "coverage", (0.8, 0.9, 1.0), (_LOW, 0.95, _HIGH), floor, 970)
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
