import json
from pathlib import Path

import pandas as pd
import pytest

from balora_audit.config import resolve
from balora_audit.data import load
from balora_audit.data.files import load_file, read_general
from balora_audit.data.hub import load_hub
from balora_audit.data.tables import Reading
from balora_audit.errors import ConfigurationError, DataError

ROWS = [(f"text number {i} about {'cats' if i % 3 else 'dogs'}", str(int(i % 3 > 0))) for i in range(40)]


def read(path, *, test_path=None, **changes):
    return load_file(Path(path), Reading(**{"train_rows": 100, "test_rows": 100, **changes}), test_path=test_path)


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def csv(path, rows=ROWS, header="text,label\n", separator=","):
    return write(path, header + "".join(f"{text}{separator}{label}\n" for text, label in rows))


def test_all_formats_give_the_same_examples(tmp_path):
    frame = pd.DataFrame(ROWS, columns=["text", "label"])
    csv(tmp_path / "a.csv")
    csv(tmp_path / "a.tsv", header="text\tlabel\n", separator="\t")
    write(tmp_path / "a.jsonl", "".join(json.dumps({"text": t, "label": n}) + "\n" for t, n in ROWS))
    frame.to_parquet(tmp_path / "a.parquet")
    found = [[(e.text, e.label) for e in read(tmp_path / f"a.{s}").train] for s in ("csv", "tsv", "jsonl", "parquet")]
    assert found[0] == found[1] == found[2] == found[3]
    data = read(tmp_path / "a.csv")
    assert data.label_names == ("0", "1")
    assert not {e.text for e in data.train} & {e.text for e in data.test}
    assert {e.label for e in data.test} == {0, 1}


def test_a_headerless_file_is_read_by_column_numbers(tmp_path):
    path = csv(tmp_path / "a.tsv", header="", separator="\t")
    data = read(path, columns={"text": "0", "label": "1"}, label_names=("dog", "cat"))
    assert len(data.train) + len(data.test) == 40
    assert data.label_names == ("dog", "cat")


def test_columns_can_be_joined(tmp_path):
    path = write(tmp_path / "a.csv", "t,u,y\n" + "".join(f'"head {i}",body {i},{i % 2}\n' for i in range(20)))
    data = read(path, columns={"text": "t+u", "label": "y"})
    assert all(e.text.startswith("head ") and " body " in e.text for e in data.train)


def test_a_folder_brings_its_own_test_split(tmp_path):
    csv(tmp_path / "train.csv", ROWS[:30])
    csv(tmp_path / "dev.csv", ROWS[24:])
    data = read(tmp_path)
    assert len(data.test) == 16
    assert len(data.train) == 24  # six training texts are test texts too
    assert data.source["training_rows_dropped_as_test_duplicates"] == 6


def test_subsampling_keeps_the_classes_and_is_seeded(tmp_path):
    path = csv(tmp_path / "a.csv")
    one, two = read(path, train_rows=9, test_rows=6), read(path, train_rows=9, test_rows=6)
    assert one.train == two.train
    assert (len(one.train), len(one.test)) == (9, 6)
    assert sorted({e.label for e in one.train}) == [0, 1]


def test_prompts_and_responses_make_a_generation_task(tmp_path):
    path = write(tmp_path / "a.jsonl", "".join(json.dumps({"prompt": f"Q{i}?", "response": f"A{i}."}) + "\n" for i in range(12)))
    data = read(path)
    assert data.task == "generation"
    assert data.render(data.train[0].text).startswith("Q")
    assert data.answer(data.train[0]).startswith(" A")


@pytest.mark.parametrize(
    ("name", "content", "changes", "says"),
    [
        ("a.csv", "", {}, "is empty"),
        ("a.csv", "text,label\n", {}, "has no rows"),
        ("a.csv", "sentence,label\nx,0\n", {}, "no column 'text'.*--columns text=NAME"),
        ("a.csv", "text,label\nx,0\ny,0\n", {}, "single class, '0'"),
        ("a.csv", "text,label\nx,0\n,1\n", {}, "row 3: the text is empty"),
        ("a.csv", "text,label\nx,0\ny\n", {}, "row 3: 1 columns"),
        ("a.csv", "text,label\nx,0\ny,1\n", {"columns": {"txt": "text"}}, "did you mean 'text'"),
        ("a.csv", "text,label\nx,0\ny,1\n", {"columns": {"text": "txet"}}, "did you mean 'text'"),
        ("a.tsv", "x\t0\ny\t1\n", {"columns": {"text": "0", "label": "5"}}, "columns 0 to 1"),
        ("a.jsonl", '{"text": "x", "label": "0"}\n{oops\n', {}, "row 2: not JSON"),
        ("a.jsonl", "[1]\n", {}, "row 1: every line must be a JSON object"),
        ("a.xlsx", "x", {}, "suffix '.xlsx' is not supported"),
        ("a.parquet", "not parquet", {}, "cannot be read as Parquet"),
        ("a.csv", "text,label\nx,0\ny,1\n", {"label_names": ("a", "b", "c")}, "3 names for 2 labels"),
        ("a.csv", "text,label\nx,0\ny,1\n", {"prompt": "no place"}, "exactly one"),
    ],
)
def test_unusable_files_are_refused_with_a_way_out(tmp_path, name, content, changes, says):
    with pytest.raises(DataError, match=says):
        read(write(tmp_path / name, content), **changes)


def test_bytes_that_are_not_utf8_are_located(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"text,label\ncaf\xe9,0\n")
    with pytest.raises(DataError, match="not UTF-8: byte 0xe9 at offset 14 \\(row 2\\)"):
        read(path)


def test_a_test_label_without_training_rows_is_refused(tmp_path):
    csv(tmp_path / "train.csv")
    csv(tmp_path / "test.csv", [*ROWS[:4], ("something else", "7")])
    with pytest.raises(DataError, match=r"label '7'.*has no training rows"):
        read(tmp_path)


def test_repeated_ids_are_refused(tmp_path):
    path = write(tmp_path / "a.csv", "id,text,label\n" + "".join(f"same,text {i},{i % 2}\n" for i in range(8)))
    with pytest.raises(DataError, match="'same' occurs more than once"):
        read(path)


def test_a_local_folder_loads_as_the_hub_would(tmp_path):
    for split, rows in (("train", ROWS[:30]), ("test", ROWS[30:])):
        csv(tmp_path / f"{split}.csv", rows)
    data = load_hub(str(tmp_path), Reading(train_rows=50, test_rows=50))
    assert (len(data.train), len(data.test)) == (30, 10)


def test_an_unreachable_hub_data_set_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    monkeypatch.setattr("datasets.config.HF_DATASETS_OFFLINE", True)
    with pytest.raises(DataError, match="give a local file or folder"):
        load(resolve({"data": "nobody/nothing-here"}, environment={}))


@pytest.mark.parametrize(("data", "says"), [("missing.csv", "does not exist"), ("biografies", "unknown data")])
def test_data_that_is_nowhere_is_refused(data, says):
    with pytest.raises(DataError, match=says):
        load(resolve({"data": data}, environment={}))


def test_file_settings_do_not_apply_to_the_built_in_data():
    with pytest.raises(ConfigurationError, match="columns is for --data from files"):
        load(resolve({"columns": {"text": "a"}}, environment={}))


def test_general_text_is_read_by_blank_lines_or_by_column(tmp_path):
    plain = tmp_path / "a.txt"
    plain.write_text("One two\nthree.\n\n  \nFour five.\n\nsix\n", encoding="utf-8")
    assert read_general(plain) == ("One two three.", "Four five.")  # one word has nothing to predict
    table = tmp_path / "a.csv"
    table.write_text("id,text\n1,One two.\n2,\n", encoding="utf-8")
    assert read_general(table) == ("One two.",)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [("a.txt", "", "no text"), ("a.txt", "word", "no text"), ("a.csv", "id,body\n1,x y\n", "no column 'text'"), ("a.md", "x y", "suffix")],
)
def test_general_text_without_any_text_is_refused(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_general(path)


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
