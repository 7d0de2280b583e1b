from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balora_audit.data.splits import set_aside, subsample


def rows(counts, *, first=0):
    return [{"text": f"{label} {index}", "label": label} for label, count in counts.items() for index in range(first, first + count)]


def labels(found):
    return Counter(row["label"] for row in found)


def rng():
    return np.random.default_rng(3)


def test_at_most_a_quarter_of_each_class_is_set_aside():
    train, test = set_aside(rows({"a": 40, "b": 8}), rng(), 1000)
    assert labels(test) == {"a": 10, "b": 2}
    assert labels(train) == {"a": 30, "b": 6}
    assert not {row["text"] for row in train} & {row["text"] for row in test}


def test_as_many_as_asked_for_are_set_aside_where_there_are_enough():
    assert labels(set_aside(rows({"a": 300, "b": 100}), rng(), 40)[1]) == {"a": 30, "b": 10}


def test_a_text_that_is_there_twice_is_in_one_split_only():
    train, test = set_aside([*rows({"a": 8, "b": 8}), *rows({"a": 8, "b": 8})], rng(), 100)
    assert len(train) + len(test) == 16


def test_a_class_of_one_row_stays_in_training():
    train, test = set_aside(rows({"a": 9, "b": 1}), rng(), 100)
    assert labels(train)["b"] == 1
    assert labels(test)["b"] == 0


def test_rows_of_other_tasks_are_set_aside_as_one_class():
    assert len(set_aside([{"text": str(index)} for index in range(40)], rng(), 7)[1]) == 7


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 30), min_size=2), st.integers(6, 60))
def test_a_choice_of_rows_keeps_every_class_and_the_order(counts, most):
    given = rows(counts)
    found = subsample(given, most, rng())
    tiny = sum(most * count < len(given) for count in counts.values())  # these keep one row, though their share is none
    assert min(most, len(given)) <= len(found) <= min(most + tiny, len(given))
    assert labels(found).keys() == counts.keys()
    places = [given.index(row) for row in found]
    assert places == sorted(places)


@pytest.mark.parametrize("most", [10, 20])
def test_a_choice_of_rows_keeps_the_shares_of_the_classes(most):
    assert labels(subsample(rows({"a": 80, "b": 20}), most, rng())) == {"a": 0.8 * most, "b": 0.2 * most}


def test_more_classes_than_rows_keep_one_each():
    assert labels(subsample(rows(dict.fromkeys("abcde", 4)), 3, rng())) == dict.fromkeys("abcde", 1)
