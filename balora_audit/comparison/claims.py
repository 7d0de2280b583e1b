"""What an audit claims before it computes: the user's own claims, or a default set (METHODS §8)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from balora_audit.config import AuditConfig, ClaimConfig
from balora_audit.data import AuditDataset
from balora_audit.data.conditions import Condition, parse
from balora_audit.errors import ConfigurationError, unknown_name
from balora_audit.methods import find_methods
from balora_audit.metric import Metric
from balora_audit.probes import Context, Probe
from balora_audit.records import Claim
from balora_audit.slices import ALL, CLEAN, Slice

__all__ = ["declare", "margin_of", "pairs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Audit:
    """What claims are made about: the models by name and condition (those of one seed stand for all), and what is measured of them."""

    config: AuditConfig
    conditions: Sequence[Condition]
    contexts: Mapping[tuple[str, str], Context]
    probes: Mapping[str, Probe]

    @property
    def metrics(self) -> dict[str, Metric]:
        """Name → record, over all probes that there are."""
        return {name: metric for probe in self.probes.values() for name, metric in probe.metrics.items()}


def declare(
    config: AuditConfig, dataset: AuditDataset, conditions: Sequence[Condition], contexts: Sequence[Context], probes: Mapping[str, Probe]
) -> list[Claim]:
    """Return the claims of the configuration, or the default set when it declares none.

    Parameters
    ----------
    contexts : sequence of Context
        Of every model that will be measured.
    probes : mapping
        All that there are, active or not.

    Raises
    ------
    ConfigurationError
        A claim names a metric, model, condition, probe or slice that the audit does not have, or is declared twice.
    """
    by_model = {(context.method, str(context.condition)): context for context in reversed(contexts)}
    audit = _Audit(config=config, conditions=conditions, contexts=by_model, probes=probes)
    if not config.claims:
        return list(_defaults(audit, dataset))
    declared = [_declared(audit, given) for given in config.claims]
    repeated = sorted({claim.id for claim in declared if sum(other.id == claim.id for other in declared) > 1})
    if repeated:
        raise ConfigurationError(f"claims: {repeated[0]} is declared twice")
    return declared


def margin_of(config: AuditConfig, metric: Metric) -> float:
    """Return δ for a metric: the configured one, else its own; `ConfigurationError` where there is neither."""
    margin = config.margins.get(metric.name, metric.margin)
    if margin is None:
        raise ConfigurationError(f"{metric.name} has no margin of its own; give its claim one")
    return margin


def _declared(audit: _Audit, given: ClaimConfig) -> Claim:
    config = audit.config
    probe_name = given.probe or _probe_of(audit, given)
    for name in (given.candidate, given.baseline):
        if name not in config.model_names:
            raise ConfigurationError(f"claims: {name!r} is not among the models of this audit: {', '.join(config.model_names)}")
    if given.candidate == given.baseline:
        raise ConfigurationError(f"claims: {given.candidate!r} cannot be compared with itself")
    condition, known = str(parse(given.condition)), [str(condition) for condition in audit.conditions]
    if condition not in known:
        raise ConfigurationError(f"claims: {given.condition!r} is not among the conditions of this audit: {', '.join(known)}")
    if probe_name not in config.active_probes:
        raise ConfigurationError(f"claims: {probe_name!r} is not among the probes of this audit: {', '.join(config.active_probes)}")
    probe = audit.probes[probe_name]
    metric = _record(audit, probe, given.metric)
    higher = metric.higher_is_better if given.direction is None else given.direction == "higher"
    if higher is None:
        raise ConfigurationError(f"claims: {given.metric} is neither good nor bad when high; give direction: higher or lower")
    margin = given.margin if given.margin is not None else margin_of(config, metric)
    slice = _slice(audit, probe, given, condition)
    return _claim(given.baseline, given.candidate, condition, probe.name, metric, slice, margin, higher)


def _claim(baseline: str, candidate: str, condition: str, probe: str, metric: Metric, slice: Slice, margin: float, higher: bool) -> Claim:
    return Claim(
        id=f"{candidate}-vs-{baseline}:{probe}/{metric.name}@{condition}" + ("" if slice in (ALL, CLEAN) else f"#{slice}"),
        baseline=baseline,
        candidate=candidate,
        condition=condition,
        probe=probe,
        metric=metric.name,
        slice=str(slice),
        margin=margin,
        higher_is_better=higher,
        relative_margin=metric.relative_margin,
    )


def _probe_of(audit: _Audit, given: ClaimConfig) -> str:
    """Return the probe that measures a metric; of several, the first active one that has the slice, else the first one."""
    found = [probe for probe in audit.probes.values() if given.metric in probe.metrics]
    if not found:
        raise unknown_name("metric", given.metric, audit.metrics)
    context = audit.contexts.get((given.candidate, str(parse(given.condition))))
    if context is not None:
        for probe in found:
            slices = probe.slices(context, given.metric) or ()
            if probe.name in audit.config.active_probes and given.slice in (str(slice) for slice in slices):
                return probe.name
    return found[0].name


def _record(audit: _Audit, probe: Probe, metric: str) -> Metric:
    own = probe.record(metric)
    if own is None:
        raise ConfigurationError(f"claims: the probe {probe.name!r}: {unknown_name('metric', metric, probe.metrics)}")
    return audit.metrics.get(metric, own)  # a task can share a name with another probe's metric, and means the same by it


def _slice(audit: _Audit, probe: Probe, given: ClaimConfig, condition: str) -> Slice:
    """Return the slice that a claim is about, which both of its models must have; a task may be given by its name alone."""
    valid: dict[Slice, None] | None = None
    for method in (given.candidate, given.baseline):
        context = audit.contexts.get((method, condition))
        if context is None:
            raise ConfigurationError(f"claims: {method!r} is not measured under condition {condition}")
        slices = probe.slices(context, given.metric)
        if slices is None:
            continue
        if not slices:
            raise ConfigurationError(
                f"claims: the probe {probe.name!r} does not measure {given.metric} of {method!r} under condition {condition}; "
                f"there it measures {', '.join(_measured(probe, context)) or 'nothing'}"
            )
        valid = {slice: None for slice in slices if valid is None or slice in valid}
    if valid is None:
        return Slice.parse(given.slice)
    shorts = [slice.short for slice in valid]
    by_name = {slice.short if shorts.count(slice.short) == 1 else str(slice): slice for slice in valid}
    by_name |= {str(slice): slice for slice in valid if given.slice == str(slice)}
    if given.slice == str(ALL) and ALL not in valid and CLEAN in valid:
        return CLEAN  # all texts of a metric that is of the clean ones
    if given.slice not in by_name:
        raise ConfigurationError(f"claims: {given.metric} of {probe.name} under {condition}: {unknown_name('slice', given.slice, by_name)}")
    return by_name[given.slice]


def _measured(probe: Probe, context: Context) -> list[str]:
    return [name for name in probe.metrics if probe.slices(context, name) != ()]


def _defaults(audit: _Audit, dataset: AuditDataset) -> Iterator[Claim]:
    """Yield the default claims: each fine-tuned model against each baseline, the headline metrics of every probe."""
    config, methods = audit.config, find_methods(audit.config.models)
    for baseline, candidate in pairs(config):
        for condition in audit.conditions:
            if any((method, str(condition)) not in audit.contexts for method in (baseline, candidate)):
                continue  # an imported adapter is measured beside clean data only
            for probe in audit.probes.values():
                if probe.name not in config.active_probes:
                    continue
                for name in probe.headlines(dataset, condition):
                    metric = _record(audit, probe, name)
                    if metric.against_base == "trivial" and methods[baseline].is_base:
                        continue  # the base has no distance from itself; every model loses, by definition
                    if metric.higher_is_better is None:
                        raise ValueError(f"the probe {probe.name!r} claims {name} by default, of which neither end is the better one")
                    margin = margin_of(config, metric)
                    slices = probe.slices(audit.contexts[candidate, str(condition)], name) or ()
                    slice = CLEAN if CLEAN in slices and ALL not in slices else ALL
                    yield _claim(baseline, candidate, str(condition), probe.name, metric, slice, margin, metric.higher_is_better)


def pairs(config: AuditConfig) -> list[tuple[str, str]]:
    """Return (baseline, candidate) pairs, each unordered pair once; the untrained base is never a candidate."""
    found: list[tuple[str, str]] = []
    methods = find_methods(config.models)
    for baseline in config.baselines:
        for candidate in config.model_names:
            if candidate != baseline and not methods[candidate].is_base and (candidate, baseline) not in found:
                found.append((baseline, candidate))
    return found
