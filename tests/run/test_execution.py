"""The main job on the shipped model: complete, repeatable, resumable, honest about failures."""

import hashlib
import json
import math
from pathlib import PurePosixPath

import jsonschema
import numpy as np
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM
from typer.testing import CliRunner

import balora_audit.run.worker as units
from balora_audit import compare, load
from balora_audit.cells import CellId
from balora_audit.comparison.claims import pairs
from balora_audit.comparison.compare import compare_all
from balora_audit.errors import ConfigurationError, DataError, NothingMeasured, StoreError, UnitError
from balora_audit.interface.cli import app
from balora_audit.records import json_schema
from balora_audit.resources import SCHEMA_PATH, TINY_MODEL_PATH
from balora_audit.run.execution import execute
from balora_audit.run.plan import make_plan
from balora_audit.run.scores import read_scores
from balora_audit.run.store import RunStore
from balora_audit.training.loop import Trainer

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One complete small run, shared by the tests that only read it."""
    folder = tmp_path_factory.mktemp("run")
    settings = {
        "preset": "smoke", "train_rows": 48, "test_rows": 48, "training": {"epochs": 1}, "resamples": 200,
        "noise": {"kinds": ("typo", "word_drop"), "severities": (2, 5)},
    }  # fmt: skip
    return compare({**settings, "models": ("base", "lora", "pissa", "balora")}, out=folder), settings


def test_a_run_is_complete_and_fits_its_schema(finished):
    audit, _ = finished
    text = (audit.folder / "audit.json").read_text(encoding="utf-8")
    found = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in audit.json"))
    jsonschema.validate(found, json_schema())
    assert json.loads(SCHEMA_PATH.read_text(encoding="utf-8")) == json_schema()
    assert found["status"] == "complete"
    assert found["units"]["planned"] == found["units"]["completed"] > 0
    assert {row["probe"] for row in found["measurements"]} == {"skill", "noise", "imbalance", "collapse", "drift"}
    assert (audit.folder / "report.html").is_file()
    assert (audit.folder / "config.yaml").is_file()


def test_the_frames_have_the_contracts_columns(finished):
    audit, _ = finished
    assert {"method", "condition", "seed", "probe", "metric", "slice", "value", "ci_low", "ci_high", "n"} <= set(audit.measurements)
    assert {"baseline", "candidate", "delta", "p_value", "p_adjusted", "n_items", "n_seeds", "verdict"} <= set(audit.comparisons)
    assert load(audit.folder).record == audit.record


def test_every_declared_claim_is_decided_and_every_difference_has_an_interval(finished):
    record = finished[0].record
    decided = {row.claim for row in record.comparisons if row.claim}
    assert decided == {claim.id for claim in record.claims}
    for row in record.comparisons:
        assert (row.delta is None) == (row.ci_low is None and row.reason is not None) or row.reason is not None


def test_claims_that_were_edited_after_the_run_are_told_in_its_page(finished, tmp_path):
    text = (finished[0].folder / "audit.json").read_text(encoding="utf-8")
    pages = []
    for name, margin in (("kept", None), ("edited", 0.5)):
        record = json.loads(text)
        record["claims"][0]["margin"] = record["claims"][0]["margin"] if margin is None else margin
        (tmp_path / name).mkdir()
        (tmp_path / name / "audit.json").write_text(json.dumps(record), encoding="utf-8")
        pages.append(load(tmp_path / name).render().read_text(encoding="utf-8"))
    assert ["not the ones that were declared" in page for page in pages] == [False, True]


def test_the_tables_command_prints_every_claim_with_its_interval(finished):
    audit, _ = finished
    done = CliRunner().invoke(app, ["tables", str(audit.folder), "--format", "latex"])
    assert done.exit_code == 0
    assert done.stdout == audit.table(format="latex")
    decided = [row for row in audit.record.comparisons if row.claim and row.ci_low is not None]
    assert decided
    rows = audit.table().splitlines()
    for row in decided:
        line = next(x for x in rows if f"| {row.metric} |" in x and x.startswith(f"| {row.candidate} | {row.baseline} | {row.condition} |"))
        assert f"{row.ci_high:.4g}".replace("-", "−") in line
        assert row.verdict in line


def test_every_rate_can_be_recomputed_from_the_samples(finished):
    audit, _ = finished
    for row in audit.record.measurements:
        if row.metric != "accuracy" or not (row.slice == "clean" or "@" in row.slice):
            continue
        lines = [json.loads(line) for line in (audit.folder / row.evidence).read_text(encoding="utf-8").splitlines()]
        chosen = [line for line in lines if line["set"] == ("test" if row.slice == "clean" else row.slice)]
        assert len(chosen) == row.n
        assert sum(line["answer"] == line["gold"] for line in chosen) / len(chosen) == pytest.approx(row.value)


def test_the_base_weights_hash_is_the_same_after_every_method(finished):
    audit, _ = finished
    hashes = set()
    for unit in (audit.folder / "units").glob("train-*/unit.json"):
        hashes.add(json.loads(unit.read_text(encoding="utf-8"))["base_sha256"])
    assert len(hashes) == 1


def test_all_methods_saw_the_same_rows_in_the_same_order(finished):
    audit, _ = finished
    orders = {}
    for unit in (audit.folder / "units").glob("train-*/unit.json"):
        record = json.loads(unit.read_text(encoding="utf-8"))
        orders.setdefault(CellId.of_folder(PurePosixPath(record["cell"]["adapter"])).condition, set()).add(record["order_sha256"])
    assert sorted(orders) == ["balanced:20", "clean", "imbalance:20", "noise:0.3"]
    assert all(len(found) == 1 for found in orders.values())


@pytest.mark.parametrize("method", ["lora", "pissa", "balora"])
def test_a_saved_adapter_reproduces_the_scores_with_plain_peft(finished, method):
    audit, settings = finished
    from balora_audit.config import resolve

    plan = make_plan(resolve({**settings, "models": ("base", "lora", "pissa", "balora")}, environment={}))
    cell = next(cell for cell in plan.cells if cell.id == (method, "clean", 0))
    stored = read_scores(RunStore(audit.folder), cell.score_keys["test"])
    base = AutoModelForCausalLM.from_pretrained(TINY_MODEL_PATH, dtype=torch.float32)
    model = PeftModel.from_pretrained(base, str(audit.folder / "adapters" / method / "clean" / "seed0")).eval()
    tokenizer = __import__("transformers").AutoTokenizer.from_pretrained(TINY_MODEL_PATH)
    for index in (0, 5, 20):
        prompt = cell.requests["test"].texts[index]
        with torch.no_grad():
            logp = model(torch.tensor([tokenizer(prompt).input_ids])).logits[0, -1].log_softmax(-1)
        labels = [tokenizer(" " + name, add_special_tokens=False).input_ids for name in plan.dataset.label_names]
        single = [position for position, ids in enumerate(labels) if len(ids) == 1]
        assert single
        expected = np.array([float(logp[labels[position][0]]) for position in single])
        assert np.allclose(stored.log_likelihood[index][single], expected, rtol=1e-3)


def test_a_second_identical_run_computes_nothing(finished, monkeypatch):
    audit, settings = finished
    monkeypatch.setattr(units, "load", lambda *a, **k: pytest.fail("the model was loaded"))
    again = compare({**settings, "models": ("base", "lora", "pissa", "balora")}, out=audit.folder)
    assert again.record == audit.record


def test_the_same_seed_gives_identical_measurements_in_another_folder(finished, tmp_path):
    audit, settings = finished
    again = compare({**settings, "models": ("base", "lora", "pissa", "balora")}, out=tmp_path / "other")
    assert again.record.measurements == audit.record.measurements
    assert again.record.comparisons == audit.record.comparisons
    assert again.record.series == audit.record.series


def test_a_model_compared_with_itself_differs_by_nothing(finished):
    audit, settings = finished
    from balora_audit.config import resolve
    from balora_audit.probes import PROBES, Beside

    config = resolve({**settings, "models": ("base", "lora", "pissa", "balora")}, environment={})
    plan, store = make_plan(config), RunStore(audit.folder)
    evidence = {}
    for cell in plan.cells:
        if cell.context.method not in ("base", "balora"):
            continue
        scores = {key: read_scores(store, unit) for key, unit in cell.score_keys.items()}
        found = {name: PROBES[name].measure(cell.context, scores, Beside(base=scores, control=scores)) for name in config.active_probes}
        evidence[cell.id] = found
        evidence[cell.id._replace(method="twin of " + cell.context.method)] = found
    for name in ("base", "balora"):
        rows = compare_all(config, [], [(name, f"twin of {name}")], evidence)
        assert len(rows) > 30
        for row in rows:
            # a class or group with too few items has no interval, and then no p-value either
            assert (row.delta, row.p_value) in ((0.0, 1.0), (0.0, None))
            assert row.ci_low is None or row.ci_low <= 0 <= row.ci_high
        assert sum(row.p_value == 1.0 for row in rows) > 0.8 * len(rows)


def test_an_interrupted_run_continues_where_it_stopped(small_config, tmp_path, monkeypatch):
    plan = make_plan(small_config(conditions=("clean",)))
    trained = []
    original = units.Worker.train

    def interrupt_the_second(self, cell, title):
        if trained:
            raise KeyboardInterrupt
        trained.append(cell.id)
        original(self, cell, title)

    monkeypatch.setattr(units.Worker, "train", interrupt_the_second)
    with pytest.raises(KeyboardInterrupt):
        execute(plan, tmp_path / "run")
    monkeypatch.setattr(units.Worker, "train", lambda self, cell, title: (trained.append(cell.id), original(self, cell, title)))
    resumed = execute(plan, tmp_path / "run")
    assert trained == [("lora", "clean", 0), ("balora", "clean", 0)]
    whole = execute(plan, tmp_path / "whole")
    assert resumed.measurements == whole.measurements


def test_an_interrupted_training_continues_within_itself(small_config, tmp_path, monkeypatch):
    training = {"epochs": 2, "batch_size": 8, "checkpoint_steps": 3}
    plan = make_plan(small_config(conditions=("clean",), models=("base", "balora"), probes=("drift",), training=training))
    whole = execute(plan, tmp_path / "whole")
    original, done = Trainer.step, []

    def step(self, group, number, steps):
        if len(done) == 8:
            done.append(None)
            raise KeyboardInterrupt
        done.append(number)
        return original(self, group, number, steps)

    monkeypatch.setattr(Trainer, "step", step)
    with pytest.raises(KeyboardInterrupt):
        execute(plan, tmp_path / "run")
    assert list((tmp_path / "run/units").glob("*.partial/state.json"))
    resumed = execute(plan, tmp_path / "run")
    assert done == [0, 1, 2, 3, 4, 5, 6, 7, None, 6, 7, 8, 9, 10, 11]
    assert resumed.measurements == whole.measurements
    assert [s.columns for s in resumed.series] == [s.columns for s in whole.series]
    assert not list((tmp_path / "run/units").glob("*.partial"))


def test_a_training_that_diverges_is_a_failed_unit_with_its_last_good_state(small_config, tmp_path):
    training = {"epochs": 1, "batch_size": 8, "warmup_share": 0.0, "learning_rates": {"lora": 1e30}}
    config = small_config(conditions=("clean",), models=("base", "lora", "pissa"), probes=("drift",), training=training)
    record = execute(make_plan(config), tmp_path)
    assert record.status == "incomplete"
    assert [(cell.method, cell.status) for cell in record.cells] == [("base", "complete"), ("lora", "failed"), ("pissa", "complete")]
    assert "not finite" in record.errors[0].message
    kept = tmp_path / "adapters/lora/clean/seed0.diverged"
    assert str(kept.relative_to(tmp_path)) in record.errors[0].message
    assert all(torch.isfinite(value).all() for value in load_file(kept / "adapter_model.safetensors").values())


def test_a_changed_adapter_file_is_trained_again(small_config, tmp_path):
    plan = make_plan(small_config(conditions=("clean",), models=("base", "lora"), probes=("drift",)))
    execute(plan, tmp_path)
    path = tmp_path / "adapters/lora/clean/seed0/adapter_model.safetensors"
    good = hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(path.read_bytes()[:-4] + b"oops")
    (tmp_path / "audit.json").unlink()
    execute(plan, tmp_path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == good


def test_a_unit_that_fails_is_recorded_and_the_rest_goes_on(small_config, tmp_path, monkeypatch):
    original = units.Worker.train

    def fail_balora(self, cell, title):
        if cell.context.method == "balora" and str(cell.context.condition) == "noise:0.3":
            raise UnitError("the loss is not finite at step 2 of 6")
        original(self, cell, title)

    monkeypatch.setattr(units.Worker, "train", fail_balora)
    record = execute(make_plan(small_config()), tmp_path)
    assert record.status == "incomplete"
    assert [(f.method, f.condition, f.stage) for f in record.errors] == [("balora", "noise:0.3", "train")]
    failed = [row for row in record.comparisons if row.verdict == "error"]
    assert {(row.candidate, row.condition) for row in failed} == {("balora", "noise:0.3")}
    assert all(row.delta is None and "failed" in row.reason for row in failed)
    assert not [m for m in record.measurements if (m.method, m.condition) == ("balora", "noise:0.3")]
    assert [c.status for c in record.cells if (c.method, c.condition) == ("balora", "noise:0.3")] == ["failed"]
    assert any(row.verdict not in (None, "error") for row in record.comparisons)


def test_nothing_measured_is_an_error_of_its_own(small_config, tmp_path, monkeypatch):
    def fail(self, cell, title):
        raise UnitError("no")

    monkeypatch.setattr(units.Worker, "train", fail)
    with pytest.raises(NothingMeasured, match="no"):
        execute(make_plan(small_config(models=("lora",), conditions=("clean",))), tmp_path)
    assert json.loads((tmp_path / "audit.json").read_text(encoding="utf-8"))["status"] == "empty"


def test_several_seeds_give_two_level_intervals(small_config, tmp_path):
    config = small_config(seeds=(0, 1), conditions=("clean",), models=("base", "lora"), probes=("noise", "collapse"))
    record = execute(make_plan(config), tmp_path)
    rows = [row for row in record.comparisons if row.claim]
    assert {row.n_seeds for row in rows} == {2}
    assert any("seeds" in (row.test or "") for row in rows)


def test_generation_data_are_trained_and_measured(tmp_path, small_config):
    path = tmp_path / "qa.jsonl"
    lines = [{"prompt": f"Q: What did person {i} do?", "response": f"They opened door {i % 7}."} for i in range(40)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    config = small_config(data=str(path), conditions=("clean",), models=("base", "lora"))
    record = execute(make_plan(config), tmp_path / "run")
    assert record.status == "complete"
    values = {(m.method, m.metric): m.value for m in record.measurements if m.slice == "clean"}
    assert values["lora", "response_nll"] < values["base", "response_nll"]
    assert all(math.isfinite(value) for (_, metric), value in values.items() if metric != "exact_match")
    assert {m.reason for m in record.measurements if m.metric == "exact_match"} == {
        "no answer extractor was named or could be told from the responses"
    }
    assert any(m.metric == "balanced_accuracy" and "no classes" in m.reason for m in record.measurements)


def test_answers_are_written_read_and_kept_as_evidence(tmp_path, small_config):
    path = tmp_path / "sums.jsonl"
    lines = [{"prompt": f"Anna has {i} apples and gives {i % 3} away.", "response": f"It is {i} less some. #### 4"} for i in range(40)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    writing = {"max_new_tokens": 40}
    settings = {"data": str(path), "conditions": ("clean",), "models": ("base", "lora"), "probes": ("noise",), "writing": writing}
    config = small_config(**settings, training={"epochs": 40, "batch_size": 10, "learning_rate": 1e-2})
    record = execute(make_plan(config), tmp_path / "run")
    assert record.status == "complete"
    found = {(m.method, m.slice): m for m in record.measurements if m.metric == "exact_match"}
    assert set(found) == {(name, slice) for name in ("base", "lora") for slice in ("clean", "typo@5", "word_drop@5")}
    assert found["lora", "clean"].value > 0.5  # one answer serves all, and forty epochs teach it
    assert found["base", "clean"].value < found["lora", "clean"].value
    rows = [json.loads(line) for line in (tmp_path / "run" / found["lora", "clean"].evidence).read_text(encoding="utf-8").splitlines()]
    written = [row for row in rows if row["set"] == "written:clean"]
    assert sum("#### 4" in row["written"] for row in written) == round(found["lora", "clean"].value * len(written))
    assert any(row.metric == "exact_match_drop" for row in record.comparisons)
    with pytest.raises(ConfigurationError, match="leaves no room"):
        make_plan(small_config(**{**settings, "writing": {"max_new_tokens": 600}}))
    with pytest.raises(DataError, match="item 0: no answer"):
        make_plan(small_config(**{**settings, "writing": {"extractor": "letter"}}))


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("do not touch", encoding="utf-8")
    with pytest.raises(StoreError, match="not a run's"):
        RunStore(tmp_path)


def test_two_runs_cannot_share_a_folder_at_once(tmp_path):
    one, other = RunStore(tmp_path / "run"), RunStore(tmp_path / "run")
    with one.locked(), pytest.raises(StoreError, match="another balora-audit"), other.locked():
        pass


def test_pairs_name_each_comparison_once(small_config):
    found = pairs(small_config(models=("base", "lora", "pissa", "balora")))
    assert found == [
        ("base", "lora"), ("base", "pissa"), ("base", "balora"), ("lora", "pissa"), ("lora", "balora"),
    ]  # fmt: skip
