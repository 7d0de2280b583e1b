"""Probes and kinds of noise from other packages, found through the entry-point group ``balora_audit.probes``.

What an entry point names is a `balora_audit.probes.Probe` (with ``title`` and ``metrics`` beside what the built-in ones have) or a
`balora_audit.data.perturbations.Perturbation`. See docs/extending.md.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from balora_audit.data.perturbations import PERTURBATIONS, Perturbation
from balora_audit.errors import ConfigurationError
from balora_audit.probes import PROBES
from balora_audit.vocabulary import METRICS, MetricInfo, learn

__all__ = ["GROUP", "Extension", "described", "extensions", "require"]

GROUP = "balora_audit.probes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """One entry point: what it registered, or why it could not be used."""

    name: str
    package: str
    version: str
    kind: str | None = None
    failure: str | None = None


@cache
def extensions() -> tuple[Extension, ...]:
    """Find, load and register what installed packages offer, once; one that fails is kept with its reason and harms no other."""
    found = importlib.metadata.entry_points(group=GROUP)
    return tuple(_register(point) for point in sorted(found, key=lambda point: (point.name, point.value)))


def require(names: Mapping[str, tuple[str, ...]]) -> None:
    """Raise `ConfigurationError` when a named probe or kind of noise is an extension that could not be used."""
    for extension in extensions():
        for kind, wanted in names.items():
            if extension.failure is not None and extension.name in wanted and extension.name not in (*PROBES, *PERTURBATIONS):
                raise ConfigurationError(
                    f"the {kind} {extension.name!r} comes with the package {extension.package} {extension.version}, which cannot be "
                    f"used: {extension.failure}"
                )


def described() -> dict[str, Any]:
    """Return, for the record, each usable extension with its version and what its metrics mean."""
    found: dict[str, Any] = {}
    for extension in extensions():
        if extension.kind is not None:
            about: dict[str, Any] = {"package": extension.package, "version": extension.version, "kind": extension.kind}
            if extension.kind == "probe":
                probe = PROBES[extension.name]
                about |= {"title": _title(probe), "metrics": {name: asdict(info) for name, info in _metrics(probe).items()}}
            found[extension.name] = about
    return found


def _register(point: importlib.metadata.EntryPoint) -> Extension:
    package, version = (point.dist.name, point.dist.version) if point.dist is not None else ("unknown", "unknown")
    try:
        kind, failure = _take(point.name, point.load()), None
    except Exception as error:  # noqa: BLE001 - whatever a foreign package does, the audit's own probes must go on
        kind, failure = None, f"{type(error).__name__}: {error}"
    return Extension(name=point.name, package=package, version=version, kind=kind, failure=failure)


def _take(name: str, thing: Any) -> str:
    if isinstance(thing, Perturbation):
        if name != thing.name or name in PERTURBATIONS:
            raise ValueError(
                f"a kind of noise called {name!r} exists already" if name in PERTURBATIONS else "its name and its entry differ"
            )
        PERTURBATIONS[name] = thing
        return "perturbation"
    lacking = [part for part in ("name", "summary", "requests", "measure") if not hasattr(thing, part)]
    if lacking:
        raise TypeError(f"it is neither a Perturbation nor a probe: {type(thing).__name__} has no {lacking[0]!r}")
    if name != thing.name or name in PROBES:
        raise ValueError(f"a probe called {name!r} exists already" if name in PROBES else "its name and its entry differ")
    metrics = _metrics(thing)
    wrong = [metric for metric, about in metrics.items() if not isinstance(about, MetricInfo)]
    if wrong:
        raise TypeError(f"metrics[{wrong[0]!r}] is no MetricInfo")
    clash = [metric for metric in metrics if metric in METRICS]
    if clash:
        raise ValueError(f"the metric {clash[0]!r} exists already")
    learn(name, _title(thing), metrics)
    PROBES[name] = thing
    return "probe"


def _title(probe: Any) -> str:
    return str(getattr(probe, "title", probe.name))


def _metrics(probe: Any) -> dict[str, MetricInfo]:
    return dict(getattr(probe, "metrics", {}))
