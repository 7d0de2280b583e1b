from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from balora_audit.data.biographies import generate
from balora_audit.data.conditions import CONDITIONS, Condition, apply, available, parse
from balora_audit.errors import ConfigurationError, DataError

DATA = generate(n_train=800, n_test=8, seed=0, correlation=0.5)


def test_clean_changes_nothing():
    found = apply(DATA, parse("clean"), 0)
    assert found.train == DATA.train
    assert found.changed == {}


@pytest.mark.parametrize("rho", [0.1, 0.3, 0.6])
def test_noise_flips_the_asked_share_to_uniform_other_labels_and_records_them(rho):
    found = apply(DATA, parse(f"noise:{rho}"), 7)
    flipped = found.changed["flipped"]
    assert binomtest(len(flipped), 800, rho).pvalue > 0.001
    for before, after in zip(DATA.train, found.train, strict=True):
        assert replace(after, label=before.label) == before
        assert (before.id in flipped) == (before.label != after.label)
    shifts = Counter((change["noisy"] - change["clean"]) % 8 for change in flipped.values())
    assert set(shifts) <= set(range(1, 8))
    assert max(shifts.values()) < 3 * len(flipped) / 7


@pytest.mark.parametrize("ratio", [5, 20, 100])
def test_imbalance_follows_the_long_tail_and_keeps_the_order(ratio):
    found = apply(DATA, parse(f"imbalance:{ratio}"), 0)
    counts = Counter(example.label for example in found.train)
    assert [counts[c] for c in range(8)] == [max(1, round(100 * ratio ** (-c / 7))) for c in range(8)]
    ids = [example.id for example in DATA.train]
    assert [ids.index(example.id) for example in found.train] == sorted(ids.index(example.id) for example in found.train)


@pytest.mark.parametrize("rho", [0.5, 0.7, 0.9, 1.0])
def test_correlate_sets_the_majority_share_in_every_class(rho):
    found = apply(DATA, parse(f"correlate:{rho}"), 0)
    for label in range(8):
        groups = Counter(e.group for e in found.train if e.label == label and e.group != "neutral")
        assert max(groups.values()) / sum(groups.values()) == pytest.approx(rho, abs=0.02)


def test_combinations_apply_each_part():
    found = apply(DATA, parse("noise:0.2+imbalance:10"), 0)
    assert found.changed["removed"] > 0
    assert found.changed["flipped"]
    assert str(parse("noise:0.2+imbalance:10")) == "imbalance:10+noise:0.2"


def test_kinds_are_applied_in_the_order_of_the_table_each_with_its_own_stream():
    assert list(CONDITIONS) == ["correlate", "imbalance", "noise"]
    both, alone = apply(DATA, parse("noise:0.2+correlate:0.9"), 3), apply(DATA, parse("correlate:0.9"), 3)
    assert [example.id for example in both.train] == [example.id for example in alone.train]
    assert list(both.changed) == ["correlate_kept", "flipped", "removed"]
    kept = replace(DATA, train=alone.train)
    assert apply(kept, parse("noise:0.2"), 3).train == both.train


@pytest.mark.parametrize(
    ("text", "canonical", "title"),
    [
        (" clean ", "clean", "clean data"),
        ("noise:.30", "noise:0.3", "30 % wrong labels"),
        ("noise:0.1 + imbalance:20.0", "imbalance:20+noise:0.1", "imbalance 20:1, 10 % wrong labels"),
        ("correlate:1", "correlate:1", "group–label correlation 1"),
        ("imbalance:1e5", "imbalance:100000", "imbalance 100000:1"),
        ("noise:0.00001", "noise:1e-05", "0.001 % wrong labels"),
    ],
)
def test_a_condition_has_one_name_and_one_title(text, canonical, title):
    condition = parse(text)
    assert (str(condition), condition.title) == (canonical, title)
    assert parse(str(condition)) == condition
    assert hash(parse(str(condition))) == hash(condition)


def test_doses_are_read_by_kind():
    condition = Condition((("noise", 0.1), ("imbalance", 20.0)))
    assert (condition.noise, condition.imbalance, condition.correlate) == (0.1, 20.0, None)
    assert condition == Condition((("imbalance", 20.0), ("noise", 0.1)))
    assert not condition.is_clean
    assert Condition().is_clean


@pytest.mark.parametrize("doses", [(("noise", 0.1), ("noise", 0.2)), (("nosie", 0.1),)])
def test_doses_of_no_kind_or_of_one_kind_twice_are_refused(doses):
    with pytest.raises(ValueError, match="of different kinds among correlate, imbalance, noise"):
        Condition(doses)


@pytest.mark.parametrize("name", CONDITIONS)
def test_every_kind_shows_an_example_that_works(name):
    kind = CONDITIONS[name]
    assert kind.name == name
    assert available()[kind.form] == kind.summary
    condition = parse(f"{name}:{kind.example}")
    assert condition.dose(name) == float(kind.example)
    assert apply(DATA, condition, 0).train != DATA.train


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(["noise:0.3", "imbalance:20", "correlate:0.8"]), st.integers(0, 1000))
def test_a_seed_decides_everything(text, seed):
    assert apply(DATA, parse(text), seed) == apply(DATA, parse(text), seed)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nois:0.3", "did you mean"),
        ("noise", "needs a number"),
        ("noise:x", "needs a number"),
        ("noise:1.5", "out of range"),
        ("noise:0", "out of range"),
        ("imbalance:0.5", "out of range"),
        ("correlate:0.2", "out of range"),
        ("noise:0.1+noise:0.2", "twice"),
        ("noise:nan", "needs a number"),
        ("noise:inf", "needs a number"),
        ("noise:1", "out of range: each training label"),
        ("imbalance:1", "out of range"),
        ("imbalance:1000000", "out of range"),
        ("correlate:1.01", "out of range"),
        ("clean:1", "unknown condition"),
        ("clean+noise:0.1", "unknown condition 'clean'"),
        ("", "unknown condition ''"),
    ],
)
def test_wrong_conditions_are_refused(text, says):
    with pytest.raises(ConfigurationError, match=says):
        parse(text)


def test_correlate_without_groups_says_how_to_get_them():
    bare = replace(DATA, train=tuple(replace(e, group=None) for e in DATA.train))
    with pytest.raises(ConfigurationError, match="--columns group="):
        apply(bare, parse("correlate:0.8"), 0)


def test_correlate_needs_both_groups_in_every_class():
    one_sided = replace(DATA, train=tuple(replace(e, group="male") if e.label == 0 else e for e in DATA.train))
    with pytest.raises(DataError, match=f"class '{DATA.label_names[0]}' has training examples of one group only"):
        apply(one_sided, parse("correlate:0.8"), 0)


@pytest.mark.parametrize("name", CONDITIONS)
def test_data_without_class_labels_are_refused(name):
    numbers = replace(DATA, task="regression", label_names=())
    assert apply(numbers, parse("clean"), 0).train == DATA.train
    with pytest.raises(ConfigurationError, match="needs class labels, and the data have none"):
        apply(numbers, parse(f"{name}:{CONDITIONS[name].example}"), 0)
