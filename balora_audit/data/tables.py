"""From rows of text, whatever they were read from, to an `AuditDataset`: roles, labels, splits, checks."""

from __future__ import annotations

import difflib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from balora_audit.data.dataset import AuditDataset, Example, Task
from balora_audit.data.identity import counterfactual
from balora_audit.errors import DataError

__all__ = ["DEFAULT_PROMPT", "ROLES", "Table", "build"]

ROLES = ("text", "label", "target", "group", "pair_id", "id", "prompt", "response")
DEFAULT_PROMPT = "{text}\nAnswer:"
_TEST_SHARE = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One split as read: a frame of strings, what it is called in messages, and whether it had a header row."""

    frame: pd.DataFrame
    where: str
    header: bool = True
    first_row: int = 2
    """Number of the first data row as an editor shows it."""


def build(
    train: Table,
    test: Table | None,
    *,
    name: str,
    columns: Mapping[str, str],
    label_names: Sequence[str] | Mapping[str, str] | None,
    prompt: str | None,
    train_rows: int,
    test_rows: int,
    seed: int,
    general: tuple[str, ...],
    source: dict[str, object],
) -> AuditDataset:
    """Return the data set; a missing test split is a seeded, stratified quarter of the training rows.

    Raises
    ------
    DataError
        A column, label or row is not usable; the message says which and where.
    """
    template = prompt if prompt is not None else ("{text}" if _is_generation(train, columns) else DEFAULT_PROMPT)
    if template.count("{text}") != 1:
        raise DataError(f"the prompt template needs exactly one {{text}}, got {template!r}")
    raw_train = _rows(train, columns, "train")
    raw_test = _rows(test, columns, "test") if test is not None else []
    task = _task(train, columns)
    values: list[str] = []
    if task == "classification":
        values = _classes(raw_train, raw_test, train.where, test.where if test is not None else train.where)
    names = _names(values, label_names, train.where)
    rng = np.random.default_rng([seed, 11])
    if test is None:
        raw_train, raw_test = _set_aside(raw_train, rng, test_rows)
    seen = {row["text"] for row in raw_test}
    kept = [row for row in raw_train if row["text"] not in seen]
    dropped = len(raw_train) - len(kept)
    if not kept:
        raise DataError(f"{train.where}: every training text is also a test text; give other test rows")
    train_chosen = _subsample(kept, train_rows, rng)
    test_chosen = _subsample(raw_test, test_rows, rng)
    if task == "classification":
        _check_classes(train_chosen, test_chosen, values, train.where)
    index = {value: number for number, value in enumerate(values)}
    _unique_ids([*train_chosen, *test_chosen], train.where)
    return AuditDataset(
        name=name,
        task=task,
        label_names=tuple(names),
        train=tuple(_example(row, index) for row in train_chosen),
        test=tuple(_with_twin(_example(row, index)) for row in test_chosen),
        general=general,
        prompt=template,
        source={
            **source,
            "columns": dict(columns),
            "rows_read": {"train": len(train.frame), "test": len(test.frame) if test is not None else None},
            "training_rows_dropped_as_test_duplicates": dropped,
            "label_values": values,
            "seed": seed,
        },
    )


def _task(table: Table, columns: Mapping[str, str]) -> Task:
    if _is_generation(table, columns):
        return "generation"
    return "regression" if _is_regression(table, columns) else "classification"


def _is_regression(table: Table, columns: Mapping[str, str]) -> bool:
    return "label" not in columns and ("target" in columns or (table.header and {"target"} <= set(table.frame.columns) - {"label"}))


def _is_generation(table: Table, columns: Mapping[str, str]) -> bool:
    has = {role for role in ROLES if role in columns or (table.header and role in table.frame.columns)}
    return "label" not in columns and {"prompt", "response"} <= has and not ("label" in has and "text" in has)


def _rows(table: Table, columns: Mapping[str, str], split: str) -> list[dict[str, str]]:
    if len(table.frame) == 0:
        raise DataError(f"{table.where} has no rows")
    unknown = sorted(set(columns) - set(ROLES))
    if unknown:
        near = difflib.get_close_matches(unknown[0], ROLES, n=1)
        hint = f" — did you mean {near[0]!r}?" if near else ""
        raise DataError(f"unknown role {unknown[0]!r} in --columns{hint} Roles: {', '.join(ROLES)}")
    task = _task(table, columns)
    needed = {"generation": ("prompt", "response"), "regression": ("text", "target"), "classification": ("text", "label")}[task]
    found = _by_role(table, columns, needed)
    if task == "generation":
        found["text"] = found["prompt"]
    rows = []
    for number in range(len(table.frame)):
        row = {role: column[number] for role, column in found.items()}
        for role in ("text", needed[1]):
            if not row[role].strip():
                raise DataError(f"{table.where}, row {number + table.first_row}: the {role} is empty; fill it or remove the row")
        if task == "regression" and not _is_number(row["target"]):
            raise DataError(f"{table.where}, row {number + table.first_row}: the target {row['target']!r} is not a finite number")
        row.setdefault("id", f"{split}-{number + table.first_row:06d}")
        rows.append(row)
    return rows


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _by_role(table: Table, columns: Mapping[str, str], needed: tuple[str, ...]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for role in ROLES:
        if role in columns:
            found[role] = _column(table, columns[role], role)
        elif table.header and role in table.frame.columns:
            found[role] = [str(value) for value in table.frame[role]]
        elif role in needed:
            raise DataError(_missing(table, role, role))
    return found


def _column(table: Table, spec: str, role: str) -> list[str]:
    parts = []
    for name in spec.split("+"):
        name = name.strip()
        if not table.header:
            if not name.isdigit() or int(name) >= table.frame.shape[1]:
                raise DataError(
                    f"{table.where}: --columns {role}={spec} names column {name!r}, but the file is read without a header row "
                    f"and has columns 0 to {table.frame.shape[1] - 1}"
                )
            parts.append(table.frame.iloc[:, int(name)])
        elif name not in table.frame.columns:
            raise DataError(_missing(table, name, role))
        else:
            parts.append(table.frame[name])
    return [" ".join(str(value) for value in values) for values in zip(*parts, strict=True)]


def _missing(table: Table, column: str, role: str) -> str:
    have = [str(name) for name in table.frame.columns]
    shown = ", ".join(name if len(name) <= 40 else name[:37] + "…" for name in have[:12])
    near = difflib.get_close_matches(column, have, n=1)
    hint = f" — did you mean {near[0]!r}?" if near else ""
    way = f"map it with --columns {role}=NAME"
    if table.header and any(len(name) > 40 or name.strip().isdigit() for name in have):
        way += f"; if the file has no header row, by number: --columns text=0,label={len(have) - 1}"
    return f"{table.where} has no column {column!r}{hint} Columns there: {shown}; {way}"


def _classes(train: Sequence[Mapping[str, str]], test: Sequence[Mapping[str, str]], where: str, test_where: str) -> list[str]:
    counts = Counter(row["label"] for row in train)
    if len(counts) < 2:
        raise DataError(f"{where} has a single class, {next(iter(counts))!r}; an audit of a classifier needs two or more")
    for row in test:
        if row["label"] not in counts:
            raise DataError(f"{test_where}: label {row['label']!r} (row id {row['id']}) has no training rows in {where}")
    if len(counts) > 200:
        raise DataError(f"{where} has {len(counts)} different labels; is the label column right?")
    values = sorted(counts)
    return sorted(values, key=int) if all(value.lstrip("-").isdigit() for value in values) else values


def _names(values: list[str], given: Sequence[str] | Mapping[str, str] | None, where: str) -> list[str]:
    if not values or given is None:
        return [value.strip() for value in values]
    if isinstance(given, Mapping):
        for value in given:
            if value not in values:
                raise DataError(f"--label-names names the label {value!r}, but {where} has {', '.join(values)}")
        names = [given.get(value, value) for value in values]
    else:
        names = list(given)
        if len(names) != len(values):
            raise DataError(f"--label-names gives {len(names)} names for {len(values)} labels: {', '.join(values)}")
    names = [name.strip() for name in names]
    if len(set(names)) != len(names) or not all(names):
        raise DataError(f"label names must be distinct and not empty, got {', '.join(map(repr, names))}")
    return names


def _set_aside(rows: list[dict[str, str]], rng: np.random.Generator, test_rows: int) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    unique = list({row["text"]: row for row in rows}.values())
    share = min(_TEST_SHARE, test_rows / len(unique))
    chosen: set[int] = set()
    by_label: dict[str, list[int]] = {}
    for index, row in enumerate(unique):
        by_label.setdefault(row.get("label", ""), []).append(index)
    for label in sorted(by_label):
        places = by_label[label]
        count = min(len(places) - 1, max(1, round(share * len(places))))
        chosen.update(places[i] for i in rng.permutation(len(places))[:count])
    return [row for i, row in enumerate(unique) if i not in chosen], [unique[i] for i in sorted(chosen)]


def _subsample(rows: list[dict[str, str]], most: int, rng: np.random.Generator) -> list[dict[str, str]]:
    """Keep at most `most` rows, each class in proportion and never lost while there is room; order is kept."""
    if len(rows) <= most:
        return rows
    by_label: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        by_label.setdefault(row.get("label", ""), []).append(index)
    quota = {label: max(1, int(most * len(places) / len(rows))) for label, places in sorted(by_label.items())}
    room = most - sum(quota.values())
    for label in sorted(quota, key=lambda name: (-(most * len(by_label[name]) / len(rows) % 1), name)):
        if room > 0 and quota[label] < len(by_label[label]):
            quota[label] += 1
            room -= 1
    chosen: set[int] = set()
    for label, places in sorted(by_label.items()):
        chosen.update(places[i] for i in rng.permutation(len(places))[: quota[label]])
    return [row for index, row in enumerate(rows) if index in chosen]


def _check_classes(train: Sequence[Mapping[str, str]], test: Sequence[Mapping[str, str]], values: Sequence[str], where: str) -> None:
    for split, rows in (("training", train), ("test", test)):
        missing = [value for value in values if value not in {row["label"] for row in rows}]
        if split == "training" and missing:
            raise DataError(f"{where}: label {missing[0]!r} has no {split} rows; give more rows, or drop the label")
    if len({row["label"] for row in test}) < 2:
        raise DataError(f"{where}: the test rows are all of one class; give more of them")


def _unique_ids(rows: Sequence[Mapping[str, str]], where: str) -> None:
    repeated = [item for item, count in Counter(row["id"] for row in rows).items() if count > 1]
    if repeated:
        raise DataError(f"{where}: the id {repeated[0]!r} occurs more than once; ids must be unique over train and test")


def _example(row: Mapping[str, str], index: Mapping[str, int]) -> Example:
    return Example(
        id=row["id"],
        text=row["text"],
        label=index[row["label"]] if "label" in row and index else None,
        response=row.get("response"),
        target=float(row["target"]) if "target" in row and not index else None,
        group=row.get("group") or None,
        pair_id=row.get("pair_id") or None,
    )


def _with_twin(example: Example) -> Example:
    twin = counterfactual(example.text)
    return replace(example, counterfactual=twin) if twin is not None else example
