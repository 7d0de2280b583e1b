"""The rows of an audit: what was compared, measured, claimed and decided, one record per row.

Every record is frozen, keyword-only and validated when it is made. A quantity that could not be measured is
``None`` with a ``reason``; it is never 0 and never NaN.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from balora_audit.records.tuning import AtEqualSkill, SingleRate
from balora_audit.records.values import Json, Verdict, finite

__all__ = [
    "CellRow",
    "Claim",
    "Comparison",
    "Failure",
    "Floor",
    "Matched",
    "Measurement",
    "ModelRow",
    "ProbeRow",
    "Reference",
    "SampleRow",
    "SampleTable",
    "Series",
    "Units",
    "claims_hash",
]

Status = Literal["complete", "failed", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """One audited model: a fine-tuning method as configured. ``name`` is unique and is what other rows refer to."""

    name: str
    title: str
    method: str
    initialisation: str
    rank: int | None = None
    alpha: float | None = None
    target_modules: tuple[str, ...] = ()
    settings: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeRow:
    """One probe: what it is called and asks, and which metrics it has in this audit, in the order in which a reader meets them.

    The probes of this package are all there, also those that did not run, which have no metrics; of others those that ran.
    """

    name: str
    title: str
    summary: str = ""
    metrics: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRow:
    """One trained model: method × condition × seed. ``losses`` are the last logged values, by term.

    All conditions train as many optimiser ``steps``; ``epochs`` is how often that goes through the rows of this one.
    """

    method: str
    condition: str
    seed: int
    status: Status
    reason: str | None = None
    trainable_parameters: int | None = None
    examples: int | None = None
    steps: int | None = None
    epochs: float | None = None
    losses: dict[str, float] = field(default_factory=dict)
    wall_seconds: float | None = None
    peak_memory_bytes: int | None = None
    adapter: str | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        finite(self, "wall_seconds", "epochs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One measured number of one model.

    ``slice`` says on what part of the data (``"all"``, ``"typo@3"``, ``"class=nurse"``, ``"class=nurse;group=female"``).
    ``value`` is None exactly when ``reason`` says why. ``evidence`` is the path, relative to the run folder, of the
    per-item file behind the number.
    """

    method: str
    condition: str
    seed: int
    probe: str
    metric: str
    slice: str = "all"
    value: float | None
    ci_low: float | None = None
    ci_high: float | None = None
    n: int
    higher_is_better: bool | None
    reason: str | None = None
    evidence: str | None = None

    def __post_init__(self) -> None:
        finite(self, "value", "ci_low", "ci_high")
        if (self.value is None) != (self.reason is not None):
            raise ValueError(
                f"Measurement {self.probe}/{self.metric} [{self.slice}] of {self.method!r}: a missing value needs a "
                f"reason and a present one has none, got value={self.value!r}, reason={self.reason!r}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A claim declared before anything is computed: *candidate is better than baseline on metric by more than margin*.

    With ``relative_margin`` the margin is a share of the base's value, or of the baseline's where the audit has no base.
    """

    id: str
    baseline: str
    candidate: str
    condition: str
    probe: str
    metric: str
    slice: str = "all"
    margin: float
    higher_is_better: bool
    relative_margin: bool = False


def claims_hash(claims: Sequence[Claim]) -> str:
    """Return the SHA-256 of the claims, whatever their order; any edit of a claim changes it."""
    rows = sorted(json.dumps(asdict(claim), sort_keys=True, ensure_ascii=False) for claim in claims)
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """The difference on the matched metric, which decided a claim in place of its own where the models' skills are unequal."""

    metric: str
    slice: str
    delta: float | None
    ci_low: float | None
    ci_high: float | None
    p_value: float | None
    baseline_value: float | None
    candidate_value: float | None
    n_items: int
    margin: float
    higher_is_better: bool

    def __post_init__(self) -> None:
        finite(self, "delta", "ci_low", "ci_high", "p_value", "baseline_value", "candidate_value", "margin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A paired difference, Δ = candidate − baseline, on the same items and seeds.

    ``claim`` is the id of the declared claim it decides, or None for an exploratory row; only the former have a
    ``verdict``, a ``margin`` and a ``p_adjusted``. ``test`` names what ``p_value`` comes from. ``detectable`` is the smallest true
    difference of which this design would make *supported* with 80 % power (METHODS §8). ``floor`` is how much the difference moves when
    the same texts are scored in other batches and another order. Of a claim on what follows from skill, ``skill_delta`` is the
    difference in skill on which it was decided whether the models are compared (METHODS §9), and ``matched`` the difference that decided
    where they are not equal. Where both models were tuned, ``at_equal_skill`` decided instead; ``own_best`` is the verdict between each
    one's best setting, and ``single_rates`` are those that every common setting would have given.
    """

    claim: str | None = None
    baseline: str
    candidate: str
    condition: str
    probe: str
    metric: str
    slice: str = "all"
    delta: float | None
    ci_low: float | None = None
    ci_high: float | None = None
    ci_level: float = 0.95
    p_value: float | None = None
    p_adjusted: float | None = None
    test: str | None = None
    baseline_value: float | None = None
    candidate_value: float | None = None
    n_items: int
    n_seeds: int
    margin: float | None = None
    higher_is_better: bool | None
    verdict: Verdict | None = None
    reason: str | None = None
    detectable: float | None = None
    floor: float | None = None
    skill_delta: float | None = None
    matched: Matched | None = None
    at_equal_skill: AtEqualSkill | None = None
    own_best: Verdict | None = None
    single_rates: tuple[SingleRate, ...] = ()

    def __post_init__(self) -> None:
        finite(self, "delta", "ci_low", "ci_high", "p_value", "p_adjusted", "baseline_value", "candidate_value")
        finite(self, "margin", "detectable", "floor", "skill_delta")

    @property
    def stability(self) -> tuple[int, int] | None:
        """How many single settings give the verdict of this row, and of how many; None where there are none."""
        verdicts = [single.verdict for single in self.single_rates]
        return (sum(verdict == self.verdict for verdict in verdicts), len(verdicts)) if verdicts else None

    @property
    def deciding(self) -> Comparison:
        """The row with the numbers of the gap at equal skill in place of its own, where that gap decided it."""
        gap = self.at_equal_skill
        if gap is None:
            return self
        return replace(
            self,
            delta=gap.delta,
            ci_low=gap.ci_low,
            ci_high=gap.ci_high,
            p_value=gap.p_value,
            test="gap of two frontiers at equal skill",
            baseline_value=gap.baseline_value,
            candidate_value=gap.candidate_value,
            n_items=gap.n_items,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """How much a number of one model moves when the same texts are scored in other batches and another order."""

    method: str
    condition: str
    seed: int
    probe: str
    metric: str
    slice: str = "all"
    change: float

    def __post_init__(self) -> None:
        finite(self, "change")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What stands beside the models' skill: the best possible value, a bag of words, the most frequent class.

    ``condition`` and ``seed`` are those of the training rows, None for what has not seen any. ``value`` is None exactly when ``note``
    says why; otherwise ``note`` says what kind of number it is.
    """

    name: str
    title: str
    metric: str
    condition: str | None = None
    seed: int | None = None
    value: float | None
    ci_low: float | None = None
    ci_high: float | None = None
    n: int
    note: str

    def __post_init__(self) -> None:
        finite(self, "value", "ci_low", "ci_high")


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Numbers meant to be drawn: columns of equal length (a spectrum, t-SNE coordinates, a loss curve)."""

    method: str
    condition: str
    seed: int
    probe: str
    name: str
    columns: dict[str, tuple[float | str | None, ...]]

    def __post_init__(self) -> None:
        lengths = {len(column) for column in self.columns.values()}
        if len(lengths) > 1:
            raise ValueError(f"Series {self.name!r}: columns must have one length, got {sorted(lengths)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRow:
    """One item as shown to a reader. ``answers`` maps model name → its answer (or None where it has none)."""

    id: str
    input: str
    gold: str
    answers: dict[str, str | None]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleTable:
    """Items behind one claim family: how they were chosen, how many there are in all, and the rows shown."""

    probe: str
    condition: str
    title: str
    rule: str
    total: int
    path: str | None
    rows: tuple[SampleRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A unit of work that failed or was given up; the reader sees it, nothing is silently zero."""

    unit: str
    stage: str
    message: str
    method: str | None = None
    condition: str | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """How many units of work were planned and how many are complete."""

    planned: int
    completed: int
