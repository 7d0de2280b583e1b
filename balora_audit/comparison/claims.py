"""What an audit claims before it computes: the user's own claims, or a default set (METHODS §8)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from balora_audit.config import AuditConfig, ClaimConfig
from balora_audit.data import AuditDataset
from balora_audit.data.conditions import Condition, parse
from balora_audit.errors import ConfigurationError, unknown_name
from balora_audit.methods import find_methods
from balora_audit.probes.tasks import suite_of
from balora_audit.records import Claim
from balora_audit.vocabulary import METRICS, METRICS_OF

__all__ = ["declare", "pairs"]


def declare(config: AuditConfig, dataset: AuditDataset, conditions: list[Condition]) -> list[Claim]:
    """Return the claims of the configuration, or the default set when it declares none.

    Raises
    ------
    ConfigurationError
        A claim names a metric, model, condition or probe that the audit does not have, or is declared twice.
    """
    if not config.claims:
        return list(_defaults(config, dataset, conditions))
    known = [str(condition) for condition in conditions]
    declared = [_declared(config, given, known) for given in config.claims]
    repeated = sorted({claim.id for claim in declared if sum(other.id == claim.id for other in declared) > 1})
    if repeated:
        raise ConfigurationError(f"claims: {repeated[0]} is declared twice")
    return declared


def _declared(config: AuditConfig, given: ClaimConfig, conditions: Sequence[str]) -> Claim:
    if given.metric not in METRICS:
        raise unknown_name("metric", given.metric, METRICS)
    for name in (given.candidate, given.baseline):
        if name not in config.model_names:
            raise ConfigurationError(f"claims: {name!r} is not among the models of this audit: {', '.join(config.model_names)}")
    if given.candidate == given.baseline:
        raise ConfigurationError(f"claims: {given.candidate!r} cannot be compared with itself")
    condition = str(parse(given.condition))
    if condition not in conditions:
        raise ConfigurationError(f"claims: {given.condition!r} is not among the conditions of this audit: {', '.join(conditions)}")
    metric = METRICS[given.metric]
    probe = given.probe or _probe_of(given.metric)
    if probe not in config.active_probes:
        raise ConfigurationError(f"claims: {probe!r} is not among the probes of this audit: {', '.join(config.active_probes)}")
    slice = _of_task(config, given) if probe == "harness" else given.slice
    higher = metric.higher_is_better if given.direction is None else given.direction == "higher"
    if higher is None:
        raise ConfigurationError(f"claims: {given.metric} is neither good nor bad when high; give direction: higher or lower")
    return Claim(
        id=f"{given.candidate}-vs-{given.baseline}:{probe}/{given.metric}@{condition}" + ("" if slice == "all" else f"#{slice}"),
        baseline=given.baseline,
        candidate=given.candidate,
        condition=condition,
        probe=probe,
        metric=given.metric,
        slice=slice,
        margin=given.margin if given.margin is not None else config.margin(given.metric),
        higher_is_better=higher,
    )


def _of_task(config: AuditConfig, given: ClaimConfig) -> str:
    """Return the slice of a claim about a harness task, which may be given by the task's name alone."""
    slices = suite_of(config).slices
    if given.slice in slices:
        return slices[given.slice]
    if not any(given.slice.startswith(full.removesuffix(")")) for full in slices.values()):
        raise ConfigurationError(f"claims: {given.metric} of harness: {unknown_name('slice (a task)', given.slice, slices)}")
    return given.slice


def _probe_of(metric: str) -> str:
    return next(probe for probe, metrics in METRICS_OF.items() if metric in metrics)


def _defaults(config: AuditConfig, dataset: AuditDataset, conditions: list[Condition]) -> Iterable[Claim]:
    """Yield the default claims: each fine-tuned model against each baseline, a few headline metrics per probe."""
    methods = find_methods(config.models)
    for baseline, candidate in pairs(config):
        for probe, metric, condition in _headlines(config, dataset, conditions):
            if not all(methods[name].applies_to(condition) for name in (baseline, candidate)):
                continue
            if metric == "kl_per_token" and methods[baseline].is_base:
                continue  # the base has no distance from itself; every model loses, by definition
            yield Claim(
                id=f"{candidate}-vs-{baseline}:{probe}/{metric}@{condition}",
                baseline=baseline,
                candidate=candidate,
                condition=str(condition),
                probe=probe,
                metric=metric,
                margin=config.margin(metric),
                higher_is_better=bool(METRICS[metric].higher_is_better),
            )


def pairs(config: AuditConfig) -> list[tuple[str, str]]:
    """Return (baseline, candidate) pairs, each unordered pair once; the untrained base is never a candidate."""
    found: list[tuple[str, str]] = []
    methods = find_methods(config.models)
    for baseline in config.baselines:
        for candidate in config.model_names:
            if candidate != baseline and not methods[candidate].is_base and (candidate, baseline) not in found:
                found.append((baseline, candidate))
    return found


def _headlines(config: AuditConfig, dataset: AuditDataset, conditions: list[Condition]) -> Iterable[tuple[str, str, Condition]]:
    """Yield (probe, metric, condition): what is claimed by default, as far as data and conditions can decide it."""
    labelled = dataset.task == "classification"
    grouped = len({example.group for example in dataset.test} - {None}) >= 2
    twinned = any(example.counterfactual is not None for example in dataset.test)
    tail = "tail_recall" if len(dataset.label_names) >= 3 else "worst_class_recall"
    for condition in conditions:
        clean = condition.is_clean
        wanted = (
            ("noise", "accuracy_drop", clean and labelled),
            ("noise", "response_nll_rise", clean and dataset.task == "generation"),
            ("noise", "unexplained_rise", clean and dataset.task == "regression"),
            ("noise", "memorisation", condition.noise is not None),
            ("imbalance", tail, condition.imbalance is not None),
            ("imbalance", "tpr_gap_rms", (clean or condition.correlate is not None) and labelled and grouped),
            ("imbalance", "counterfactual_flip_rate", (clean or condition.correlate is not None) and labelled and twinned),
            ("collapse", "effective_rank", clean),
            ("drift", "kl_per_token", clean and bool(dataset.general)),
        )
        yield from ((probe, metric, condition) for probe, metric, holds in wanted if holds and probe in config.probes)
