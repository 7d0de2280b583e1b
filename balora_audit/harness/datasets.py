"""Data sets of the harness tasks, generated from a seed; named by ``custom_dataset`` in the task files."""

from __future__ import annotations

from typing import Any

from balora_audit.data.biographies import generate

__all__ = ["occupation"]


def occupation(*, items: int = 128, seed: int = 0, **_: Any) -> dict[str, Any]:
    """Return the built-in biographies' test set as multiple-choice documents.

    Parameters
    ----------
    items, seed : int
        As for the audit's own data: the defaults give the test set of the ``quick`` preset. ``--metadata`` sets them.

    Returns
    -------
    dict
        ``{"test": datasets.Dataset}`` with ``id``, ``prompt``, ``choices``, ``label`` (index), ``group`` and ``pair_id``.
    """
    from datasets import Dataset

    found = generate(n_train=8, n_test=items, seed=seed)
    documents = [
        {
            "id": example.id,
            "prompt": found.render(example.text),
            "choices": list(found.label_names),
            "label": example.label,
            "group": example.group,
            "pair_id": example.pair_id,
        }
        for example in found.test
    ]
    return {"test": Dataset.from_list(documents)}
