"""Data sets of the Hugging Face Hub (or a local folder in its layout), through the ``datasets`` library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from balora_audit.data.columns import Table, table_of
from balora_audit.data.dataset import AuditDataset
from balora_audit.data.labels import LabelNames
from balora_audit.data.splits import TEST_SPLITS
from balora_audit.data.tables import Reading, build
from balora_audit.errors import DataError

__all__ = ["load_hub"]


def load_hub(name: str, reading: Reading, *, revision: str | None = None) -> AuditDataset:
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
    label_column = reading.columns.get("label", "label")
    tests = [split for split in TEST_SPLITS if split in found and _labelled(found[split], label_column)]
    train = table_of(found["train"].to_pandas(), f"{name}, split train")
    test = table_of(found[tests[0]].to_pandas(), f"{name}, split {tests[0]}") if tests else None
    return build(
        train,
        test,
        replace(reading, label_names=_label_names(reading.label_names, found["train"].features.get(label_column), train, label_column)),
        name=name,
        source={
            "origin": "Hugging Face Hub",
            "revision": revision,
            "fingerprints": {split: getattr(data, "_fingerprint", None) for split, data in found.items()},
        },
    )


def _labelled(split: Any, column: str) -> bool:
    return column not in split.column_names or set(split.unique(column)) != {-1}


def _label_names(given: LabelNames, feature: Any, train: Table, column: str) -> LabelNames:
    """Return the given names, else those of a ``ClassLabel``; a declared class without rows needs no name."""
    import datasets

    if given is None and isinstance(feature, datasets.ClassLabel):
        given = {str(index): text for index, text in enumerate(feature.names)}
    if not isinstance(given, Mapping) or column not in train.columns:
        return given
    place = train.columns.index(column)
    values = {row[place] for row in train.rows}
    return {value: text for value, text in given.items() if value in values}
