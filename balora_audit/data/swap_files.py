"""Users' files of identity terms: pairs that a swap exchanges, in CSV, TSV or JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from balora_audit.data.decoding import decoded
from balora_audit.data.identity import Swaps
from balora_audit.errors import DataError

__all__ = ["read_swaps"]


def read_swaps(path: Path) -> Swaps:
    """Return the terms of a user's file: ``.csv`` or ``.tsv`` with two columns, or ``.json`` with pairs or an object.

    Raises
    ------
    DataError
        The file is missing or not readable, a row is no pair, or a term has two counterparts: a swap must lead back.
    """
    if path.suffix not in (".csv", ".tsv", ".json"):
        raise DataError(f"{path}: swaps are read from .csv, .tsv or .json, not from {path.suffix or 'a file without a suffix'!r}")
    text = decoded(path)
    rows = _json_pairs(text, path) if path.suffix == ".json" else _table_pairs(text, path)
    seen: dict[str, tuple[str, str]] = {}
    pairs = []
    for where, pair in rows:
        pairs.append(_checked(pair, where, path.name, seen))
    if not pairs:
        raise DataError(f"swap file {path} has no pairs")
    return Swaps(pairs=tuple(pairs))


def _checked(pair: Sequence[object], where: str, name: str, seen: dict[str, tuple[str, str]]) -> tuple[str, str]:
    if len(pair) != 2 or not all(isinstance(term, str) for term in pair):
        raise DataError(f"{name}, {where}: a swap is a pair of two terms, got {list(pair)!r}")
    left, right = str(pair[0]), str(pair[1])
    for term, partner in ((left, right), (right, left)):
        if not term.strip() or term != " ".join(term.split()):
            raise DataError(f"{name}, {where}: {term!r} is empty or has white space that it should not have")
        if not (term[0].isalnum() and term[-1].isalnum()):
            raise DataError(f"{name}, {where}: {term!r} must begin and end with a letter or digit")
        if term.lower() in seen:
            earlier, line = seen[term.lower()]
            raise DataError(
                f"{name}, {where}: {term!r} is already swapped with {earlier!r} ({line}), and now with {partner!r}; "
                "a swap must lead back, so each term may stand in one pair only"
            )
    if left.lower() == right.lower():
        raise DataError(f"{name}, {where}: {left!r} is swapped with itself")
    seen[left.lower()], seen[right.lower()] = (right, where), (left, where)
    return left.lower(), right.lower()


def _table_pairs(text: str, path: Path) -> Iterable[tuple[str, Sequence[object]]]:
    reader = csv.reader(text.splitlines(), delimiter="\t" if path.suffix == ".tsv" else ",")
    for number, row in enumerate(reader, start=1):
        if not row or (number == 1 and [cell.strip().lower() for cell in row] == ["left", "right"]):
            continue
        yield f"line {number}", row


def _json_pairs(text: str, path: Path) -> Iterable[tuple[str, Sequence[object]]]:
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"swap file {path} is not JSON: {error}") from error
    rows = list(found.items()) if isinstance(found, dict) else found
    if not isinstance(rows, list) or not all(isinstance(row, list | tuple) for row in rows):
        raise DataError(f"swap file {path} must hold an object of terms, or a list of pairs")
    yield from ((f"pair {number}", row) for number, row in enumerate(rows, start=1))
