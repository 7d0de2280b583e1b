"""Sections 10–14: harness results, samples, provenance, limits and glossary, crosswalk and sign-off."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from balora_audit.report.blocks import Block, Definitions, Details, Note, Samples, Section, Table
from balora_audit.report.numbers import MISSING
from balora_audit.report.rows import Reader
from balora_audit.vocabulary import METRICS, PROBE_TITLES

__all__ = ["crosswalk", "harness", "limits", "provenance", "samples"]

_MOST_ROWS = 20
_MOST_CHARACTERS = 1200


def harness(reader: Reader) -> Section:
    """Return the harness's results; a note where none were asked for."""
    blocks: tuple[Block, ...] = (Note(text="Not run: no lm-evaluation-harness task was asked for."),)
    if reader.conditions("harness"):
        blocks = (Note(text="See the measurements of the probe 'harness' in audit.json."),)
    return Section(id="harness", title="lm-evaluation-harness results", blocks=blocks)


def samples(reader: Reader) -> Section:
    """Return the shown items with their selection rule."""
    blocks: list[Block] = []
    for table in reader.record.samples:
        shown = table.rows[:_MOST_ROWS]
        columns = ("Item", "Input", "Gold", *(reader.titles.get(m, m) for m in reader.models), "Remark")
        rows = tuple(
            (row.id, _cut(row.input), row.gold, *(row.answers.get(m) or MISSING for m in reader.models), row.note) for row in shown
        )
        where = f" All of them: {table.path} in the run folder (one file per model)." if table.path else ""
        blocks.append(
            Samples(
                title=f"{PROBE_TITLES.get(table.probe, table.probe)}, {table.condition}: {table.title}",
                rule=f"Chosen: {table.rule}.",
                showing=f"Showing {len(shown)} of {table.total}.{where}",
                table=Table(caption=f"{table.title} ({table.condition})", columns=columns, rows=rows, numeric_from=99),
            )
        )
    if not blocks:
        blocks = [Note(text="No samples were kept for these data.")]
    return Section(id="samples", title="Samples", blocks=tuple(blocks))


def _cut(text: str) -> str:
    if len(text) <= _MOST_CHARACTERS:
        return text
    return f"{text[:_MOST_CHARACTERS]}… [showing {_MOST_CHARACTERS} of {len(text)} characters]"


def provenance(reader: Reader) -> Section:
    """Return where everything came from and how to repeat it."""
    found = reader.record.provenance
    commands = found.get("commands", {})
    blocks: list[Block] = [
        Definitions(
            title="Commands",
            rows=tuple((name, str(command)) for name, command in commands.items()) or (("commands", MISSING),),
        )
    ]
    for name, value in found.items():
        if name == "commands":
            continue
        rows = tuple(_flat(value)) if isinstance(value, Mapping) else ((name, _text(value)),)
        heading = name.replace("_", " ")
        if len(rows) > 8:
            blocks.append(Details(summary=f"{heading} ({len(rows)} entries)", blocks=(Definitions(rows=rows),)))
        else:
            blocks.append(Definitions(title=heading, rows=rows))
    config = Definitions(rows=tuple(_flat(reader.record.config)))
    blocks.append(Details(summary="resolved configuration", blocks=(config,)))
    return Section(id="provenance", title="Provenance", blocks=tuple(blocks))


def _flat(value: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, inner in value.items():
        name = f"{prefix}{key}"
        if isinstance(inner, Mapping) and inner and len(json.dumps(inner, default=str)) > 90:
            if len(inner) > 60:
                rows.append((name, f"{len(inner)} entries, in audit.json"))
            else:
                rows.extend(_flat(inner, f"{name} › "))
        else:
            rows.append((name, _text(inner)))
    return rows


def _text(value: object) -> str:
    if value is None:
        return MISSING
    if isinstance(value, str):
        return value
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 600 else f"{text[:600]}… [the rest is in audit.json]"


def limits(reader: Reader) -> Section:
    """Return what was not measured, and every metric in one sentence."""
    record = reader.record
    missing = [
        (
            f"{PROBE_TITLES.get(row.probe, row.probe)}: {METRICS[row.metric].title} [{row.slice}]",
            reader.titles.get(row.method, row.method),
            row.condition,
            row.reason,
        )
        for row in record.measurements
        if row.value is None and row.reason
    ]
    absent = [title for name, title in PROBE_TITLES.items() if name not in record.config.get("probes", [])]
    blocks: list[Block] = [
        Note(
            text="What this audit does not say: how the models behave on other data, at other sizes, ranks or learning "
            "rates; whether they are safe or suited to a use; anything about groups beyond those named. Synthetic "
            "biographies, where they are the data, test mechanisms and not a population."
        )
    ]
    if absent:
        blocks.append(Note(text=f"Probes that were not asked for: {', '.join(absent)}.", tone="warning"))
    if missing:
        unique = tuple(dict.fromkeys(missing))
        table = Table(
            caption=f"Not measured, and why (showing {min(len(unique), 60)} of {len(unique)})",
            columns=("Metric", "Model", "Condition", "Reason"),
            rows=tuple((a, b, c, str(d)) for a, b, c, d in unique[:60]),
            numeric_from=99,
        )
        blocks.append(Details(summary=f"{len(unique)} quantities were not measured", blocks=(table,)))
    used = list(dict.fromkeys(row.metric for row in record.measurements))
    glossary = Definitions(rows=tuple((METRICS[name].title, f"{METRICS[name].meaning} ({METRICS[name].source})") for name in used))
    blocks.append(Details(summary=f"Glossary: {len(used)} metrics", blocks=(glossary,)))
    return Section(id="limits", title="Limits and glossary", blocks=tuple(blocks))


def crosswalk(reader: Reader, audit_sha256: str) -> Section:
    """Return which section speaks to which framework, and a blank signature block."""
    table = Table(
        caption="Where a reviewer finds what. This is a reading aid; no conformity is claimed.",
        columns=("Section of this report", "Model Cards", "NIST AI RMF", "EU AI Act, Annex IV"),
        rows=(
            ("Scope, model matrix", "Model details; training data", "MAP 2, MEASURE 1.1", "2(a)–(d)"),
            ("Noise robustness", "Quantitative analyses", "MEASURE 2.5, 2.6", "2(g)"),
            ("Imbalance and groups", "Factors; disaggregated metrics", "MEASURE 2.11", "2(g)"),
            ("Representation collapse, drift", "Quantitative analyses", "MEASURE 2.5", "2(g)"),
            ("Effects, verdicts, limits", "Caveats and recommendations", "MEASURE 1.1, 2.13", "2(g)"),
            ("Provenance", "Model details", "MEASURE 2.3", "2(g)"),
        ),
        numeric_from=99,
    )
    sign = Definitions(
        title="Sign-off",
        rows=(("Reviewed by", ""), ("Date", ""), ("Decision", ""), ("SHA-256 of audit.json", audit_sha256)),
    )
    del reader
    return Section(id="crosswalk", title="Crosswalk and sign-off", blocks=(table, sign))
