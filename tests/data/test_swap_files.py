import json

import pytest

from balora_audit.data.swap_files import read_swaps
from balora_audit.errors import DataError

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
