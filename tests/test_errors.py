import pytest

from balora_audit.errors import ConfigurationError, near, unknown_name


def test_the_nearest_names_are_offered_first():
    assert near("loraa", ["base", "lora", "balora"]) == " — did you mean 'lora'?"
    assert near("loraa", iter(["base", "lora", "balora"]), count=3) == " — did you mean 'lora', 'balora'?"


@pytest.mark.parametrize("known", [[], ["base"], ["lora"]])
def test_nothing_is_offered_where_nothing_is_near(known):
    assert near("zzz", known) == ""


def test_an_unknown_name_comes_with_all_valid_ones():
    error = unknown_name("model", "zzz", iter(["a", "b"]))
    assert isinstance(error, ConfigurationError)
    assert str(error) == "unknown model 'zzz'. Valid: a, b"
