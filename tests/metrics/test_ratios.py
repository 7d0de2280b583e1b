"""Ratios of sums over items, and the metrics defined as such, against scikit-learn, fairlearn and plain loops."""

import numpy as np
import pytest
from fairlearn.metrics import MetricFrame
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, recall_score

from balora_audit.metrics import classification, equalized_odds_difference, fairness, robustness
from balora_audit.metrics.ratios import COMBINERS, Ratios, mean_ratio
from balora_audit.stats import ItemScores

ITEMS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from(["a", "b", "c"])), min_size=3, max_size=50)
OF_GROUPS = {
    "worst group": fairness.worst_group_accuracy_ratios,
    "parity": fairness.demographic_parity_difference_ratios,
    "odds": fairness.equalized_odds_difference_ratios,
}
OF_CLASSES = {
    "balanced": classification.balanced_accuracy_ratios,
    "worst class": classification.worst_class_recall_ratios,
    "geometric mean": classification.g_mean_ratios,
    "F1": classification.macro_f1_ratios,
}


def recall(y, p):
    return recall_score(y, p, zero_division=0)


def columns(items):
    y, p, group = (np.array(column) for column in zip(*items, strict=True))
    return y, p, group


@settings(max_examples=40, deadline=None)
@given(ITEMS, st.randoms())
def test_metrics_of_ratios_are_shares_and_ignore_the_order_of_items(items, random):
    for chosen in (items, random.sample(items, len(items))):
        y, p, group = columns(chosen)
        found = [of(y, p).value() for of in OF_CLASSES.values()]
        found += [of(y, p, group).value() for name, of in OF_GROUPS.items() if len(set(group)) > 1 or name == "worst group"]
        assert all(value is None or 0 <= value <= 1 for value in found)
        if chosen is items:
            first = found
    assert found == first


@settings(max_examples=40, deadline=None)
@given(ITEMS)
def test_named_classes_are_those_of_scikit_learn(items):
    y, p, _ = columns(items)
    chosen = np.unique(y)[:2].tolist()
    recalls = recall_score(y, p, labels=chosen, average=None, zero_division=0)
    assert classification.balanced_accuracy_ratios(y, p, chosen).value() == pytest.approx(recalls.mean())
    assert classification.worst_class_recall_ratios(y, p, chosen).value() == pytest.approx(recalls.min())
    f1 = f1_score(y, p, labels=chosen, average="macro", zero_division=0)
    assert classification.macro_f1_ratios(y, p, chosen).value() == pytest.approx(f1)
    absent = max(*y.tolist(), *p.tolist()) + 1
    assert classification.balanced_accuracy_ratios(y, p, [absent]).value() is None


@settings(max_examples=40, deadline=None)
@given(ITEMS)
def test_the_worst_group_and_the_gap_over_classes_are_those_of_fairlearns_frame(items):
    y, p, group = columns(items)
    by_group = MetricFrame(metrics=accuracy_score, y_true=y, y_pred=p, sensitive_features=group).by_group
    assert fairness.worst_group_accuracy_ratios(y, p, group).value() == pytest.approx(by_group.min())
    some = sorted(set(group.tolist()))[-1:]
    assert fairness.worst_group_accuracy_ratios(y, p, group, groups=some).value() == pytest.approx(by_group[some[0]])
    gaps = []
    for c in fairness.classes_of_both(y, group, ("a", "b")):
        frame = MetricFrame(metrics=recall, y_true=y == c, y_pred=p == c, sensitive_features=group).by_group
        gaps.append(frame["a"] - frame["b"])
        assert fairness.tpr_gap_ratios(y, p, group, of_class=c, pair=("a", "b")).value() == pytest.approx(gaps[-1])
    found = fairness.tpr_gap_rms_ratios(y, p, group, pair=("a", "b")).value()
    assert found == (pytest.approx(np.sqrt(np.mean(np.square(gaps)))) if gaps else None)


def test_a_rate_that_no_two_groups_have_makes_no_difference_and_none_at_all_is_undefined():
    y, group = np.array([0, 0, 1, 1]), np.array(["a", "a", "b", "b"])
    assert fairness.equalized_odds_difference_ratios(y, y, group).value() is None
    with pytest.raises(ValueError, match="undefined"):
        equalized_odds_difference(y, y, group)
    with pytest.raises(ValueError, match="need one value per item: y has 4, p has 3, group has 4"):
        equalized_odds_difference(y, y[:3], group)


@settings(max_examples=40, deadline=None)
@given(ITEMS)
def test_memorised_and_recovered_are_counted_by_hand(items):
    clean, noisy, _ = columns(items)
    answer = (clean + noisy) % 4
    changed = [(a, n, c) for a, n, c in zip(answer, noisy, clean, strict=True) if n != c]
    memorised, recovered = (of(answer, noisy, clean) for of in (robustness.memorisation_ratios, robustness.recovery_ratios))
    assert memorised.value() == (pytest.approx(np.mean([a == n for a, n, _ in changed])) if changed else None)
    assert recovered.value() == (pytest.approx(np.mean([a == c for a, _, c in changed])) if changed else None)
    assert not changed or memorised.is_rate


@given(st.integers(0, 1000))
def test_flips_of_two_copies_are_what_agreement_is_not(seed):
    answers_RN = np.random.default_rng(seed).integers(0, 3, size=(2, 9))
    assert (robustness.agreement(answers_RN) == ~robustness.flips(*answers_RN)).all()
    assert robustness.flips(answers_RN, answers_RN[0]).tolist() == [[False] * 9, (answers_RN[1] != answers_RN[0]).tolist()]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6))
def test_sums_over_units_keep_the_value(seed, units):
    rng = np.random.default_rng(seed)
    for combine, count in {**dict.fromkeys(COMBINERS, 4), "difference": 2, "scaled_difference": 3, "exp": 1}.items():
        numerators, denominators = rng.random((count, 12)), rng.random((count, 12)) + 0.1
        found = Ratios(numerators=numerators, denominators=denominators, combine=combine)
        places = rng.integers(0, units, 12)
        summed = found.summed(places, units)
        assert summed.numerators.shape == (count, units)
        assert summed.value() == pytest.approx(found.value())
        assert summed.numerators[0] == pytest.approx([numerators[0, places == unit].sum() for unit in range(units)])


def test_evidence_with_names_has_the_value_of_its_ratios():
    ratios = mean_ratio([1.0, 0.0, 1.0, 1.0])
    scores = ItemScores.of(["a", "b", "c", "d"], ratios)
    assert scores.value() == ratios.value() == ratios.defined_value() == 0.75
    assert scores.is_rate
    with pytest.raises(ValueError, match="of 3 items, got 4"):
        ItemScores.of(["a", "b", "c"], ratios)
    with pytest.raises(ValueError, match="unique"):
        ItemScores.of(["a", "b", "c", "a"], ratios)


def test_what_is_no_ratio_is_refused_or_undefined():
    assert mean_ratio([]).value() is None
    assert Ratios(numerators=np.empty((0, 3)), denominators=np.empty((0, 3)), combine="max_difference").value() is None
    with pytest.raises(ValueError, match="undefined"):
        mean_ratio([]).defined_value()
    with pytest.raises(ValueError, match=r"must both be \(K, N\)"):
        Ratios(numerators=np.ones((2, 3)), denominators=np.ones((3, 2)))
    with pytest.raises(ValueError, match="unknown combine 'median'"):
        Ratios(numerators=np.ones((1, 3)), denominators=np.ones((1, 3)), combine="median")


def test_evenly_wrong_groups_differ_by_nothing_and_one_wronged_group_is_found():
    y = np.tile([0, 1], 40)
    group = np.repeat(["a", "b"], 40)
    for wrong, expected in ((np.arange(80) % 10 < 2, 0.0), ((np.arange(80) % 10 < 2) & (group == "b"), 0.2)):
        p = np.where(wrong, 1 - y, y)
        assert equalized_odds_difference(y, p, group) == pytest.approx(expected)
