"""Building a data set from tables, and what is said where they are too small."""

import pytest

from balora_audit.data.columns import Table
from balora_audit.data.general_text import held_out
from balora_audit.data.tables import Reading, build
from balora_audit.errors import DataError


def table(rows, *, where="a.csv", columns=("text", "label")):
    return Table(columns=columns, rows=rows, where=where)


def labelled(count, *, first=0):
    return [(f"text {index}", str(index % 2)) for index in range(first, first + count)]


def built(train, test=None, **changes):
    return build(train, test, Reading(**{"train_rows": 30, "test_rows": 10, **changes}), name="x", source={"origin": "file"})


def test_tables_become_examples_with_general_text_and_twins():
    data = built(table([(f"She ran {index} miles.", f"{index % 2}") for index in range(8)]), label_names={"1": "odd"})
    assert (data.task, data.label_names, data.prompt) == ("classification", ("0", "odd"), "{text}\nAnswer:")
    assert data.general == held_out()
    assert data.swapped == "the person's gender"
    assert all(example.counterfactual == example.text.replace("She", "He") for example in data.test)
    assert all(example.counterfactual is None for example in data.train)
    assert data.source["label_values"] == ["0", "1"]
    assert data.source["origin"] == "file"


@pytest.mark.parametrize(
    ("columns", "row", "task", "field"),
    [
        (("text", "label", "response"), ("x {0}", "{1}", "y"), "classification", "label"),
        (("text", "target"), ("x {0}", "{0}"), "regression", "target"),
        (("prompt", "response", "target"), ("x {0}", "y", "no number"), "generation", "response"),
    ],
)
def test_examples_hold_what_their_task_needs(columns, row, task, field):
    data = built(table([tuple(cell.format(index, index % 2) for cell in row) for index in range(12)], columns=columns))
    assert data.task == task
    assert all(getattr(example, field) is not None for example in data.train + data.test)
    assert all(example.target is None for example in data.train) == (task != "regression")
    assert all(example.label is None for example in data.train) == (task != "classification")


def test_a_test_table_is_read_for_the_task_of_the_training_table():
    with pytest.raises(DataError, match=r"dev\.csv has no column 'label'"):
        built(table(labelled(8)), table([("x", "1")], where="dev.csv", columns=("text", "target")))


@pytest.mark.parametrize(
    ("train", "test", "asked", "notes"),
    [
        (labelled(40), labelled(10, first=40), {}, []),
        (labelled(29), labelled(10, first=40), {}, ["29 of the 30 training rows asked for: a.csv has no more"]),
        (labelled(40), labelled(9, first=40), {}, ["9 of the 10 test rows asked for: dev.csv has no more"]),
        (
            labelled(30),
            labelled(10, first=26),
            {},
            ["26 of the 30 training rows asked for: a.csv has no more besides 4 with the text of a test row"],
        ),
        (labelled(34), labelled(10, first=30), {}, []),  # dropped rows alone are no shortfall
        (labelled(40), None, {}, []),
        (
            labelled(36),
            None,
            {},
            [
                "28 of the 30 training rows asked for: a.csv has no more besides the test rows",
                "8 of the 10 test rows asked for: a.csv has no test split, and at most a quarter of its 36 different texts is set aside",
            ],
        ),
        (
            [*labelled(20), *labelled(20)],
            None,
            {"train_rows": 8, "test_rows": 6},
            ["4 of the 6 test rows asked for: a.csv has no test split, and at most a quarter of its 20 different texts is set aside"],
        ),
        (
            [(f"text {index}", str(index % 3)) for index in range(90)],
            None,
            {"test_rows": 10},
            ["9 of the 10 test rows asked for: a.csv has no test split, and the share of each class that is set aside is rounded"],
        ),
    ],
)
def test_fewer_rows_than_asked_for_is_said_with_the_reason(train, test, asked, notes):
    data = built(table(train), table(test, where="dev.csv") if test is not None else None, **asked)
    assert list(data.notes) == notes


@pytest.mark.parametrize(
    ("train", "test", "says"),
    [
        (labelled(4), labelled(4), "^a.csv: every training text is also a test text"),
        (labelled(12), labelled(2, first=12)[:1], "the test rows are all of one class"),
        ([*labelled(4), ("only", "7")], [*labelled(2, first=4), ("only", "7")], "label '7' has no training rows; give more"),
        ([(f"text {index}", f"class {index % 201}") for index in range(402)], None, "201 different labels; is the label column right"),
        (labelled(8), [("x", "5")], r"^dev\.csv: label '5' \(row id test-000002\) has no training rows in a\.csv"),
    ],
)
def test_tables_that_cannot_be_audited_are_refused(train, test, says):
    with pytest.raises(DataError, match=says):
        built(table(train), table(test, where="dev.csv") if test is not None else None)
