import json
import warnings

import pytest
from peft import PeftModel

from balora_audit.harness import evaluate
from balora_audit.records import read
from balora_audit.report import render
from balora_audit.run.execution import execute
from balora_audit.run.plan import make_plan

pytestmark = pytest.mark.slow

TASKS = ("balora_noise_s2", "balora_bias_ambiguous", "balora_winobias")


CLAIM = {"metric": "acc", "probe": "harness", "slice": "balora_noise_s2", "candidate": "lora", "baseline": "base", "margin": 0.02}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    from balora_audit.config import resolve

    folder = tmp_path_factory.mktemp("run")
    config = resolve(
        {
            "preset": "smoke", "models": ("base", "lora"), "conditions": ("clean",), "probes": ("drift",), "train_rows": 48,
            "test_rows": 24, "training": {"epochs": 1}, "resamples": 200, "tasks": TASKS,
            "task_metadata": {"items": 24, "example": True},
            "claims": (CLAIM,),
        },
        environment={},
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        execute(make_plan(config), folder)
    return folder, config


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"tasks": ("balora_noize",)}, "did you mean 'balora_noise'"),
        ({"task_chat_template": True}, "tokenizer has none"),
        ({"tasks": ("far_answers",)}, "generates up to 100000 tokens"),
        ({"task_metadata": {"itmes": 3}}, "unknown key"),
        ({"task_include": ("/nowhere",)}, "task folder /nowhere does not exist"),
        (
            {
                "claims": (
                    {"metric": "acc", "probe": "harness", "slice": "balora_bias", "candidate": "lora", "baseline": "base", "margin": 0.1},
                )
            },
            "unknown slice 'balora_bias' — did you mean 'balora_bias_ambiguous'",
        ),
    ],
)
def test_what_cannot_work_is_an_error_before_anything_is_trained(given, said, tmp_path):
    from balora_audit.config import resolve
    from balora_audit.errors import AuditError
    from balora_audit.resources import tasks_path

    far = f"include: {tasks_path() / 'bias' / '_question_metrics'}\ntask: far_answers\noutput_type: generate_until\n"
    far += "custom_dataset: !function balora_audit.harness.bias_datasets.ambiguous_questions\n"
    far += "process_results: !function balora_audit.harness.results.question_generated\n"
    far += "generation_kwargs:\n  until: ['x']\n  max_gen_toks: 100000\n"
    (tmp_path / "far.yaml").write_text(far, encoding="utf-8")
    flags = {"preset": "smoke", "models": ("base", "lora"), "conditions": ("clean",), "probes": ("drift",)}
    flags |= {"tasks": ("balora_bias_ambiguous",), "task_include": (str(tmp_path),)} | given
    with pytest.raises(AuditError, match=said):
        make_plan(resolve(flags, environment={}))


def test_every_model_gets_the_tasks_and_an_adapter_the_numbers_of_its_saved_files(finished, tiny):
    folder, _ = finished
    record = read(folder / "audit.json")
    assert record.status == "complete"
    peft_model = PeftModel.from_pretrained(tiny.model, str(folder / "adapters" / "lora" / "clean" / "seed0"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            alone = evaluate(peft_model, tiny.tokenizer, TASKS, metadata={"items": 24, "example": True})
    finally:
        peft_model.unload()
    rows = {(row.metric, row.slice): row for row in record.measurements if row.probe == "harness" and row.method == "lora"}
    assert len(rows) == len(alone.metrics) > 8
    for row in alone.metrics:
        assert rows[row.metric, row.slice].value == (None if row.value is None else pytest.approx(row.value, abs=1e-6))
    base = {(r.metric, r.slice): r.value for r in record.measurements if r.probe == "harness" and r.method == "base"}
    assert any(base[key] != row.value for key, row in rows.items())


def test_a_claim_names_a_task_by_its_name_alone(finished):
    record = read(finished[0] / "audit.json")
    (claim,) = record.claims
    assert (claim.probe, claim.slice, claim.higher_is_better) == ("harness", "balora_noise_s2 (version 1.0, 0 shots)", True)
    (row,) = (row for row in record.comparisons if row.claim == claim.id)
    assert (row.slice, row.n_items) == (claim.slice, 24)
    assert row.verdict in ("supported", "contradicted", "equivalent", "inconclusive")
    assert row.delta is not None


def test_items_are_paired_and_kept(finished):
    folder, _ = finished
    record = read(folder / "audit.json")
    found = [row for row in record.comparisons if row.probe == "harness"]
    accuracy = next(row for row in found if row.metric == "acc" and row.slice.startswith("balora_noise_s2"))
    assert (accuracy.n_items, accuracy.test, accuracy.higher_is_better) == (24, "McNemar exact", True)
    assert accuracy.ci_low <= accuracy.delta <= accuracy.ci_high
    values = {(row.method, row.metric, row.slice): row for row in record.measurements if row.probe == "harness"}
    for metric in ("pro_anti_gap", "acc_ambiguous", "acc_disambiguated", "bias_ambiguous"):
        row = next(row for row in found if row.metric == metric)
        mine, theirs = (values[name, metric, row.slice] for name in (row.candidate, row.baseline))
        assert row.delta == pytest.approx(mine.value - theirs.value)
        assert mine.higher_is_better == row.higher_is_better == (True if metric.startswith("acc") else None)
    lines = [json.loads(line) for line in (folder / "samples" / "lora-clean-seed0.jsonl").read_text(encoding="utf-8").splitlines()]
    kept = [line for line in lines if line["set"] == "balora_noise_s2"]
    assert len(kept) == 24
    assert all(line["severity"] == 2 and len(line["responses"]) == 8 for line in kept)


def test_the_report_shows_the_tasks_and_a_second_run_computes_nothing(finished):
    folder, config = finished
    text = render(folder).read_text(encoding="utf-8")
    assert "balora_noise_s2 (version 1.0, 0 shots)" in text
    before = {path: path.stat().st_mtime_ns for path in (folder / "units").iterdir()}
    execute(make_plan(config), folder)
    assert {path: path.stat().st_mtime_ns for path in (folder / "units").iterdir()} == before
