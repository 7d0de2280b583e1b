"""What an audit keeps of its probes and metrics, so that a report can be made where nothing of this is installed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from balora_audit.metric import Metric
from balora_audit.probes.probe import Probe
from balora_audit.records import Claim, Measurement, ProbeRow

__all__ = ["recorded"]

_SWAPPED = "{swapped}"


def recorded(
    probes: Mapping[str, Probe],
    measurements: Iterable[Measurement],
    claims: Iterable[Claim],
    *,
    built_in: Iterable[str],
    swapped: str,
) -> tuple[tuple[ProbeRow, ...], tuple[Metric, ...]]:
    """Return the probes and the records of all metrics that were measured or claimed, in the order in which a reader meets them.

    Parameters
    ----------
    probes : mapping
        All that there are.
    built_in : iterable of str
        The probes that are named also where they have no metrics.
    swapped : str
        What the counterfactuals of the data swap; it takes the place of ``{swapped}`` in what is said of a metric.
    """
    used: dict[str, set[str]] = {}
    for probe_name, metric in [*((row.probe, row.metric) for row in measurements), *((claim.probe, claim.metric) for claim in claims)]:
        used.setdefault(probe_name, set()).add(metric)
    known = {metric.name: metric for probe in probes.values() for metric in probe.metrics.values()}
    rows: list[ProbeRow] = []
    metrics: dict[str, Metric] = {}
    for name, probe in probes.items():
        if name not in used and name not in built_in:
            continue
        present = used.get(name, set())
        # names that only come with what was run, such as those of a task file, stand behind the declared ones
        names = [*(metric for metric in probe.metrics if metric in present), *sorted(present - probe.metrics.keys())]
        records = {metric: known.get(metric) or probe.record(metric) for metric in names}
        metrics |= {metric: _filled(record, swapped) for metric, record in records.items() if record is not None}
        rows.append(ProbeRow(name=name, title=probe.title, summary=probe.summary, metrics=tuple(names)))
    return tuple(rows), tuple(metrics.values())


def _filled(metric: Metric, swapped: str) -> Metric:
    literal = swapped.replace("{", "{{").replace("}", "}}")  # a form is filled in once more, with the models
    return replace(
        metric,
        title=metric.title.replace(_SWAPPED, swapped),
        meaning=metric.meaning.replace(_SWAPPED, swapped),
        sentence=replace(metric.sentence, form=metric.sentence.form.replace(_SWAPPED, literal)),
    )
