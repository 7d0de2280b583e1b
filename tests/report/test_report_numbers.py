"""How single numbers and texts are printed."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_metrics import METRICS

from balora_audit.metric import Metric
from balora_audit.report.numbers import (
    change,
    condition_title,
    digits,
    interval_text,
    isolated,
    magnitude,
    p_text,
    value_text,
    visible,
)

PLAIN = str.maketrans({"−": "-", ",": "", "\N{NO-BREAK SPACE}": " "})


@given(st.floats(0.0, 1.0))
def test_shares_are_percentages_with_one_decimal(value):
    printed = value_text(value, METRICS["accuracy"]).translate(PLAIN)
    assert printed.endswith(" %")
    assert math.isclose(float(printed[:-2]), 100 * value, abs_tol=0.0500001)


@given(st.floats(-1e6, 1e6).filter(lambda value: abs(value) > 1e-6))
def test_other_numbers_have_three_significant_digits(value):
    assert math.isclose(float(digits(value).translate(PLAIN)), value, rel_tol=0.00500001)


@pytest.mark.parametrize(
    ("value", "printed"),
    [(60.0, "60.0"), (0.5, "0.500"), (100.0, "100"), (999.7, "1,000"), (-2.0866, "−2.09"), (0.0, "0"), (1e-7, "1.00e-07")],
)
def test_digits(value, printed):
    assert digits(value) == printed


@pytest.mark.parametrize(
    ("value", "printed"), [(0.031, "+3.1 points"), (-0.175, "−17.5 points"), (-0.0001, "0.0 points"), (0.0001, "0.0 points")]
)
def test_differences_of_shares_are_signed_points(value, printed):
    assert change(value, METRICS["accuracy"]) == printed


def test_differences_of_other_metrics_keep_their_unit():
    assert change(1.867, METRICS["effective_rank"]) == "+1.87"
    assert magnitude(-0.7031, METRICS["kl_per_token"]) == "0.703 nats"


def test_missing_is_a_dash_and_no_interval_says_so():
    assert value_text(None, METRICS["accuracy"]) == change(None, METRICS["accuracy"]) == p_text(None) == "—"
    assert interval_text(None, 0.5, METRICS["accuracy"]) == "no interval"


def test_intervals_leave_the_unit_to_the_value():
    assert interval_text(0.1, 0.25, METRICS["accuracy"]) == "10.0 to 25.0"
    assert interval_text(-0.1, 0.25, METRICS["accuracy"], signed=True) == "−10.0 to +25.0"


def test_p_is_never_zero():
    assert p_text(0.0) == "< 0.001"
    assert p_text(0.0456) == "0.046"


@given(st.text())
def test_visible_text_has_no_control_characters(text):
    shown = visible(text, directional=True)
    assert not any((ord(c) < 0x20 and c not in "\n\t") or 0x7F <= ord(c) < 0xA0 or 0xD800 <= ord(c) <= 0xDFFF for c in shown)
    assert not set(shown) & set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069")


@given(st.text(alphabet="ab\u202e\u2066\u2068\u2069א", max_size=12))
def test_an_isolate_is_open_to_its_last_character(text):
    depths, depth = [], 0
    for character in isolated(text):
        depth += (character in "\u2066\u2068") - (character == "\u2069")
        depths.append(depth)
    if isolated(text) != text:
        assert depths[-1] == 0
        assert all(depth > 0 for depth in depths[: -isolated(text)[::-1].index("\u2069") - 1])


def test_conditions_in_words():
    assert condition_title("noise:0.3") == "30 % wrong labels"
    assert condition_title("correlate:0.9+imbalance:20") == "group–label correlation 0.9, imbalance 20:1"
    assert condition_title("<b>:x") == "<b>:x"


def test_unknown_metrics_are_shown_under_their_name():
    unknown = Metric.undescribed("likelihood_diff")
    assert unknown.title == "likelihood diff"
    assert value_text(0.5, unknown) == "0.500"
