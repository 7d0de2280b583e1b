"""Answers as people and models write them, and what they come to; hand-derived, with what must not be found beside it."""

import re
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from balora_audit.errors import ConfigurationError, DataError
from balora_audit.metrics import EXTRACTORS, exact_match, find_extractor, guess_extractor


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("12", "12"),
        ("It costs $1,234,567.50.", "1234567.5"),
        ("12.0", "12"),
        ("That is 40%.", "40"),
        ("x = -5", "-5"),
        ("a loss of -$5", "-5"),
        ("a loss of $-5", "-5"),
        ("\u22127 degrees", "-7"),
        ("7-5", "5"),  # a difference or a range: its minus is no sign
        ("16 - 3 - 4 = 9", "9"),
        ("f(2)-3", "3"),
        ("+3", "3"),
        ("- 5 apples", "5"),  # an entry of a list
        ("-0.0", "0"),
        ("007", "7"),
        (".50", "0.5"),
        ("0.500", "0.5"),
        ("1.5e3", "1500"),
        ("2e-2", "0.02"),
        ("1/2", "1/2"),
        ("-3/4 of it", "-3/4"),
        ("1 1/2", "1 1/2"),
        ("10/2=5", "5"),
        ("<<48/2=24>>24", "24"),
        ("1, 2, 3", "3"),
        ("1,2", "2"),
        ("12345,678", "678"),
        ("first 3 and then 4.", "4"),
        ("€18", "18"),
        ("123456789012345678901234567890123.10", "123456789012345678901234567890123.1"),
        ("no number here", None),
        ("", None),
        ("$ , % . -", None),
        ("٣", None),
    ],
)
def test_the_last_number_in_one_form(text, answer):
    assert find_extractor("number")(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("She has 3 pens and buys 4.\n#### 7", "7"),
        ("#### 3\nWait.\n#### 4 and 5 others", "4"),
        ("#### $1,080.00", "1080"),
        ("####-12", "-12"),
        ("3 + 4 = 7", "7"),
        ("3 + 4 = 7\n#### ", "7"),
        ("#### none", None),
    ],
)
def test_gsm8k_takes_the_number_after_the_last_mark(text, answer):
    assert find_extractor("gsm8k")(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("(B)", "B"),
        ("(b) is right", "B"),
        ("B.", "B"),
        ("B", "B"),
        ("C) both", "C"),
        ("The answer is B", "B"),
        ("the answer is: (d).", "D"),
        ("Answer: **E**", "E"),
        ("A is wrong, so the answer is C", "C"),
        ("A cat sat there, so B.", "B"),
        ("A", "A"),
        ("A is right", "A"),
        ("A: the first", "A"),
        ("the answer is a nurse", None),
        ("A nurse can't be told from a doctor", None),
        ("I cannot say", None),
        ("Dear Ed", None),
        ("grade F", None),
        ("", None),
    ],
)
def test_the_letter_of_an_option(text, answer):
    assert find_extractor("letter")(text) == answer


def test_a_line_and_a_text_ignore_case_and_spacing_or_spacing_alone():
    assert find_extractor("line")("\n  \n The  New\tYork \nand more") == "the new york"
    assert find_extractor("line")(" \n ") is None
    assert find_extractor("text")("  The  New\tYork \nand more ") == "The New York and more"
    assert find_extractor("text")(" \n ") is None


def test_a_pattern_gives_its_first_group_and_none_where_it_does_not_match():
    assert find_extractor(r"regex:Answer: (\w+)( or \w+)?")("… Answer: red or blue") == "red"
    assert find_extractor(r"regex:[0-9]+")("a 12 b 13") == "12"
    assert find_extractor(r"regex:x(y)?")("x") is None
    assert find_extractor(r"regex:Answer: (\w+)")("red") is None


def test_a_bad_pattern_and_a_wrong_name_are_told_apart():
    with pytest.raises(ConfigurationError, match=re.escape("regex:(a[ is no regular expression")):
        find_extractor("regex:(a[")
    with pytest.raises(ConfigurationError, match="needs a pattern"):
        find_extractor("regex:")
    with pytest.raises(ConfigurationError, match=r"did you mean 'gsm8k'.*regex:PATTERN"):
        find_extractor("gms8k")


def test_exact_match_counts_a_text_without_an_answer_as_wrong():
    written = ["so 18", "#### 18.00", "eighteen", "#### 81"]
    found = exact_match(written, ["#### 18"] * 4, EXTRACTORS["gsm8k"])
    assert found.dtype == np.bool_
    assert found.tolist() == [True, True, False, False]


def test_a_reference_without_an_answer_is_named():
    with pytest.raises(DataError, match=r"item 1: .*'eighteen'"):
        exact_match(["18", "18"], ["#### 18", "eighteen"], EXTRACTORS["gsm8k"])
    with pytest.raises(ValueError, match="one reference per text"):
        exact_match(["18"], ["18", "19"], EXTRACTORS["number"])


def test_only_marked_references_are_recognised():
    assert guess_extractor(["2+2\n#### 4", "#### 5"]) == "gsm8k"
    assert guess_extractor(["2+2\n#### 4", "5"]) is None
    assert guess_extractor([]) is None


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9), st.sampled_from(["", ","]))
def test_a_number_keeps_its_value_however_it_is_written(value, separator):
    found = find_extractor("number")(f"So it is {value:{separator}.3f}.")
    assert Decimal(found) == value
    assert found == find_extractor("number")(found)


@given(st.text(max_size=60))
def test_extraction_never_fails_and_finding_again_changes_nothing(text):
    for name, extract in EXTRACTORS.items():
        found = extract(text)
        assert found is None or extract(found) == found, name
