"""Users' data files: CSV, TSV, JSON Lines and Parquet, or a folder with a training and a test file."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from balora_audit.data.dataset import AuditDataset
from balora_audit.data.tables import Table, build
from balora_audit.errors import DataError

__all__ = ["SUFFIXES", "decoded", "load_file", "read_general", "read_table"]

SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")
_TEST_NAMES = ("test", "validation", "dev")


def load_file(
    path: Path,
    *,
    columns: Mapping[str, str],
    label_names: Sequence[str] | Mapping[str, str] | None,
    prompt: str | None,
    test_path: Path | None,
    train_rows: int,
    test_rows: int,
    seed: int,
    general: tuple[str, ...],
) -> AuditDataset:
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
    headerless = any(part.strip().isdigit() for spec in columns.values() for part in spec.split("+"))
    train = read_table(path, header=not headerless)
    test = read_table(test_path, header=not headerless) if test_path is not None else None
    files = {file.name: _sha256(file) for file in (path, test_path) if file is not None}
    return build(
        train,
        test,
        name=path.parent.name + "/" + path.name if test_path is not None else path.name,
        columns=columns,
        label_names=label_names,
        prompt=prompt,
        train_rows=train_rows,
        test_rows=test_rows,
        seed=seed,
        general=general,
        source={"origin": "file", "files_sha256": files},
    )


def read_table(path: Path, *, header: bool) -> Table:
    """Read one file as strings; nothing is guessed, and a cell that says ``NA`` is the text ``NA``."""
    if not path.is_file():
        raise DataError(f"data file {path} does not exist")
    if path.suffix not in SUFFIXES:
        raise DataError(f"{path}: the suffix {path.suffix!r} is not supported; use {', '.join(SUFFIXES)}")
    if path.stat().st_size == 0:
        raise DataError(f"data file {path} is empty")
    where = path.name
    if path.suffix == ".parquet":
        return Table(frame=_parquet(path), where=where, first_row=0)
    if path.suffix == ".jsonl":
        return Table(frame=_json_lines(decoded(path), where), where=where, first_row=1)
    rows = _delimited(decoded(path), where, "\t" if path.suffix == ".tsv" else ",")
    if header:
        names = rows[0]
        repeated = [name for name in names if names.count(name) > 1]
        if repeated and len(rows) > 1:
            raise DataError(f"{where}: the header names the column {repeated[0]!r} twice; rename one, or use numbers")
        return Table(frame=pd.DataFrame(rows[1:], columns=names, dtype=str), where=where)
    return Table(frame=pd.DataFrame(rows, dtype=str), where=where, header=False, first_row=1)


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
        if "text" not in table.frame.columns:
            raise DataError(f"{table.where} has no column 'text'; columns there: {', '.join(map(str, table.frame.columns))}")
        texts = [str(text).strip() for text in table.frame["text"]]
    kept = tuple(text for text in texts if len(text.split()) > 1)
    if not kept:
        raise DataError(f"{path.name} has no text of at least two words: there is nothing to predict")
    return kept


def decoded(path: Path) -> str:
    """Return the text of a file in UTF-8, without a byte order mark; `DataError` says where it is not."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"data file {path} cannot be read: {error.strerror or error}") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data[: error.start].count(b"\n") + 1
        raise DataError(
            f"{path} is not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start} (row {row}); convert it, for example "
            "with `iconv -f latin1 -t utf-8`"
        ) from error


def _delimited(text: str, where: str, delimiter: str) -> list[list[str]]:
    lines = text.splitlines(keepends=True)
    if delimiter == "\t":  # TSV from the field has bare quotes in it
        reader = csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    else:
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
    rows: list[list[str]] = []
    try:
        for row in reader:
            if not row:
                continue
            if rows and len(row) != len(rows[0]):
                raise DataError(f"{where}, row {reader.line_num}: {len(row)} columns where the first row has {len(rows[0])}")
            rows.append(row)
    except csv.Error as error:
        raise DataError(f"{where}, row {reader.line_num}: not a well-formed table: {error}") from error
    if not rows:
        raise DataError(f"data file {where} has no rows")
    return rows


def _json_lines(text: str, where: str) -> pd.DataFrame:
    rows = []
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
    return pd.DataFrame(rows).fillna("")


def _parquet(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as Parquet: {error}") from error
    return frame.astype(object).where(frame.notna(), "").map(str)


def _in_folder(folder: Path) -> tuple[Path, Path | None]:
    for suffix in SUFFIXES:
        train = folder / f"train{suffix}"
        if train.is_file():
            tests = [folder / f"{name}{suffix}" for name in _TEST_NAMES]
            return train, next((test for test in tests if test.is_file()), None)
    raise DataError(f"folder {folder} has no train file (train.csv, train.tsv, train.jsonl or train.parquet)")


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
