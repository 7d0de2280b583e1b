"""The calibration's page: plain Markdown, the same bytes for the same numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from balora_audit.comparison.calibration.figures import HIGH, LEVEL, LOW, coverage_dots, power_chart
from balora_audit.files import write_atomic
from balora_audit.stats import wilson

__all__ = ["lines", "write"]

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

_TUNED = """Two methods on one and the same frontier: they have the same flaw at equal skill, but the candidate's learning rates act more
strongly by some factor, as PiSSA's do beside LoRA's. Each is trained at four rates, 2e-4 to 3.1e-3, tested on 384 items, and brings an
accuracy of .49 to .81 at a factor of 1. A claim is decided on the mean vertical gap of the two frontiers over the skills that both reach.
With no gap planted every *supported* and *contradicted* is false: those of the matched difference, of the difference between each
method's own best rate, and of the models trained at one common rate (the share of all four, and how often at least one of them is).

| flaw | what it stands for |
|---|---|
| flips | a rate on the test items that rises with skill, such as flips with the gender |
| KL | a mean per token of 72 other texts that grows exponentially with skill, from .05 at an accuracy of .60 to .8 at .85 |
| noise | an accuracy under noise that rises with skill |
| rank | the effective rank of features, a jackknife, that falls with skill |

With one seed the checkpoints lie on the frontier; with three each lies off it by chance, and the truth is that of the methods.
Coverage is that of the planted gap by the interval of the matched difference.
"""


def _tuned(rows: list[dict[str, Any]]) -> list[str]:
    """Return how often each design gives a verdict between methods of one frontier, and between those with a gap."""
    table = [
        "| flaw | factor | seeds | planted | verdict at equal skill | right verdict | own best | single rates | any single rate "
        "| coverage | mean Δ | half width | withheld |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        wrong = row["planted"] == 0 and row["verdict"][1] > LEVEL
        said = [
            f"{_said(row['verdict'])}{_mark(wrong)}", _said(row["power"]) if row["power"] else "–", _said(row["own_best"]),
            f"{100 * row['single_rates']:.1f} %", _said(row["any_single_rate"]), f"{_said(row['coverage'])}{_mark(_missed(row))}",
        ]  # fmt: skip
        sizes = ["none" if row[of] is None else f"{row[of]:.4f}" for of in ("delta", "half_width")]
        table.append(_line(row["flaw"], f"{row['ratio']:g}", row["seeds"], f"{row['planted']:g}", *said, *sizes, row["withheld"]))
    return table


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
    """Return the tables of the planted and the null cells, and of tuned methods, as Markdown."""
    return [*_cells(found), "", *_tuned(found["tuned"])]


def _cells(found: dict[str, Any]) -> list[str]:
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
        "\n## Coverage and false findings, every cell\n", *_cells(found),
        "\n## Intervals of one model\n", *single,
        "\n## Claims at unequal skill\n", _MATCHED, *_matched(found["matched"]),
        "\n## Tuned methods at equal skill\n", _TUNED, *_tuned(found["tuned"]),
    ]  # fmt: skip
    written = {
        out / "calibration.json": json.dumps(found, indent=1, sort_keys=True, allow_nan=False),
        out / "calibration.md": "\n".join(parts),
        figures / "coverage.svg": coverage_dots(found["cells"]),
    }
    for kind in kinds:
        rows = [row for row in found["power"] if row["kind"] == kind]
        written[figures / f"power-{kind}.svg"] = power_chart(rows, kind)
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
        "too narrow": [row for row in rows if row["coverage"][2] < LOW],
        "too wide": [row for row in rows if row["coverage"][1] > HIGH],
        "too many false findings": [row for row in rows if _false(row)],
    }
    told = [f"{name}: {'; '.join(map(_named, bad)) or 'none'}" for name, bad in parts.items()]
    return [*table, "", f"Beyond the error of the simulation, among {len(rows)} cells, {'. '.join(told)}."]


def _named(row: dict[str, Any]) -> str:
    if "seeds" not in row:
        return f"{row['kind']}, {row['n']} items, one model"
    return f"{row['kind']}, {row['n']} items, seeds {row['seeds']}, planted {row['effect']:g}, τ {row['tau']:g}"


def _missed(row: dict[str, Any]) -> bool:
    return bool(row["coverage"]) and (row["coverage"][2] < LOW or row["coverage"][1] > HIGH)


def _false(row: dict[str, Any]) -> bool:
    return row.get("effect") == 0 and bool(row["excludes_zero"]) and row["excludes_zero"][1] > LEVEL


def _line(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _mark(bad: bool) -> str:
    return " **!**" if bad else ""


def _span(shares: list[float]) -> str:
    return f"{100 * min(shares):.1f}–{100 * max(shares):.1f} %" if shares else "none"


def _said(share: list[float] | None) -> str:
    return f"{100 * share[0]:.1f} % [{100 * share[1]:.1f}, {100 * share[2]:.1f}]" if share else "none given"
