"""Rows of a user's own file for a harness task: ``--metadata '{"data": "path.jsonl", "columns": {"text": "review"}}'``."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from balora_audit.data.files import SUFFIXES, read_table
from balora_audit.errors import ConfigurationError, DataError, near

__all__ = ["Document", "Row", "data_function", "draw", "draw_pairs", "read", "structured"]

Row = dict[str, str]
"""A row of a file by field."""

Document = dict[str, Any]
"""What the harness makes one question of."""

DataFunction = Callable[..., list[Document]]
TestSplit = Callable[..., dict[str, Any]]

_OPTIONAL = ("choices", "group", "id", "pair_id", "stereo_antistereo")
_OF_OTHERS = ("answer", "label", "other", "prompt", "stereotypical", "text")
"""One ``columns`` serves all tasks of a run."""


def data_function(task: str) -> Callable[[DataFunction], TestSplit]:
    """Make a function that returns documents one that the harness can call: its settings are checked, its documents the test split.

    The settings come from ``--metadata``; JSON of the wrong kind in them is an error that names the task.

    Raises
    ------
    ConfigurationError
        From the function: ``items`` is no whole number from 1, ``seed`` none from 0, ``columns`` no object of strings,
        ``label_names`` neither a list nor an object, or a path no text.
    """

    def around(function: DataFunction) -> TestSplit:
        @functools.wraps(function)
        def wrapper(**given: Any) -> dict[str, Any]:
            from datasets import Dataset

            _check_settings(task, given)
            return {"test": Dataset.from_list(function(**given))}

        return wrapper

    return around


def _check_settings(task: str, given: Mapping[str, Any]) -> None:
    for name, least in (("items", 1), ("seed", 0)):
        value = given.get(name)
        whole = isinstance(value, int) and not isinstance(value, bool) and value >= least
        if not whole and (value is not None or (name == "seed" and name in given)):
            raise ConfigurationError(f"task {task}: {name} must be a whole number from {least}, got {value!r}")
    for name in ("data", task.removeprefix("balora_"), "prompt", "split"):
        if not isinstance(given.get(name), str | None):
            raise ConfigurationError(f"task {task}: {name} must be a text, got {given[name]!r}")
    columns = given.get("columns")
    if columns is not None and not (isinstance(columns, Mapping) and all(isinstance(name, str) for name in columns.values())):
        raise ConfigurationError(f"task {task}: columns must be an object of field and column, got {columns!r}")
    if not isinstance(given.get("label_names"), list | tuple | Mapping | None):
        raise ConfigurationError(f"task {task}: label_names must be a list or an object, got {given['label_names']!r}")


def read(path: str | Path, *, task: str, needs: Sequence[str], columns: Mapping[str, str] | None = None, blank: bool = False) -> list[Row]:
    """Return the rows of a file, or of every table in a folder, as text by field name.

    Parameters
    ----------
    needs : sequence of str
        Fields without which the task cannot work.
    columns : mapping, optional
        Field → column of the file, where they have different names.
    blank : bool
        Whether a needed field may hold nothing.

    Raises
    ------
    DataError
        No such file, no rows, a needed field is missing, or a row has nothing in it; the message names the task and what there is.
    """
    place = Path(path).expanduser()
    rows = [row for file in _tables(place, task) for row in _read_table(file, task, needs, columns or {}, blank=blank)]
    if not rows:
        raise DataError(f"task {task}: {place} has no rows")
    ids = Counter(row["id"] for row in rows if row.get("id"))
    twice = next((item for item, count in ids.items() if count > 1), None)
    if twice is not None:
        raise DataError(f"task {task}: {place} has the id {twice!r} {ids[twice]} times; ids tell the items of a comparison apart")
    return rows


def _tables(place: Path, task: str) -> list[Path]:
    """Return the file, or every table in the folder."""
    if not place.is_dir():
        return [place]
    files = sorted(file for file in place.iterdir() if file.suffix in SUFFIXES)
    if not files:
        raise DataError(f"task {task}: the folder {place} has no table ({', '.join(SUFFIXES)})")
    return files


def _read_table(file: Path, task: str, needs: Sequence[str], columns: Mapping[str, str], *, blank: bool) -> list[Row]:
    table = read_table(file, header=True)
    places = _places(task, file, columns, needs, table.columns)
    missing = [field for field in needs if field not in places]
    if missing:
        raise DataError(_missing(task, file, missing, table.columns))
    rows = [{field: values[place] for field, place in places.items()} for values in table.rows]
    for number, row in enumerate(rows, 1):
        empty = next((field for field in needs if not blank and not row[field].strip()), None)
        if empty is not None:
            raise DataError(f"task {task}: row {number} of {file} has nothing in the field {empty!r}")
    return rows


def structured(row: Row, field: str, *, task: str) -> Any:
    """Return a field that holds a list or an object (JSON inside the text of a table)."""
    try:
        return json.loads(row[field])
    except json.JSONDecodeError as error:
        raise DataError(f"task {task}: the field {field!r} must be JSON, got {row[field][:80]!r} ({error})") from error


def draw(rows: Sequence[Any], items: int | None, seed: int) -> list[Any]:
    """Return at most `items` of the rows, a seeded choice in their own order; all of them when `items` is None."""
    if items is None or len(rows) <= items:
        return list(rows)
    chosen = np.sort(np.random.default_rng([seed, 13]).permutation(len(rows))[:items])
    return [rows[index] for index in chosen]


def draw_pairs(documents: Sequence[Mapping[str, Any]], items: int | None, seed: int) -> list[Any]:
    """Return at most `items` documents (but at least one pair), a seeded choice of whole pairs in their own order."""
    sizes = Counter(document["pair_id"] for document in documents)
    if items is None or len(documents) <= items:
        return list(documents)
    names, count = list(sizes), 0
    chosen: set[str] = set()
    for index in np.random.default_rng([seed, 13]).permutation(len(names)):
        if chosen and count + sizes[names[index]] > items:
            break
        chosen.add(names[index])
        count += sizes[names[index]]
    return [document for document in documents if document["pair_id"] in chosen]


def _places(task: str, file: Path, columns: Mapping[str, str], needs: Sequence[str], have: Sequence[str]) -> dict[str, int]:
    """Return where each field is found: every column under its own name, and those that `columns` names."""
    own = dict.fromkeys((*needs, *_OPTIONAL))
    places = {name: place for place, name in enumerate(have)}
    for field, column in columns.items():
        if field not in own and field not in _OF_OTHERS:
            raise DataError(f"task {task}: columns names the field {field!r}, which no task has{_hint(field, list(own))}")
        if field in own and column not in have:
            raise DataError(f"task {task}: columns names the column {column!r}, which {file} does not have{_hint(column, have)}")
    return {**places, **{field: have.index(column) for field, column in columns.items() if field in own}}


def _hint(name: str, known: Sequence[str]) -> str:
    return near(name, known) or f"; there are {', '.join(known)}"


def _missing(task: str, file: Path, missing: Sequence[str], have: Sequence[str]) -> str:
    shown = ", ".join(have[:12]) + (", …" if len(have) > 12 else "")
    return (
        f"task {task} needs the field{'s' if len(missing) > 1 else ''} {', '.join(map(repr, missing))}, which {file} does not have; "
        f'columns there: {shown}{near(missing[0], have) or "."} Name yours with "columns": {{"{missing[0]}": "COLUMN"}} in --metadata '
        "of lm_eval (--task-metadata of compare)"
    )
