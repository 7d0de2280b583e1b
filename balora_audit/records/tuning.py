"""The records of tuning: what was tried, frontiers of skill and flaw, and what is decided on them (METHODS §9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from balora_audit.records.values import Verdict, finite

__all__ = ["AtEqualSkill", "Effect", "FrontierPoint", "SingleRate", "Tuning", "TuningCandidate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AtEqualSkill:
    """The mean gap between two models' frontiers over the range of skill that both reach, which decided a claim (METHODS §9).

    ``points`` are how many candidates of baseline and candidate are joined. ``interpolation`` is how far the gap could be off because
    points are joined by straight lines; the interval contains it. Without an interval ``reason`` says why.
    """

    delta: float | None
    ci_low: float | None = None
    ci_high: float | None = None
    p_value: float | None = None
    baseline_value: float | None = None
    candidate_value: float | None = None
    skill_low: float | None = None
    skill_high: float | None = None
    interpolation: float = 0.0
    detectable: float | None = None
    n_items: int = 0
    points: tuple[int, int] = (0, 0)
    reason: str | None = None

    def __post_init__(self) -> None:
        finite(self, "delta", "ci_low", "ci_high", "p_value", "baseline_value", "candidate_value")
        finite(self, "skill_low", "skill_high", "interpolation", "detectable")


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleRate:
    """What one common setting alone would have said of a claim: both models trained with it, whatever their skill."""

    baseline_setting: str
    candidate_setting: str
    delta: float | None
    ci_low: float | None = None
    ci_high: float | None = None
    verdict: Verdict

    def __post_init__(self) -> None:
        finite(self, "delta", "ci_low", "ci_high")


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningCandidate:
    """One setting of one method under one seed: its loss on the validation rows, and what it cost.

    ``values`` are by axis. ``validation`` is None exactly when ``reason`` says why.
    """

    method: str
    setting: str
    values: dict[str, float]
    seed: int
    validation: float | None
    ci_low: float | None = None
    ci_high: float | None = None
    wall_seconds: float | None = None
    chosen: bool = False
    reason: str | None = None

    def __post_init__(self) -> None:
        finite(self, "validation", "ci_low", "ci_high", "wall_seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """How settings were chosen: the axes, the candidates of every method, and the choices (METHODS §9).

    Parameters
    ----------
    metric, rows : str, int
        What candidates are chosen by, and on how many rows set aside from training.
    axes : mapping
        Axis → its values before any extension; learning rates are multiples of each method's own where ``relative``.
    candidates : tuple of TuningCandidate
    choices : mapping
        Method → its setting.
    notes : tuple of str
        What a reader has to know: a best value at the edge, candidates that are not told apart, methods with fewer candidates.
    """

    metric: str
    rows: int
    axes: dict[str, tuple[float, ...]]
    relative: bool
    candidates: tuple[TuningCandidate, ...]
    choices: dict[str, str]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontierPoint:
    """One candidate as a point of its method's frontier: its skill, and one flaw, with intervals over items.

    ``joined`` is whether the point is part of the frontier that comparisons are made on; what was trained beyond the most skilled
    candidate is not.
    """

    method: str
    setting: str
    share: float
    seed: int
    probe: str
    metric: str
    slice: str = "all"
    skill: float
    skill_low: float | None = None
    skill_high: float | None = None
    value: float
    ci_low: float | None = None
    ci_high: float | None = None
    n: int
    joined: bool
    chosen: bool

    def __post_init__(self) -> None:
        finite(self, "skill", "skill_low", "skill_high", "value", "ci_low", "ci_high")


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What the initialisation does, what the penalties do, or how the two interact (METHODS §9); a dose is the effect of a weight.

    Parameters
    ----------
    term : {"initialisation", "penalties", "interaction", "dose"}
    at : {"own best", "equal skill"}
        Between each model's best setting, or over the range of skill that the frontiers of all have in common.
    models : tuple of str
        The four corners (neither, initialisation, penalties, both), or the method whose weight is varied.
    weights : tuple of float
        Of the models' values in the effect.
    """

    term: Literal["initialisation", "penalties", "interaction", "dose"]
    at: Literal["own best", "equal skill"]
    models: tuple[str, ...]
    weights: tuple[float, ...]
    probe: str
    metric: str
    slice: str = "all"
    delta: float | None
    ci_low: float | None = None
    ci_high: float | None = None
    ci_level: float = 0.95
    p_value: float | None = None
    skill_low: float | None = None
    skill_high: float | None = None
    n_items: int = 0
    n_seeds: int
    higher_is_better: bool | None
    detail: str = ""
    reason: str | None = None

    def __post_init__(self) -> None:
        finite(self, "delta", "ci_low", "ci_high", "p_value", "skill_low", "skill_high")
