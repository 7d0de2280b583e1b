"""What a person sees on the terminal: progress with ETA where there is one, plain lines elsewhere, the verdict table."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table

from balora_audit.metric import Metric
from balora_audit.progress import Progress, Silent
from balora_audit.records import VERDICT_ICONS, AuditRecord, Comparison

__all__ = ["print_verdicts", "progress_for", "summary"]

_LINE_EVERY_SECONDS = 10.0
_PLAIN_WIDTH = 160


@contextmanager
def progress_for(stream: TextIO, *, quiet: bool) -> Iterator[Progress]:
    """Give the progress that suits a stream: bars on a terminal, plain lines elsewhere, nothing when quiet."""
    if quiet:
        yield Silent()
    elif stream.isatty():
        console = Console(file=stream)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[unit]}"),
                   TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())  # fmt: skip
        with Bars(*columns, console=console) as bars:
            yield _Terminal(bars)
    else:
        yield _Lines(stream)


class _Terminal:
    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._task: Any = None

    def stage(self, title: str, total: int, unit: str) -> None:
        self._finish()
        self._task = self._bars.add_task(title, total=total, unit=unit)

    def advance(self, steps: int = 1) -> None:
        if self._task is not None:
            self._bars.advance(self._task, steps)

    def say(self, text: str) -> None:
        self._bars.console.print(text, markup=False, highlight=False)

    def _finish(self) -> None:
        if self._task is not None:
            self._bars.stop_task(self._task)


class _Lines:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._title, self._unit = "", ""
        self._total, self._done = 0, 0
        self._start = self._last = time.monotonic()

    def stage(self, title: str, total: int, unit: str) -> None:
        self._title, self._total, self._unit, self._done = title, total, unit, 0
        self._start = self._last = time.monotonic()
        self.say(f"{title}: {total} {unit}")

    def advance(self, steps: int = 1) -> None:
        self._done += steps
        now = time.monotonic()
        if now - self._last >= _LINE_EVERY_SECONDS and 0 < self._done < self._total:
            self._last = now
            left = (now - self._start) / self._done * (self._total - self._done)
            self.say(f"{self._title}: {self._done} of {self._total} {self._unit}, about {left:.0f} s left")

    def say(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


def print_verdicts(record: AuditRecord) -> None:
    """Print the table of declared claims to stdout."""
    decided = [row for row in record.comparisons if row.claim is not None]
    table = Table(title=None, box=None, pad_edge=False, header_style="bold")
    for name in ("verdict", "claim", "Δ", "interval", "margin", "items", "seeds"):
        table.add_column(name, justify="right" if name in ("Δ", "margin", "items", "seeds") else "left", overflow="fold")
    titles = {model.name: model.title for model in record.models}
    metrics = {metric.name: metric for metric in record.metrics}
    for row in decided:
        table.add_row(*_cells(row, metrics.get(row.metric) or Metric.undescribed(row.metric), titles))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _PLAIN_WIDTH
    console.print(table, markup=False)
    console.print(
        f"{record.units.completed} of {record.units.planned} units, status {record.status}. "
        + " ".join(f"{icon} {verdict}" for verdict, icon in VERDICT_ICONS.items()),
        markup=False,
    )


def _cells(row: Comparison, metric: Metric, titles: dict[str, str]) -> tuple[str, ...]:
    better = "higher" if row.higher_is_better else "lower"
    verdict = row.verdict or "not run"
    on = "" if row.matched is None else f" (on {row.matched.metric})"
    if row.at_equal_skill is not None:
        row, on = row.deciding, " (at equal skill)"
    return (
        f"{VERDICT_ICONS[verdict]} {verdict}{on}",
        f"{titles[row.candidate]} has {better} {metric.title} than {titles[row.baseline]} ({row.condition})",
        _signed(row.delta, metric.unit),
        "—" if row.ci_low is None else f"{_signed(row.ci_low, metric.unit)} to {_signed(row.ci_high, metric.unit)}",
        "—" if row.margin is None else _signed(row.margin, metric.unit).lstrip("+"),
        str(row.n_items),
        str(row.n_seeds),
    )


def _signed(value: float | None, unit: str) -> str:
    if value is None:
        return "—"
    return f"{100 * value:+.1f} pt" if unit == "share" else f"{value:+.3g}"


def _decided_on(row: Comparison) -> str:
    if row.at_equal_skill is not None:
        return "equal skill"
    return row.metric if row.matched is None else row.matched.metric


def summary(record: AuditRecord, out: Path, report: Path) -> dict[str, Any]:
    """Return what ``compare --json`` prints."""
    return {
        "status": record.status,
        "exit_code": 0 if record.status == "complete" else 3,
        "run": str(out),
        "report": str(report),
        "units": {"planned": record.units.planned, "completed": record.units.completed},
        "verdicts": [
            {
                "claim": row.claim,
                "verdict": row.verdict,
                "delta": row.delta,
                "ci_low": row.ci_low,
                "ci_high": row.ci_high,
                "margin": row.margin,
                "p_adjusted": row.p_adjusted,
                "n_items": row.n_items,
                "n_seeds": row.n_seeds,
                "detectable": row.detectable,
                "decided_on": _decided_on(row),
                "own_best": row.own_best,
                "stability": None if row.stability is None else {"same": row.stability[0], "single_settings": row.stability[1]},
                "at_equal_skill": None if row.at_equal_skill is None else asdict(row.at_equal_skill),
                "reason": row.reason,
            }
            for row in record.comparisons
            if row.claim is not None
        ],
        "errors": [failure.message for failure in record.errors],
    }
