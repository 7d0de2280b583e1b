"""What an audit trains and tests on, whatever it came from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

from balora_audit.data.prompts import check_prompt, fill

__all__ = ["AuditDataset", "Example", "Task", "fingerprint"]

Task = Literal["classification", "generation", "regression"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One item.

    Classification fills ``label`` (an index into ``AuditDataset.label_names``); generation fills ``response``;
    regression fills ``target``, a number.
    ``group`` is the group for fairness metrics (``"female"``, ``"male"``, …, None when unknown).
    ``counterfactual`` is the same text about the other group, when one exists. ``pair_id`` ties such twins together.
    ``placebo`` is the same text with another name of the same gender, when one is named. ``decided`` is whether the text decides the
    answer; None when unknown.
    """

    id: str
    text: str
    label: int | None = None
    response: str | None = None
    target: float | None = None
    group: str | None = None
    pair_id: str | None = None
    counterfactual: str | None = None
    placebo: str | None = None
    decided: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditDataset:
    """Training, test and general text, and how a text becomes a prompt.

    Parameters
    ----------
    name : str
        Shown in the report.
    task : {"classification", "generation", "regression"}
    label_names : tuple of str
        Class names by label index; also the verbalizers (a causal LM answers with their likelihood). Empty for other
        tasks.
    train, test : tuple of Example
        Ids are unique across both.
    validation : tuple of Example
        Rows like those of training, set aside from them: settings are chosen on these, and no text of theirs is trained on.
    general : tuple of str
        Held-out general text, on which knowledge drift is measured.
    prompt : str
        Template with one ``{text}``; the answer follows it after one space.
    source : dict
        Where it came from (name or path, split, hashes, generator settings); goes into the provenance.
    swapped : str
        What the counterfactuals change, in words that follow *only* and precede *changes*.
    notes : tuple of str
        What a reader has to know about these rows, such as that there are fewer than were asked for.
    stereotypes : mapping
        Label name → the group that the class is stereotyped with; empty where that is not known.
    best_accuracy : float, optional
        The best accuracy that is possible on the test texts, or a bound of it; ``best_accuracy_note`` says which, or why there is none.
    draw : callable, optional
        Training seed → training rows, drawn anew; None where all seeds train on the same rows, for the reason that ``redrawn`` gives.
    redrawn : str
        In words, whether training rows differ between seeds.

    Raises
    ------
    DataError
        The template does not have one place for the text.
    """

    name: str
    task: Task
    label_names: tuple[str, ...]
    train: tuple[Example, ...]
    test: tuple[Example, ...]
    general: tuple[str, ...]
    prompt: str
    source: dict[str, object]
    validation: tuple[Example, ...] = ()
    swapped: str = "the person's gender"
    notes: tuple[str, ...] = ()
    stereotypes: Mapping[str, str] = field(default_factory=dict)
    best_accuracy: float | None = None
    best_accuracy_note: str = "it is not known"
    draw: Callable[[int], tuple[Example, ...]] | None = field(default=None, compare=False, repr=False)  # no two functions are equal
    redrawn: str = "all seeds train on the same rows"

    def __post_init__(self) -> None:
        check_prompt(self.prompt)

    def rows(self, seed: int) -> tuple[Example, ...]:
        """Return the training rows of a training seed."""
        return self.train if self.draw is None else self.draw(seed)

    def render(self, text: str) -> str:
        """Return the prompt for a text (the text itself is never interpreted as a template)."""
        return fill(self.prompt, text)

    def answer(self, example: Example) -> str:
        """Return the text the model is trained to produce after the prompt, with its leading space."""
        if self.task == "generation":
            if example.response is None:
                raise ValueError(f"example {example.id!r} of a generation task has no response")
            return " " + example.response
        if example.label is None:
            raise ValueError(f"example {example.id!r} of a classification task has no label")
        return " " + self.label_names[example.label]


def fingerprint(examples: Sequence[Example]) -> str:
    """Return the SHA-256 over rows in their order: contents and order both count."""
    digest = hashlib.sha256()
    for example in examples:
        digest.update(json.dumps(asdict(example), ensure_ascii=False, sort_keys=True).encode("utf-8", "surrogatepass"))
        digest.update(b"\n")
    return digest.hexdigest()
