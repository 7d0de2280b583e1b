import contextlib
import dataclasses
import itertools
import math
import sys

import numpy as np
import pytest
import torch

from balora_audit.config import AdapterConfig, TrainingConfig
from balora_audit.methods import METHODS
from balora_audit.methods.adapter import attach
from balora_audit.models.encode import Encoder, pad
from balora_audit.models.load import weights_hash
from balora_audit.penalties import REGULARIZERS
from balora_audit.training.checkpoint import Checkpoints
from balora_audit.training.examples import encode_rows, order_hash, read_mask, schedule, set_aside, steps_per_epoch
from balora_audit.training.fused import Head
from balora_audit.training.loop import Diverged, Trainer
from balora_audit.training.loss import assemble
from balora_audit.training.objective import objective_for
from balora_audit.training.process_group import ProcessGroup
from balora_audit.training.schedules import learning_rate_factor
from balora_audit.training.teacher import Bare, Teacher
from balora_audit.training.teacher_cache import TeacherCache

SETTINGS = TrainingConfig(epochs=2, batch_size=8, learning_rate=3e-3)
ADAPTER = AdapterConfig(rank=4, alpha=4.0)


NOTHING = REGULARIZERS["paper-v1"]["nlg"].model_copy(update={"consistency": 0.0, "diversity": 0.0, "spectral": 0.0})


@pytest.fixture
def rows(tiny, dataset):
    return encode_rows(dataset, dataset.train[:24], Encoder(tiny.tokenizer, 128))


@contextlib.contextmanager
def trainer(base, name, *, penalties=None, settings=SETTINGS, head="fused", seed=0):
    attached = attach(base, METHODS[name], ADAPTER, seed=0)
    linear = base.forward.linear_head
    shared = Head(linear.weight, linear.bias) if head == "fused" else None
    objective = objective_for(base, shared, Teacher(base), penalties, ProcessGroup(), regression=False)
    try:
        yield (
            Trainer(
                attached, objective, settings, learning_rate=settings.learning_rate, penalties=penalties, seed=seed, device=base.device
            ),
            attached,
        )
    finally:
        attached.detach()


def train(base, rows, name, *, checkpoints=None, **options):
    with trainer(base, name, **options) as (made, attached):
        log = made.fit(rows, checkpoints=checkpoints)
        change = attached.change_norm()
        return log, {key: value.detach().clone() for key, value in attached.parameters.items()}, change


@pytest.mark.parametrize("name", ["lora", "pissa"])
def test_training_lowers_the_loss_and_leaves_the_base_alone(tiny, rows, name):
    log, _, change = train(tiny, rows, name, settings=SETTINGS.model_copy(update={"epochs": 6}))
    first, last = log.curves["task"][:3], log.curves["task"][-3:]
    assert sum(last) < 0.7 * sum(first)
    assert change > 0
    assert weights_hash(tiny.model) == tiny.weights


@pytest.mark.parametrize("preset", ["iclr2026", "paper-v1"])
def test_balora_logs_all_its_terms(tiny, rows, preset):
    log, _, _ = train(tiny, rows, "balora", penalties=REGULARIZERS[preset]["nlg"])
    assert {"task", "consistency", "diversity", "spectral", "total"} <= set(log.last)
    assert log.curves["consistency"][0] == pytest.approx(0, abs=1e-6)  # at step 0 the student is the teacher
    assert all(value is None or math.isfinite(value) for values in log.curves.values() for value in values)


def test_zero_penalties_equal_pissa(tiny, rows):
    _, plain, _ = train(tiny, rows, "pissa")
    _, penalised, _ = train(tiny, rows, "balora", penalties=NOTHING)
    assert all(torch.equal(plain[name], penalised[name]) for name in plain)


def test_the_same_seed_gives_the_same_weights(tiny, rows):
    _, one, _ = train(tiny, rows, "lora")
    _, two, _ = train(tiny, rows, "lora")
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("preset", ["iclr2026", "paper-v1"])
def test_chunks_of_the_head_give_the_same_training_as_whole_logits(tiny, rows, preset):
    """The other path computes all logits and differentiates through them."""
    penalties = REGULARIZERS[preset]["nlg"].model_copy(update={"schedule": "constant", "diversity": 0.05, "spectral": 0.05})
    fused, one, _ = train(tiny, rows, "balora", penalties=penalties)
    whole, two, _ = train(tiny, rows, "balora", penalties=penalties, head="whole")
    for name in ("total", "task", "consistency", "diversity", "spectral"):
        assert fused.curves[name] == pytest.approx(whole.curves[name], rel=1e-3, abs=1e-5), name
    assert all(torch.allclose(one[key], two[key], atol=2e-3) for key in one)


def test_a_diverging_loss_is_reported_and_the_last_good_state_kept(tiny, rows):
    with trainer(tiny, "lora", settings=SETTINGS.model_copy(update={"learning_rate": 1e30, "warmup_share": 0.0})) as (made, attached):
        with pytest.raises(Diverged, match=r"not finite at step [2-9]"):
            made.fit(rows)
        assert all(torch.isfinite(parameter).all() for parameter in attached.parameters.values())
    assert weights_hash(tiny.model) == tiny.weights


def test_accumulated_batches_train_like_one_batch(tiny, rows):
    """Cross-entropy and its gradient are sums over tokens, so that the steps are the same."""
    whole = SETTINGS.model_copy(update={"batch_size": 8})
    parts = SETTINGS.model_copy(update={"batch_size": 4, "accumulation": 2})
    one, a, _ = train(tiny, rows, "lora", settings=whole)
    two, b, _ = train(tiny, rows, "lora", settings=parts)
    assert one.curves["task"] == pytest.approx(two.curves["task"], rel=1e-3)
    assert all(torch.allclose(a[key], b[key], atol=1e-3) for key in a)


def test_gradient_checkpointing_changes_nothing(tiny, rows):
    one, _, _ = train(tiny, rows, "balora", penalties=REGULARIZERS["iclr2026"]["nlg"])
    again = SETTINGS.model_copy(update={"gradient_checkpointing": True})
    two, _, _ = train(tiny, rows, "balora", penalties=REGULARIZERS["iclr2026"]["nlg"], settings=again)
    assert one.curves["total"] == pytest.approx(two.curves["total"], rel=1e-5)
    assert not any(getattr(module, "gradient_checkpointing", False) for module in tiny.model.modules())


@pytest.mark.parametrize(("name", "patience", "dropout"), [("balora", 0, 0.0), ("lora", 3, 0.1)])
def test_an_interrupted_training_ends_like_an_uninterrupted_one(tiny, rows, tmp_path, monkeypatch, name, patience, dropout):
    monkeypatch.setattr(sys.modules[__name__], "ADAPTER", ADAPTER.model_copy(update={"dropout": dropout}))
    settings = SETTINGS.model_copy(update={"epochs": 4, "patience": patience})
    options = {"penalties": REGULARIZERS["iclr2026"]["nlg"] if name == "balora" else None, "settings": settings}
    whole, expected, _ = train(tiny, rows, name, **options)
    checkpoints = Checkpoints(tmp_path / "partial", every=5)
    with trainer(tiny, name, **options) as (made, _):
        original, done = made.step, []

        def step(*arguments):
            if len(done) == 8:
                raise KeyboardInterrupt
            done.append(arguments[1])
            return original(*arguments)

        made.step = step
        with pytest.raises(KeyboardInterrupt):
            made.fit(rows, checkpoints=checkpoints)
    resumed, found, _ = train(tiny, rows, name, checkpoints=Checkpoints(tmp_path / "partial", every=5), **options)
    assert resumed.curves == whole.curves
    assert all(torch.equal(found[key], expected[key]) for key in expected)


def test_a_damaged_checkpoint_is_not_used(tmp_path):
    (tmp_path / "state.json").write_text('{"tensors": "step.safetensors", "numbers": {}}', encoding="utf-8")
    assert Checkpoints(tmp_path, every=1).load() is None
    (tmp_path / "step.safetensors").write_bytes(b"no")
    assert Checkpoints(tmp_path, every=1).load() is None


def test_training_stops_early_and_gives_the_best_epoch(tiny, rows):
    settings = SETTINGS.model_copy(update={"epochs": 30, "patience": 1, "learning_rate": 3e-2, "validation_share": 0.3})
    log, _, _ = train(tiny, rows, "lora", settings=settings)
    assert log.steps < 30 * 3
    assert any("stopped after step" in note for note in log.notes)
    training, validation = set_aside(rows, 0.3, 0)
    assert len(validation) == 7
    assert not {row.id for row in training} & {row.id for row in validation}
    assert log.order_sha256 == order_hash(
        list(schedule(training, batch_size=8, accumulation=1, steps=30 * steps_per_epoch(len(training), 8), seed=0))
    )


@pytest.mark.parametrize(("steps", "checked"), [(2, [2]), (3, [3]), (5, [3, 5])])
def test_the_last_step_is_validated_even_within_an_epoch(tiny, rows, monkeypatch, steps, checked):
    settings = SETTINGS.model_copy(update={"patience": 5, "validation_share": 0.3})
    with trainer(tiny, "lora", settings=settings) as (made, attached):
        found, judge = [], made._waited_enough
        monkeypatch.setattr(made, "_waited_enough", lambda rows: found.append(made._numbers["step"]) or judge(rows))
        log = made.fit(rows, steps=steps)
        assert attached.change_norm() > 0
    training, _ = set_aside(rows, 0.3, 0)
    assert found == checked
    assert log.seen == sum(len(b) for g in schedule(training, batch_size=8, accumulation=1, steps=steps, seed=0) for b in g)
    assert log.epochs == pytest.approx(log.seen / len(training))


def test_a_batch_without_a_valid_position_is_skipped(tiny, rows):
    empty = [dataclasses.replace(row, targets=()) for row in rows[:8]]
    with trainer(tiny, "balora", penalties=REGULARIZERS["iclr2026"]["nlg"]) as (made, _):
        log = made.fit(empty)
    assert log.steps == 2
    assert log.last == {}
    assert log.notes == ["2 steps had no valid position and were skipped"]


def test_a_batch_of_one_is_trained_on(tiny, rows):
    log, _, change = train(
        tiny, rows[:3], "balora", penalties=REGULARIZERS["iclr2026"]["nlg"], settings=SETTINGS.model_copy(update={"batch_size": 1})
    )
    assert change > 0
    assert log.steps == 6


def test_the_teacher_is_the_untouched_base(tiny, rows):
    teacher = Teacher(tiny)
    with trainer(tiny, "balora") as (_, attached):
        with torch.no_grad():
            for parameter in attached.parameters.values():
                parameter.add_(0.1)
        cold = teacher.states(attached, rows[:6])
        warm = teacher.states(attached, rows[:6])
    ids, mask = pad([row.inputs for row in rows[:6]], tiny.device)
    with torch.no_grad():
        expected = tiny.model(input_ids=ids, attention_mask=mask).logits[read_mask(rows[:6], ids.shape[1], tiny.device)]
    assert torch.allclose(tiny.forward.logits_of(cold), expected, atol=1e-5 * float(expected.abs().max()))
    assert torch.equal(cold, warm)
    assert teacher.computed == 6


def test_the_teachers_states_do_not_depend_on_what_is_computed_with_them(tiny, rows):
    together = Teacher(tiny).states(Bare(tiny.model), rows)
    shuffled = Teacher(tiny)
    order = np.random.default_rng(0).permutation(len(rows))
    alone = {rows[i].id: shuffled.states(Bare(tiny.model), [rows[i]]) for i in order}
    assert torch.equal(together, torch.cat([alone[row.id] for row in rows]))


def test_the_teachers_memory_is_bounded_and_gives_the_same(tiny, rows):
    small = Teacher(tiny, limit_bytes=2000)
    expected = Teacher(tiny).states(Bare(tiny.model), rows)
    for _ in range(2):
        assert torch.equal(small.states(Bare(tiny.model), rows), expected)
    assert small.computed > len(rows)


def test_the_teachers_cache_serves_later_runs_and_no_other_model(tiny, rows, tmp_path, monkeypatch):
    monkeypatch.setenv("BALORA_CACHE", str(tmp_path))
    said = []

    def teacher(model="a", limit=10**9):
        return Teacher(tiny, cache=TeacherCache({"model": model}, limit_bytes=limit, say=said.append))

    first = teacher()
    assert first.prepare(Bare(tiny.model), rows) == len(rows)
    expected = first.states(Bare(tiny.model), rows)
    second = teacher()
    assert torch.equal(second.states(Bare(tiny.model), rows), expected)
    assert second.computed == 0
    assert teacher("b").prepare(Bare(tiny.model), rows) == len(rows)
    files = sorted(tmp_path.rglob("*.safetensors"))
    assert len(files) == 2
    ours = next(path for path in files if path.parent == first._cache._folder)
    other = next(path for path in files if path != ours)
    ours.write_bytes(other.read_bytes())  # another model's states under this model's name
    third = teacher()
    assert third.prepare(Bare(tiny.model), rows) == len(rows)
    assert "another model" in said[0]
    ours.write_bytes(b"damaged")
    assert torch.equal(teacher().states(Bare(tiny.model), rows), expected)
    assert len(said) == 2
    limit = 3 * expected.nbytes // 2
    teacher("c", limit).prepare(Bare(tiny.model), rows)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.safetensors")) <= limit + 10_000


def test_the_loss_equals_the_models_own_on_the_answer_tokens(tiny, dataset, rows):
    """transformers shifts labels itself; the answer tokens alone carry labels."""
    row = rows[0]
    ids = torch.tensor([[*row.inputs, row.targets[-1]]])
    labels = torch.full_like(ids, -100)
    labels[0, row.first_read + 1 :] = ids[0, row.first_read + 1 :]
    with torch.no_grad():
        expected = tiny.model(ids, labels=labels).loss
        batch, mask = pad([row.inputs], tiny.device)
        student = tiny.forward.logits(tiny.forward.run(batch, mask), read_mask([row], batch.shape[1], tiny.device))
        found = assemble(student, torch.tensor(row.targets), teacher_MV=None, penalties=None, weights={}).total
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


def test_every_epoch_sees_every_row_once_in_a_seeded_order(rows):
    steps = 2 * steps_per_epoch(len(rows), 7)
    first, again, other = (list(schedule(rows, batch_size=7, accumulation=1, steps=steps, seed=seed)) for seed in (5, 5, 6))
    order = [row.id for group in first for batch in group for row in batch]
    assert sorted(order[: len(rows)]) == sorted(row.id for row in rows) == sorted(order[len(rows) :])
    assert order[: len(rows)] != order[len(rows) :]
    assert order_hash(first) == order_hash(again) != order_hash(other)


@pytest.mark.parametrize(("accumulation", "steps"), [(1, 1), (1, 5), (2, 7), (3, 40)])
def test_a_schedule_has_as_many_steps_as_asked_and_none_reaches_over_an_epoch(rows, accumulation, steps):
    found = list(schedule(rows, batch_size=7, accumulation=accumulation, steps=steps, seed=1))
    assert len(found) == steps
    per_epoch = steps_per_epoch(len(rows), 7, accumulation)
    for start in range(0, steps - per_epoch + 1, per_epoch):
        ids = [row.id for group in found[start : start + per_epoch] for batch in group for row in batch]
        assert sorted(ids) == sorted(row.id for row in rows)


def test_the_learning_rate_warms_up_and_decays():
    settings = TrainingConfig(warmup_share=0.1, decay="linear")
    factors = [learning_rate_factor(step, 100, settings) for step in range(100)]
    assert factors[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert factors[-1] == pytest.approx(1 / 90)
    assert all(a >= b for a, b in itertools.pairwise(factors[10:]))
