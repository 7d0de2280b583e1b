"""Data sets of the noise, imbalance and drift tasks; named by ``custom_dataset`` in the task files.

Generated from a seed, or made from the user's own file. The harness passes a task's ``metadata``, in which ``--metadata``
wins over the task file, as keyword arguments; every function ignores those that are for other tasks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from balora_audit.data.biographies import generate
from balora_audit.data.biography_parts import OCCUPATIONS
from balora_audit.data.dataset import AuditDataset
from balora_audit.data.general_text import held_out
from balora_audit.data.perturbations import PERTURBATIONS, available, perturb
from balora_audit.data.tables import DEFAULT_PROMPT
from balora_audit.errors import ConfigurationError, DataError, unknown_name
from balora_audit.harness.rows import Row, checked, draw, read, structured

__all__ = ["biographies", "general_text", "imbalance", "noise"]

Document = dict[str, Any]


@checked("balora_noise")
def noise(
    *,
    severity: int = 0,
    kinds: Sequence[str] | str | None = None,
    items: int = 128,
    seed: int = 0,
    data: str | None = None,
    columns: Mapping[str, str] | None = None,
    label_names: Sequence[str] | Mapping[str, str] | None = None,
    prompt: str | None = None,
    **_: Any,
) -> dict[str, Any]:
    """Return multiple-choice documents whose text is perturbed at one severity; severity 0 leaves it as it is.

    Parameters
    ----------
    severity : int
        0 to 5, as in METHODS §4; the tasks ``balora_noise_clean`` and ``balora_noise_s1`` … ``s5`` set it.
    kinds : sequence of str, optional
        Kinds of noise (``balora-audit ls perturbations``), taken in turn over the items so that an item has the same kind at
        every severity; all by default.
    items, seed : int
        Number of texts; of the texts and of the noise.
    data, columns, label_names, prompt
        The user's own file with the fields ``text`` and ``label`` (and optionally ``choices``, ``id``, ``group``), how
        its columns are called, how the labels are written, and the prompt template with one ``{text}``.
    """
    known = available()
    chosen = [kinds] if isinstance(kinds, str) else list(kinds or PERTURBATIONS)
    for kind in chosen:
        if kind not in known:
            raise unknown_name("perturbation", kind, known)
    if not isinstance(severity, int) or not 0 <= severity <= 5:
        raise ConfigurationError(f"severity must be a whole number within 0 and 5, got {severity!r}")
    documents, template = _labelled("balora_noise", items, seed, data, columns, label_names, prompt)
    for number, document in enumerate(documents):
        kind = chosen[number % len(chosen)]
        text = document["text"]
        noisy = perturb(known[kind], text, severity=severity, seed=seed, item_id=document["id"], protect=document["choices"])
        document.update(
            prompt=template.replace("{text}", noisy.text),
            noisy_text=noisy.text,
            kind=kind,
            severity=severity,
            changed=noisy.changed,
        )
    return _test(documents)


@checked("balora_imbalance")
def imbalance(
    *,
    items: int = 128,
    seed: int = 0,
    data: str | None = None,
    columns: Mapping[str, str] | None = None,
    label_names: Sequence[str] | Mapping[str, str] | None = None,
    prompt: str | None = None,
    **_: Any,
) -> dict[str, Any]:
    """Return multiple-choice documents with equally many items of every class (they differ by at most one).

    Parameters
    ----------
    items, seed : int
        Number of texts over all classes; of the texts and of the choice of rows.
    data, columns, label_names, prompt
        As for :func:`noise`; of every class as many rows are kept as its rarest one has.
    """
    if data is None:
        documents, template = _labelled("balora_imbalance", items, seed, None, columns, label_names, prompt)
    else:
        found, template = _labelled("balora_imbalance", None, seed, data, columns, label_names, prompt)
        documents = _balanced(found, items, seed)
    for document in documents:
        document["prompt"] = template.replace("{text}", document["text"])
    return _test(documents)


@checked("balora_drift")
def general_text(
    *, items: int | None = None, seed: int = 0, data: str | None = None, columns: Mapping[str, str] | None = None, **_: Any
) -> dict[str, Any]:
    """Return held-out general text for likelihood; `data` is the user's own file with the field ``text``."""
    if data is None:
        passages = [{"id": f"general-{number:05d}", "text": text} for number, text in enumerate(held_out())]
    else:
        rows = read(data, task="balora_drift", needs=("text",), columns=columns, blank=True)
        passages = [{"id": row.get("id") or f"row-{number:06d}", "text": row["text"]} for number, row in enumerate(rows)]
    chosen = [passage for passage in draw(passages, items, seed) if passage["text"].strip()]
    if not chosen:
        raise DataError("task balora_drift: no row has any text")
    return _test([{**passage, "pair_id": passage["id"], "group": None, "severity": 0} for passage in chosen])


def _labelled(
    task: str,
    items: int | None,
    seed: int,
    data: str | None,
    columns: Mapping[str, str] | None,
    label_names: Sequence[str] | Mapping[str, str] | None,
    prompt: str | None,
) -> tuple[list[Document], str]:
    if data is None:
        found = biographies(task, items or 128, seed)
        documents = [
            _document(example.id, example.text, list(found.label_names), int(example.label or 0), example.group, example.pair_id)
            for example in found.test
        ]
        return documents, prompt or found.prompt
    template = prompt or DEFAULT_PROMPT
    if template.count("{text}") != 1:
        raise DataError(f"task {task}: the prompt template needs exactly one {{text}}, got {template!r}")
    rows = read(data, task=task, needs=("text", "label"), columns=columns)
    values = sorted({row["label"] for row in rows})
    values = sorted(values, key=int) if all(value.lstrip("-").isdigit() for value in values) else values
    names = _names(task, values, label_names)
    if "choices" not in rows[0] and len(values) < 2:
        raise DataError(f"task {task}: {data} has one label only, {values[0]!r}; multiple choice needs two")
    documents = [_from_row(row, number, values, names, task) for number, row in enumerate(rows)]
    return draw(documents, items, seed), template


def biographies(task: str, items: int, seed: int) -> AuditDataset:
    """Return generated biographies with so many test texts; `ConfigurationError` when they are fewer than there are occupations."""
    if items < len(OCCUPATIONS):
        raise ConfigurationError(f"task {task}: items must be at least {len(OCCUPATIONS)}, one text per occupation, got {items}")
    return generate(n_train=len(OCCUPATIONS), n_test=items, seed=seed)


def _from_row(row: Row, number: int, values: Sequence[str], names: Sequence[str], task: str) -> Document:
    item = row.get("id") or f"row-{number:06d}"
    choices, label = list(names), values.index(row["label"])
    if row.get("choices"):
        choices = [str(choice) for choice in structured(row, "choices", task=task)]
        index = row["label"]
        label = int(index) if index.isdigit() and int(index) < len(choices) else choices.index(index) if index in choices else -1
        if label < 0:
            raise DataError(f"task {task}: the label {index!r} of item {item} is neither one of its choices nor the number of one")
    return _document(item, row["text"], choices, label, row.get("group") or None, row.get("pair_id") or item)


def _document(item: str, text: str, choices: list[str], label: int, group: str | None, pair_id: str | None) -> Document:
    return {
        "id": item,
        "pair_id": pair_id or item,
        "group": group,
        "severity": 0,
        "text": text,
        "choices": choices,
        "label": label,
        "class": choices[label],
    }


def _names(task: str, values: Sequence[str], given: Sequence[str] | Mapping[str, str] | None) -> list[str]:
    if given is None:
        return [value.strip() for value in values]
    if isinstance(given, Mapping):
        unknown = next((value for value in given if value not in values), None)
        if unknown is not None:
            raise DataError(f"task {task}: label_names names the label {unknown!r}, which no row has; labels: {', '.join(values)}")
        return [str(given.get(value, value)) for value in values]
    if len(given) != len(values):
        raise DataError(f"task {task}: label_names gives {len(given)} names for {len(values)} labels: {', '.join(values)}")
    return [str(name) for name in given]


def _balanced(documents: list[Document], items: int, seed: int) -> list[Document]:
    by_class: dict[str, list[Document]] = {}
    for document in documents:
        by_class.setdefault(document["class"], []).append(document)
    most = max(1, min(min(map(len, by_class.values())), items // len(by_class)))
    kept = {id(document) for members in by_class.values() for document in draw(members, most, seed)}
    return [document for document in documents if id(document) in kept]


def _test(documents: list[Document]) -> dict[str, Any]:
    from datasets import Dataset

    return {"test": Dataset.from_list(documents)}
