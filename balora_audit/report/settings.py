"""What was tuned, in words: axes, settings, how many were tried."""

from __future__ import annotations

from collections.abc import Mapping

from balora_audit.records import Tuning
from balora_audit.report.numbers import isolated

__all__ = ["axis_words", "setting_titles", "tried", "tried_words", "tuned_thing"]

_RATE = "learning_rate"


def axis_words(axis: str) -> str:
    """Return an axis of the grid in words.

    Examples
    --------
    >>> axis_words("learning_rate"), axis_words("penalties.consistency")
    ('learning rate', 'consistency')
    """
    return isolated(axis.removeprefix("penalties.").replace("_", " "))


def setting_titles(tuning: Tuning | None) -> Mapping[tuple[str, str], str]:
    """Return (method, setting) → the setting in words; a setting that no candidate describes is not there."""
    candidates = () if tuning is None else tuning.candidates
    return {(found.method, found.setting): _words(found.setting, found.values) for found in candidates}


def _words(setting: str, values: Mapping[str, float]) -> str:
    return ", ".join(f"{axis_words(axis)} {value:g}" for axis, value in values.items()) or isolated(setting)


def tuned_thing(tuning: Tuning) -> str:
    """Return what is tuned: the learning rate where that is the only axis, else a setting."""
    return "learning rate" if set(tuning.axes) <= {_RATE} else "setting"


def tried(tuning: Tuning) -> Mapping[str, int]:
    """Return each method's number of settings, in order of appearance."""
    settings: dict[str, dict[str, None]] = {}
    for found in tuning.candidates:
        settings.setdefault(found.method, {})[found.setting] = None
    return {method: len(of_method) for method, of_method in settings.items()}


def tried_words(tuning: Tuning | None) -> str:
    """Say how many settings every method had: ``6 learning rates``, ``3 to 6 settings``; nothing where nothing was tuned."""
    counts = set() if tuning is None else set(tried(tuning).values())
    if tuning is None or not counts or max(counts) < 2:
        return ""
    number = str(max(counts)) if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
    return f"{number} {tuned_thing(tuning)}s"
