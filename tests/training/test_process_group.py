"""Two processes train what one process trains: real launches over gloo, on the shipped model."""

import json
import os
import socket
import subprocess
import sys

import pytest
import torch
import yaml

from balora_audit.run.execution import execute
from balora_audit.run.plan import make_plan
from balora_audit.training.process_group import ProcessGroup

SETTINGS = {
    "models": ("base", "pissa", "balora"), "train_rows": 44, "test_rows": 32, "conditions": ("clean",), "probes": ("drift",),
    "training": {"epochs": 1, "batch_size": 7, "accumulation": 2},
}  # fmt: skip


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    from balora_audit.config import resolve

    folder = tmp_path_factory.mktemp("alone")
    config = resolve({"preset": "smoke", "resamples": 200, **SETTINGS}, environment={})
    return execute(make_plan(config), folder), config


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("kind", ["--multi_gpu", "--use_fsdp"])
def test_two_processes_give_the_losses_of_one(alone, tmp_path, kind):
    """accelerate launches data-parallel processes under this name; without a GPU they talk over gloo."""
    expected, config = alone
    path = tmp_path / "audit.yaml"
    path.write_text(yaml.safe_dump(config.model_dump(mode="json")), encoding="utf-8")
    launch = [sys.executable, "-m", "accelerate.commands.launch", kind, "--num_processes", "2", "--num_machines", "1"]
    launch += ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", str(free_port())]
    command = [*launch, "-m", "balora_audit", "compare", "--config", str(path), "--out", str(tmp_path / "run"), "--json"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout)["status"] == "complete"  # one process speaks
    found = json.loads((tmp_path / "run/audit.json").read_text(encoding="utf-8"))
    curves = {series["method"]: series["columns"] for series in found["series"] if series["name"] == "losses"}
    for series in expected.series:
        if series.name == "losses":
            for term, values in series.columns.items():
                pairs = zip(curves[series.method][term], values, strict=True)
                assert all(a == b or a == pytest.approx(b, rel=1e-4, abs=1e-5) for a, b in pairs), term
    kl = {(m.method, m.seed): m.value for m in expected.measurements if m.metric == "kl_per_token"}
    for row in found["measurements"]:
        if row["metric"] == "kl_per_token":
            assert row["value"] == pytest.approx(kl[row["method"], row["seed"]], rel=1e-2)


def test_a_process_group_of_one_needs_no_communication():
    process_group, rows = ProcessGroup(), torch.ones(3, 2, requires_grad=True)
    assert process_group.gather_rows(rows) is rows
    assert process_group.shard([1, 2, 3]) == [1, 2, 3]
    assert process_group.broadcast("value") == "value"
    assert process_group.all_gather(1) == [1]
    process_group.all_reduce([rows])


def test_shares_of_a_batch_are_disjoint_and_whole():
    rows = list(range(7))
    shares = [ProcessGroup(rank, 3).shard(rows) for rank in range(3)]
    assert sorted(row for share in shares for row in share) == rows
    assert ProcessGroup(2, 3).shard([1, 2]) == []
