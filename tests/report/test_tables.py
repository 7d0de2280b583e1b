"""Tables for papers and issues."""

import pytest

from balora_audit.errors import AuditError
from balora_audit.export.tables import table


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


def test_an_unknown_kind_or_format_is_an_error(audit):
    with pytest.raises(AuditError, match="kind"):
        table(audit, "verdicts")
    with pytest.raises(AuditError, match="format"):
        table(audit, "measurements", "word")
