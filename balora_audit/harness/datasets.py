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
from balora_audit.data.labels import LabelNames, label_order, name_labels
from balora_audit.data.perturbations import PERTURBATIONS, available, perturb
from balora_audit.data.prompts import DEFAULT_PROMPT, check_prompt, fill
from balora_audit.errors import ConfigurationError, DataError, unknown_name
from balora_audit.harness.rows import Document, Row, data_function, draw, read, structured

__all__ = ["biographies", "general_text", "imbalance", "noise"]


@data_function("balora_noise")
def noise(
    *,
    severity: int = 0,
    kinds: Sequence[str] | str | None = None,
    items: int = 128,
    seed: int = 0,
    data: str | None = None,
    columns: Mapping[str, str] | None = None,
    label_names: LabelNames = None,
    prompt: str | None = None,
    **_: Any,
) -> list[Document]:
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
            prompt=fill(template, noisy.text),
            noisy_text=noisy.text,
            kind=kind,
            severity=severity,
            changed=noisy.changed,
        )
    return documents


@data_function("balora_imbalance")
def imbalance(
    *,
    items: int = 128,
    seed: int = 0,
    data: str | None = None,
    columns: Mapping[str, str] | None = None,
    label_names: LabelNames = None,
    prompt: str | None = None,
    **_: Any,
) -> list[Document]:
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
        document["prompt"] = fill(template, document["text"])
    return documents


@data_function("balora_drift")
def general_text(
    *, items: int | None = None, seed: int = 0, data: str | None = None, columns: Mapping[str, str] | None = None, **_: Any
) -> list[Document]:
    """Return held-out general text for likelihood; `data` is the user's own file with the field ``text``."""
    if data is None:
        passages = [{"id": f"general-{number:05d}", "text": text} for number, text in enumerate(held_out())]
    else:
        rows = read(data, task="balora_drift", needs=("text",), columns=columns, blank=True)
        passages = [{"id": row.get("id") or f"row-{number:06d}", "text": row["text"]} for number, row in enumerate(rows)]
    chosen = [passage for passage in draw(passages, items, seed) if passage["text"].strip()]
    if not chosen:
        raise DataError("task balora_drift: no row has any text")
    return [{**passage, "pair_id": passage["id"], "group": None, "severity": 0} for passage in chosen]


def _labelled(
    task: str,
    items: int | None,
    seed: int,
    data: str | None,
    columns: Mapping[str, str] | None,
    label_names: LabelNames,
    prompt: str | None,
) -> tuple[list[Document], str]:
    """Return labelled documents and the prompt template: generated biographies, or the rows of the user's file."""
    if data is not None:
        documents = _from_rows(read(data, task=task, needs=("text", "label"), columns=columns), label_names, task, data)
        return draw(documents, items, seed), check_prompt(prompt or DEFAULT_PROMPT, where=f"task {task}")
    found = biographies(task, items or 128, seed)
    documents = [
        _document(example.id, example.text, list(found.label_names), int(example.label or 0), example.group, example.pair_id)
        for example in found.test
    ]
    return documents, check_prompt(prompt or found.prompt, where=f"task {task}")


def biographies(task: str, items: int, seed: int) -> AuditDataset:
    """Return generated biographies with so many test texts; `ConfigurationError` when they are fewer than there are occupations."""
    if items < len(OCCUPATIONS):
        raise ConfigurationError(f"task {task}: items must be at least {len(OCCUPATIONS)}, one text per occupation, got {items}")
    return generate(n_train=len(OCCUPATIONS), n_test=items, seed=seed)


def _from_rows(rows: Sequence[Row], label_names: LabelNames, task: str, data: str) -> list[Document]:
    """Return a document per row; one without choices of its own has the names of all labels to choose from."""
    values = label_order(row["label"] for row in rows if not row.get("choices"))
    if len(values) == 1:
        raise DataError(f"task {task}: {data} has one label only, {values[0]!r}; multiple choice needs two")
    names = name_labels(values, label_names, where=f"task {task}") if values else []
    index = {value: number for number, value in enumerate(values)}
    documents = []
    for number, row in enumerate(rows):
        item = row.get("id") or f"row-{number:06d}"
        choices, label = _own_choices(row, item, task) if row.get("choices") else (names, index[row["label"]])
        documents.append(_document(item, row["text"], list(choices), label, row.get("group") or None, row.get("pair_id") or item))
    return documents


def _own_choices(row: Row, item: str, task: str) -> tuple[list[str], int]:
    """Return the choices that a row brings and which is right: its label is the number of one, or one of them."""
    choices = [str(choice) for choice in structured(row, "choices", task=task)]
    label = row["label"]
    if label.isdecimal() and int(label) < len(choices):
        return choices, int(label)
    if label not in choices:
        raise DataError(f"task {task}: the label {label!r} of item {item} is neither one of its choices nor the number of one")
    return choices, choices.index(label)


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


def _balanced(documents: list[Document], items: int, seed: int) -> list[Document]:
    by_class: dict[str, list[Document]] = {}
    for document in documents:
        by_class.setdefault(document["class"], []).append(document)
    most = max(1, min(min(map(len, by_class.values())), items // len(by_class)))
    kept = {id(document) for members in by_class.values() for document in draw(members, most, seed)}
    return [document for document in documents if id(document) in kept]
