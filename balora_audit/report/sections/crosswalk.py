"""Section 14: which section speaks to which framework, a blank signature block, and the hash of ``audit.json``."""

from __future__ import annotations

from balora_audit.report.blocks import Code, Definitions, Note, Section, Table

__all__ = ["crosswalk"]


def crosswalk(audit_sha256: str) -> Section:
    """Return the reading aid and the sign-off; no conformity is claimed."""
    table = Table(
        caption="Where a reviewer finds what",
        columns=("Sections of this report", "Model Cards", "NIST AI RMF 1.0", "EU AI Act, Annex IV"),
        align="llll",
        rows=(
            ("1 Summary, 2 Verdicts, 5 Effects", "Quantitative analyses", "MEASURE 1.1, 2.3", "2(g)"),
            ("3 Scope, 4 Model matrix", "Model details; training and evaluation data", "MEASURE 2.1", "2(g)"),
            ("6 Noise robustness", "Quantitative analyses; factors", "MEASURE 2.5, 2.7", "2(g): robustness"),
            ("7 Imbalance and groups", "Factors; disaggregated results", "MEASURE 2.11", "2(g): discriminatory impacts"),
            ("8 Representation collapse, 9 Drift", "Quantitative analyses", "MEASURE 2.5, 2.9", "2(g): metrics"),
            ("10 Harness, 11 Samples", "Evaluation data", "MEASURE 2.1, 2.3", "2(g): test data"),
            ("12 Provenance", "Model details", "MEASURE 2.1", "2(g): test logs, dated"),
            ("13 Limits, 14 Sign-off", "Caveats and recommendations", "MEASURE 1.1, 2.13", "2(g): reports signed by those responsible"),
        ),
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
            ("SHA-256 of audit.json", Code(text=audit_sha256)),
        ),
    )
    return Section(id="crosswalk", title="Crosswalk and sign-off", blocks=(table, note, sign))
