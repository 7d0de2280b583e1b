"""What biographies decide, who is renamed, and which rows a seed trains on; the same of users' data."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from balora_audit.config import resolve
from balora_audit.data import load
from balora_audit.data.biographies import generate
from balora_audit.data.biography_parts import CLUES, FEMALE_MAJORITY, GENDERED_NAMES, OCCUPATIONS, SHARED
from balora_audit.data.dataset import Example
from balora_audit.data.identity import GENDERED, RENAMED, counterfactual, placebo
from balora_audit.data.references import bag_of_words, majority

DATA = generate(n_train=240, n_test=400, seed=5, correlation=0.8)
NAMES = [{names[side] for names in GENDERED_NAMES} for side in (0, 1)]


def clue_of(text):
    return next((c for bank in CLUES.values() for c in bank if c in text), None)


def test_half_of_the_clues_appear_in_test_texts_only():
    known = {clue for bank in CLUES.values() for clue in bank[:6]}
    trained = {clue_of(e.text) for seed in range(5) for e in DATA.rows(seed)} - {None}
    assert trained == known
    tested = [clue for e in DATA.test if (clue := clue_of(e.text)) is not None]
    assert sum(clue not in known for clue in tested) / len(tested) == pytest.approx(0.5, abs=0.1)


def test_a_text_says_whether_it_decides_the_answer():
    for example in (*DATA.train, *DATA.test):
        assert example.decided == (clue_of(example.text) is not None)
    assert sum(not e.decided for e in DATA.test) / len(DATA.test) == pytest.approx(0.3, abs=0.06)


def test_a_placebo_is_another_name_of_the_same_gender_and_nothing_else():
    for example in DATA.test:
        assert (example.placebo is None) == (example.counterfactual is None) == (example.group == "neutral")
        if example.placebo is None:
            continue
        before, after = ([w.strip(".,") for w in text.split()] for text in (example.text, example.placebo))
        changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
        assert len(changed) == 1
        side = NAMES[0 if example.group == "female" else 1]
        assert set(changed[0]) <= side


def test_the_best_accuracy_is_what_a_reader_of_the_generator_gets():
    """Answers by the posterior of the phrase, over many texts; ties among occupations are all as good."""
    many = generate(n_train=8, n_test=4000, seed=1, correlation=0.5)
    own = {occupation: sum(occupation in fits for _, fits in SHARED) for occupation in OCCUPATIONS}
    right = []
    for example in many.test:
        occupation = OCCUPATIONS[example.label]
        if example.decided:
            right.append(1.0)
            continue
        fits = next(fits for phrase, fits in SHARED if phrase in example.text)
        best = [name for name in fits if own[name] == min(own[n] for n in fits)]
        right.append((occupation in best) / len(best))
    assert many.best_accuracy == pytest.approx(np.mean(right), abs=0.015)
    assert "exact" in many.best_accuracy_note


def test_stereotypes_are_those_of_the_planted_majorities():
    assert {name for name, side in DATA.stereotypes.items() if side == "female"} == FEMALE_MAJORITY
    assert set(DATA.stereotypes) == set(OCCUPATIONS)


def test_every_seed_trains_on_rows_of_its_own_and_tests_on_the_same():
    draws = [DATA.rows(seed) for seed in range(3)]
    assert draws[0] == DATA.train == DATA.rows(0)
    texts = [{e.text for e in rows} for rows in draws]
    assert len(texts[0] & texts[1]) < 24
    assert not set.union(*texts) & {e.text for e in DATA.test}
    assert all(len(rows) == 240 and len({e.id for e in rows}) == 240 for rows in draws)
    assert "anew" in DATA.redrawn


def test_renaming_undoes_itself_and_keeps_the_gender():
    assert placebo("Mary met John's aunt.") == "Anna met Peter's aunt."
    assert placebo("the old woman met him") is None
    for left, right in RENAMED.pairs:
        assert placebo(placebo(f"{left} slept")) == f"{left} slept"
        assert GENDERED.swap(left) not in (left, right)  # the other gender's name is another word
    assert len({name.lower() for pair in RENAMED.pairs for name in pair}) == 2 * len(RENAMED.pairs)
    assert counterfactual("Mary met John.") == "John met Mary."


def write(path, rows, header=("text", "label", "group")):
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *rows])
    return path


def users(tmp_path, train, test, **more):
    settings = {
        "preset": "smoke", "data": str(write(tmp_path / "train.csv", train)), "test_data": str(write(tmp_path / "test.csv", test)), **more,
    }  # fmt: skip
    return load(resolve(settings, environment={}))


def rows(count, names=("Mary", "John")):
    return [(f"{names[i % 2]} said thing {i}.", ("good", "bad")[i // 2 % 2], ("female", "male")[i % 2]) for i in range(count)]


def test_a_larger_pool_is_redrawn_per_seed_and_a_small_one_is_said_not_to_be(tmp_path):
    test = [(f"a test text {i}", ("good", "bad")[i % 2], "female") for i in range(20)]
    large = users(tmp_path, rows(300), test, train_rows=60)
    assert large.rows(0) == large.train != large.rows(1)
    assert len(large.rows(1)) == 60
    assert {e.label for e in large.rows(1)} == {0, 1}
    assert "out of 300" in large.redrawn
    small = users(tmp_path, rows(60), test, train_rows=60)
    assert small.draw is None
    assert small.rows(0) == small.rows(1) == small.train
    assert "no more than the 60 training rows" in small.redrawn


def test_users_texts_get_a_placebo_where_names_are_found_and_nothing_decides_them(tmp_path):
    data = users(tmp_path, rows(80), [("Mary slept well today", "good", "female"), ("the man slept badly", "bad", "male")] * 4)
    assert data.test[0].placebo == "Anna slept well today"
    assert (data.test[1].placebo, data.test[1].counterfactual) == (None, "the woman slept badly")
    assert all(e.decided is None for e in data.test)


def test_equal_texts_with_different_labels_bound_what_is_possible(tmp_path):
    test = [("the same words", "good", ""), ("the same words", "bad", ""), ("the same words", "bad", ""), ("other words", "good", "")]
    data = users(tmp_path, rows(80), test)
    assert data.best_accuracy == pytest.approx(3 / 4)
    assert "upper bound" in data.best_accuracy_note


def test_stereotypes_of_users_data_follow_the_training_rows_and_need_both_genders(tmp_path):
    train = [(f"text {i} of a nurse", "nurse", "female" if i % 4 else "male") for i in range(40)]
    train += [(f"text {i} of a cook", "cook", "male" if i % 4 else "female") for i in range(40)]
    test = [(f"test {i}", ("nurse", "cook")[i % 2], "female") for i in range(10)]
    assert users(tmp_path, train, test).stereotypes == {"nurse": "female", "cook": "male"}
    assert users(tmp_path, [(t, label, "a") for t, label, _ in train], test).stereotypes == {}


def examples(count, shuffled, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    words = ("river water boat", "bread oven flour", "string bow tune")
    texts = [f"{words[label]} item {rng.integers(1000)}" for label in labels]
    if shuffled:
        labels = rng.permutation(labels)
    return [Example(id=str(i), text=text, label=int(label)) for i, (text, label) in enumerate(zip(texts, labels, strict=True))]


def test_a_bag_of_words_learns_words_and_nothing_where_there_is_nothing():
    test = examples(300, shuffled=False, seed=1)
    gold = np.array([e.label for e in test])
    assert (bag_of_words(examples(90, shuffled=False), test, "classification") == gold).mean() > 0.95
    assert (bag_of_words(examples(90, shuffled=True), test, "classification") == gold).mean() < 0.55
    assert bag_of_words(test, test, "generation") is None
    assert bag_of_words([replace(e, label=1) for e in test], test, "classification") is None
    numbers = [replace(e, target=float(e.label)) for e in test]
    assert np.corrcoef(bag_of_words(numbers[:200], numbers[200:], "regression"), gold[200:])[0, 1] > 0.9


def test_the_majority_is_the_most_frequent_class_of_the_training_rows():
    train = [Example(id=str(i), text="t", label=label) for i, label in enumerate([2, 1, 1, 2, 0])]
    assert majority(train, train).tolist() == [1] * 5
