"""What there is to choose from, for ``ls``: names and one line each, what installed packages bring included."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from balora_audit.errors import unknown_name

__all__ = ["CATALOGUE", "catalogue"]


def catalogue(kind: str) -> dict[str, str]:
    """Return name → summary for a kind of thing; raises `ConfigurationError` for an unknown kind."""
    if kind not in CATALOGUE:
        raise unknown_name("kind of thing", kind, CATALOGUE)
    return dict(CATALOGUE[kind]())


def _models() -> Mapping[str, str]:
    from balora_audit.models.locate import BUILT_IN

    return BUILT_IN


def _methods() -> Mapping[str, str]:
    from balora_audit import methods

    return {**{name: method.summary for name, method in methods.available().items()}, **methods.SPELLINGS}


def _conditions() -> Mapping[str, str]:
    from balora_audit.data.conditions import available

    return available()


def _perturbations() -> Mapping[str, str]:
    from balora_audit.data import perturbations

    return {name: f"{noise.description} (per {noise.unit})" for name, noise in perturbations.available().items()}


def _probes() -> Mapping[str, str]:
    from balora_audit import probes

    return {name: probe.summary for name, probe in probes.available().items()}


def _tasks() -> Mapping[str, str]:
    """Read names and first comments out of the task files; the ``!function`` tags in them are not followed."""
    import re

    from balora_audit.resources import tasks_path

    found = {}
    for path in sorted(tasks_path().rglob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        names = re.search(r"^(task|group): (\S+)$", text, re.MULTILINE)
        if names is not None:
            about = text.splitlines()[0].removeprefix("# ") if text.startswith("#") else path.name
            found[names.group(2)] = f"{names.group(1)}: {about}"
    return found


def _presets() -> Mapping[str, str]:
    from balora_audit.config import PRESET_SUMMARIES

    return PRESET_SUMMARIES


CATALOGUE: dict[str, Callable[[], Mapping[str, str]]] = {
    "models": _models,
    "methods": _methods,
    "conditions": _conditions,
    "perturbations": _perturbations,
    "probes": _probes,
    "tasks": _tasks,
    "presets": _presets,
}
