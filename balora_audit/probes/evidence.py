"""What a probe asks for, what it is given, and what it hands back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from balora_audit.config import AuditConfig
from balora_audit.data.conditions import Condition
from balora_audit.data.dataset import AuditDataset, Example
from balora_audit.records import Measurement, Series
from balora_audit.scoring import ScoreRequest, Scores
from balora_audit.stats import ItemScores, Jackknife, interval, wilson
from balora_audit.stats.items import Combine
from balora_audit.vocabulary import METRICS

__all__ = ["Context", "Findings", "Probe", "ScoreRequest", "Scores"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The circumstances of one measured model: data, condition, seed, and what the condition changed."""

    config: AuditConfig
    dataset: AuditDataset
    method: str
    condition: Condition
    seed: int
    train: tuple[Example, ...]
    flipped: Mapping[str, tuple[int, int]]
    """Training id → (true label, noisy label)."""
    flipped_elsewhere: Mapping[str, Mapping[str, tuple[int, int]]] = field(default_factory=dict)
    """For a model trained on clean labels: condition of this audit → what that condition flips."""
    is_base: bool = False
    """Whether this is the pre-trained model, whose weights are what they were."""
    predicts_words: bool = True
    """Whether the model is a language model; a classification head gives no distribution over words."""
    layers: tuple[int, ...] = ()
    """Layers whose features are measured too; 0 is the embeddings."""
    extractor: str | None = None
    """How a generation task's answers are read; None when none are written."""
    evidence: str | None = None


@dataclass(slots=True)
class Findings:
    """Collects measurements with their intervals, and the per-item evidence that comparisons are computed from."""

    context: Context
    probe: str
    measurements: list[Measurement] = field(default_factory=list)
    scores: dict[tuple[str, str], ItemScores | Jackknife] = field(default_factory=dict)
    series: list[Series] = field(default_factory=list)

    def rate(self, metric: str, values: Sequence[bool] | np.ndarray, ids: Sequence[str], *, slice: str = "all") -> None:
        """Add the share of items for which `values` is true, with a Wilson interval."""
        flags = np.asarray(values, dtype=np.float64)
        if len(flags) == 0:
            self.missing(metric, "no item to measure it on", slice=slice)
            return
        self.scores[metric, slice] = ItemScores.mean_of(tuple(ids), flags)
        low, high = wilson(int(flags.sum()), len(flags), self.context.config.ci)
        self._add(metric, slice, float(flags.mean()), (low, high), len(flags))

    def mean(self, metric: str, values: np.ndarray, ids: Sequence[str], *, slice: str = "all") -> None:
        """Add the mean of one number per item, with a bootstrap interval."""
        self.statistic(metric, ItemScores.mean_of(tuple(ids), np.asarray(values, dtype=np.float64)), slice=slice)

    def ratios(
        self,
        metric: str,
        ids: Sequence[str],
        numerators: np.ndarray,
        denominators: np.ndarray,
        *,
        combine: Combine = "mean",
        slice: str = "all",
    ) -> None:
        """Add a combination of ratios of sums over items, with a bootstrap interval."""
        scores = ItemScores(
            ids=tuple(ids),
            numerators=np.atleast_2d(np.asarray(numerators, dtype=np.float64)),
            denominators=np.atleast_2d(np.asarray(denominators, dtype=np.float64)),
            combine=combine,
        )
        self.statistic(metric, scores, slice=slice)

    def statistic(self, metric: str, scores: ItemScores, *, slice: str = "all") -> None:
        """Add the statistic of per-item scores, with a bootstrap interval."""
        value = scores.value()
        if value is None:
            self.missing(metric, "a class or group has no items in the test set", slice=slice)
            return
        self.scores[metric, slice] = scores
        config = self.context.config
        bounds = interval(scores, level=config.ci, n_resamples=config.resamples, seed=0)
        self._add(metric, slice, value, bounds, len(scores.ids))

    def spectral(self, metric: str, found: Jackknife, *, slice: str = "all") -> None:
        """Add a metric of the whole feature matrix, with a jackknife interval."""
        self.scores[metric, slice] = found
        self._add(metric, slice, found.estimate, found.interval(self.context.config.ci), found.items)

    def plain(self, metric: str, value: float, n: int, *, slice: str = "all", of_items: bool = True) -> None:
        """Add a number that has no interval of its own; unless it is one `of_items`, no item stands behind it."""
        self._row(metric, slice, float(value), None, n, None, of_items=of_items)

    def missing(self, metric: str, reason: str, *, slice: str = "all") -> None:
        """Record that a metric could not be measured, and why."""
        self._row(metric, slice, None, None, 0, reason)

    def draw(self, name: str, **columns: Sequence[float | str | None]) -> None:
        """Add numbers that are meant to be drawn."""
        context = self.context
        self.series.append(
            Series(
                method=context.method,
                condition=str(context.condition),
                seed=context.seed,
                probe=self.probe,
                name=name,
                columns={key: tuple(values) for key, values in columns.items()},
            )
        )

    def _add(self, metric: str, slice: str, value: float, bounds: tuple[float, float] | None, n: int) -> None:
        self._row(metric, slice, float(value), bounds, n, None)

    def _row(
        self,
        metric: str,
        slice: str,
        value: float | None,
        bounds: tuple[float, float] | None,
        n: int,
        reason: str | None,
        *,
        of_items: bool = True,
    ) -> None:
        low, high = bounds if bounds is not None else (None, None)
        context = self.context
        self.measurements.append(
            Measurement(
                method=context.method,
                condition=str(context.condition),
                seed=context.seed,
                probe=self.probe,
                metric=metric,
                slice=slice,
                value=value,
                ci_low=low,
                ci_high=high,
                n=n,
                higher_is_better=METRICS[metric].higher_is_better,
                reason=reason,
                evidence=context.evidence if of_items else None,
            )
        )


class Probe(Protocol):
    """One question about a model, asked through scored texts and answered with measurements."""

    name: str
    summary: str

    def requests(self, context: Context) -> list[ScoreRequest]:
        """Return the texts to score for this model; none when the probe does not apply to the condition."""
        ...

    def measure(self, context: Context, scores: Mapping[str, Scores], base: Mapping[str, Scores] | None) -> Findings:
        """Turn the scores of the requests (and the base model's on the same requests) into measurements."""
        ...
