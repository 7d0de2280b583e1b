"""What each probe and metric is called, measures and comes from: one sentence each, read by the report and by ``ls``."""

from __future__ import annotations

from collections.abc import Mapping

from balora_audit.vocabulary.entries import MetricInfo, Unit
from balora_audit.vocabulary.probes import COLLAPSE, DRIFT, IMBALANCE, NOISE
from balora_audit.vocabulary.tasks import TASKS

__all__ = ["BUILT_IN", "METRICS", "METRICS_OF", "PROBE_TITLES", "MetricInfo", "Unit", "learn"]

PROBE_TITLES: dict[str, str] = {
    "noise": "Noise robustness",
    "imbalance": "Imbalance and groups",
    "collapse": "Representation collapse",
    "drift": "Knowledge drift",
    "harness": "lm-evaluation-harness tasks",
}
BUILT_IN = tuple(PROBE_TITLES)
"""The probes of this package; the titles of others join them in `PROBE_TITLES`."""

METRICS_OF: dict[str, dict[str, MetricInfo]] = {
    "noise": NOISE,
    "imbalance": IMBALANCE,
    "collapse": COLLAPSE,
    "drift": DRIFT,
    "harness": TASKS,
}
"""Probe → the metrics that belong to it first (others may measure them too, as accuracy by group)."""

METRICS: dict[str, MetricInfo] = {name: about for metrics in METRICS_OF.values() for name, about in metrics.items()}


def learn(probe: str, title: str, metrics: Mapping[str, MetricInfo]) -> None:
    """Add a probe from elsewhere and its metrics; saying the same twice is no harm.

    Raises
    ------
    ValueError
        The probe is a built-in one, or a metric of that name means something else already.
    """
    if probe in BUILT_IN:
        raise ValueError(f"{probe!r} is a probe of this package")
    for name, about in metrics.items():
        if METRICS.get(name, about) != about:
            raise ValueError(f"the metric {name!r} exists already, with another meaning")
    PROBE_TITLES[probe] = title
    METRICS_OF.setdefault(probe, {}).update(metrics)
    METRICS.update(metrics)
