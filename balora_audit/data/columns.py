"""Tables of text as they were read, and which of their columns plays which role."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from balora_audit.data.dataset import Task
from balora_audit.errors import DataError, near

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ROLES", "Row", "Table", "read_rows", "table_of", "task_of"]

Row = dict[str, str]
"""One row's texts by role."""

ROLES = ("text", "label", "target", "group", "pair_id", "id", "prompt", "response")

_NEEDED: dict[Task, tuple[str, str]] = {
    "classification": ("text", "label"),
    "regression": ("text", "target"),
    "generation": ("prompt", "response"),
}
_MOST_COLUMNS_SHOWN = 12
_MOST_CHARACTERS_SHOWN = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One split as it was read: strings by row and column.

    Parameters
    ----------
    columns : tuple of str
        Names; the numbers from 0 where the file was read without a header row.
    rows : sequence of tuple of str
        Of one length with `columns`.
    where : str
        What the table is called in messages.
    header : bool
        Whether the columns have names.
    first_row : int
        Number of the first data row as an editor shows it.
    """

    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    where: str
    header: bool = True
    first_row: int = 2


def table_of(frame: pd.DataFrame, where: str) -> Table:
    """Return a data frame as a table; a missing value is the empty text."""
    text = frame.astype(object).where(frame.notna(), "").map(str)
    return Table(columns=tuple(map(str, text.columns)), rows=list(text.itertuples(index=False, name=None)), where=where, first_row=0)


def task_of(table: Table, columns: Mapping[str, str]) -> Task:
    """Return what the roles that a table can fill are for; a label column that is named decides."""
    has = {role for role in ROLES if role in columns or (table.header and role in table.columns)}
    if "label" in columns:
        return "classification"
    if {"prompt", "response"} <= has and not {"text", "label"} <= has:
        return "generation"
    return "regression" if "target" in has else "classification"


def read_rows(table: Table, columns: Mapping[str, str], *, task: Task, split: str) -> list[Row]:
    """Return the rows of a table by role; a row without an id is called by its split and number.

    Parameters
    ----------
    columns : mapping
        Role → column, several joined by ``+``; a role that is not named takes the column of its own name.
    task : {"classification", "generation", "regression"}
        Decides what is needed.

    Raises
    ------
    DataError
        There are no rows, a role is unknown, a column is missing, or a row lacks what is needed.
    """
    if not table.rows:
        raise DataError(f"{table.where} has no rows")
    unknown = sorted(set(columns) - set(ROLES))
    if unknown:
        raise DataError(f"unknown role {unknown[0]!r} in --columns{near(unknown[0], ROLES) or '.'} Roles: {', '.join(ROLES)}")
    by_role = _by_role(table, columns, _NEEDED[task])
    if task == "generation":
        by_role["text"] = by_role["prompt"]
    rows = []
    for number, values in enumerate(zip(*by_role.values(), strict=True), start=table.first_row):
        row = dict(zip(by_role, values, strict=True))
        _check(row, task, f"{table.where}, row {number}")
        row.setdefault("id", f"{split}-{number:06d}")
        rows.append(row)
    return rows


def _check(row: Row, task: Task, where: str) -> None:
    for role in ("text", _NEEDED[task][1]):
        if not row[role].strip():
            raise DataError(f"{where}: the {role} is empty; fill it or remove the row")
    if task == "regression" and not _is_number(row["target"]):
        raise DataError(f"{where}: the target {row['target']!r} is not a finite number")


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _by_role(table: Table, columns: Mapping[str, str], needed: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for role in ROLES:
        if role in columns:
            found[role] = _joined(table, columns[role], role)
        elif table.header and role in table.columns:
            found[role] = _values(table, table.columns.index(role))
        elif role in needed:
            raise DataError(_missing(table, role, role))
    return found


def _joined(table: Table, spec: str, role: str) -> list[str]:
    """Return the column that `spec` names, or several with a space between them."""
    parts = [_values(table, _place(table, name.strip(), f"{role}={spec}", role)) for name in spec.split("+")]
    return [" ".join(values) for values in zip(*parts, strict=True)]


def _values(table: Table, place: int) -> list[str]:
    return [row[place] for row in table.rows]


def _place(table: Table, name: str, given: str, role: str) -> int:
    if table.header and name not in table.columns:
        raise DataError(_missing(table, name, role))
    if not table.header and not (name.isdecimal() and int(name) < len(table.columns)):
        raise DataError(
            f"{table.where}: --columns {given} names column {name!r}, but the file is read without a header row "
            f"and has columns 0 to {len(table.columns) - 1}"
        )
    return table.columns.index(name) if table.header else int(name)


def _missing(table: Table, column: str, role: str) -> str:
    have, most = table.columns, _MOST_CHARACTERS_SHOWN
    shown = ", ".join(name if len(name) <= most else name[: most - 3] + "…" for name in have[:_MOST_COLUMNS_SHOWN])
    way = f"map it with --columns {role}=NAME"
    if table.header and any(len(name) > most or name.strip().isdigit() for name in have):
        way += f"; if the file has no header row, by number: --columns text=0,label={len(have) - 1}"
    return f"{table.where} has no column {column!r}{near(column, have) or '.'} Columns there: {shown}; {way}"
