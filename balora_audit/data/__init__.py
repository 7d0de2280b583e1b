"""Data: built-in biographies, users' files, the Hub; training conditions; perturbations; identity swaps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from balora_audit.config import AuditConfig
from balora_audit.data.biographies import generate
from balora_audit.data.dataset import AuditDataset, Example
from balora_audit.data.files import load_file, read_general
from balora_audit.data.general_text import held_out
from balora_audit.data.identity import read_swaps
from balora_audit.errors import ConfigurationError, DataError

__all__ = ["BUILT_IN", "AuditDataset", "Example", "load"]

BUILT_IN = {"biographies": "short synthetic biographies → occupation, with gender twins and planted correlations"}


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
    if config.swaps is None:
        return dataset
    path = Path(config.swaps).expanduser()
    swaps = read_swaps(path)
    test = tuple(replace(example, counterfactual=swaps.counterfactual(example.text)) for example in dataset.test)
    source = {**dataset.source, "swaps": {"file": path.name, "pairs": len(swaps.pairs)}}
    return replace(dataset, test=test, source=source, swapped=f"an identity term of {path.name}")


def _load(config: AuditConfig) -> AuditDataset:
    train_rows = min(config.train_rows, config.limit or config.train_rows)
    test_rows = min(config.test_rows, config.limit or config.test_rows)
    if config.data in BUILT_IN:
        for name in ("columns", "label_names", "prompt", "test_data"):
            if getattr(config, name):
                raise ConfigurationError(f"{name} is for --data from files; the built-in biographies bring their own")
        return generate(n_train=train_rows, n_test=test_rows, seed=config.data_seed, correlation=config.correlation)
    shared: dict[str, Any] = {
        "columns": config.columns,
        "label_names": config.label_names,
        "prompt": config.prompt,
        "train_rows": train_rows,
        "test_rows": test_rows,
        "seed": config.data_seed,
        "general": held_out(),
    }
    path = Path(config.data).expanduser()
    if path.exists():
        test_path = Path(config.test_data).expanduser() if config.test_data else None
        return load_file(path, test_path=test_path, **shared)
    if path.suffix or config.data.startswith((".", "/", "~")):
        raise DataError(f"data file {config.data!r} does not exist")
    if "/" not in config.data:
        raise DataError(
            f"unknown data {config.data!r}: give {', '.join(BUILT_IN)}, a file (.csv, .tsv, .jsonl, .parquet), a folder, "
            "or a Hub data set such as org/name"
        )
    from balora_audit.data.hub import load_hub

    return load_hub(config.data, revision=config.revision, **shared)
