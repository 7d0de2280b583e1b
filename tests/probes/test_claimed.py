"""What default claims rest on: excesses over a placebo and a control, on planted answers; each with a negative control."""

from dataclasses import replace

import numpy as np
import pytest
from planted import CONFIG, DATA, GOLD, PLACE, answered, answering, context, reasons, values, wrong_at

from balora_audit.data.conditions import parse
from balora_audit.probes import PROBES, Beside
from balora_audit.scoring import LabelScores, TextScores

SIDES = [DATA.stereotypes[name] for name in DATA.label_names]
NURSE, ENGINEER = DATA.label_names.index("nurse"), DATA.label_names.index("engineer")
OPEN = [e for e in DATA.test if e.counterfactual is not None and e.placebo is not None and not e.decided]
TWINS = [e for e in DATA.test if e.counterfactual is not None]


def imbalance(swapped=None, renamed=None, test=GOLD, here=None):
    """Measure answers to the test set, its twins and the renamed texts; what is not given is answered as the test set is."""
    here = here or context()
    twins, placebo = ([PLACE[e.id] for e in chosen] for chosen in (TWINS, OPEN))
    scores = {
        "test": answering(test),
        "counterfactual": answering(test[twins] if swapped is None else swapped),
        "placebo": answering(test[placebo] if renamed is None else renamed),
    }
    return PROBES["imbalance"].measure(here, scores)


def test_the_data_have_open_texts_of_both_genders():
    assert len(OPEN) >= 12
    assert {e.group for e in OPEN} == {"female", "male"}


def test_flips_of_the_gender_count_beyond_those_of_the_name_only_on_open_texts():
    is_open = {e.id for e in OPEN}
    swapped = np.array([(GOLD[PLACE[e.id]] + (e.id in is_open)) % 8 for e in TWINS])  # every open text flips, no decided one
    found = values(imbalance(swapped))
    assert found["excess_flips", "all"] == 1
    assert found["placebo_flip_rate", "all"] == 0
    renamed = np.array([(GOLD[PLACE[e.id]] + 1) % 8 for e in OPEN])  # the name alone does as much
    assert values(imbalance(swapped, renamed))["excess_flips", "all"] == 0
    quiet = values(imbalance())
    assert quiet["excess_flips", "all"] == quiet["stereotype_direction", "all"] == quiet["stereotype_lean", "all"] == 0


@pytest.mark.parametrize("follows", [True, False])
def test_the_direction_of_flips_has_its_sign_and_the_lean_its_size(follows):
    test, swapped = GOLD.copy(), []
    for example in TWINS:
        own = NURSE if (example.group == "female") == follows else ENGINEER
        test[PLACE[example.id]] = own
        swapped.append(ENGINEER if own == NURSE else NURSE)
    found = values(imbalance(np.array(swapped), test=test))
    assert found["stereotype_direction", "all"] == (1 if follows else -1)
    assert found["stereotype_lean", "all"] == pytest.approx(1)


def test_flips_between_answers_of_one_side_have_no_direction():
    same_side = [c for c, side in enumerate(SIDES) if side == SIDES[NURSE]]
    test = np.full(len(GOLD), same_side[0])
    found = values(imbalance(np.full(len(TWINS), same_side[1]), test=test))
    assert found["excess_flips", "all"] == 1
    assert found["stereotype_direction", "all"] == found["stereotype_lean", "all"] == 0


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"decided": True}, "every text with a twin decides the answer"),
        ({"placebo": None}, "no test item names a person by a known first name"),
        ({"counterfactual": None}, "no test item has a counterfactual twin"),
    ],
)
def test_what_cannot_be_measured_is_said_with_its_reason(change, why):
    here = context(dataset=replace(DATA, test=tuple(replace(e, **change) for e in DATA.test)))
    scores = {request.key: answering(np.zeros(len(request.ids), dtype=int)) for request in PROBES["imbalance"].requests(here)}
    found = reasons(PROBES["imbalance"].measure(here, scores))
    for metric in ("excess_flips", "placebo_flip_rate", "stereotype_direction", "stereotype_lean"):
        assert why in found[metric, "all"]


def test_without_known_stereotypes_the_excess_is_measured_and_the_direction_is_not():
    found = imbalance(here=context(dataset=replace(DATA, stereotypes={})))
    assert values(found)["excess_flips", "all"] == 0
    assert "not known which answer" in reasons(found)["stereotype_lean", "all"]


def test_where_texts_are_not_known_to_decide_all_twins_with_a_placebo_count():
    here = context(dataset=replace(DATA, test=tuple(replace(e, decided=None) for e in DATA.test)))
    request = next(r for r in PROBES["imbalance"].requests(here) if r.key == "placebo")
    assert len(request.ids) == len(TWINS)


def memorised(condition, answers, control):
    here = context(condition, control=parse("clean"))
    ids = next(r for r in PROBES["noise"].requests(here) if r.key == "flipped").ids
    pairs = np.array([here.flipped[i] for i in ids])
    beside = Beside(control=None if control is None else {f"flips={condition}": answering(pairs[:, control])}, no_control="it failed")
    return PROBES["noise"].measure(here, {"test": answering(GOLD), "flipped": answering(pairs[:, answers])}, beside)


def test_memorisation_counts_beyond_the_control_that_saw_the_true_labels():
    assert values(memorised("noise:0.3", 1, 0))["memorisation_excess", "all"] == 1
    assert values(memorised("noise:0.3", 1, 1))["memorisation_excess", "all"] == 0  # the control says the wrong label as often
    assert values(memorised("noise:0.3", 0, 0))["memorisation_excess", "all"] == 0
    assert reasons(memorised("noise:0.3", 1, None))["memorisation_excess", "all"] == "it failed"


def cost(labels, control):
    here = context("imbalance:20", control=parse("balanced:20"))
    scores = {request.key: answering(labels) for request in PROBES["imbalance"].requests(here)}
    return here, PROBES["imbalance"].measure(here, scores, Beside(control={"test": answering(control)}))


def test_the_cost_of_imbalance_is_what_the_rare_classes_lose_against_the_control():
    from balora_audit.probes.imbalance.classes import rare_classes

    rare = rare_classes(context("imbalance:20"))
    assert len(rare) == 2
    lost = np.where(rare[0] == GOLD, (GOLD + 1) % 8, GOLD)  # one of the two rare classes is lost
    found = values(cost(lost, GOLD)[1])
    assert found["imbalance_cost", "all"] == pytest.approx(0.5)
    assert found["tail_survival", "all"] == pytest.approx((np.isin(GOLD, rare) & (rare[0] != GOLD)).sum() / np.isin(GOLD, rare).sum())
    assert values(cost(lost, lost)[1])["imbalance_cost", "all"] == 0  # what the control does not know either costs nothing
    common = [c for c in range(8) if c not in rare]
    others = np.where(np.isin(GOLD, common), (GOLD + 1) % 8, GOLD)
    assert values(cost(others, GOLD)[1])["imbalance_cost", "all"] == 0  # nor do classes that are not rare


def test_a_control_that_answers_no_rare_item_leaves_nothing_to_survive():
    _, found = cost(GOLD, (GOLD + 1) % 8)
    assert "answered correctly under the control" in reasons(found)["tail_survival", "all"]
    here = context("imbalance:20", no_control="a class is too small")
    scores = {request.key: answering(GOLD) for request in PROBES["imbalance"].requests(here)}
    assert (
        reasons(PROBES["imbalance"].measure(here, scores, Beside(no_control=here.no_control)))["imbalance_cost", "all"]
        == "a class is too small"
    )


def general(x_PF, texts=12):
    count = len(DATA.general)
    text_P = np.arange(len(x_PF)) % texts
    scores = TextScores(
        kl=np.zeros(count), nll=np.ones(count), base_nll=np.ones(count), tokens=np.full(count, 9), features=x_PF.astype(np.float32),
        feature_text=text_P,
    )  # fmt: skip
    rng = np.random.default_rng(5)
    test = replace(answering(GOLD), features=rng.normal(size=(len(GOLD), 6)).astype(np.float32))
    return PROBES["collapse"].measure(context(), {"test": test, "general": scores})


def test_lost_dimensions_on_general_text_are_found_and_healthy_features_are_not_collapsed():
    rng = np.random.default_rng(0)
    healthy = rng.normal(size=(600, 40))
    flat = healthy[:, :3] @ rng.normal(size=(3, 40))
    full, lost = (general(x) for x in (healthy, flat))
    assert values(full)["general_effective_rank", "all"] > 35
    assert values(lost)["general_effective_rank", "all"] <= 3.001
    row = next(m for m in full.measurements if m.metric == "general_effective_rank")
    assert row.ci_low < row.value < row.ci_high
    assert row.n == 600
    curve = next(s for s in full.series if s.name == "rank_curve").columns
    assert curve["tokens"][-1] == 600
    assert curve["rank"][-1] == pytest.approx(row.value)
    assert list(curve["rank"]) == sorted(curve["rank"])  # a rank grows with what it is measured on


def test_rankme_is_of_the_features_as_they_are():
    rng = np.random.default_rng(1)
    found = values(general(rng.normal(size=(300, 20)) + 50))  # one common direction holds nearly everything that is not centred
    assert found["general_rankme", "all"] < found["general_effective_rank", "all"] / 2


def test_skill_is_measured_under_every_condition_with_its_ties():
    here = context("noise:0.3")
    assert [request.key for request in PROBES["skill"].requests(here)] == ["test"]
    tied = LabelScores(log_likelihood=np.zeros((len(GOLD), 8)))
    found = values(PROBES["skill"].measure(here, {"test": tied}))
    assert found["tied_answers", "clean"] == 1
    assert found["accuracy", "clean"] < 0.5  # no class is favoured, not even the one that most items have
    assert values(PROBES["skill"].measure(here, {"test": answering(wrong_at(0.25))}))["accuracy", "clean"] == pytest.approx(0.75)


def test_survival_counts_on_what_is_known_and_is_paired_on_what_both_know():
    from balora_audit.stats import paired

    here = context()
    requests = PROBES["noise"].requests(here)
    one = answered(requests, all=wrong_at(0.5, seed=1))
    found = PROBES["noise"].measure(here, one)
    assert values(found)["survival", "all"] == 1  # it never changes its mind
    assert values(found)["accuracy_under_noise", "all"] == pytest.approx(0.5)
    other = PROBES["noise"].measure(here, answered(requests, all=wrong_at(0.25, seed=2)))
    from balora_audit.slices import ALL

    both = paired([found.scores["survival", ALL]], [other.scores["survival", ALL]])
    assert both.n_items == ((wrong_at(0.5, seed=1) == GOLD) & (wrong_at(0.25, seed=2) == GOLD)).sum()
    assert both.delta == 0
    assert CONFIG.resamples == 300
