import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balora_audit.data.perturbations import PERTURBATIONS, perturb
from balora_audit.data.perturbations.perturbation import clusters, words
from balora_audit.errors import ConfigurationError

NAMES = sorted(PERTURBATIONS)
TEXT = "Mary designed 12 gears, and she met https://example.org/a?b=1 near the old quarter of Kraków before lunch."
UNICODE = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(NAMES), UNICODE)
def test_severity_zero_is_the_identity(name, text):
    assert perturb(name, text, severity=0, seed=1, item_id="a").text == text


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(NAMES), UNICODE, st.integers(0, 5), st.integers(0, 9))
def test_any_unicode_text_stays_valid_and_is_drawn_the_same_way(name, text, severity, seed):
    one = perturb(name, text, severity=severity, seed=seed, item_id="x")
    assert one == perturb(name, text, severity=severity, seed=seed, item_id="x")
    assert one.text.encode("utf-8").decode("utf-8") == one.text
    assert 0 <= one.changed <= one.units


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(NAMES), st.text("abcdefgh XYZ.,", min_size=1, max_size=120), st.integers(0, 50))
def test_the_number_of_changes_never_falls_with_severity(name, text, seed):
    changes = [perturb(name, text, severity=s, seed=seed, item_id="i").changed for s in range(6)]
    # a text of words that would vanish altogether is left alone, which is the one exception
    assert changes == sorted(changes) or (name == "word_drop" and not text.split()[5:])


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_changes_ordinary_text(name):
    copies = [perturb(name, TEXT, severity=5, seed=0, item_id=str(i)) for i in range(20)]
    assert sum(copy.text != TEXT for copy in copies) >= 15
    rate = sum(copy.changed for copy in copies) / sum(copy.units for copy in copies)
    assert 0 < rate <= 1.3 * PERTURBATIONS[name].rates[5]


@pytest.mark.parametrize("name", NAMES)
def test_numbers_urls_and_asked_for_words_are_never_touched(name):
    for item in range(30):
        found = perturb(name, TEXT, severity=5, seed=0, item_id=str(item), protect=("gears",)).text
        assert "12" in found
        assert "https://example.org/a?b=1" in found
        assert "gears" in found


def test_combining_marks_stay_with_their_letter():
    text = "cafe\u0301 nai\u0308ve"
    assert "".join(clusters(text)) == text
    for item in range(40):
        found = perturb("delete", text, severity=5, seed=0, item_id=str(item)).text
        assert not any(unicodedata.combining(c) and (i == 0 or found[i - 1] == " ") for i, c in enumerate(found))


@given(UNICODE)
def test_words_joined_are_the_text(text):
    assert "".join(words(text)) == text


def test_the_draw_is_the_same_in_another_process():
    code = f"from balora_audit.data.perturbations import perturb;print(perturb('typo', {TEXT!r}, severity=4, seed=3, item_id='q').text)"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "77"})
    assert other.stdout.rstrip("\n") == perturb("typo", TEXT, severity=4, seed=3, item_id="q").text


def test_unknown_kinds_and_severities_are_refused():
    with pytest.raises(ConfigurationError, match="did you mean 'typo'"):
        perturb("typos", TEXT, severity=1, seed=0, item_id="a")
    with pytest.raises(ValueError, match="severity"):
        perturb("typo", TEXT, severity=6, seed=0, item_id="a")
