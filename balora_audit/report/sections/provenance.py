"""Where everything came from and how to repeat it. Any nested JSON is printed, whatever its keys."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from balora_audit.report.blocks import Block, Code, Definitions, Details, Note, TableCell
from balora_audit.report.builder import SectionBuilder
from balora_audit.report.numbers import MISSING
from balora_audit.report.rows import Reader

__all__ = ["PROVENANCE"]

_MOST_ENTRIES = 60
_MOST_CHARACTERS = 600
_SHORT = 90
_FOLD_FROM = 9
_HASH = re.compile(r"[0-9a-f]{32,}")


def _blocks(reader: Reader) -> list[Block]:
    """Return commands, then every part of the provenance and the resolved configuration as names and values."""
    found = dict(reader.record.provenance)
    commands = found.pop("commands", None)
    blocks: list[Block] = []
    if isinstance(commands, Mapping) and commands:
        blocks.append(Definitions(title="Commands", rows=tuple((str(name), Code(text=_text(value))) for name, value in commands.items())))
    alone = {name: value for name, value in found.items() if not isinstance(value, Mapping)}
    about = {"tool": reader.record.tool, "schema version": reader.record.schema_version, **alone}
    blocks.append(Definitions(title="Run", rows=tuple(_flat(about))))
    for name, value in found.items():
        if isinstance(value, Mapping) and value:
            blocks += _part(str(name).replace("_", " ").capitalize(), value)
    if reader.record.config:
        configuration = Definitions(rows=tuple(_flat(reader.record.config)))
        blocks.append(Details(summary="Resolved configuration", blocks=(configuration,)))
    if not found and commands is None:
        blocks.append(Note(text="The audit holds no provenance: its numbers cannot be traced.", tone="warning"))
    return blocks


PROVENANCE = SectionBuilder(name="provenance", title="Provenance", blocks=_blocks)


def _part(title: str, value: Mapping[str, Any]) -> list[Block]:
    """Lay out one part: its plain values open, everything nested folded beneath when it is long."""
    rows = _flat(value)
    if len(rows) < _FOLD_FROM:
        return [Definitions(title=title, rows=tuple(rows))]
    nested = {key: inner for key, inner in value.items() if isinstance(inner, Mapping) and len(_json(inner)) > _SHORT}
    flat = _flat({key: inner for key, inner in value.items() if key not in nested})
    if not nested or not flat or len(flat) > 2 * _FOLD_FROM:
        return [Details(summary=f"{title}: {len(rows)} entries", blocks=(Definitions(rows=tuple(rows)),))]
    blocks: list[Block] = [Definitions(title=title, rows=tuple(flat))]
    for key, inner in nested.items():
        entries = _flat(inner)
        blocks.append(Details(summary=f"{title}: {key}, {len(entries)} entries", blocks=(Definitions(rows=tuple(entries)),)))
    return blocks


def _flat(value: Mapping[str, Any], prefix: str = "") -> list[tuple[str, TableCell]]:
    rows: list[tuple[str, TableCell]] = []
    for key, inner in value.items():
        name = f"{prefix}{key}"
        if isinstance(inner, Mapping) and len(_json(inner)) > _SHORT:
            if len(inner) > _MOST_ENTRIES:
                rows.append((name, f"{len(inner)} entries, in audit.json"))
            else:
                rows += _flat(inner, f"{name} › ")
        else:
            text = _text(inner)
            rows.append((name, Code(text=text) if _HASH.fullmatch(text) else text))
    return rows


def _text(value: object) -> str:
    if value is None or value == "" or value == [] or value == {}:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(item, str | int | float) for item in value):
        text = ", ".join(str(item) for item in value)
    elif isinstance(value, Mapping) and all(isinstance(item, str | int | float | None) for item in value.values()):
        text = ", ".join(f"{key} {item}" for key, item in value.items())
    else:
        text = value if isinstance(value, str) else _json(value)
    if len(text) <= _MOST_CHARACTERS:
        return text
    return f"{text[:_MOST_CHARACTERS]}… [showing {_MOST_CHARACTERS} of {len(text):,} characters; the rest is in audit.json]"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
