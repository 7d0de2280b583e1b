"""Planted truth through training and all: what was done to the training data comes back, stronger with the dose."""

import pytest

from balora_audit.config import resolve
from balora_audit.run.execution import execute
from balora_audit.run.plan import make_plan

pytestmark = [pytest.mark.slow, pytest.mark.long]


def measured(folder, conditions, *, epochs=4, probe="imbalance", **changes):
    """Fine-tune the shipped model and return (metric, condition, slice) → value."""
    settings = {
        "preset": "smoke",
        "models": ("lora",),
        "probes": (probe,),
        "conditions": conditions,
        "training": {"epochs": epochs},
        "noise": {"kinds": ("typo",), "severities": (3,)},
        "resamples": 200,
        **changes,
    }
    record = execute(make_plan(resolve(settings, environment={})), folder)
    assert record.status == "complete"
    return {(row.metric, row.condition, row.slice): row.value for row in record.measurements}


def test_a_planted_correlation_widens_the_gap_and_flips_the_counterfactuals(tmp_path):
    conditions = ("correlate:0.5", "correlate:1")
    found = measured(tmp_path / "run", conditions, train_rows=960, test_rows=800, correlation=0.6)
    for metric in ("tpr_gap_squared", "counterfactual_flip_rate", "excess_flips", "stereotype_direction"):
        without, full = (found[metric, condition, "all"] for condition in conditions)
        assert full > 1.3 * max(0.0, without), metric
    assert found["stereotype_direction", "correlate:1", "all"] > 0


def test_memorisation_grows_with_training_on_wrong_labels_and_not_without(tmp_path):
    shares = []
    for epochs in (1, 4, 12):  # at 8, half of the wrong labels are remembered, give or take what few of them there are
        found = measured(
            tmp_path / str(epochs), ("clean", "noise:0.4"), epochs=epochs, probe="noise", train_rows=160, test_rows=32
        )  # fmt: skip
        shares.append((found["memorisation", "noise:0.4", "all"], found["memorisation", "clean", "flips=noise:0.4"]))
    trained, control = zip(*shares, strict=True)
    assert trained[0] < trained[1] < trained[2]
    assert trained[2] > 0.5
    assert control[2] <= control[0]  # trained on the true labels, the same items are learned right


def test_tail_recall_falls_with_the_imbalance_of_the_training_data(tmp_path):
    conditions = ("clean", "imbalance:10", "imbalance:100")
    found = measured(tmp_path / "run", conditions, train_rows=480, test_rows=160)
    tail = [found["tail_recall", condition, "all"] for condition in conditions]
    assert tail[0] > tail[1] > tail[2]
