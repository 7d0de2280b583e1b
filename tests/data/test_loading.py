import pytest

from balora_audit.config import resolve
from balora_audit.data import load
from balora_audit.errors import ConfigurationError, DataError


@pytest.mark.parametrize(("data", "says"), [("missing.csv", "does not exist"), ("biografies", "unknown data")])
def test_data_that_is_nowhere_is_refused(data, says):
    with pytest.raises(DataError, match=says):
        load(resolve({"data": data}, environment={}))


def test_file_settings_do_not_apply_to_the_built_in_data():
    with pytest.raises(ConfigurationError, match="columns is for --data from files"):
        load(resolve({"columns": {"text": "a"}}, environment={}))


def test_a_users_swaps_and_general_text_reach_the_data(tmp_path):
    swaps = tmp_path / "swaps.csv"
    swaps.write_text("nurse,driver\nward,depot\n", encoding="utf-8")
    general = tmp_path / "general.txt"
    general.write_text("A text.\n\nAnother text.", encoding="utf-8")
    settings = {"preset": "smoke", "train_rows": 40, "test_rows": 40, "swaps": str(swaps), "general": str(general)}
    dataset = load(resolve(settings, environment={}))
    assert dataset.general == ("A text.", "Another text.")
    changed = [example for example in dataset.test if example.counterfactual is not None]
    assert all("ward" in example.text or "depot" in example.counterfactual for example in changed)
    assert not any("she" in example.counterfactual.split() and "he" in example.text.split() for example in changed)
    assert dataset.source["swaps"] == {"file": "swaps.csv", "pairs": 2}
    assert dataset.swapped == "an identity term of swaps.csv"


def test_without_a_file_of_swaps_it_is_the_gender_that_is_swapped():
    assert load(resolve({"preset": "smoke"}, environment={})).swapped == "the person's gender"


@pytest.mark.parametrize("rows", [{}, {"limit": 24}, {"train_rows": 100, "test_rows": 101}])
def test_the_built_in_data_always_give_what_is_asked(rows):
    settings = {"preset": "smoke", **rows}
    config = resolve(settings, environment={})
    dataset = load(config)
    limit = config.limit or 10_000
    assert (len(dataset.train), len(dataset.test)) == (min(config.train_rows, limit), min(config.test_rows, limit))
    assert dataset.notes == ()


@pytest.mark.parametrize(("limit", "notes"), [(None, 2), (4, 0)])
def test_a_limit_is_what_is_asked_for(tmp_path, limit, notes):
    path = tmp_path / "small.csv"
    path.write_text("text,label\n" + "".join(f"text {i},{i % 2}\n" for i in range(40)), encoding="utf-8")
    assert len(load(resolve({"preset": "smoke", "data": str(path), "limit": limit}, environment={})).notes) == notes
