"""Users' data files: CSV, TSV, JSON Lines and Parquet, or a folder with a training and a test file."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

from balora_audit.data.columns import Table, table_of
from balora_audit.data.dataset import AuditDataset
from balora_audit.data.decoding import decoded
from balora_audit.data.splits import TEST_SPLITS
from balora_audit.data.tables import Reading, build
from balora_audit.errors import DataError
from balora_audit.files import sha256_of

__all__ = ["SUFFIXES", "load_file", "read_general", "read_table"]

SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")


def load_file(path: Path, reading: Reading, *, test_path: Path | None = None) -> AuditDataset:
    """Return the data set of a file, or of a folder with ``train.*`` and ``test.*`` (or ``validation.*``, ``dev.*``).

    Raises
    ------
    DataError
        The file is missing, empty, not readable as what its suffix says, or lacks what is needed.
    """
    if path.is_dir():
        if test_path is not None:
            raise DataError(f"--data {path} is a folder with its own test file; leave out --test-data")
        path, test_path = _in_folder(path)
    headerless = any(part.strip().isdecimal() for spec in reading.columns.values() for part in spec.split("+"))
    train = read_table(path, header=not headerless)
    test = read_table(test_path, header=not headerless) if test_path is not None else None
    return build(
        train,
        test,
        reading,
        name=path.parent.name + "/" + path.name if test_path is not None else path.name,
        source={"origin": "file", "files_sha256": {file.name: sha256_of(file) for file in (path, test_path) if file is not None}},
    )


def read_table(path: Path, *, header: bool) -> Table:
    """Return one file as strings; nothing is guessed, and a cell that says ``NA`` is the text ``NA``.

    Raises
    ------
    DataError
        The file is missing, empty, or not readable as what its suffix says.
    """
    if not path.is_file():
        raise DataError(f"data file {path} does not exist")
    if path.suffix not in SUFFIXES:
        raise DataError(f"{path}: the suffix {path.suffix!r} is not supported; use {', '.join(SUFFIXES)}")
    if path.stat().st_size == 0:
        raise DataError(f"data file {path} is empty")
    if path.suffix == ".parquet":
        return _parquet(path)
    if path.suffix == ".jsonl":
        return _json_lines(decoded(path), path.name)
    return _delimited(decoded(path), path.name, delimiter="\t" if path.suffix == ".tsv" else ",", header=header)


def read_general(path: Path) -> tuple[str, ...]:
    """Return general texts: the blocks between blank lines of a ``.txt`` file, or the column ``text`` of a table.

    Raises
    ------
    DataError
        The file is missing, not readable, has no column ``text``, or has no text of at least two words.
    """
    if path.suffix == ".txt":
        if not path.is_file():
            raise DataError(f"general text {path} does not exist")
        texts = [" ".join(block.split()) for block in re.split(r"\n\s*\n", decoded(path))]
    else:
        table = read_table(path, header=True)
        if "text" not in table.columns:
            raise DataError(f"{table.where} has no column 'text'; columns there: {', '.join(table.columns)}")
        place = table.columns.index("text")
        texts = [row[place].strip() for row in table.rows]
    kept = tuple(text for text in texts if len(text.split()) > 1)
    if not kept:
        raise DataError(f"{path.name} has no text of at least two words: there is nothing to predict")
    return kept


def _delimited(text: str, where: str, *, delimiter: str, header: bool) -> Table:
    rows = _delimited_rows(text, where, delimiter)
    if not header:
        return Table(columns=tuple(map(str, range(len(rows[0])))), rows=rows, where=where, header=False, first_row=1)
    repeated = [name for name in rows[0] if rows[0].count(name) > 1]
    if repeated and len(rows) > 1:
        raise DataError(f"{where}: the header names the column {repeated[0]!r} twice; rename one, or use numbers")
    return Table(columns=rows[0], rows=rows[1:], where=where)


def _delimited_rows(text: str, where: str, delimiter: str) -> list[tuple[str, ...]]:
    lines = text.splitlines(keepends=True)
    if delimiter == "\t":  # TSV from the field has bare quotes in it
        reader = csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    else:
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
    rows: list[tuple[str, ...]] = []
    try:
        for row in reader:
            if not row:
                continue
            if rows and len(row) != len(rows[0]):
                raise DataError(f"{where}, row {reader.line_num}: {len(row)} columns where the first row has {len(rows[0])}")
            rows.append(tuple(row))
    except csv.Error as error:
        raise DataError(f"{where}, row {reader.line_num}: not a well-formed table: {error}") from error
    if not rows:
        raise DataError(f"data file {where} has no rows")
    return rows


def _json_lines(text: str, where: str) -> Table:
    """Read one object per line; a value that is no text is its JSON, one that is null or not there the empty text."""
    rows: list[dict[str, str]] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{where}, row {number}: not JSON: {error}") from error
        if not isinstance(row, dict):
            raise DataError(f"{where}, row {number}: every line must be a JSON object, got {type(row).__name__}")
        rows.append({key: "" if value is None else value if isinstance(value, str) else json.dumps(value) for key, value in row.items()})
    columns = tuple(dict.fromkeys(key for row in rows for key in row))
    return Table(columns=columns, rows=[tuple(row.get(name, "") for name in columns) for row in rows], where=where, first_row=1)


def _parquet(path: Path) -> Table:
    import pandas as pd

    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as Parquet: {error}") from error
    return table_of(frame, path.name)


def _in_folder(folder: Path) -> tuple[Path, Path | None]:
    for suffix in SUFFIXES:
        train = folder / f"train{suffix}"
        if train.is_file():
            tests = [folder / f"{name}{suffix}" for name in TEST_SPLITS]
            return train, next((test for test in tests if test.is_file()), None)
    raise DataError(f"folder {folder} has no train file (train.csv, train.tsv, train.jsonl or train.parquet)")
