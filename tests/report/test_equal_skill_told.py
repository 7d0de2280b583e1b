"""Sentences about claims that were decided at equal skill: what they say, and that they parse back."""

import dataclasses
import re

import pytest
import synthetic_audit as synthetic
from synthetic_audit import METRICS, SHA256, bare
from synthetic_tuning import tuned

from balora_audit.records import AtEqualSkill, Comparison, SingleRate
from balora_audit.report.rows import Reader
from balora_audit.report.sections.models import MODELS
from balora_audit.report.sections.summary import SUMMARY
from balora_audit.report.sections.verdicts import VERDICTS
from balora_audit.report.sentences import detectable_sentence, equal_skill_sentence, own_best_sentence, skill_sentence
from balora_audit.report.stability import Stability, stability_line, stability_sentence

GAP = AtEqualSkill(
    delta=0.031, ci_low=-0.012, ci_high=0.075, p_value=0.2, baseline_value=0.05, candidate_value=0.081, skill_low=0.602, skill_high=0.768,
    detectable=0.07, n_items=48, points=(4, 3),
)  # fmt: skip


def rates(*verdicts, same=True):
    return tuple(
        SingleRate(
            baseline_setting=f"learning_rate={place}", candidate_setting=f"learning_rate={place + (not same)}", delta=0.1, verdict=verdict
        )
        for place, verdict in enumerate(verdicts)
    )


def row(**changes):
    fields = {
        "claim": "kl", "baseline": "lora", "candidate": "balora", "condition": "clean", "probe": "drift", "metric": "kl_per_token",
        "delta": 0.7, "ci_low": 0.6, "ci_high": 0.8, "baseline_value": 0.1, "candidate_value": 0.8, "n_items": 50, "n_seeds": 1,
        "margin": 0.02, "higher_is_better": False, "verdict": "inconclusive", "at_equal_skill": GAP, "own_best": "contradicted",
        "detectable": 0.09, "single_rates": rates("inconclusive", "supported", "contradicted", "equivalent", "not run"),
    }  # fmt: skip
    return Comparison(**{**fields, **changes})


def reader(*rows):
    audit = tuned(synthetic.record(models=("base", "lora", "balora")))
    return Reader(dataclasses.replace(audit, series=(), comparisons=rows), audit_sha256=SHA256)


@pytest.fixture(scope="module")
def plain():
    return reader(row())


def clean(text):
    return text.replace("\N{NO-BREAK SPACE}", " ")


def test_the_sentence_says_the_range_of_skill_and_the_gap(plain):
    assert clean(equal_skill_sentence(plain, row())) == (
        "At equal accuracy (60.2 to 76.8 %), BA-LoRA moved 0.0310 nats per token further from the base than LoRA on general text (95 % "
        "interval 0.0120 less far to 0.0750 further; 1 seed; 48 items; margin 0.0200; about these checkpoints, not the method)."
    )


@pytest.mark.parametrize("metric", [name for name, known in METRICS.items() if known.higher_is_better is not None])
@pytest.mark.parametrize("sign", [-1, 1])
def test_every_sentence_parses_back_to_its_gap(plain, metric, sign):
    gap = dataclasses.replace(GAP, delta=sign * 0.25, ci_low=sign * 0.25 - 0.125, ci_high=sign * 0.25 + 0.125)
    said = clean(equal_skill_sentence(plain, row(metric=metric, at_equal_skill=gap)))
    found = re.fullmatch(
        r"At equal accuracy \(60\.2 to 76\.8 %\), (.+) \(95 % interval ([\d.]+) to ([\d.]+); 1 seed; 48 items; .+\)\.", said
    )
    assert found is not None, said
    by = 100 if METRICS[metric].unit == "share" else 1
    assert re.search(rf"\b{by * 0.25:#.3g}".rstrip("."), found[1])
    assert sorted([float(found[2]), float(found[3])]) == [by * 0.125, by * 0.375]
    assert "both" not in found[1]  # frontiers are of many models, so that nothing is said of items of two


def test_a_gap_without_a_common_range_says_what_each_reaches(plain):
    gap = AtEqualSkill(delta=None, reason="the frontiers have no common range of skill")
    said = clean(equal_skill_sentence(plain, row(at_equal_skill=gap, verdict="not comparable")))
    assert said == (
        "Not compared: the two methods' candidates reach no common range of accuracy (BA-LoRA 51.2 to 76.2 %, LoRA 51.2 to 76.2 %)."
    )


def test_another_reason_is_given_as_it_is(plain):
    gap = AtEqualSkill(delta=None, reason="a point of a frontier has no value")
    assert equal_skill_sentence(plain, row(at_equal_skill=gap)) == "Not compared: a point of a frontier has no value."
    gap = dataclasses.replace(GAP, ci_low=None, ci_high=None, reason="too few items differ")
    assert equal_skill_sentence(plain, row(at_equal_skill=gap)) == "No verdict at equal accuracy: too few items differ."


def test_an_interval_of_no_width_says_why(plain):
    gap = dataclasses.replace(GAP, delta=0.0, ci_low=0.0, ci_high=0.0)
    assert "no resample differs" in equal_skill_sentence(plain, row(at_equal_skill=gap))


def test_rows_decided_otherwise_have_no_such_sentences(plain):
    other = row(at_equal_skill=None, own_best=None, single_rates=())
    assert [said(plain, other) for said in (equal_skill_sentence, own_best_sentence, stability_sentence)] == ["", "", ""]


def test_the_own_best_is_told_with_the_verdict_it_would_give(plain):
    assert clean(own_best_sentence(plain, row())) == (
        "At each one's own best, whatever its accuracy: BA-LoRA moved 0.700 nats per token further from the base than LoRA on general text "
        "(95 % interval 0.600 to 0.800; 50 items): contradicted."
    )


def test_what_could_have_been_found_is_of_the_gap(plain):
    assert clean(detectable_sentence(plain, row())) == (
        "This design finds a difference of about 0.0900 nats at equal accuracy, 4.5 times the margin, with 80 % power."
    )


def test_stability_counts_what_single_settings_say():
    counts = Stability.of([row(verdict="supported")])
    assert (counts.same, counts.opposite, counts.another, counts.none) == (1, 1, 2, 1)
    assert clean(counts.short) == "1 of 5 the same; 1 the opposite; 2 another; 1 no verdict"
    assert Stability.of([row(verdict="not comparable")]) == Stability()


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        (("supported", "supported"), "Single common learning rates would have said: the same, all 2."),
        (("supported", "equivalent", "equivalent"), "Single common learning rates would have said: 2 of 3 something else."),
        (
            ("contradicted", "not run"),
            "A single common learning rate would have said: something else, 1 the opposite; 1 more would have given no verdict.",
        ),
        (("not run",), ""),
    ],
)  # fmt: skip
def test_stability_is_told(plain, verdicts, said):
    assert stability_sentence(plain, row(verdict="supported", single_rates=rates(*verdicts))) == said


def test_settings_that_differ_are_not_called_common():
    shifted = row(single_rates=rates("supported", "supported", same=False))
    assert stability_sentence(reader(shifted), shifted).startswith("Single places on the grid would have said: 2 of 2 something else")


def test_the_first_page_says_how_stable_all_verdicts_are():
    line = stability_line(reader(row(), row(claim="other", verdict="supported")))
    assert line == (
        "A single common learning rate would have given another verdict in 6 of 8 cases, the opposite in 1; in 2 more it would have given "
        "none (a case: one claim, one learning rate)."
    )


def test_the_first_page_tells_gaps_before_the_rest_and_what_is_not_equivalent_before_what_is():
    alone = row(claim="skill", probe="skill", metric="accuracy", slice="clean", at_equal_skill=None, own_best=None, single_rates=(),
                verdict="supported", higher_is_better=True)  # fmt: skip
    rows = (alone, row(claim="a", verdict="equivalent"), row(claim="b", verdict="contradicted"))
    found = [block.text for block in SUMMARY.build(reader(*rows)).blocks if getattr(block, "tone", "") == "finding"]
    assert clean(found[0]).startswith("Task, each tuned method at the best of its 4 learning rates by validation loss: on the clean test")
    assert [text[:10] for text in found[1:4]] == ["▼ At equal", "≈ At equal", "▲ BA-LoRA "]


def test_without_a_common_range_the_first_page_does_not_blame_the_skill_probe():
    gap = AtEqualSkill(delta=None, reason="the frontiers have no common range of skill")
    made = reader(row(at_equal_skill=gap, verdict="not comparable"))
    text = " ".join(block.text for block in SUMMARY.build(made).blocks if getattr(block, "kind", "") == "note")
    assert "reach no common range of skill. BA-LoRA beside LoRA: KL per token." in text
    assert "skill was not measured" not in text


def test_remarks_on_tuning_are_told_once(plain):
    audit = dataclasses.replace(plain.record, warnings=("LoRA: a remark", "1 seed"))
    blocks = SUMMARY.build(Reader(audit, audit_sha256=SHA256)).blocks
    assert [block.text for block in blocks if getattr(block, "tone", "") == "warning"] == ["1 seed"]
    (folded,) = [block for block in blocks if block.kind == "details"]
    assert [block.text for block in folded.blocks] == ["LoRA: a remark"]


def test_a_card_tells_the_gap_and_then_the_own_best(plain):
    (card,) = [card for block in VERDICTS.build(plain).blocks if block.kind == "cards" for card in block.cards if "0.0310" in card.sentence]
    assert card.sentence.startswith("At equal accuracy")
    assert "something else" in card.sentence
    assert card.detail.startswith("At equal accuracy: BA-LoRA 0.0810, LoRA 0.0500. At each one's own best")


def test_the_model_matrix_has_the_chosen_learning_rate(plain):
    rows = MODELS.build(plain).blocks[0].rows
    assert [getattr(cells[5], "text", cells[5]) for cells in rows] == ["—", "0.005", "0.005"]
    assert rows[1][5].below == "chosen of 4"


def test_without_tuning_the_skill_sentence_says_nothing_of_it(plain):
    assert skill_sentence(Reader(dataclasses.replace(plain.record, tuning=None), audit_sha256=SHA256)).startswith("Task: on the clean")
    assert stability_line(Reader(bare(plain.record), audit_sha256=SHA256)) == ""
