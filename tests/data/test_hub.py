import pytest

from balora_audit.config import resolve
from balora_audit.data import load
from balora_audit.data.hub import load_hub
from balora_audit.data.tables import Reading
from balora_audit.errors import DataError

ROWS = [(f"text number {i} about {'cats' if i % 3 else 'dogs'}", int(i % 3 > 0)) for i in range(40)]


def split(rows, *, names=("dog", "cat"), hidden=False):
    import datasets  # it reads its settings when it is imported, and the session makes them

    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=list(names))})
    columns = {"text": [text for text, _ in rows], "label": [-1 if hidden else label for _, label in rows]}
    return datasets.Dataset.from_dict(columns, features=features)


@pytest.fixture
def hub(monkeypatch):
    """Return a function that puts splits where the Hub would be."""
    import datasets

    def put(**splits):
        monkeypatch.setattr("datasets.load_dataset", lambda *_, **__: datasets.DatasetDict(splits))

    return put


def reading(**changes):
    return Reading(train_rows=50, test_rows=50, **changes)


def test_a_local_folder_loads_as_the_hub_would(tmp_path):
    for name, rows in (("train", ROWS[:30]), ("test", ROWS[30:])):
        (tmp_path / f"{name}.csv").write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows), encoding="utf-8")
    data = load_hub(str(tmp_path), reading())
    assert (len(data.train), len(data.test)) == (30, 10)


def test_the_names_of_a_class_label_are_used_unless_others_are_given(hub):
    hub(train=split(ROWS[:30], names=("dog", "cat", "bird")), test=split(ROWS[30:], names=("dog", "cat", "bird")))
    assert load_hub("org/pets", reading()).label_names == ("dog", "cat")  # no row is of a bird
    assert load_hub("org/pets", reading(label_names=("d", "c"))).label_names == ("d", "c")


def test_a_test_split_without_labels_is_passed_over(hub):
    hub(train=split(ROWS[:30]), test=split(ROWS[30:35], hidden=True), validation=split(ROWS[35:]))
    data = load_hub("org/pets:small", reading())
    assert {example.text for example in data.test} == {text for text, _ in ROWS[35:]}
    assert data.notes[1] == "5 of the 50 test rows asked for: org/pets:small, split validation has no more"


def test_a_data_set_without_a_training_split_is_refused(hub):
    hub(test=split(ROWS))
    with pytest.raises(DataError, match="has no train split; it has test"):
        load_hub("org/pets", reading())


def test_an_unreachable_hub_data_set_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    monkeypatch.setattr("datasets.config.HF_DATASETS_OFFLINE", True)
    with pytest.raises(DataError, match="give a local file or folder"):
        load(resolve({"data": "nobody/nothing-here"}, environment={}))
