"""What the initialisation and the penalties do: the four corners of an audit, their arithmetic, and doses of a penalty."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tuned import candidates, claim, findings, line, own_best

from balora_audit.cells import CellId
from balora_audit.comparison.attribution import attribution, corners
from balora_audit.config import AuditConfig
from balora_audit.methods import find_methods
from balora_audit.probes.skill import ACCURACY

PENALISED = "lora[+cr+dr+svdr]"
FOUR = ("lora", "pissa", PENALISED, "balora")
NAMES = ("base", *FOUR)
METHODS = find_methods(NAMES)
SKILLS = (0.5, 0.6, 0.7, 0.8)


def config(seeds=(0,)):
    return AuditConfig(models=NAMES, seeds=seeds, resamples=200)


def evidence(values, seeds=(0,)):
    """Return cells of four models of one skill with the given flaws."""
    rng = np.random.default_rng(0)
    return {CellId(name, "clean", seed): findings(0.6, value, rng) for name, value in zip(FOUR, values, strict=True) for seed in seeds}


def effects(cells, frontiers=None, *, seeds=(0,), claims=None, methods=METHODS):
    claims = [claim()] if claims is None else claims
    found = list(attribution(config(seeds), methods, cells, frontiers or {}, ACCURACY, claims))
    return {(effect.term, effect.at): effect for effect in found}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["base", "lora", "pissa", PENALISED, "balora"], [FOUR]),
        (["balora", PENALISED, "pissa", "lora"], [("pissa", "lora", "balora", PENALISED)]),
        (["base", "lora", "pissa", "balora"], []),
        (["base", "lora", PENALISED, "balora"], []),
        (["base", "lora", "pissa"], []),
        (["base", "lora", "pissa", "lora[+cr]", "balora"], []),
        (
            ["lora", "pissa", "lora[+cr]", "pissa[+cr]", "lora[+dr]", "pissa[+dr]"],
            [("lora", "pissa", "lora[+cr]", "pissa[+cr]"), ("lora", "pissa", "lora[+dr]", "pissa[+dr]")],
        ),
        ([], []),
    ],
)
def test_corners_are_two_initialisations_each_with_and_without_the_same_penalties(names, expected):
    assert corners(find_methods(names)) == expected


numbers = st.tuples(*[st.integers(-8, 8).map(lambda n: n / 4)] * 4)


@settings(max_examples=15, deadline=None)
@given(numbers, st.sampled_from([(0,), (0, 1)]))
def test_effects_between_own_best_settings_are_the_arithmetic_of_the_corners(values, seeds):
    none, start, penalties, both = values
    found = effects(evidence(values, seeds), seeds=seeds)
    expected = {
        "initialisation": ((start - none) + (both - penalties)) / 2,
        "penalties": ((penalties - none) + (both - start)) / 2,
        "interaction": (both - penalties) - (start - none),
    }
    assert set(found) == {(term, "own best") for term in expected}
    for term, value in expected.items():
        effect = found[term, "own best"]
        assert effect.delta == pytest.approx(value, abs=1e-9)
        assert effect.models == FOUR
        assert (effect.n_seeds, effect.n_items) == (len(seeds), 300)
        assert effect.ci_low < value + 1e-9
        assert effect.ci_high > value - 1e-9


def test_additive_data_have_no_interaction_and_planted_ones_have_theirs():
    additive = effects(evidence((0.1, 0.4, 0.3, 0.6)))["interaction", "own best"]
    assert additive.delta == pytest.approx(0, abs=1e-9)
    assert additive.ci_low < 0 < additive.ci_high
    planted = effects(evidence((0.1, 0.4, 0.3, 0.2)))["interaction", "own best"]
    assert planted.delta == pytest.approx(-0.4)
    assert planted.ci_high < 0


def test_at_equal_skill_an_initialisation_that_only_trains_faster_has_no_effect():
    """Both initialisations lie on one line, the other one further along it; the penalties lower the line by 0.2."""
    shifts, gaps = {"pissa": 0.1, "balora": 0.1}, {PENALISED: -0.2, "balora": -0.2}
    frontiers = {
        name: candidates(name, [(skill, line(skill) + gaps.get(name, 0.0)) for skill in np.add(SKILLS, shifts.get(name, 0.0))])
        for name in FOUR
    }
    found = effects(own_best(frontiers), frontiers)
    assert {at for _, at in found} == {"own best", "equal skill"}
    assert found["initialisation", "own best"].delta == pytest.approx(0.2)  # which is skill alone
    equal = {term: found[term, "equal skill"] for term in ("initialisation", "penalties", "interaction")}
    assert [effect.delta for effect in equal.values()] == pytest.approx([0, -0.2, 0], abs=1e-9)
    assert equal["initialisation"].ci_low < 0 < equal["initialisation"].ci_high
    assert equal["penalties"].ci_high < 0
    assert (equal["penalties"].skill_low, equal["penalties"].skill_high) == pytest.approx((0.6, 0.8))


def test_effects_on_skill_are_told_between_own_best_settings_only():
    frontiers = {name: candidates(name, [(skill, line(skill)) for skill in SKILLS]) for name in FOUR}
    found = effects(own_best(frontiers), frontiers, claims=[claim("accuracy", "skill", "clean", higher=True)])
    assert {at for _, at in found} == {"own best"}


def test_a_corner_without_the_number_leaves_a_reason():
    cells = evidence((0.1, 0.2, 0.3, 0.4))
    del cells[CellId("pissa", "clean", 0)]
    found = effects(cells)
    assert {effect.reason for effect in found.values()} == {"it was not measured of all four models"}
    assert {effect.delta for effect in found.values()} == {None}
    frontiers = {name: candidates(name, [(skill, line(skill)) for skill in SKILLS]) for name in FOUR}
    for candidate in frontiers["pissa"]:
        del candidate.found[0]["drift"]
    assert effects(cells, frontiers)["penalties", "equal skill"].reason == "a frontier has no point with this number"


def test_what_is_claimed_under_another_condition_has_no_effects():
    assert effects(evidence((0.1, 0.2, 0.3, 0.4)), claims=[claim(condition="noise:0.3")]) == {}


def doses(drops, axis="penalties.cr", **more):
    """Return candidates of a method at three rates for each weight of a penalty, which lowers the line by so much."""
    return [
        candidate
        for number, (weight, drop) in enumerate(drops.items())
        for candidate in candidates(
            "balora", [(skill, line(skill) - drop) for skill in np.add((0.5, 0.6, 0.7), 0.05 * number)],
            others=((axis, weight),), start=4 * number, **more,
        )
    ]  # fmt: skip


def of_doses(found, **more):
    frontiers = {"balora": found}
    rows = attribution(config(), METHODS, own_best(frontiers), frontiers, ACCURACY, more.get("claims", [claim()]))
    return [effect for effect in rows if effect.term == "dose"]


def test_each_weight_of_a_penalty_is_told_beside_the_smallest_at_equal_skill():
    rows = of_doses(doses({0.1: 0.0, 1.0: 0.1, 10.0: 0.3}))
    assert [row.detail for row in rows] == ["cr 1 beside 0.1", "cr 10 beside 0.1"]
    assert [row.delta for row in rows] == pytest.approx([-0.1, -0.3])
    assert [(row.skill_low, row.skill_high) for row in rows] == [pytest.approx((0.55, 0.7)), pytest.approx((0.6, 0.7))]
    assert {(row.at, row.models, row.weights) for row in rows} == {("equal skill", ("balora",), (-1.0, 1.0))}
    assert all(row.ci_low < row.delta < row.ci_high < 0 for row in rows)


def test_settings_that_are_no_penalties_and_single_weights_have_no_dose():
    assert of_doses(doses({8.0: 0.0, 16.0: 0.1}, axis="adapter.rank")) == []
    assert of_doses(doses({1.0: 0.1})) == []
    assert of_doses(doses({0.1: 0.0, 1.0: 0.1}), claims=[claim("accuracy", "skill", "clean", higher=True)]) == []


def test_doses_of_candidates_without_any_skill_are_none():
    found = doses({0.1: 0.0, 1.0: 0.1})
    for candidate in found:
        del candidate.found[0]["skill"]
    assert of_doses(found) == []
