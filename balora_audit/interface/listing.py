"""What there is to choose from, for ``ls``: names and one line each."""

from __future__ import annotations

from balora_audit.errors import unknown_name

__all__ = ["KINDS", "catalogue"]

KINDS = ("models", "methods", "conditions", "perturbations", "probes", "tasks", "presets")


def catalogue(kind: str) -> dict[str, str]:
    """Return name → summary for a kind of thing; raises `ConfigurationError` for an unknown kind."""
    if kind == "models":
        from balora_audit.models.locate import BUILT_IN

        return dict(BUILT_IN)
    if kind == "methods":
        from balora_audit.methods import METHODS

        return {name: method.summary for name, method in METHODS.items()}
    if kind == "conditions":
        from balora_audit.data.conditions import available

        return dict(available())
    if kind == "perturbations":
        from balora_audit.data import perturbations

        return {name: f"{noise.description} (per {noise.unit})" for name, noise in perturbations.available().items()}
    if kind == "probes":
        from balora_audit import probes

        return {name: probe.summary for name, probe in probes.available().items()}
    if kind == "tasks":
        return _tasks()
    if kind == "presets":
        from balora_audit.config import PRESET_SUMMARIES

        return dict(PRESET_SUMMARIES)
    raise unknown_name("kind of thing", kind, KINDS)


def _tasks() -> dict[str, str]:
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
