import pandas as pd
import pytest

from balora_audit.data.columns import Table, read_rows, table_of, task_of
from balora_audit.errors import DataError


def table(*columns, rows=(), **changes):
    return Table(columns=columns, rows=list(rows), where="a.csv", **changes)


@pytest.mark.parametrize(
    ("have", "columns", "task"),
    [
        (("text", "label"), {}, "classification"),
        (("text",), {}, "classification"),  # refused later, for want of a label
        (("prompt", "response"), {}, "generation"),
        (("prompt", "response", "text", "label"), {}, "classification"),
        (("prompt", "response", "text"), {}, "generation"),
        (("prompt", "response", "stars"), {"label": "stars"}, "classification"),
        (("q", "a"), {"prompt": "q", "response": "a"}, "generation"),
        (("text", "target"), {}, "regression"),
        (("text", "target", "stars"), {"label": "stars"}, "classification"),
        (("text", "score"), {"target": "score"}, "regression"),
    ],
)
def test_the_roles_decide_the_task(have, columns, task):
    assert task_of(table(*have), columns) == task


def test_numbered_columns_play_no_role_of_their_own():
    assert task_of(table("0", "1", header=False), {"text": "0", "target": "1"}) == "regression"


def test_rows_are_read_by_role_and_called_by_split_and_number():
    given = table("review", "stars", "id", rows=[("good", "1", "x"), ("bad", "0", "y")])
    columns = {"text": "review", "label": "stars"}
    assert read_rows(given, columns, task="classification", split="test") == [
        {"text": "good", "label": "1", "id": "x"},
        {"text": "bad", "label": "0", "id": "y"},
    ]
    bare = table("text", "label", rows=[("good", "1")])
    assert read_rows(bare, {}, task="classification", split="test")[0]["id"] == "test-000002"


def test_a_prompt_is_the_text_of_a_generation():
    row = read_rows(table("prompt", "response", rows=[("Q?", "A.")]), {}, task="generation", split="train")[0]
    assert (row["text"], row["response"]) == ("Q?", "A.")


def test_columns_are_joined_by_name_or_number():
    rows = [("a", "b", "1")]
    named = read_rows(table("x", "y", "label", rows=rows), {"text": "x + y"}, task="classification", split="train")
    numbered = read_rows(table("0", "1", "2", rows=rows, header=False), {"text": "0+1", "label": "2"}, task="classification", split="train")
    assert named[0]["text"] == numbered[0]["text"] == "a b"


@pytest.mark.parametrize(
    ("given", "columns", "task", "says"),
    [
        (table("text", "label"), {}, "classification", "^a.csv has no rows$"),
        (table("text", "label", rows=[("x", "0")]), {"zzz": "text"}, "classification", r"role 'zzz' in --columns\. Roles: text, label"),
        (table("text", "label", rows=[("x", "0")]), {"grop": "text"}, "classification", "did you mean 'group'\\? Roles"),
        (table("sentence", "label", rows=[("x", "0")]), {}, "classification", r"no column 'text'\. Columns there: sentence, label; map it"),
        (table("texts", "label", rows=[("x", "0")]), {}, "classification", r"'text' — did you mean 'texts'\? Columns there"),
        (table("good film", "1", rows=[("x", "0")]), {}, "classification", "no header row, by number: --columns text=0,label=1"),
        (
            table("0", "1", rows=[("x", "0")], header=False),
            {"text": "a", "label": "1"},
            "classification",
            "text=a names .*'a'.*0 to 1",
        ),
        (table("0", "1", rows=[("x", "0")], header=False), {"text": "²", "label": "1"}, "classification", "names column '²'"),
        (table("text", "label", rows=[("x", "0"), (" ", "0")]), {}, "classification", "^a.csv, row 3: the text is empty"),
        (table("text", "label", rows=[("x", "")]), {}, "classification", "row 2: the label is empty"),
        (table("prompt", "response", rows=[("x", " ")]), {}, "generation", "the response is empty"),
        (table("text", "target", rows=[("x", "inf")]), {}, "regression", "row 2: the target 'inf' is not a finite number"),
        (table("text", "target", rows=[("x", "many")]), {}, "regression", "'many' is not a finite number"),
        (table("text", "target", rows=[("x", "1")]), {}, "classification", "no column 'label'"),  # a test split of another task
    ],
)
def test_tables_that_lack_what_is_needed_are_refused_with_a_way_out(given, columns, task, says):
    with pytest.raises(DataError, match=says):
        read_rows(given, columns, task=task, split="train")


def test_a_data_frame_becomes_text_and_missing_values_the_empty_text():
    found = table_of(pd.DataFrame({"text": ["a", None], "label": [1, 0], "x": [1.5, float("nan")]}), "a.parquet")
    assert found.columns == ("text", "label", "x")
    assert found.rows == [("a", "1", "1.5"), ("", "0", "")]
