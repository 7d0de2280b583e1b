"""Claims between tuned methods: decided at equal skill, beside what other designs would have said."""

from dataclasses import replace

import numpy as np
import pytest
from tuned import RATES, candidates, claim, findings, line, own_best

from balora_audit.cells import CellId
from balora_audit.comparison.compare import compare_all
from balora_audit.comparison.frontiers import frontier_points, joined
from balora_audit.config import AuditConfig
from balora_audit.probes.skill import ACCURACY
from balora_audit.records import Measurement

CONFIG = AuditConfig(models=("base", "lora", "balora"), resamples=300)
SKILLS = (0.5, 0.6, 0.7, 0.8)


def on_line(skills, gap=0.0):
    return [(skill, line(skill) + gap) for skill in skills]


def two(gap=0.0, shift=0.1, **more):
    """Return the frontiers of two methods on one line, of which the candidate is more skilled at each rate."""
    return {
        "lora": candidates("lora", on_line(SKILLS), **more),
        "balora": candidates("balora", on_line(np.add(SKILLS, shift), gap), **more),
    }


def decided(frontiers, *claims, config=CONFIG, evidence=None, **more):
    evidence = own_best(frontiers) if evidence is None else evidence
    more = {"untrained": frozenset({"base"}), "skill": ACCURACY, **more}
    return compare_all(config, claims, [], evidence, frontiers=frontiers, **more)


def test_methods_of_one_frontier_are_equivalent_where_every_single_rate_tells_them_apart():
    (row,) = decided(two(), claim())
    assert row.verdict == "equivalent"
    assert row.at_equal_skill.delta == pytest.approx(0, abs=1e-9)
    assert (row.at_equal_skill.skill_low, row.at_equal_skill.skill_high) == pytest.approx((0.6, 0.8))
    assert row.at_equal_skill.points == (4, 4)
    assert row.delta == pytest.approx(0.2)  # between the own best settings, which differ in skill
    assert row.own_best == "contradicted"
    assert [single.verdict for single in row.single_rates] == ["contradicted"] * 4
    assert [single.delta for single in row.single_rates] == pytest.approx([0.2] * 4)
    assert row.stability == (0, 4)
    assert row.p_adjusted == row.at_equal_skill.p_value == pytest.approx(1)


@pytest.mark.parametrize(("gap", "said"), [(0.1, "contradicted"), (-0.1, "supported")])
@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_a_planted_gap_is_found_with_its_size_and_sign(gap, said, seeds):
    config = AuditConfig(models=CONFIG.models, seeds=seeds, resamples=300)
    (row,) = decided(two(gap, seeds=seeds), claim(), config=config)
    assert row.verdict == said
    assert row.at_equal_skill.delta == pytest.approx(gap)
    assert row.at_equal_skill.candidate_value - row.at_equal_skill.baseline_value == pytest.approx(gap)
    assert row.at_equal_skill.ci_low < gap < row.at_equal_skill.ci_high
    assert row.detectable == pytest.approx(0.02 + row.at_equal_skill.detectable)
    assert row.n_seeds == len(seeds)


def test_stability_counts_the_single_rates_that_agree():
    frontiers = two(gap=0.1, shift=0.0)
    first = candidates("balora", [(0.5, line(0.5) - 0.3), *on_line(SKILLS[1:], 0.1)])
    (row,) = decided({**frontiers, "balora": first}, claim())
    assert [single.verdict for single in row.single_rates] == ["supported", "contradicted", "contradicted", "contradicted"]
    assert row.stability == (sum(single.verdict == row.verdict for single in row.single_rates), 4)
    (row,) = decided(frontiers, claim())
    assert (row.verdict, row.own_best, row.stability) == ("contradicted", "contradicted", (4, 4))


def test_only_settings_that_both_were_trained_with_are_single_rates():
    frontiers = {"lora": candidates("lora", on_line(SKILLS[:3])), "balora": candidates("balora", on_line(SKILLS))}
    frontiers["balora"] += candidates("balora", on_line([0.45]), share=0.5, chosen=-1)
    (row,) = decided(frontiers, claim())
    assert [(single.baseline_setting, single.candidate_setting) for single in row.single_rates] == [(f"{r:g}", f"{r:g}") for r in RATES[:3]]
    assert row.at_equal_skill.points == (3, 5)  # a share of training is a point of the frontier, and no setting of its own


def test_without_a_common_range_of_skill_methods_are_not_comparable():
    frontiers = {"lora": candidates("lora", on_line((0.3, 0.4))), "balora": candidates("balora", on_line((0.7, 0.8)))}
    (row,) = decided(frontiers, claim())
    assert row.verdict == "not comparable"
    assert "no common range of skill" in row.reason
    assert row.p_adjusted is None
    assert row.own_best == "contradicted"  # which is what a comparison of best settings would have said


def test_a_rate_that_is_too_high_is_not_joined():
    points = [*on_line((0.6, 0.7, 0.8)), (0.65, 3.0)]
    hot = {**two(), "balora": candidates("balora", points, chosen=2)}
    (row,) = decided(hot, claim())
    assert row.at_equal_skill.points == (4, 3)
    assert row.at_equal_skill.delta == pytest.approx(0, abs=1e-9)
    assert row.verdict == "equivalent"
    assert row.single_rates[-1].delta > 1  # it is still a setting that one could have compared at
    kept = joined(hot["balora"], (0,), ACCURACY)
    assert [candidate.rate for candidate in kept] == list(RATES[:3])


def test_every_other_setting_has_a_branch_of_its_own():
    first = candidates("balora", [*on_line((0.6, 0.7)), (0.5, 3.0)], others=(("adapter.rank", 8.0),))
    second = candidates("balora", on_line((0.5, 0.6, 0.7)), others=(("adapter.rank", 16.0),), start=4, chosen=-1)
    kept = joined([*first, *second], (0,), ACCURACY)
    assert [(candidate.others[0][1], candidate.rate) for candidate in kept] == [
        (8.0, RATES[0]), (8.0, RATES[1]), (16.0, RATES[0]), (16.0, RATES[1]), (16.0, RATES[2]),
    ]  # fmt: skip


def test_of_a_skill_that_is_better_when_low_the_rising_branch_is_that_of_falling_numbers():
    lower = replace(ACCURACY, higher_is_better=False)
    kept = joined(candidates("lora", [(0.9, 0.1), (0.5, 0.2), (0.7, 0.3)]), (0,), lower)
    assert [candidate.rate for candidate in kept] == list(RATES[:2])


def test_a_claim_on_skill_is_decided_on_itself():
    (row,) = decided(two(), claim("accuracy", "skill", "clean", higher=True))
    assert (row.verdict, row.at_equal_skill, row.own_best, row.single_rates) == ("supported", None, None, ())
    assert row.delta == pytest.approx(0.1)


def test_the_change_from_the_base_is_decided_plainly():
    frontiers = two()
    evidence = {**own_best(frontiers), CellId("base", "clean", 0): findings(0.2, 0.0, np.random.default_rng(0))}
    (row,) = decided(frontiers, claim(baseline="base"), evidence=evidence)
    assert (row.verdict, row.at_equal_skill) == ("contradicted", None)
    assert row.delta == pytest.approx(line(0.9))


def test_a_method_that_was_not_tuned_is_compared_by_the_rule_for_one_setting():
    frontiers = two()
    (row,) = decided({"balora": frontiers["balora"]}, claim(), evidence=own_best(frontiers))
    assert (row.verdict, row.at_equal_skill) == ("not comparable", None)
    assert "differs by more than its margin" in row.reason


def test_a_claim_under_a_condition_inherits_the_settings_and_is_decided_plainly():
    frontiers = two()
    under = {cell._replace(condition="noise:0.3"): found for cell, found in own_best(frontiers).items()}
    (row,) = decided(frontiers, claim(condition="noise:0.3"), evidence=under)
    assert row.at_equal_skill is None


def test_a_claim_in_the_other_direction_has_the_other_verdict():
    frontiers = two(gap=0.1)
    (row,) = decided(frontiers, claim(higher=True))
    (usual,) = decided(frontiers, claim())
    assert (row.verdict, usual.verdict) == ("supported", "contradicted")
    assert row.at_equal_skill == usual.at_equal_skill
    assert {single.verdict for single in row.single_rates} == {"supported"}


def test_a_margin_that_is_a_share_is_taken_of_the_base():
    frontiers = two(gap=0.1)
    base = findings(0.2, 4.0, np.random.default_rng(0))
    base["drift"].measurements.append(
        Measurement(
            method="base", condition="clean", seed=0, probe="drift", metric="kl_per_token", value=4.0, n=300, higher_is_better=False,
        )
    )  # fmt: skip
    evidence = {**own_best(frontiers), CellId("base", "clean", 0): base}
    for share, verdict in ((0.01, "contradicted"), (0.1, "equivalent")):
        (row,) = decided(frontiers, claim(margin=share, relative_margin=True), evidence=evidence)
        assert (row.margin, row.verdict) == (pytest.approx(4 * share), verdict)
        assert {single.verdict for single in row.single_rates} == {"contradicted" if share == 0.01 else row.single_rates[0].verdict}


def test_a_verdict_closer_to_its_margin_than_the_numerical_floor_is_inconclusive():
    frontiers = two(gap=0.1)
    (plain,) = decided(frontiers, claim())
    room = (plain.at_equal_skill.ci_low - 0.02) / 2
    key = (CellId("balora", "clean", 0), "drift", "kl_per_token")
    (slice,) = {slice for _, slice in own_best(frontiers)[key[0]]["drift"].scores}
    near, far = (decided(frontiers, claim(), floors={(*key, slice): room + change})[0].verdict for change in (0.001, -0.001))
    assert (near, far) == ("inconclusive", "contradicted")


def test_a_candidate_without_the_number_is_no_point():
    frontiers = two()
    del frontiers["balora"][1].found[0]["drift"]
    (row,) = decided(frontiers, claim())
    assert row.at_equal_skill.points == (4, 3)
    for candidate in frontiers["balora"]:
        candidate.found[0].pop("drift", None)
    rest = {**own_best(two())}
    (row,) = decided(frontiers, claim(), evidence=rest)
    assert row.at_equal_skill is None


def test_holm_adjusts_the_p_values_that_decided():
    frontiers = two(gap=0.01)
    rows = decided(frontiers, claim(), replace(claim(), id="again", margin=0.0))
    assert [row.p_adjusted for row in rows] == pytest.approx([min(1.0, 2 * rows[0].at_equal_skill.p_value)] * 2)


def test_points_of_the_frontiers_are_told_with_what_was_joined_and_chosen():
    frontiers = {"balora": candidates("balora", [*on_line((0.6, 0.7)), (0.5, 3.0)], chosen=1)}
    for candidate, value in zip(frontiers["balora"], (0.4, 0.6, 3.0), strict=True):
        candidate.found[0]["drift"].measurements.append(
            Measurement(
                method="balora", condition="clean", seed=0, probe="drift", metric="kl_per_token", value=value, n=300,
                higher_is_better=False,
            )
        )  # fmt: skip
    points = list(frontier_points(CONFIG, frontiers, ACCURACY))
    assert [(round(point.skill, 6), point.value, point.joined, point.chosen) for point in points] == [
        (0.6, 0.4, True, False), (0.7, 0.6, True, True), (0.5, 3.0, False, False),
    ]  # fmt: skip
    assert all(point.skill_low < point.skill < point.skill_high for point in points)
