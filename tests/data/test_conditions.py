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
SEED_7 = replace(DATA, train=DATA.rows(7), draw=None)


def test_clean_changes_nothing():
    found = apply(DATA, parse("clean"), 0)
    assert found.train == DATA.train
    assert found.changed == {}


@pytest.mark.parametrize("rho", [0.1, 0.3, 0.6])
def test_noise_flips_the_asked_share_to_uniform_other_labels_and_records_them(rho):
    found = apply(SEED_7, parse(f"noise:{rho}"), 7)
    flipped = found.changed["flipped"]
    assert binomtest(len(flipped), 800, rho).pvalue > 0.001
    for before, after in zip(SEED_7.train, found.train, strict=True):
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
    assert list(CONDITIONS) == ["correlate", "imbalance", "balanced", "noise"]
    both, alone = apply(DATA, parse("noise:0.2+correlate:0.9"), 3), apply(DATA, parse("correlate:0.9"), 3)
    assert [example.id for example in both.train] == [example.id for example in alone.train]
    assert list(both.changed) == ["correlate_kept", "flipped", "removed"]
    kept = replace(DATA, train=alone.train, draw=None)
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
    with pytest.raises(ValueError, match="of different kinds among correlate, imbalance, balanced, noise"):
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
    bare = replace(DATA, draw=None, train=tuple(replace(e, group=None) for e in DATA.train))
    with pytest.raises(ConfigurationError, match="--columns group="):
        apply(bare, parse("correlate:0.8"), 0)


def test_correlate_needs_both_groups_in_every_class():
    one_sided = replace(DATA, draw=None, train=tuple(replace(e, group="male") if e.label == 0 else e for e in DATA.train))
    with pytest.raises(DataError, match=f"class '{DATA.label_names[0]}' has training examples of one group only"):
        apply(one_sided, parse("correlate:0.8"), 0)


@pytest.mark.parametrize("name", CONDITIONS)
def test_data_without_class_labels_are_refused(name):
    numbers = replace(DATA, task="regression", label_names=())
    assert apply(numbers, parse("clean"), 0).train == DATA.train
    with pytest.raises(ConfigurationError, match="needs class labels, and the data have none"):
        apply(numbers, parse(f"{name}:{CONDITIONS[name].example}"), 0)


def rows_of(text, data=DATA, seed=0):
    return apply(data, parse(text), seed).train


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 30), st.sampled_from([2.0, 5.0, 20.0, 300.0]), st.sampled_from([80, 200, 801]))
def test_the_control_of_imbalance_has_as_many_rows_and_balanced_classes(seed, ratio, n_train):
    data = generate(n_train=n_train, n_test=8, seed=seed, correlation=0.5)
    tail, control = (rows_of(f"{kind}:{ratio:g}", data, seed) for kind in ("imbalance", "balanced"))
    assert len(tail) == len(control)
    counts = Counter(example.label for example in control)
    assert max(counts.values()) - min(counts.values()) <= 1
    assert len(counts) == 8


def test_every_class_comes_to_be_rare_over_the_seeds_and_seed_0_keeps_the_order_of_the_labels():
    rarest = []
    for seed in range(4):
        counts = Counter(example.label for example in rows_of("imbalance:50", seed=seed))
        rarest.append({label for label, _ in counts.most_common()[-2:]})
    assert rarest[0] == {6, 7}
    assert set.union(*rarest) == set(range(8))


def test_a_control_is_the_condition_without_what_it_asks_about():
    found = {text: parse(text).control for text in ("clean", "noise:0.3", "imbalance:20", "correlate:0.9", "correlate:0.5", "balanced:20")}
    assert {text: None if control is None else str(control) for text, control in found.items()} == {
        "clean": None, "noise:0.3": "clean", "imbalance:20": "balanced:20", "correlate:0.9": "correlate:0.5", "correlate:0.5": None,
        "balanced:20": None,
    }  # fmt: skip
    assert str(parse("imbalance:20+noise:0.3").control) == "imbalance:20"
    assert [e.id for e in rows_of("noise:0.3")] == [e.id for e in rows_of("clean")]  # the same rows, other labels


def test_a_correlation_changes_no_number_of_rows():
    data = generate(n_train=800, n_test=8, seed=1, correlation=0.8)
    sizes = {share: Counter(e.label for e in rows_of(f"correlate:{share}", data)) for share in (0.5, 0.6, 0.75, 0.9, 1)}
    assert len({tuple(sorted(counts.items())) for counts in sizes.values()}) == 1


def test_without_enough_rows_of_every_class_there_is_no_control():
    few = replace(DATA, draw=None, train=tuple(e for e in DATA.train if e.label != 7 or e.id < "train-00100"))
    assert 0 < sum(e.label == 7 for e in few.train) < 20
    with pytest.raises(DataError, match="of class 'artist', which has"):
        apply(few, parse("balanced:2"), 0)
