"""Data sets of the Hugging Face Hub (or a local folder in its layout), through the ``datasets`` library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from balora_audit.data.dataset import AuditDataset
from balora_audit.data.tables import Table, build
from balora_audit.errors import DataError

__all__ = ["load_hub"]

_TEST_SPLITS = ("test", "validation", "dev")


def load_hub(
    name: str,
    *,
    revision: str | None,
    columns: Mapping[str, str],
    label_names: Sequence[str] | Mapping[str, str] | None,
    prompt: str | None,
    train_rows: int,
    test_rows: int,
    seed: int,
    general: tuple[str, ...],
) -> AuditDataset:
    """Return a Hub data set, ``org/name`` or ``org/name:configuration``.

    The label names of a ``ClassLabel`` column are used unless others are given. A test split without labels (all −1, as GLUE
    has it) is passed over for the validation split.

    Raises
    ------
    DataError
        It is neither cached nor reachable, has no training split, or lacks what is needed.
    """
    import datasets

    path, _, configuration = name.partition(":")
    try:
        found = datasets.load_dataset(path, configuration or None, revision=revision)
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(
            f"data set {name!r} is not in the local cache and cannot be loaded from the Hub ({str(error).splitlines()[0]}); "
            "give a local file or folder with --data"
        ) from error
    if "train" not in found:
        raise DataError(f"data set {name!r} has no train split; it has {', '.join(found)}")
    label_column = columns.get("label", "label")
    feature = found["train"].features.get(label_column)
    if label_names is None and isinstance(feature, datasets.ClassLabel):
        label_names = {str(index): text for index, text in enumerate(feature.names)}
    tests = [split for split in _TEST_SPLITS if split in found and _labelled(found[split], label_column)]
    train = _table(found["train"], f"{name}, split train")
    test = _table(found[tests[0]], f"{name}, split {tests[0]}") if tests else None
    if isinstance(label_names, Mapping) and label_column in train.frame:
        label_names = {value: text for value, text in label_names.items() if value in set(train.frame[label_column])}
    return build(
        train,
        test,
        name=name,
        columns=columns,
        label_names=label_names,
        prompt=prompt,
        train_rows=train_rows,
        test_rows=test_rows,
        seed=seed,
        general=general,
        source={
            "origin": "Hugging Face Hub",
            "revision": revision,
            "fingerprints": {split: getattr(data, "_fingerprint", None) for split, data in found.items()},
        },
    )


def _labelled(split: Any, column: str) -> bool:
    return column not in split.column_names or set(split.unique(column)) != {-1}


def _table(split: Any, where: str) -> Table:
    frame: pd.DataFrame = split.to_pandas()
    return Table(frame=frame.astype(object).where(frame.notna(), "").map(str), where=where, first_row=0)
