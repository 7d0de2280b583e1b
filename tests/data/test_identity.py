import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balora_audit.data.biographies import generate
from balora_audit.data.identity import GENDERED, Swaps, counterfactual, identity_terms, swap
from balora_audit.data.swap_files import read_swaps
from balora_audit.errors import DataError


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


PAIRS = [["christian", "muslim"], ["wheelchair user", "athlete"], ["old", "young"]]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "left,right\nChristian,Muslim\nwheelchair user,athlete\nold,young\n"),
        ("a.tsv", "christian\tmuslim\nwheelchair user\tathlete\n\nold\tyoung\n"),
        ("a.json", json.dumps(PAIRS)),
        ("b.json", json.dumps(dict(PAIRS))),
    ],
)
def test_a_users_file_of_terms_is_swapped_both_ways(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    swaps = read_swaps(path)
    assert [list(pair) for pair in swaps.pairs] == PAIRS
    before, after = "The OLD Christian met a wheelchair user's son.", "The YOUNG Muslim met a athlete's son."
    assert swaps.swap(before) == after
    assert swaps.counterfactual(after) == before
    assert swaps.counterfactual("He left.") is None
    assert swaps.counterfactual("A wheelchair  user") is None  # two spaces would come back as one


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "man,woman\nman,girl\n", r"line 2: 'man' is already swapped with 'woman' \(line 1\), and now with 'girl'"),
        ("a.csv", "man,woman\nwoman,man\n", "line 2: 'woman' is already swapped"),
        ("a.csv", "man,man\n", "'man' is swapped with itself"),
        ("a.csv", "man\n", "pair of two terms"),
        ("a.csv", "man,\n", "'' is empty"),
        ("a.csv", "man, woman\n", "' woman'"),
        ("a.csv", "man,woman!\n", "begin and end with a letter"),
        ("a.csv", "left,right\n", "no pairs"),
        ("a.json", "{", "not JSON"),
        ("a.json", "[1]", "list of pairs"),
        ("a.json", '[["a", 1]]', "pair of two terms"),
        ("a.txt", "a,b", "suffix|read from"),
    ],
)
def test_a_file_that_is_no_involution_is_refused_with_its_place(tmp_path, name, text, message):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_swaps(path)


def test_a_missing_or_undecodable_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_swaps(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes("Mädchen,Junge\n".encode("latin-1"))
    with pytest.raises(DataError, match="UTF-8"):
        read_swaps(tmp_path / "latin.csv")


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
