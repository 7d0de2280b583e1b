import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balora_audit.data.labels import label_order, name_labels
from balora_audit.errors import DataError


@pytest.mark.parametrize(
    ("values", "ordered"),
    [
        (["10", "9", "-1", "9"], ["-1", "9", "10"]),
        (["10", "9", "x"], ["10", "9", "x"]),
        (["1.5", "10", "9"], ["1.5", "10", "9"]),  # not all are whole numbers
        (["--5", "3"], ["--5", "3"]),
        (["²", "1"], ["1", "²"]),  # a digit to Unicode, but no number
        ([], []),
    ],
)
def test_values_are_ordered_by_number_only_where_all_are_whole_numbers(values, ordered):
    assert label_order(values) == ordered


@settings(deadline=None)
@given(st.lists(st.text(max_size=4), unique=True), st.randoms())
def test_the_order_does_not_depend_on_the_rows(values, random):
    shuffled = random.sample(values, len(values))
    assert label_order(shuffled + values) == label_order(values)


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (None, ["0", "1", "2"]),
        ([" bad", "so-so", "good "], ["bad", "so-so", "good"]),
        ({"2": "good"}, ["0", "1", "good"]),
        ([1, 2, 3], ["1", "2", "3"]),  # numbers in JSON metadata
    ],
)
def test_names_are_given_in_order_or_by_value(given, names):
    assert name_labels(["0", "1", "2"], given, where="a.csv") == names


@pytest.mark.parametrize(
    ("values", "given", "says"),
    [
        (["0", "1"], ["a"], r"^a\.csv: label_names gives 1 names for 2 labels: 0, 1$"),
        (["0", "1"], {"2": "a"}, r"^a\.csv: label_names names the label '2', which no row has; labels: 0, 1$"),
        (["0", "1"], ["a", "a "], r"^a\.csv: label names must be distinct and not empty, got 'a', 'a'$"),
        (["0", "1"], ["a", " "], "distinct and not empty"),
        (["0", "1"], {"0": "1"}, "distinct and not empty"),
        (["yes", "yes "], None, "distinct and not empty"),  # a model could not answer with the one and not the other
    ],
)
def test_names_that_do_not_fit_are_refused(values, given, says):
    with pytest.raises(DataError, match=says):
        name_labels(values, given, where="a.csv")
