"""The Python interface: ``compare``, ``load`` and the friendly view of an audit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from balora_audit.config import AuditConfig, resolve
from balora_audit.processes import is_main_process
from balora_audit.progress import Progress
from balora_audit.records import AuditRecord, Comparison, FrontierPoint, Measurement, read

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Audit", "compare", "load"]


class Audit:
    """A finished audit.

    Parameters
    ----------
    record : AuditRecord
        The validated content of ``audit.json``.
    folder : Path
        The run folder.
    """

    def __init__(self, record: AuditRecord, folder: Path) -> None:
        self.record = record
        self.folder = folder

    @property
    def measurements(self) -> pd.DataFrame:
        """The measurements, one row each, with the columns of `balora_audit.records.Measurement`."""
        return _frame(self.record.measurements, Measurement)

    @property
    def comparisons(self) -> pd.DataFrame:
        """The paired comparisons, one row each, with the columns of `balora_audit.records.Comparison`."""
        return _frame(self.record.comparisons, Comparison)

    @property
    def frontiers(self) -> pd.DataFrame:
        """Every candidate as a point of skill and flaw, one row each, with the columns of `balora_audit.records.FrontierPoint`."""
        return _frame(self.record.frontiers, FrontierPoint)

    def table(self, kind: str = "comparisons", format: str = "markdown") -> str:
        """Return the ``comparisons`` or ``measurements`` with their intervals as a ``markdown`` or ``latex`` table."""
        from balora_audit.export.tables import table

        return table(self.record, kind, format)

    def render(self, path: str | Path | None = None) -> Path:
        """Write the HTML report (to ``report.html`` in the run folder by default) and return its path."""
        from balora_audit.report import render

        return render(self.folder, Path(path) if path is not None else None)


def compare(
    config: AuditConfig | Mapping[str, Any] | None = None,
    *,
    out: str | Path = "audit-run",
    fresh: bool = False,
    progress: Progress | None = None,
) -> Audit:
    """Fine-tune, probe and compare; write ``audit.json`` and ``report.html`` into `out`.

    Parameters
    ----------
    config : AuditConfig or mapping, optional
        Settings by name, as on the command line (``{"preset": "smoke", "models": ("base", "lora")}``); the embedded default
        when left out.
    out : path
        The run folder; finished units found there are reused.
    fresh : bool
        Recompute every unit.

    Raises
    ------
    balora_audit.errors.AuditError
        Anything the user can mend.
    """
    from balora_audit.run.execution import execute
    from balora_audit.run.plan import make_plan

    settings = config if isinstance(config, AuditConfig) else resolve(config or {})
    folder = Path(out)
    audit = Audit(execute(make_plan(settings), folder, progress=progress, fresh=fresh), folder)
    if is_main_process():
        audit.render()
    return audit


def load(run_dir: str | Path) -> Audit:
    """Read the audit of a run folder; raises `balora_audit.errors.StoreError` when there is none that is valid."""
    path = Path(run_dir)
    return Audit(read(path), path if path.is_dir() else path.parent)


def _frame(rows: tuple[Any, ...], record: type) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame([asdict(row) for row in rows], columns=list(record.__dataclass_fields__))  # type: ignore[attr-defined]
