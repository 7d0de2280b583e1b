"""Conditions beside their controls in a whole run: as many rows and steps, rows of every seed its own, references, numerical floors."""

import pytest

from balora_audit.config import resolve
from balora_audit.run.execution import execute
from balora_audit.run.plan import make_plan

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    settings = {
        "preset": "smoke", "models": ("base", "lora"), "train_rows": 64, "test_rows": 48, "seeds": (0, 1), "resamples": 200,
        "training": {"epochs": 2, "batch_size": 8}, "noise": {"kinds": ("typo",), "severities": (5,)},
        "conditions": ("noise:0.3", "imbalance:20", "correlate:0.9"),
    }  # fmt: skip
    return execute(make_plan(resolve(settings, environment={})), tmp_path_factory.mktemp("run"))


def test_controls_are_trained_beside_what_they_control(record):
    assert record.status == "complete"
    assert {cell.condition for cell in record.cells} == {
        "noise:0.3", "imbalance:20", "correlate:0.9", "clean", "balanced:20", "correlate:0.5",
    }  # fmt: skip
    changed = record.provenance["data"]["conditions"]
    for seed in (0, 1):
        assert changed[f"noise:0.3/seed{seed}"]["control"] == "clean"
        assert changed[f"imbalance:20/seed{seed}"]["rows"] == changed[f"balanced:20/seed{seed}"]["rows"] < 64
        assert changed[f"correlate:0.9/seed{seed}"]["rows"] == changed[f"correlate:0.5/seed{seed}"]["rows"]


def test_all_conditions_train_as_many_steps_and_say_how_many_epochs_that_is(record):
    trained = [cell for cell in record.cells if cell.method == "lora"]
    assert {cell.steps for cell in trained} == {16}
    for cell in trained:
        assert cell.epochs == pytest.approx(16 * 8 / cell.examples, abs=0.5)  # the last batch of an epoch can be smaller


def test_training_rows_differ_between_seeds_and_rare_classes_change_places(record):
    changed = record.provenance["data"]["conditions"]
    assert changed["clean/seed0"]["rows_sha256"] != changed["clean/seed1"]["rows_sha256"]
    assert changed["imbalance:20/seed0"]["most_to_least_frequent"] != changed["imbalance:20/seed1"]["most_to_least_frequent"]
    assert record.provenance["data"]["rows_redrawn"] is True


def test_excess_and_cost_are_the_differences_from_the_control(record):
    values = {(row.method, row.condition, row.seed, row.metric, row.slice): row.value for row in record.measurements}
    for seed in (0, 1):
        noisy, clean = (
            values["lora", "noise:0.3", seed, "memorisation", "all"],
            values["lora", "clean", seed, "memorisation", "flips=noise:0.3"],
        )
        assert values["lora", "noise:0.3", seed, "memorisation_excess", "all"] == pytest.approx(noisy - clean)
        assert values["base", "noise:0.3", seed, "memorisation_excess", "all"] == 0
        assert values["base", "imbalance:20", seed, "imbalance_cost", "all"] == 0  # the base was not trained on either


def test_references_stand_beside_every_condition_and_seed(record):
    found = {(row.name, row.condition, row.seed) for row in record.references}
    assert ("best", None, None) in found
    assert {("bag-of-words", condition, seed) for condition in ("clean", "balanced:20") for seed in (0, 1)} <= found
    assert all(row.value is not None and 0 < row.value <= 1 for row in record.references)


def test_one_model_of_the_first_seed_shows_the_numerical_floor(record):
    assert {(row.method, row.seed) for row in record.floors} == {("lora", 0)}
    assert {row.condition for row in record.floors} == {cell.condition for cell in record.cells}
    assert {"accuracy", "kl_per_token", "general_effective_rank", "imbalance_cost"} <= {row.metric for row in record.floors}
    assert all(0 <= row.change < 0.5 for row in record.floors)


def test_without_a_second_scoring_there_is_no_floor(small_config, tmp_path):
    config = small_config(models=("base",), conditions=("clean",), probes=("drift",), numerical_floor=False)
    found = execute(make_plan(config), tmp_path)
    assert found.floors == ()
    assert all(row.floor is None for row in found.comparisons)


def test_a_control_that_the_data_do_not_allow_is_said_and_its_claim_not_run(tmp_path):
    rows = [f"text {i} about money\tbank" for i in range(60)] + [f"text {i} about water\triver" for i in range(8)]
    (tmp_path / "train.tsv").write_text("text\tlabel\n" + "\n".join(rows) + "\n", encoding="utf-8")
    test = [f"other {i} about money\tbank" for i in range(8)] + [f"other {i} about water\triver" for i in range(8)]
    (tmp_path / "test.tsv").write_text("text\tlabel\n" + "\n".join(test) + "\n", encoding="utf-8")
    settings = {
        "preset": "smoke", "models": ("lora", "pissa"), "conditions": ("imbalance:2",), "probes": ("imbalance",), "resamples": 200,
        "data": str(tmp_path / "train.tsv"), "test_data": str(tmp_path / "test.tsv"), "training": {"epochs": 1},
    }  # fmt: skip
    record = execute(make_plan(resolve(settings, environment={})), tmp_path / "run")
    assert any("imbalance:2 has no control" in text and "river" in text for text in record.warnings)
    (row,) = [row for row in record.comparisons if row.claim is not None and row.metric == "imbalance_cost"]
    assert row.verdict == "not run"
    assert "has no control" in row.reason
