"""Which section speaks to which framework, a blank signature block, and the hash of ``audit.json``."""

from __future__ import annotations

from balora_audit.report.blocks import Block, Code, Definitions, Link, Links, Note, Table
from balora_audit.report.builder import SectionBuilder
from balora_audit.report.rows import Reader

__all__ = ["CROSSWALK"]

_WHERE = (
    (("summary", "verdicts", "effects"), "Quantitative analyses", "MEASURE 1.1, 2.3", "2(g)"),
    (("scope", "models"), "Model details; training and evaluation data", "MEASURE 2.1", "2(g)"),
    (("noise",), "Quantitative analyses; factors", "MEASURE 2.5, 2.7", "2(g): robustness"),
    (("imbalance",), "Factors; disaggregated results", "MEASURE 2.11", "2(g): discriminatory impacts"),
    (("collapse", "drift"), "Quantitative analyses", "MEASURE 2.5, 2.9", "2(g): metrics"),
    (("harness", "samples"), "Evaluation data", "MEASURE 2.1, 2.3", "2(g): test data"),
    (("provenance",), "Model details", "MEASURE 2.1", "2(g): test logs, dated"),
    (("limits", "crosswalk"), "Caveats and recommendations", "MEASURE 1.1, 2.13", "2(g): reports signed by those responsible"),
)
"""Sections, and what they answer to in model cards, the NIST AI RMF 1.0, and Annex IV of the EU AI Act."""


def _blocks(reader: Reader) -> list[Block]:
    """Return the reading aid and the sign-off; no conformity is claimed."""
    table = Table(
        caption="Where a reviewer finds what",
        columns=("Sections of this report", "Model Cards", "NIST AI RMF 1.0", "EU AI Act, Annex IV"),
        align="llll",
        rows=tuple((Links(links=tuple(Link(section=name) for name in names)), *answers) for names, *answers in _WHERE),
    )
    note = Note(text="The table is a reading aid. This report claims no conformity with any of these frameworks.", tone="quiet")
    sign = Definitions(
        title="Sign-off",
        rows=(
            ("Reviewed by", ""),
            ("Role", ""),
            ("Date", ""),
            ("Decision", ""),
            ("Signature", ""),
            ("SHA-256 of audit.json", Code(text=reader.audit_sha256)),
        ),
    )
    return [table, note, sign]


CROSSWALK = SectionBuilder(name="crosswalk", title="Crosswalk and sign-off", blocks=_blocks)
