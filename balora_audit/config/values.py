"""Text → value: how a flag's or a variable's text becomes what its field takes.

The type of a field decides: lists are split at commas, mappings at ``=``, ``none`` empties an optional number. The rest stays text,
which the field's own validation turns into numbers and the like. A field whose text is written otherwise names one of the parsers
here in its `balora_audit.config.options.Option`. Every function raises `ValueError` that says what the field takes.
"""

from __future__ import annotations

import json
import types
from typing import Any, Literal, Union, get_args, get_origin

__all__ = ["alternatives", "choices", "grids", "json_object", "names_or_pairs", "pairs", "read_text", "texts", "with_line_breaks"]

_NUMBERS: dict[Any, str] = {int: "whole numbers", float: "numbers"}


def read_text(text: str, annotation: Any) -> Any:
    """Return the value of a text for a field of the given type.

    Examples
    --------
    >>> read_text("clean, noise:0.3", tuple[str, ...]), read_text("0,6", tuple[int, ...] | Literal["all"])
    (('clean', 'noise:0.3'), (0, 6))
    >>> read_text("accuracy=0.05", dict[str, float]), read_text("none", int | None), read_text("3", int)
    ({'accuracy': '0.05'}, None, '3')
    """
    members = alternatives(annotation)
    if text.strip() in choices(annotation):
        return text.strip()
    if type(None) in members and str not in members and text.strip() == "none":
        return None
    if any(get_origin(member) is dict for member in members):
        return pairs(text)
    items = [get_args(member)[0] for member in members if get_origin(member) is tuple]
    return _split(text, items[0]) if items else text


def alternatives(annotation: Any) -> tuple[Any, ...]:
    """Return the members of a union, or the type itself."""
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)


def choices(annotation: Any) -> tuple[str, ...]:
    """Return the words that a type allows by name."""
    return tuple(word for member in alternatives(annotation) if get_origin(member) is Literal for word in get_args(member))


def pairs(text: str) -> dict[str, str]:
    """Read ``name=value,name=value``."""
    found: dict[str, str] = {}
    for part in text.split(","):
        key, separator, value = (piece.strip() for piece in part.partition("="))
        if not (separator and key and value):
            raise ValueError("takes name=value pairs separated by commas")
        found[key] = value
    return found


def names_or_pairs(text: str) -> tuple[str, ...] | dict[str, str]:
    """Read names in order, an empty one too, or a name for each value: ``Bad,Good`` or ``0=Bad,1=Good``."""
    return pairs(text) if "=" in text else tuple(part.strip() for part in text.split(","))


def grids(text: str) -> dict[str, tuple[str, ...]]:
    """Read ``axis=value/value,axis=value``.

    Examples
    --------
    >>> grids("learning_rate=2e-4/1e-3,rank=8")
    {'learning_rate': ('2e-4', '1e-3'), 'rank': ('8',)}
    """
    return {name: tuple(part.strip() for part in values.split("/")) for name, values in pairs(text).items()}


def json_object(text: str) -> Any:
    """Read JSON."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"takes a JSON object ({error})") from error


def with_line_breaks(text: str) -> str:
    r"""Turn a written ``\n`` into a line break: a shell passes it as two characters."""
    return text.replace("\\n", "\n")


def texts(text: str) -> tuple[str, ...]:
    """Read texts separated by commas, in which white space counts."""
    return tuple(with_line_breaks(part) for part in text.split(",") if part)


def _split(text: str, item: Any) -> tuple[Any, ...]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if item not in _NUMBERS:
        return tuple(parts)
    try:
        return tuple(item(part) for part in parts)
    except ValueError as error:
        raise ValueError(f"takes {_NUMBERS[item]} separated by commas") from error
