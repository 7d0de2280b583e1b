"""Probes, and measures that join a probe, from other packages: what is taken, and what is refused with a reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from balora_audit.extensions import Extensions, find_extensions
from balora_audit.metric import Metric
from balora_audit.probes.checks import checked_measure, checked_probe
from balora_audit.probes.probe import Measure, Probe

__all__ = ["find"]


def find(built_in: Mapping[str, Probe]) -> Extensions[Probe]:
    """Return the probes that installed packages bring, and the built-in ones that gain a measure.

    A metric means one thing in all probes: whoever declares it again must declare the same record. An extension that does not is
    refused, and the others are not affected.
    """
    known = {metric.name: metric for probe in built_in.values() for metric in probe.metrics.values()}

    def alone(name: str, thing: object) -> Probe:
        probe = checked_probe(name, thing)
        _agree((metric for measure in probe.measures for metric in measure.metrics), known)
        return probe

    probes = find_extensions("probe", alone, taken=built_in)
    changed: dict[str, Probe] = dict(probes.things)

    def joined(name: str, thing: object) -> Measure:
        measure = checked_measure(name, thing)
        if not isinstance(getattr(measure, "probe", None), str):
            raise TypeError(f"{type(measure).__name__}.probe does not name the probe that it joins")
        probe = changed.get(measure.probe) or built_in.get(measure.probe)
        if probe is None:
            raise ValueError(f"there is no probe {measure.probe!r} that it could join")
        twice = [metric.name for metric in measure.metrics if metric.name in probe.metrics]
        if twice:
            raise ValueError(f"the probe {probe.name!r} measures {twice[0]!r} already")
        _agree(measure.metrics, known)
        changed[probe.name] = replace(probe, measures=(*probe.measures, measure))
        return measure

    measures = find_extensions("measure", joined, taken={})
    return Extensions(things=changed, origins=(*probes.origins, *measures.origins), taken=frozenset(built_in))


def _agree(metrics: Iterable[Metric], known: dict[str, Metric]) -> None:
    """Add metrics to the known ones, all or none of them.

    Raises
    ------
    ValueError
        One of them has a name that means something else already.
    """
    own: dict[str, Metric] = {}
    for metric in metrics:
        if own.get(metric.name, known.get(metric.name, metric)) != metric:
            raise ValueError(f"the metric {metric.name!r} exists already, with another meaning")
        own[metric.name] = metric
    known |= own
