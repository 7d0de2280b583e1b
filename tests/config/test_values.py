"""Text → value, by the type of the field."""

from typing import Literal

import pytest

from balora_audit.config.values import json_object, names_or_pairs, read_text, texts, with_line_breaks


@pytest.mark.parametrize(
    ("text", "annotation", "value"),
    [
        ("a, b,", tuple[str, ...], ("a", "b")),
        ("", tuple[str, ...], ()),
        ("0, 2,1", tuple[int, ...], (0, 2, 1)),
        ("30,2.5", tuple[float, ...], (30.0, 2.5)),
        ("a=1, b = 2", dict[str, float], {"a": "1", "b": "2"}),
        ("text=x=y", dict[str, str], {"text": "x=y"}),
        ("all", tuple[int, ...] | Literal["all"], "all"),
        ("1,2", tuple[int, ...] | Literal["all"], (1, 2)),
        (" fro ", Literal["nuclear", "fro"], "fro"),
        ("none", int | None, None),
        ("none", str | None, "none"),
        ("7", int | None, "7"),
        ("a,b", str, "a,b"),
        ("true", bool, "true"),
    ],
)
def test_a_text_becomes_what_its_field_takes(text, annotation, value):
    assert read_text(text, annotation) == value


@pytest.mark.parametrize(
    ("text", "annotation", "says"),
    [
        ("1,x", tuple[int, ...], "whole numbers"),
        ("1.5", tuple[int, ...], "whole numbers"),
        ("1,x", tuple[float, ...], "numbers separated by commas"),
        ("accuracy", dict[str, float], "name=value"),
        ("=1", dict[str, float], "name=value"),
        ("a=", dict[str, float], "name=value"),
        ("a=1,,b=2", dict[str, float], "name=value"),
    ],
)
def test_a_text_that_does_not_fit_says_what_would(text, annotation, says):
    with pytest.raises(ValueError, match=says):
        read_text(text, annotation)


def test_names_of_labels_keep_their_places():
    assert names_or_pairs("Bad, ,Good") == ("Bad", "", "Good")  # dropping the empty one would move a class
    assert names_or_pairs("0=Bad,1=Good") == {"0": "Bad", "1": "Good"}


def test_a_written_line_break_is_one():
    assert with_line_breaks(r"{text}\nAnswer:") == "{text}\nAnswer:"
    assert texts(r"\n\n, END") == ("\n\n", " END")


def test_json_is_read_as_such():
    assert json_object('{"items": 64}') == {"items": 64}
    with pytest.raises(ValueError, match="JSON object"):
        json_object("items=64")
