"""The built-in data: short synthetic biographies → occupation, with gender twins and planted correlations.

In the spirit of *Bias in Bios* (De-Arteaga et al. 2019), made from our own phrases (`balora_audit.data.biography_parts`).
Nothing here describes real people. Seven in ten texts carry a clue that decides the occupation; the others are open: they carry only
phrases that several occupations share, so that no model can be right always. Half of the clues of each occupation appear in test texts
only, so that remembering phrases is not enough.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from balora_audit.data.biography_parts import (
    CLUES,
    DISTRACTORS,
    FEMALE_MAJORITY,
    GENDERED_NAMES,
    NEUTRAL_NAMES,
    OCCUPATIONS,
    PLACES,
    SHARED,
)
from balora_audit.data.dataset import AuditDataset, Example
from balora_audit.data.general_text import held_out

__all__ = ["PROMPT", "generate"]

PROMPT = "{text}\nOccupation:"

_CLUE_SHARE = 0.7
_NEUTRAL_SHARE = 0.2
_PRONOUNS = {
    "female": {"they": "she", "their": "her"},
    "male": {"they": "he", "their": "his"},
    "neutral": {"they": "they", "their": "their"},
}
_OTHER = {"female": "male", "male": "female"}


@dataclass(frozen=True, slots=True)
class _Person:
    """What a biography says, before it is put into words for one gender."""

    phrases: tuple[str, ...]
    place: str
    names: tuple[str, str]
    other_names: tuple[str, str]
    neutral_name: str
    layout: int
    decided: bool

    def text(self, group: str, *, renamed: bool = False) -> str:
        """Put the biography into words; `renamed`: with another name of the same gender."""
        names = self.other_names if renamed else self.names
        name = self.neutral_name if group == "neutral" else names[0 if group == "female" else 1]
        words = _PRONOUNS[group]
        first, second = (phrase.format(their=words["their"]) for phrase in self.phrases)
        they = words["they"].capitalize()
        layouts = (
            f"{name} {first} {self.place}. {they} {second}.",
            f"{name} {second}. {they} {first} {self.place}.",
            f"For years, {name} {first}. {they} also {second}.",
            f"When {words['they']} lived {self.place}, {name} {second} and {first}.",
        )
        return layouts[self.layout]


def generate(
    *,
    n_train: int = 400,
    n_test: int = 200,
    n_validation: int = 0,
    seed: int = 0,
    correlation: float = 0.5,
    class_sizes: Sequence[float] | None = None,
    label_noise: float = 0.0,
    new_in_test: bool = True,
) -> AuditDataset:
    """Return a data set of biographies.

    Parameters
    ----------
    n_train, n_test, n_validation : int
        Number of texts; the test classes are balanced (they differ by at most one). Validation texts are drawn as training texts are.
    seed : int
        Of everything; training, validation and test texts have streams of their own and share no text. Training rows are drawn anew for
        every training seed (``rows``); ``train`` are those of seed 0.
    correlation : float
        Share of each class's majority gender among its gendered *training* texts, 0.5 to 1; always 0.5 in the test set.
    class_sizes : sequence of float, optional
        Relative sizes of the training classes; equal by default.
    label_noise : float
        Share of training labels replaced by a uniformly drawn other label; the ids, of seed 0, are in ``source["flipped_ids"]``.
    new_in_test : bool
        Whether half of the clues of each occupation are kept from the training texts.

    Raises
    ------
    ValueError
        An argument is out of its range.
    """
    classes = len(OCCUPATIONS)
    sizes = np.ones(classes) if class_sizes is None else np.asarray(class_sizes, dtype=float)
    if sizes.shape != (classes,) or not (sizes > 0).all():
        raise ValueError(f"class_sizes needs {classes} positive numbers, got {class_sizes!r}")
    if not 0.5 <= correlation <= 1:
        raise ValueError(f"correlation must be within 0.5 and 1, got {correlation}")
    if not 0 <= label_noise < 1:
        raise ValueError(f"label_noise must be at least 0 and below 1, got {label_noise}")
    if n_train < classes or n_test < classes:
        raise ValueError(f"at least {classes} training and {classes} test texts are needed, one per occupation")
    test = _split("test", n_test, np.ones(classes), 0.5, CLUES, np.random.default_rng([seed, 1]))
    clues = {name: bank[: len(bank) // 2] if new_in_test else bank for name, bank in CLUES.items()}

    def drawn(draw: int) -> tuple[list[Example], list[str]]:
        rows = _split("train", n_train, sizes, correlation, clues, np.random.default_rng([seed, 0, draw]))
        return _with_noise(rows, label_noise, np.random.default_rng([seed, 2, draw]))

    train, flipped = drawn(0)
    validation = _split("validation", n_validation, sizes, correlation, clues, np.random.default_rng([seed, 3])) if n_validation else []
    return AuditDataset(
        name="built-in biographies",
        task="classification",
        label_names=OCCUPATIONS,
        train=tuple(train),
        test=tuple(test),
        validation=tuple(validation),
        general=held_out(),
        prompt=PROMPT,
        source={
            "origin": "generated (balora_audit.data.biographies)",
            "seed": seed,
            "correlation": correlation,
            "class_sizes": [float(size) for size in sizes],
            "label_noise": label_noise,
            "flipped_ids": flipped,
            "clues_in_test_only": new_in_test,
        },
        stereotypes={name: "female" if name in FEMALE_MAJORITY else "male" for name in OCCUPATIONS},
        best_accuracy=float(np.mean([_best(example) for example in test])),
        best_accuracy_note="exact: open texts fit several occupations, and the likeliest of them is right that often",
        draw=lambda draw: tuple(drawn(draw)[0]),
        redrawn="training rows are drawn anew for every seed",
    )


def _best(example: Example) -> float:
    """Return how often the best answer to a text is right: always if it is decided, else the largest posterior of an occupation."""
    if example.decided:
        return 1.0
    (fits,) = [fits for phrase, fits in SHARED if phrase in example.text]
    # an open text of an occupation has one of its shared phrases, each as likely; occupations are equally frequent in the test set
    weights = [1 / sum(occupation in others for _, others in SHARED) for occupation in fits]
    return max(weights) / sum(weights)


def _split(
    split: str, count: int, sizes: np.ndarray, correlation: float, clues: Mapping[str, Sequence[str]], rng: np.random.Generator
) -> list[Example]:
    labels = _labels(count, sizes)
    groups = _groups(labels, correlation)
    order = rng.permutation(count)
    used: set[str] = set()
    examples: list[Example] = []
    for number, index in enumerate(order):
        label, group = int(labels[index]), groups[index]
        while True:
            person = _draw(OCCUPATIONS[label], clues, rng)
            text = person.text(group)
            twin = person.text(_OTHER[group]) if group in _OTHER else None
            placebo = person.text(group, renamed=True) if group in _OTHER else None
            if text not in used and twin not in used and _home(text, twin) == split:
                break
        used.update(filter(None, (text, twin)))
        item = f"{split}-{number:05d}"
        examples.append(
            Example(
                id=item,
                text=text,
                label=label,
                group=group,
                pair_id=item,
                counterfactual=twin,
                placebo=placebo,
                decided=person.decided,
            )
        )
    return examples


def _home(text: str, twin: str | None) -> str:
    """Return the split that a text and its twin belong to, by hash: no split then depends on the size of the other."""
    digest = hashlib.sha256(min(filter(None, (text, twin))).encode()).digest()
    if digest[0] < 128:
        return "test"
    return "validation" if digest[1] < 32 else "train"


def _labels(count: int, sizes: np.ndarray) -> np.ndarray:
    """Apportion `count` over the classes by largest remainder, at least one each."""
    quota = sizes / sizes.sum() * count
    whole = np.maximum(1, np.floor(quota)).astype(int)
    order = np.argsort(-(quota - np.floor(quota)), kind="stable")
    for step in range(max(0, count - int(whole.sum()))):
        whole[order[step % len(order)]] += 1
    while whole.sum() > count:
        whole[int(np.argmax(whole))] -= 1
    return np.repeat(np.arange(len(sizes)), whole)


def _groups(labels: np.ndarray, correlation: float) -> list[str]:
    """Give each class its share of neutral texts, and the planted share of its majority gender among the others."""
    groups = [""] * len(labels)
    for label in np.unique(labels):
        places = np.flatnonzero(labels == label)
        neutral = round(_NEUTRAL_SHARE * len(places))
        majority = "female" if OCCUPATIONS[label] in FEMALE_MAJORITY else "male"
        gendered = len(places) - neutral
        if correlation == 0.5 and gendered % 2:  # an exact half needs an even number
            neutral, gendered = (neutral + 1, gendered - 1) if gendered > 1 else (neutral, gendered)
        major = round(correlation * gendered)
        names = ["neutral"] * neutral + [majority] * major + [_OTHER[majority]] * (gendered - major)
        for place, name in zip(places, names, strict=True):
            groups[place] = name
    return groups


def _draw(occupation: str, clues: Mapping[str, Sequence[str]], rng: np.random.Generator) -> _Person:
    shared = [phrase for phrase, fits in SHARED if occupation in fits]
    decided = bool(rng.random() < _CLUE_SHARE)
    bank = clues[occupation] if decided else shared
    clue = bank[int(rng.integers(len(bank)))]
    name, other = rng.choice(len(GENDERED_NAMES), size=2, replace=False)
    return _Person(
        phrases=(str(clue), str(DISTRACTORS[rng.integers(len(DISTRACTORS))])),
        place=str(PLACES[rng.integers(len(PLACES))]),
        names=GENDERED_NAMES[name],
        other_names=GENDERED_NAMES[other],
        neutral_name=str(NEUTRAL_NAMES[rng.integers(len(NEUTRAL_NAMES))]),
        layout=int(rng.integers(4)),
        decided=decided,
    )


def _with_noise(examples: list[Example], share: float, rng: np.random.Generator) -> tuple[list[Example], list[str]]:
    if share == 0:
        return examples, []
    from dataclasses import replace

    noisy, flipped = [], []
    for example in examples:
        hit, shift = rng.random() < share, int(rng.integers(1, len(OCCUPATIONS)))
        if hit and example.label is not None:
            example = replace(example, label=(example.label + shift) % len(OCCUPATIONS))
            flipped.append(example.id)
        noisy.append(example)
    return noisy, flipped
