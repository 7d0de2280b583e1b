"""What a person sees: progress in plain lines, also when the first step takes long, and the table of verdicts."""

import dataclasses
import io
import time
from pathlib import Path

import pytest

from balora_audit.interface.terminal import print_verdicts, progress_for, summary
from balora_audit.metric import Metric
from balora_audit.records import AtEqualSkill, AuditRecord, Comparison, ModelRow, SingleRate, Units


def test_progress_says_nothing_before_the_first_item_and_divides_by_no_zero(monkeypatch):
    stream, clock = io.StringIO(), [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    with progress_for(stream, quiet=False) as progress:
        progress.stage("training", 4, "steps")
        clock[0] += 1000
        progress.advance(0)
        progress.advance(1)
        clock[0] += 1000
        progress.advance(3)
    lines = stream.getvalue().splitlines()
    assert lines == ["training: 4 steps", "training: 1 of 4 steps, about 3000 s left"]


def audit(metrics):
    claim = Comparison(
        claim="c", baseline="base", candidate="lora", condition="clean", probe="shout", metric="loud_drop", delta=-0.25, ci_low=-0.5,
        ci_high=-0.125, margin=0.01, n_items=40, n_seeds=1, higher_is_better=False, verdict="supported",
    )  # fmt: skip
    models = tuple(ModelRow(name=name, title=name.upper(), method=name, initialisation="none") for name in ("base", "lora"))
    return AuditRecord(
        tool={}, created="2026-05-04T03:02:01Z", status="complete", units=Units(planned=2, completed=2), config={}, provenance={},
        models=models, metrics=metrics, cells=(), claims=(), measurements=(), comparisons=(claim,),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        (
            (Metric(name="loud_drop", title="drop when shouted", unit="share", higher_is_better=False, meaning="", source=""),),
            ("▲ supported", "LORA has lower drop when shouted than BASE (clean)", "-25.0 pt", "-50.0 pt to -12.5 pt", "1.0 pt"),
        ),
        ((), ("▲ supported", "LORA has lower loud drop than BASE (clean)", "-0.25", "-0.5 to -0.125", "0.01")),
    ],
)
def test_verdicts_are_printed_with_what_the_audit_says_of_its_metrics(capsys, metrics, expected):
    print_verdicts(audit(metrics))
    _, row, *_, last = [line for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert [part for part in expected if part not in row] == []
    assert "2 of 2 units, status complete" in last


@pytest.fixture
def tuned():
    """An audit whose one claim was decided on the frontiers of two tuned methods."""
    made = audit((Metric(name="loud_drop", title="drop when shouted", unit="share", higher_is_better=False, meaning="", source=""),))
    gap = AtEqualSkill(delta=0.03, ci_low=-0.01, ci_high=0.07, p_value=0.2, skill_low=0.5, skill_high=0.7, n_items=36, points=(4, 3))
    single = tuple(
        SingleRate(baseline_setting=rate, candidate_setting=rate, delta=0.1, verdict=verdict)
        for rate, verdict in (("1", "inconclusive"), ("2", "supported"))
    )
    (claim,) = made.comparisons
    claim = dataclasses.replace(claim, at_equal_skill=gap, own_best="supported", single_rates=single, verdict="inconclusive")
    return dataclasses.replace(made, comparisons=(claim,))


def test_a_claim_decided_at_equal_skill_shows_the_numbers_that_decided_it(capsys, tuned):
    print_verdicts(tuned)
    out = capsys.readouterr().out
    for part in ("? inconclusive (at equal skill)", "+3.0 pt", "-1.0 pt to +7.0 pt", " 36 "):
        assert part in out
    assert "-25.0 pt" not in out


def test_the_summary_says_what_decided_and_what_other_designs_would_have_said(tuned):
    (verdict,) = summary(tuned, Path("run"), Path("report.html"))["verdicts"]
    assert verdict["decided_on"] == "equal skill"
    assert verdict["own_best"] == "supported"
    assert verdict["stability"] == {"same": 1, "single_settings": 2}
    assert (verdict["at_equal_skill"]["delta"], verdict["at_equal_skill"]["skill_high"]) == (0.03, 0.7)


def test_the_summary_of_a_claim_decided_on_itself_has_nothing_of_it():
    (verdict,) = summary(audit(()), Path("run"), Path("report.html"))["verdicts"]
    assert verdict["decided_on"] == "loud_drop"
    assert (verdict["own_best"], verdict["stability"], verdict["at_equal_skill"]) == (None, None, None)
