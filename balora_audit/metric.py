"""What a metric *is*: one record, declared with the probe that measures it, read by claims, comparisons, report and exports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Metric", "Sentence", "Skill", "Unit"]

Unit = Literal["share", "nats", "ratio", "number"]
Skill = Literal["unrelated", "level", "follows", "trained"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """How a difference is told: ``form`` has the fields candidate, baseline, title, size and word; ``word`` is `less` or `more`."""

    form: str = "{candidate}'s {title} was {size} {word} than {baseline}'s"
    less: str = "lower"
    more: str = "higher"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A metric, in everything that is said and decided about it.

    The order of metrics in their probe is the order in which a reader meets them. ``{swapped}`` in a text stands for what a
    counterfactual swaps; it is filled in before the record is kept with an audit.

    Parameters
    ----------
    name : str
        Unique among the metrics of an audit; what configurations and ``audit.json`` call it.
    title, meaning, source : str
        A few words, one sentence, and the paper or section that defines it.
    unit : {"share", "nats", "ratio", "number"}
        Shares are printed in percent, and their differences in points.
    higher_is_better : bool or None
        None where no direction is the better one.
    margin : float, optional
        Default δ of claims; without one a claim has to bring its own.
    sentence : Sentence
        How a difference between two models is told.
    groups : tuple of str
        The displays of its section that it belongs to.
    against_base : {"compared", "trivial", "always"}
        ``trivial``: a distance from the base, which the base cannot win or lose, so that no row compares with it. ``always``: compared
        with the base whatever the baselines of the audit are (amplification).
    skill : {"unrelated", "level", "follows", "trained"}
        How it stands to skill, that is accuracy (or likelihood) on clean test data (METHODS §9). ``level``: it is a skill itself, of clean
        or of disturbed texts, and a claim on it is decided as it stands. ``follows``: more right answers move it by themselves, so that
        two models of unequal skill are not compared on it. ``trained``: it grows as training goes on, and skill with it, so that the same
        holds for two trained models; against the untrained base it is the plain change.
    matched : str, optional
        The metric of the same probe that decides a claim on this one where skill is unequal; without one the claim is *not comparable*.
    relative_margin : bool
        Whether the margin is a share of the base's value instead of an amount.
    of_training_rows : bool
        Whether it depends on the training rows, so that an untrained model does not have one value under all conditions.
    """

    name: str
    title: str
    unit: Unit
    higher_is_better: bool | None
    meaning: str
    source: str
    margin: float | None = None
    sentence: Sentence = Sentence()
    groups: tuple[str, ...] = ()
    against_base: Literal["compared", "trivial", "always"] = "compared"
    skill: Skill = "unrelated"
    matched: str | None = None
    relative_margin: bool = False
    of_training_rows: bool = False

    @property
    def follows_from_skill(self) -> bool:
        """Whether it can differ between two models for no other reason than that one of them is right more often."""
        return self.skill != "unrelated"

    @classmethod
    def undescribed(cls, name: str) -> Metric:
        """Return the record of a metric that an audit does not describe, such as one that a harness task brought itself."""
        return cls(
            name=name,
            title=name.replace("_", " "),
            unit="number",
            higher_is_better=None,
            meaning="As reported by its task.",
            source="not described in the audit",
        )
