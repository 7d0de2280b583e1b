import json

import pytest
from typer.testing import CliRunner

from balora_audit.errors import DataError
from balora_audit.harness.validation import validate
from balora_audit.interface.cli import app
from balora_audit.interface.listing import catalogue
from balora_audit.resources import tasks_path

pytestmark = pytest.mark.slow

GOOD = """task: mine
custom_dataset: !function own.data
test_split: test
output_type: multiple_choice
doc_to_text: prompt
doc_to_choice: choices
doc_to_target: label
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
metadata:
  version: 1.0
"""

DATA = """
from datasets import Dataset

def data(**_):
    return {"test": Dataset.from_list([{"prompt": "One and one?", "choices": ["two", "three"], "label": 0}])}

def results(doc, results):
    return {"acc": 1.0}

def broken(doc, results):
    return {"acc": doc["nothing"]}

number = 3
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "own.py").write_text(DATA, encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(GOOD, encoding="utf-8")
    return tmp_path


def problems(folder):
    return [str(problem).removeprefix(f"{folder}/") for problem in validate(folder).problems]


def test_every_task_of_the_package_is_good():
    found = validate(tasks_path())
    assert found.problems == ()
    assert len(found.tasks) == 16
    assert set(found.tasks) | set(found.groups) == set(catalogue("tasks"))
    assert all(count > 0 for count in found.tasks.values())


def test_a_good_folder_of_ones_own_has_no_problems(folder):
    assert problems(folder) == []


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("test_split: test", "test_split: [test", "mine.yaml:4: not YAML"),
        ("own.data", "own.dtaa", "mine.yaml:2: !function own.dtaa: AttributeError"),
        ("own.data", "gone.data", "mine.yaml:2: !function gone.data: ImportError"),
        ("own.data", "own.number", "mine.yaml:2: !function own.number is int, not a function"),
        ("doc_to_choice", "doc_to_choices", "mine.yaml:6: unknown key 'doc_to_choices' — did you mean 'doc_to_choice'?"),
        ("metadata:\n  version: 1.0", "", "mine.yaml:1: metadata has no version"),
        ("    higher_is_better: true\n", "", "mine.yaml:8: metric 'acc' does not say its higher_is_better"),
        ("doc_to_text: prompt\n", "doc_to_text: prompt\ndoc_to_text: choices\n", "mine.yaml:6: the key 'doc_to_text' is there twice"),
        ("test_split: test", "test_split: train", "mine.yaml:2: task 'mine' cannot be built"),
        ("task: mine\n", "include: gone\ntask: mine\n", "mine.yaml:1: included file 'gone' does not exist"),
        ("task: mine\n", "", "mine.yaml:1: the file names neither a task nor a group"),
        (
            "metric_list",
            "process_results: !function own.broken\nmetric_list",
            "mine.yaml:2: task 'mine' cannot be built: KeyError: 'nothing'",
        ),
        (
            "metric_list:\n  - metric: acc",
            "process_results: !function own.results\nmetric_list:\n  - metric: worth",
            "mine.yaml:2: task 'mine' cannot be built: ValueError: no document gives the listed metric 'worth'; they give acc",
        ),
        (
            "metric_list:\n  - metric: acc",
            "process_results: !function own.results\nmetric_list:\n  - metric: acc\n    ignore_case: true",
            "mine.yaml:9: metric 'acc': unknown key 'ignore_case'",
        ),
    ],
)
def test_what_the_harness_passes_over_is_an_error_with_file_and_line(folder, before, after, expected):
    text = GOOD.replace(before, after)
    assert text != GOOD
    (folder / "mine.yaml").write_text(text, encoding="utf-8")
    assert any(line.startswith(expected) for line in problems(folder)), problems(folder)


def test_names_used_twice_missing_members_and_keys_of_included_files(folder):
    (folder / "again.yaml").write_text(GOOD, encoding="utf-8")
    (folder / "group.yaml").write_text("group: all\ntask:\n  - mine\n  - mien\nmetadata:\n  version: 1\n", encoding="utf-8")
    (folder / "_base").write_text("doc_to_txt: prompt\n", encoding="utf-8")
    (folder / "third.yaml").write_text("include: _base\n" + GOOD.replace("mine", "third"), encoding="utf-8")
    found = problems(folder)
    assert any(line.startswith("mine.yaml:1: the name 'mine' is taken by") for line in found)
    assert any(line.startswith("group.yaml:2: group 'all': no task or group 'mien' — did you mean 'mine'?") for line in found)
    assert "_base:1: unknown key 'doc_to_txt' — did you mean 'doc_to_text'?" in found


def test_an_empty_or_missing_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"no \.yaml file"):
        validate(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        validate(tmp_path / "gone")


def test_the_command_prints_file_and_line_and_exits_with_two(folder):
    runner = CliRunner()
    good = runner.invoke(app, ["tasks", "validate", str(folder)])
    assert (good.exit_code, good.output) == (0, "1 tasks and 0 groups are good; 0 problems\n")
    (folder / "mine.yaml").write_text(GOOD.replace("doc_to_text", "doc_to_txt"), encoding="utf-8")
    bad = runner.invoke(app, ["tasks", "validate", str(folder)])
    assert bad.exit_code == 2
    assert f"error: {folder / 'mine.yaml'}:5: unknown key 'doc_to_txt'" in bad.output
    as_json = runner.invoke(app, ["tasks", "validate", str(folder), "--json"])
    assert json.loads(as_json.output)["problems"][0]["line"] == 5
