"""What a probe and a measure must have to be one, wherever they come from."""

from __future__ import annotations

from balora_audit.extensions import checked
from balora_audit.metric import Metric
from balora_audit.probes.probe import Measure, Probe

__all__ = ["checked_measure", "checked_probe"]


def checked_probe(name: str, thing: object) -> Probe:
    """Return the probe that goes by a name; `TypeError` or `ValueError` where it is none."""
    probe = checked(Probe, name, thing, called="probe")
    for measure in probe.measures:
        checked_measure(name, measure)
    return probe


def checked_measure(name: str, thing: object) -> Measure:
    """Return a measure; `TypeError` where it is none, or declares no metric. Its name is that of its entry and may be any."""
    if not isinstance(thing, Measure):
        raise TypeError(f"{name!r} is no Measure but a {type(thing).__name__}")
    if not thing.metrics or not all(isinstance(metric, Metric) for metric in thing.metrics):
        raise TypeError(f"{type(thing).__name__}.metrics must be a tuple of one Metric or more")
    return thing
