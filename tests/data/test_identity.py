import pytest
from hypothesis import given
from hypothesis import strategies as st

from balora_audit.data.biographies import generate
from balora_audit.data.biography_parts import GENDERED_NAMES
from balora_audit.data.identity import _MORE_NAMES, GENDERED, RENAMED, Swaps, counterfactual, identity_terms, placebo, swap


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("She painted her house.", "He painted his house."),
        ("HE met Mary's brother.", "SHE met John's sister."),
        ("They gave it to him.", "They gave it to her."),
        ("The idea was hers.", "The idea was his."),
        ("Mr Smith and his wife left.", "Mrs Smith and her husband left."),
        ("Mary's mother saw the man's hat.", "John's father saw the woman's hat."),
        ("Ask her, then his.", "Ask him, then hers."),
    ],
)
def test_identity_words_are_swapped_with_case_and_possessive(text, expected):
    assert swap(text) == expected


@given(
    st.lists(
        st.sampled_from(["She", "he", "his", "her", "him", "hers", "Mary", "John", "the", "book", "ran", "to", ",", ".", "mother", "SONS"]),
        max_size=12,
    ).map(" ".join)
)
def test_an_accepted_swap_undoes_itself(text):
    twin = counterfactual(text)
    assert twin is None or (twin != text and swap(twin) == text)


def test_texts_without_identity_terms_have_no_counterfactual():
    assert counterfactual("The bridge carried the load.") is None


def test_swapping_a_biography_gives_the_twin_it_was_generated_with():
    # a nephew, an uncle or "a man accused" is another person: the generator leaves him alone, the word swap cannot know
    others = ("nephew", "uncle", "a man")
    alone = [e for e in generate(n_test=200).test if e.counterfactual and not any(word in e.text for word in others)]
    assert len(alone) > 120
    assert all(swap(e.text) == e.counterfactual for e in alone)


def test_letters_that_only_look_alike_when_case_is_ignored_are_left_alone():
    assert swap("\u017fhe") == "\u017fhe"
    assert counterfactual("\u017fhe") is None


def test_identity_terms_are_what_is_swapped():
    assert {"she", "he", "her", "his", "mary"} <= set(identity_terms())
    assert set(identity_terms()) == set(GENDERED.terms)


NAMES = (*GENDERED_NAMES, *_MORE_NAMES)
PAIRS = [["christian", "muslim"], ["wheelchair user", "athlete"], ["old", "young"]]


@given(
    st.lists(
        st.sampled_from(["old", "Young", "CHRISTIAN", "muslim", "Wheelchair user", "athlete's", "x", "the", ",", "wheelchair", "user"]),
        max_size=10,
    ).map(" ".join)
)
def test_a_users_swap_undoes_itself_where_it_is_accepted(text):
    swaps = Swaps(pairs=tuple((a, b) for a, b in PAIRS))
    twin = swaps.counterfactual(text)
    assert twin is None or (twin != text and swaps.swap(twin) == text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mary's brother met his sister.", "Anna's brother met his sister."),  # pronouns and relations stay
        ("JOHN and Elizabeth", "PETER and Jennifer"),
        ("She met him.", None),
        ("The bridge carried the load.", None),
        ("", None),
    ],
)
def test_a_placebo_changes_names_and_nothing_else(text, expected):
    assert placebo(text) == expected


def test_every_name_has_a_partner_of_its_own_gender_and_the_way_back_leads_home():
    for left, right in RENAMED.pairs:
        assert (placebo(left), placebo(right)) == (right, left)
    gender = {name: side for pair in NAMES for side, name in enumerate(pair)}
    assert {name for pair in RENAMED.pairs for name in pair} == set(gender)
    assert all(gender[left] == gender[right] for left, right in RENAMED.pairs)


@pytest.mark.parametrize("text", ["Put a jack under the car.", "They sang a carol.", "Purple heather grew.", "Victoria Station is closed."])
def test_words_that_only_look_like_names_are_left_alone(text):
    assert swap(text) == text
    assert placebo(text) is None
