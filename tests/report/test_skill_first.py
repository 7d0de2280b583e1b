"""Skill is told first, what follows from it is marked, and what was not compared is never called better or worse."""

import dataclasses

import pytest
from synthetic_audit import SHA256, bare, comparison, measurement, parse, record
from synthetic_metrics import METRICS

from balora_audit.records import Claim, Comparison, Matched
from balora_audit.report.rows import Reader
from balora_audit.report.sentences import detectable_sentence, matched_sentence, skill_sentence, verdict_sentence


def words(node):
    return " ".join(node.text_content().replace("\N{NO-BREAK SPACE}", " ").split())


def section(page, name):
    return page.xpath(f"//section[@id='{name}']")[0]


SKILLS = {"base": 0.352, "lora": 0.602, "balora": 0.852}


def skilled(**changes):
    rows = tuple(
        measurement(method=model, probe="skill", metric="accuracy", slice="clean", value=value, n=400) for model, value in SKILLS.items()
    )
    return dataclasses.replace(bare(record(models=tuple(SKILLS))), measurements=rows, **changes)


def row(metric, verdict, **changes):
    fields = {
        "claim": metric, "baseline": "lora", "candidate": "balora", "condition": "clean", "probe": "noise", "metric": metric, "delta": 0.06,
        "ci_low": 0.03, "ci_high": 0.09, "n_items": 400, "n_seeds": 1, "margin": 0.02, "higher_is_better": False, "verdict": verdict,
    }  # fmt: skip
    return Comparison(**{**fields, **changes})


MATCHED = Matched(
    metric="survival", slice="all", delta=0.004, ci_low=-0.01, ci_high=0.018, p_value=0.6, baseline_value=0.8, candidate_value=0.804,
    n_items=230, margin=0.02, higher_is_better=True,
)  # fmt: skip
DROP = row("accuracy_drop", "equivalent", skill_delta=0.25, matched=MATCHED)
KL = row("kl_per_token", "not comparable", probe="drift", delta=0.7, ci_low=0.6, ci_high=0.8, skill_delta=0.25)
BETTER = row("accuracy", "supported", probe="skill", slice="clean", delta=0.25, ci_low=0.2, ci_high=0.3, higher_is_better=True)


@pytest.fixture(scope="module")
def page():
    claims = tuple(
        Claim(
            id=r.claim, baseline=r.baseline, candidate=r.candidate, condition="clean", probe=r.probe, metric=r.metric, slice=r.slice,
            margin=0.02, higher_is_better=bool(r.higher_is_better),
        )
        for r in (DROP, KL, BETTER)
    )  # fmt: skip
    return parse(skilled(comparisons=(DROP, KL, BETTER), claims=claims))


def test_the_first_sentence_is_the_skill_of_every_model_beside_the_references(page):
    first = words(section(page, "summary").xpath(".//p")[0])
    assert first == (
        "Task: on the clean test texts BA-LoRA answers 85.2 % correctly, LoRA 60.2 %, Base 35.2 % (best possible 84.0 %; bag of words "
        "47.0 %)."
    )


def test_the_better_model_that_loses_more_is_nowhere_called_contradicted(page):
    text = words(section(page, "summary")) + words(section(page, "verdicts"))
    assert "▲ BA-LoRA was 25.0 points more accurate than LoRA" in text
    assert (
        "≈ Decided at equal skill, since BA-LoRA was 25.0 points more accurate than LoRA (margin 2.0): BA-LoRA kept 0.4 points more of its "
        "answers under noise than LoRA, on items that both answer correctly on clean text" in text
    )
    assert "▼ contradicted" not in text.replace("Contradicted: wholly", "")


def test_what_was_not_compared_says_why_and_gives_no_direction(page):
    card = next(words(c) for c in section(page, "verdicts").xpath(".//li") if "not comparable" in words(c))
    assert (
        "Not compared: KL per token follows from skill or grows with training, and BA-LoRA was 25.0 points more accurate than LoRA "
        "(margin 2.0)." in card
    )
    assert "further" not in card
    summary = words(section(page, "summary"))
    assert "⊘ Not compared, since skill differs by more than its margin. BA-LoRA beside LoRA: KL per token." in summary


def test_an_unknown_skill_is_not_called_unequal():
    text = words(
        section(
            parse(skilled(comparisons=(KL, dataclasses.replace(DROP, verdict="not comparable", matched=None, skill_delta=None)))), "summary"
        )
    )
    assert "Not compared, since skill differs by more than its margin. BA-LoRA beside LoRA: KL per token." in text
    assert "Not compared, since skill was not measured of both. BA-LoRA beside LoRA: accuracy drop" in text


def test_the_skill_that_counts_is_that_under_the_control():
    audit = skilled()
    cells = (*audit.cells, dataclasses.replace(audit.cells[0], condition="balanced:20"))
    under = dataclasses.replace(DROP, condition="imbalance:20")
    said = matched_sentence(Reader(dataclasses.replace(audit, cells=cells), audit_sha256=SHA256), under)
    assert "more accurate than LoRA, both trained on " in said
    assert "both trained" not in matched_sentence(reader(), under)


def test_a_relative_margin_is_a_share_and_not_an_amount():
    claim = Claim(
        id="rank", baseline="lora", candidate="balora", condition="clean", probe="collapse", metric="general_effective_rank", slice="all",
        margin=0.05, higher_is_better=True, relative_margin=True,
    )  # fmt: skip
    page = parse(skilled(claims=(claim,)))
    assert "0.05 × the base" in words(section(page, "scope"))
    assert "margin 0.05" not in words(section(page, "verdicts"))


def test_every_table_of_a_probe_begins_with_skill_and_marks_what_follows(audit):
    page = parse(audit)
    seen = 0
    for probe in ("noise", "imbalance", "collapse", "drift"):
        for table in section(page, probe).xpath(".//table[thead//th[2][normalize-space()='Direction']]"):
            seen += 1
            assert words(table.xpath(".//tbody/tr[1]/th")[0]) == "accuracy on clean test texts"
    assert seen > 5
    text = words(section(page, "noise"))
    assert "flip rate †" in text
    assert "† follows from skill, or grows with training: compare it only between models of equal skill." in text
    assert "survival under noise †" not in text


def test_references_and_the_numerical_floor_are_shown(audit):
    page = parse(audit)
    assert "bag of words" in words(section(page, "skill"))
    assert "1.2 points" in words(section(page, "limits"))
    assert "in other batches and another order" in words(section(page, "limits"))


def reader(**provenance):
    audit = skilled()
    data = {**audit.provenance["data"], **provenance}
    return Reader(dataclasses.replace(audit, provenance={**audit.provenance, "data": data}), audit_sha256=SHA256)


@pytest.mark.parametrize(
    ("seeds", "redrawn", "about"),
    [(1, True, "about these checkpoints"), (3, True, ""), (3, False, "about these training rows, not the method")],
)
def test_several_seeds_speak_of_the_method_only_where_they_drew_their_rows(seeds, redrawn, about):
    said = verdict_sentence(reader(rows_redrawn=redrawn), dataclasses.replace(BETTER, n_seeds=seeds))
    assert about in said
    assert about or "about" not in said


def test_an_undecided_claim_says_what_it_could_have_found():
    open_claim = row("survival", "inconclusive", delta=0.01, ci_low=-0.06, ci_high=0.08, detectable=0.088, higher_is_better=True)
    said = detectable_sentence(reader(), open_claim).replace("\N{NO-BREAK SPACE}", " ")
    assert said == "This design finds a difference of about 8.8 points, 4.4 times the margin, with 80 % power."
    assert detectable_sentence(reader(), BETTER) == ""
    assert matched_sentence(reader(), BETTER) == ""


def test_without_a_measured_skill_there_is_no_sentence_about_it():
    assert skill_sentence(Reader(bare(record()), audit_sha256=SHA256)) == ""


@pytest.mark.parametrize("metric", [name for name, known in METRICS.items() if known.higher_is_better is not None])
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_sentence_has_the_direction_of_its_difference(metric, sign):
    known = METRICS[metric]
    claim = Claim(
        id="x", baseline="lora", candidate="balora", condition="clean", probe="noise", metric=metric, margin=0.01, higher_is_better=True
    )
    fields = {"delta": sign * 0.3, "ci_low": sign * 0.3 - 0.1, "ci_high": sign * 0.3 + 0.1, "verdict": "supported"}
    made = dataclasses.replace(comparison(claim, 1, "supported", __import__("numpy").random.default_rng(0)), **fields)
    said = verdict_sentence(reader(), made)
    assert (known.sentence.less if sign < 0 else known.sentence.more) in said
