"""Measurements and comparisons as Markdown and LaTeX tables, with their intervals."""

from __future__ import annotations

from collections.abc import Sequence

from balora_audit.errors import unknown_name
from balora_audit.records import AuditRecord, Comparison

__all__ = ["table"]

_KINDS = ("comparisons", "measurements")
_FORMATS = ("markdown", "latex")

_ESCAPED = {"\\": r"\textbackslash{}", "_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}",
            "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "−": "$-$"}  # fmt: skip


def table(record: AuditRecord, kind: str = "comparisons", format: str = "markdown") -> str:
    """Return a table with one row per measurement or comparison; what was not measured is shown as a dash.

    Values are given to four significant digits, in the metric's own unit, followed by their interval.
    """
    if kind not in _KINDS:
        raise unknown_name("kind of table", kind, _KINDS)
    if format not in _FORMATS:
        raise unknown_name("format", format, _FORMATS)
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]
    if kind == "comparisons":
        head = ("candidate", "baseline", "condition", "probe", "metric", "slice", "difference", "p", "p (Holm)", "n", "verdict")
        rows = [
            (
                row.candidate, row.baseline, row.condition, row.probe, row.metric, row.slice,
                _with_interval(row.delta, row.ci_low, row.ci_high), _number(row.p_value), _number(row.p_adjusted), str(row.n_items),
                _verdict(row),
            )
            for row in (found.deciding for found in record.comparisons)
        ]  # fmt: skip
    else:
        head = ("model", "condition", "seed", "probe", "metric", "slice", "value")
        rows = [
            (
                row.method, row.condition, str(row.seed), row.probe, row.metric, row.slice,
                _with_interval(row.value, row.ci_low, row.ci_high),
            )
            for row in record.measurements
        ]  # fmt: skip
    return _markdown(head, rows) if format == "markdown" else _latex(head, rows)


def _verdict(row: Comparison) -> str:
    """Return a claim's verdict, with what it rests on where that is not the row's own difference."""
    if row.verdict is None:
        return "exploratory"
    if row.at_equal_skill is not None:
        return f"{row.verdict} (at equal skill)"
    return row.verdict if row.matched is None else f"{row.verdict} (on {row.matched.metric})"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}".replace("-", "−")


def _with_interval(value: float | None, low: float | None, high: float | None) -> str:
    if value is None or low is None or high is None:
        return _number(value)
    return f"{_number(value)} [{_number(low)}, {_number(high)}]"


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([cell.replace("|", r"\|") for cell in row] for row in rows)]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _latex(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [" & ".join("".join(_ESCAPED.get(sign, sign) for sign in cell) for cell in row) + r" \\" for row in (head, *rows)]
    body = [r"\begin{tabular}{" + "l" * len(head) + "}", r"\hline", lines[0], r"\hline", *lines[1:], r"\hline", r"\end{tabular}"]
    return "\n".join(body) + "\n"
