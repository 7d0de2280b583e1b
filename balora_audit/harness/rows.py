"""Rows of a user's own file for a harness task: ``--metadata '{"data": "path.jsonl", "columns": {"text": "review"}}'``."""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from balora_audit.data.files import SUFFIXES, read_table
from balora_audit.errors import DataError

__all__ = ["Row", "draw", "draw_pairs", "read", "structured"]

Row = dict[str, str]


def read(path: str | Path, *, task: str, needs: Sequence[str], columns: Mapping[str, str] | None = None) -> list[Row]:
    """Return the rows of a file, or of every table in a folder, as text by field name.

    Parameters
    ----------
    needs : sequence of str
        Fields without which the task cannot work.
    columns : mapping, optional
        Field → column of the file, where they have different names.

    Raises
    ------
    DataError
        No such file, no rows, or a needed field is missing; the message names the task and the columns there are.
    """
    place = Path(path).expanduser()
    if place.is_dir():
        files = sorted(file for file in place.iterdir() if file.suffix in SUFFIXES)
        if not files:
            raise DataError(f"task {task}: the folder {place} has no table ({', '.join(SUFFIXES)})")
    else:
        files = [place]
    renamed = {column: field for field, column in (columns or {}).items()}
    rows: list[Row] = []
    for file in files:
        frame = read_table(file, header=True).frame
        fields = [renamed.get(str(name), str(name)) for name in frame.columns]
        missing = [field for field in needs if field not in fields]
        if missing:
            raise DataError(_missing(task, file, missing, [str(name) for name in frame.columns]))
        rows += [dict(zip(fields, map(str, values), strict=True)) for values in frame.itertuples(index=False, name=None)]
    if not rows:
        raise DataError(f"task {task}: {place} has no rows")
    ids = Counter(row["id"] for row in rows if row.get("id"))
    twice = next((item for item, count in ids.items() if count > 1), None)
    if twice is not None:
        raise DataError(f"task {task}: {place} has the id {twice!r} {ids[twice]} times; ids tell the items of a comparison apart")
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


def _missing(task: str, file: Path, missing: Sequence[str], have: Sequence[str]) -> str:
    near = difflib.get_close_matches(missing[0], have, n=1)
    hint = f" (is it {near[0]!r}?)" if near else ""
    shown = ", ".join(have[:12]) + (", …" if len(have) > 12 else "")
    return (
        f"task {task} needs the field{'s' if len(missing) > 1 else ''} {', '.join(map(repr, missing))}{hint}, which {file} does not have; "
        f'columns there: {shown}. Name yours with --metadata \'{{"data": "{file}", "columns": {{"{missing[0]}": "COLUMN"}}}}\''
    )
