"""From tables, whatever they were read from, to an `AuditDataset`: classes, splits, checks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from balora_audit.data.columns import Row, Table, read_rows, task_of
from balora_audit.data.dataset import AuditDataset, Example, Task
from balora_audit.data.general_text import held_out
from balora_audit.data.identity import counterfactual, placebo
from balora_audit.data.labels import LabelNames, label_order, name_labels
from balora_audit.data.prompts import BARE_PROMPT, DEFAULT_PROMPT, check_prompt
from balora_audit.data.splits import TEST_SHARE, hold_out, set_aside, subsample
from balora_audit.errors import DataError

__all__ = ["Reading", "build"]

_MOST_CLASSES = 200
_FEWEST_VALIDATION = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How tables become a data set, as the user wants it.

    Parameters
    ----------
    train_rows, test_rows, validation_rows : int
        Rows to use at most; validation rows are set aside from training.
    columns : mapping
        Role → column.
    label_names : sequence or mapping of str, optional
        See `balora_audit.data.labels`.
    prompt : str, optional
        Template with one ``{text}``; by default what suits the task.
    seed : int
        Of the choice of rows.
    """

    train_rows: int
    test_rows: int
    validation_rows: int = 0
    columns: Mapping[str, str] = field(default_factory=dict)
    label_names: LabelNames = None
    prompt: str | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chosen:
    """The rows that are used, all that training rows are drawn from, how many of them had the text of a test row, and what falls short."""

    train: list[Row]
    validation: list[Row]
    pool: list[Row]
    test: list[Row]
    dropped: int
    notes: tuple[str, ...]


def build(train: Table, test: Table | None, reading: Reading, *, name: str, source: Mapping[str, object]) -> AuditDataset:
    """Return the data set; a missing test split is a seeded, stratified quarter of the training rows.

    Its general text is the built-in one. Its notes say where there are fewer rows than were asked for.

    Raises
    ------
    DataError
        A column, label or row is not usable; the message says which and where.
    """
    task = task_of(train, reading.columns)
    default = BARE_PROMPT if task == "generation" else DEFAULT_PROMPT
    prompt = check_prompt(default if reading.prompt is None else reading.prompt)
    train_rows = read_rows(train, reading.columns, task=task, split="train")
    test_rows = read_rows(test, reading.columns, task=task, split="test") if test is not None else []
    values: list[str] = []
    if task == "classification":
        values = _classes(train_rows, test_rows, train.where, test.where if test is not None else train.where)
    label_names = name_labels(values, reading.label_names, where=train.where) if values else []
    chosen = _choose(train_rows, test_rows, reading, where=train.where, test_where=test.where if test is not None else None)
    if task == "classification":
        _check_classes(chosen.train, chosen.test, values, train.where)
    _check_ids([*chosen.train, *chosen.test], train.where)
    index = {value: number for number, value in enumerate(values)}
    train_examples = tuple(_example(row, task, index) for row in chosen.train)
    best, best_note = _best(chosen.test, task)

    def draw(training_seed: int) -> tuple[Example, ...]:
        return tuple(_example(row, task, index) for row in _drawn(chosen.pool, reading, training_seed))

    larger = len(chosen.pool) > len(chosen.train)
    return AuditDataset(
        name=name,
        task=task,
        label_names=tuple(label_names),
        train=train_examples,
        test=tuple(_with_twin(_example(row, task, index)) for row in chosen.test),
        validation=tuple(_example(row, task, index) for row in chosen.validation),
        stereotypes=_stereotypes(train_examples, label_names),
        best_accuracy=best,
        best_accuracy_note=best_note,
        draw=draw if larger else None,
        redrawn=f"training rows are drawn anew for every seed, out of {len(chosen.pool):,}"
        if larger
        else f"there are no more than the {len(chosen.train):,} training rows: all seeds train on the same ones",
        general=held_out(),
        prompt=prompt,
        source={
            **source,
            "columns": dict(reading.columns),
            "rows_read": {"train": len(train.rows), "test": len(test.rows) if test is not None else None},
            "training_rows_dropped_as_test_duplicates": chosen.dropped,
            "label_values": values,
            "seed": reading.seed,
        },
        notes=chosen.notes,
    )


def _choose(train: Sequence[Row], test: Sequence[Row], reading: Reading, *, where: str, test_where: str | None) -> _Chosen:
    """Set test rows aside where there is no split of them, drop training rows with a test text, keep as many as asked for."""
    rng = np.random.default_rng([reading.seed, 11])
    if test_where is None:
        train, test = set_aside(train, rng, reading.test_rows)
    texts = {row["text"] for row in test}
    kept = [row for row in train if row["text"] not in texts]
    if not kept:
        raise DataError(f"{where}: every training text is also a test text; give other test rows")
    dropped = len(train) - len(kept)
    kept, validation = _validation(kept, reading, where)
    train_rows = _drawn(kept, reading, 0)
    test_rows = subsample(test, reading.test_rows, rng)
    if test_where is None:
        few_train, few_test = f"{where} has no more besides the test rows", _few_set_aside(len(train) + len(test), reading.test_rows, where)
    else:
        besides = f" besides {dropped} with the text of a test row" if dropped else ""
        few_train, few_test = f"{where} has no more{besides}", f"{test_where} has no more"
    return _Chosen(
        train=train_rows,
        validation=validation,
        pool=kept,
        test=test_rows,
        dropped=dropped,
        notes=(
            *_shortfall("training", len(train_rows), reading.train_rows, few_train),
            *_shortfall("test", len(test_rows), reading.test_rows, few_test),
        ),
    )


def _validation(rows: list[Row], reading: Reading, where: str) -> tuple[list[Row], list[Row]]:
    """Return the rows that are left to train on, and the validation rows."""
    if not reading.validation_rows:
        return rows, []
    left, validation = hold_out(rows, np.random.default_rng([reading.seed, 13]), reading.validation_rows)
    if len(validation) < _FEWEST_VALIDATION:
        raise DataError(
            f"{where}: only {len(validation)} of {len(rows)} training rows can be set aside to choose settings on, and fewer than "
            f"{_FEWEST_VALIDATION} say nothing; give more rows, or tune nothing with --no-tune"
        )
    return left, validation


def _drawn(pool: Sequence[Row], reading: Reading, training_seed: int) -> list[Row]:
    """Return the training rows of a training seed."""
    return subsample(pool, reading.train_rows, np.random.default_rng([reading.seed, 12, training_seed]))


def _best(test: Sequence[Row], task: Task) -> tuple[float | None, str]:
    """Return a bound of the accuracy that is possible on these rows, and what it is."""
    if task != "classification":
        return None, "there are no classes to be right about"
    labels: dict[str, Counter[str]] = {}
    for row in test:
        labels.setdefault(row["text"], Counter())[row["label"]] += 1
    right = sum(max(counts.values()) for counts in labels.values())
    return right / len(test), "an upper bound only: equal texts with different labels cannot all be right"


def _stereotypes(train: Sequence[Example], names: Sequence[str]) -> dict[str, str]:
    """Return the gender that each class of the training rows has more of than all rows together; nothing where that is not known."""
    groups = {example.group for example in train} - {None, "neutral"}
    if groups != {"female", "male"} or not names:
        return {}
    share = Counter(example.group for example in train)
    found = {}
    for label, name in enumerate(names):
        own = Counter(example.group for example in train if example.label == label)
        lean = own["female"] * share["male"] - own["male"] * share["female"]
        if lean:
            found[name] = "female" if lean > 0 else "male"
    return found


def _shortfall(split: str, count: int, asked: int, reason: str) -> list[str]:
    return [f"{count} of the {asked} {split} rows asked for: {reason}"] if count < asked else []


def _few_set_aside(texts: int, asked: int, where: str) -> str:
    """Say why fewer test rows than asked for were set aside from so many different texts."""
    if TEST_SHARE * texts < asked:
        return f"{where} has no test split, and at most a quarter of its {texts} different texts is set aside"
    return f"{where} has no test split, and the share of each class that is set aside is rounded"


def _classes(train: Sequence[Row], test: Sequence[Row], where: str, test_where: str) -> list[str]:
    """Return the label values in order; every one has training rows."""
    values = label_order(row["label"] for row in train)
    if len(values) < 2:
        raise DataError(f"{where} has a single class, {values[0]!r}; an audit of a classifier needs two or more")
    known = set(values)
    for row in test:
        if row["label"] not in known:
            raise DataError(f"{test_where}: label {row['label']!r} (row id {row['id']}) has no training rows in {where}")
    if len(values) > _MOST_CLASSES:
        raise DataError(f"{where} has {len(values)} different labels; is the label column right?")
    return values


def _check_classes(train: Sequence[Row], test: Sequence[Row], values: Sequence[str], where: str) -> None:
    """Check that dropping and choosing rows has left enough of every class."""
    trained = {row["label"] for row in train}
    missing = next((value for value in values if value not in trained), None)
    if missing is not None:
        raise DataError(f"{where}: label {missing!r} has no training rows; give more rows, or drop the label")
    if len({row["label"] for row in test}) < 2:
        raise DataError(f"{where}: the test rows are all of one class; give more of them")


def _check_ids(rows: Sequence[Row], where: str) -> None:
    repeated = [item for item, count in Counter(row["id"] for row in rows).items() if count > 1]
    if repeated:
        raise DataError(f"{where}: the id {repeated[0]!r} occurs more than once; ids must be unique over train and test")


def _example(row: Row, task: Task, index: Mapping[str, int]) -> Example:
    return Example(
        id=row["id"],
        text=row["text"],
        label=index[row["label"]] if task == "classification" else None,
        response=row.get("response"),
        target=float(row["target"]) if task == "regression" else None,
        group=row.get("group") or None,
        pair_id=row.get("pair_id") or None,
    )


def _with_twin(example: Example) -> Example:
    return replace(example, counterfactual=counterfactual(example.text), placebo=placebo(example.text))
