"""The report's sections, in order. A section is one file here, and one line in `SECTIONS`.

Another package adds one with an entry point in the group ``balora_audit.sections`` that names a `SectionBuilder`; its name is
the section's. Such a section is part of a page only where its package is installed when the page is made: a report that is
rendered, or verified, elsewhere lacks it, and its probe's numbers stand there as tables.
"""

from __future__ import annotations

from balora_audit.extensions import built_in, checked, find_extensions
from balora_audit.report.blocks import Note, Section
from balora_audit.report.builder import SectionBuilder, blocks_or_reason
from balora_audit.report.numbering import numbered
from balora_audit.report.rows import Reader
from balora_audit.report.sections.other_probes import for_other_probes

__all__ = ["SECTIONS", "SectionBuilder", "available", "blocks_or_reason", "build"]


def _checked(name: str, thing: object) -> SectionBuilder:
    return checked(SectionBuilder, name, thing, called="section")


SECTIONS: dict[str, SectionBuilder] = built_in(
    {
        "summary": "balora_audit.report.sections.summary:SUMMARY",
        "skill": "balora_audit.report.sections.skill:TASK_SKILL",
        "frontiers": "balora_audit.report.sections.frontiers:FRONTIERS",
        "verdicts": "balora_audit.report.sections.verdicts:VERDICTS",
        "scope": "balora_audit.report.sections.scope:SCOPE",
        "models": "balora_audit.report.sections.models:MODELS",
        "effects": "balora_audit.report.sections.effects:EFFECTS",
        "noise": "balora_audit.report.sections.noise:NOISE",
        "imbalance": "balora_audit.report.sections.imbalance:IMBALANCE",
        "collapse": "balora_audit.report.sections.collapse:COLLAPSE",
        "drift": "balora_audit.report.sections.drift:DRIFT",
        "harness": "balora_audit.report.sections.harness:HARNESS",
        "samples": "balora_audit.report.sections.samples:SAMPLES",
        "provenance": "balora_audit.report.sections.provenance:PROVENANCE",
        "limits": "balora_audit.report.sections.limits:LIMITS",
        "crosswalk": "balora_audit.report.sections.crosswalk:CROSSWALK",
    },
    _checked,
)


def available() -> dict[str, SectionBuilder]:
    """Return the sections of this package and those that installed packages bring, in the order of the page."""
    foreign = find_extensions("section", _following, SECTIONS).things.values()
    ordered = [
        builder for section in SECTIONS.values() for builder in (section, *(found for found in foreign if found.after == section.name))
    ]
    return {builder.name: builder for builder in ordered}


def build(reader: Reader) -> list[Section]:
    """Return all sections of a record, numbered. One from another package that raises becomes a note that says so."""
    builders = available()
    shown = {builder.probe for builder in builders.values() if builder.probe is not None}
    sections: list[Section] = []
    for name, builder in builders.items():
        sections.append(builder.build(reader) if name in SECTIONS else _guarded(builder, reader))
        if name == "harness":
            sections += [other.build(reader) for other in for_other_probes(reader, shown, builders)]
    return numbered(sections)


def _following(name: str, thing: object) -> SectionBuilder:
    builder = _checked(name, thing)
    if builder.after not in SECTIONS:
        raise ValueError(f"it must follow one of {', '.join(SECTIONS)}, got {builder.after!r}")
    return builder


def _guarded(builder: SectionBuilder, reader: Reader) -> Section:
    try:
        return builder.build(reader)
    except Exception as error:  # noqa: BLE001 - whatever a foreign package does, the audit's own sections must be shown
        text = f"This section comes from another package and could not be made: {type(error).__name__}: {error}"
        return Section(id=builder.name, title=builder.title, blocks=(Note(text=text, tone="warning"),))
