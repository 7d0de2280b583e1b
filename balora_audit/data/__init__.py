"""Data: built-in biographies, users' files, the Hub; training conditions; perturbations; identity swaps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from balora_audit.data.biographies import generate
from balora_audit.data.dataset import AuditDataset, Example
from balora_audit.data.files import load_file, read_general
from balora_audit.data.hub import load_hub
from balora_audit.data.swap_files import read_swaps
from balora_audit.data.tables import Reading
from balora_audit.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from balora_audit.config import AuditConfig

__all__ = ["BUILT_IN", "AuditDataset", "Example", "load"]

BUILT_IN = {"biographies": "short synthetic biographies → occupation, with gender twins and planted correlations"}

_OF_FILES = ("columns", "label_names", "prompt", "test_data")


def load(config: AuditConfig) -> AuditDataset:
    """Return the data set that a configuration names, cut to its row counts, with its general text and its twins.

    Raises
    ------
    DataError, ConfigurationError
        The data cannot be used as asked; the message says what, where and the way out.
    """
    dataset = _load(config)
    if config.general is not None:
        path = Path(config.general).expanduser()
        dataset = replace(dataset, general=read_general(path), source={**dataset.source, "general_text": path.name})
    return _with_swaps(dataset, Path(config.swaps).expanduser()) if config.swaps is not None else dataset


def _with_swaps(dataset: AuditDataset, path: Path) -> AuditDataset:
    """Return the data set with counterfactuals by the user's terms, in place of the built-in ones."""
    swaps = read_swaps(path)
    return replace(
        dataset,
        test=tuple(replace(example, counterfactual=swaps.counterfactual(example.text)) for example in dataset.test),
        stereotypes={},  # what the classes are stereotyped with is not known for these terms
        swapped=f"an identity term of {path.name}",
        source={**dataset.source, "swaps": {"file": path.name, "pairs": len(swaps.pairs)}},
    )


def _load(config: AuditConfig) -> AuditDataset:
    train_rows = min(config.train_rows, config.limit or config.train_rows)
    test_rows = min(config.test_rows, config.limit or config.test_rows)
    validation_rows = config.validation_rows if config.tune else 0
    if config.data in BUILT_IN:
        for name in _OF_FILES:
            if getattr(config, name):
                raise ConfigurationError(f"{name} is for --data from files; the built-in biographies bring their own")
        return generate(
            n_train=train_rows,
            n_test=test_rows,
            n_validation=validation_rows,
            seed=config.data_seed,
            correlation=config.correlation,
        )
    reading = Reading(
        columns=config.columns,
        label_names=config.label_names,
        prompt=config.prompt,
        train_rows=train_rows,
        test_rows=test_rows,
        validation_rows=validation_rows,
        seed=config.data_seed,
    )
    path = Path(config.data).expanduser()
    if path.exists():
        return load_file(path, reading, test_path=Path(config.test_data).expanduser() if config.test_data else None)
    if path.suffix or config.data.startswith((".", "/", "~")):
        raise DataError(f"data file {config.data!r} does not exist")
    if "/" not in config.data:
        raise DataError(
            f"unknown data {config.data!r}: give {', '.join(BUILT_IN)}, a file (.csv, .tsv, .jsonl, .parquet), a folder, "
            "or a Hub data set such as org/name"
        )
    return load_hub(config.data, reading, revision=config.revision)
