"""Prompt templates: a text with one place, ``{text}``, and nothing else that is interpreted."""

from __future__ import annotations

from balora_audit.errors import DataError

__all__ = ["BARE_PROMPT", "DEFAULT_PROMPT", "check_prompt", "fill"]

DEFAULT_PROMPT = "{text}\nAnswer:"
"""For labels: the answer is asked for."""

BARE_PROMPT = "{text}"
"""For data whose texts are prompts already."""

_PLACE = "{text}"


def check_prompt(template: str, *, where: str = "") -> str:
    """Return a template that has exactly one place for the text; `where` opens the message about one that has not.

    Raises
    ------
    DataError
        There is no place, or more than one.
    """
    if template.count(_PLACE) != 1:
        raise DataError(f"{where + ': ' if where else ''}the prompt template needs exactly one {_PLACE}, got {template!r}")
    return template


def fill(template: str, text: str) -> str:
    """Return the prompt for a text, which is never itself read as a template.

    Examples
    --------
    >>> fill("{text} It was", "A {text} film.")
    'A {text} film. It was'
    """
    before, after = template.split(_PLACE)
    return before + text + after
