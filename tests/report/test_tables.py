"""Tables for papers and issues."""

from dataclasses import replace

import pytest

from balora_audit.errors import AuditError
from balora_audit.export.tables import table
from balora_audit.records import Matched


@pytest.mark.parametrize("kind", ["comparisons", "measurements"])
def test_every_row_is_there_with_its_interval(audit, kind):
    rows = getattr(audit, kind)
    text = table(audit, kind)
    lines = text.splitlines()
    assert len(lines) == len(rows) + 2
    assert len({line.count(" | ") for line in lines}) == 1
    first = next(row for row in rows if row.ci_low is not None)
    assert f"{first.ci_low:.4g}".replace("-", "−") in lines[2 + rows.index(first)]
    latex = table(audit, kind, "latex")
    assert latex.count(r" \\") == len(rows) + 1
    assert not {"−", "_ "} & set(latex)


def test_a_verdict_that_rests_on_a_matched_metric_says_so(audit):
    index, row = next((i, row) for i, row in enumerate(audit.comparisons) if row.verdict)
    matched = Matched(
        metric="noise_survival", slice="", delta=0.1, ci_low=0.05, ci_high=0.15, p_value=0.01, baseline_value=0.8, candidate_value=0.9,
        n_items=40, margin=0.02, higher_is_better=True,
    )  # fmt: skip
    comparisons = list(audit.comparisons)
    comparisons[index] = replace(row, verdict="supported", matched=matched)
    line = table(replace(audit, comparisons=comparisons)).splitlines()[2 + index]
    assert line.endswith("supported (on noise_survival) |")


def test_a_verdict_at_equal_skill_stands_with_the_numbers_that_decided_it(audit):
    index, row = next((i, row) for i, row in enumerate(audit.comparisons) if row.at_equal_skill is not None)
    line = table(audit).splitlines()[2 + index]
    assert line.endswith(f"{row.verdict} (at equal skill) |")
    assert f"{row.at_equal_skill.delta:.4g} [" in line
    assert f"{row.delta:.4g}" not in line.replace("−", "-")


def test_an_unknown_kind_or_format_is_an_error(audit):
    with pytest.raises(AuditError, match="kind"):
        table(audit, "verdicts")
    with pytest.raises(AuditError, match="format"):
        table(audit, "measurements", "word")
