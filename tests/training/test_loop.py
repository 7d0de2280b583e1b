import itertools
import math

import pytest
import torch

from balora_audit.config import REGULARIZERS, AdapterConfig, TrainingConfig
from balora_audit.errors import UnitError
from balora_audit.methods import METHODS
from balora_audit.methods.adapter import attach, change_norm, keep_anchor
from balora_audit.models.encode import Encoder, pad
from balora_audit.models.load import weights_hash
from balora_audit.training.examples import batches, encode_rows, order_hash
from balora_audit.training.loop import fit
from balora_audit.training.loss import assemble
from balora_audit.training.schedules import learning_rate_factor, penalty_weights
from balora_audit.training.teacher import Teacher, read_mask

SETTINGS = TrainingConfig(epochs=2, batch_size=8, learning_rate=3e-3)
ADAPTER = AdapterConfig(rank=4, alpha=4.0)


@pytest.fixture
def rows(tiny, dataset):
    return encode_rows(dataset, dataset.train[:24], Encoder(tiny.tokenizer, 128))


def train(tiny, rows, name, *, penalties=None, settings=SETTINGS):
    method = METHODS[name]
    peft_model, _ = attach(tiny.model, method, ADAPTER, seed=0)
    before = keep_anchor(peft_model)
    try:
        log = fit(
            peft_model,
            tiny.forward,
            rows,
            settings,
            penalties=penalties,
            teacher=Teacher(tiny.forward, tiny.device) if penalties else None,
            seed=0,
            device=tiny.device,
        )
        weights = {key: value.clone() for key, value in keep_anchor(peft_model).items()}
        return log, weights, change_norm(peft_model, before)
    finally:
        peft_model.unload()


@pytest.mark.parametrize("name", ["lora", "pissa"])
def test_training_lowers_the_loss_and_leaves_the_base_alone(tiny, rows, name):
    log, _, change = train(tiny, rows, name, settings=SETTINGS.model_copy(update={"epochs": 6}))
    first, last = log.curves["task"][:3], log.curves["task"][-3:]
    assert sum(last) < 0.7 * sum(first)
    assert change > 0
    assert weights_hash(tiny.model) == tiny.weights


@pytest.mark.parametrize("preset", ["iclr2026", "paper-v1"])
def test_balora_logs_all_its_terms(tiny, rows, preset):
    log, _, _ = train(tiny, rows, "balora", penalties=REGULARIZERS[preset])
    assert {"task", "consistency", "diversity", "spectral", "total"} <= set(log.last)
    assert log.curves["consistency"][0] == pytest.approx(0, abs=1e-6)  # at step 0 the student is the teacher
    assert all(value is None or math.isfinite(value) for values in log.curves.values() for value in values)


def test_zero_penalties_equal_pissa(tiny, rows):
    nothing = REGULARIZERS["paper-v1"].model_copy(update={"consistency": 0.0, "diversity": 0.0, "spectral": 0.0})
    _, plain, _ = train(tiny, rows, "pissa")
    _, penalised, _ = train(tiny, rows, "balora", penalties=nothing)
    assert all(torch.equal(plain[name], penalised[name]) for name in plain)


def test_the_same_seed_gives_the_same_weights(tiny, rows):
    _, one, _ = train(tiny, rows, "lora")
    _, two, _ = train(tiny, rows, "lora")
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_diverging_loss_is_reported(tiny, rows, monkeypatch):
    monkeypatch.setattr("balora_audit.training.loop.assemble", lambda *a, **k: _not_a_number())
    with pytest.raises(UnitError, match="not finite at step 1"):
        train(tiny, rows, "lora")
    assert weights_hash(tiny.model) == tiny.weights


def _not_a_number():
    from balora_audit.training.loss import Loss

    return Loss(total=torch.tensor(float("nan")), terms={"task": torch.tensor(float("nan"))})


def test_the_teacher_is_the_untouched_base(tiny, rows):
    peft_model, _ = attach(tiny.model, METHODS["balora"], ADAPTER, seed=0)
    try:
        with torch.no_grad():
            for parameter in peft_model.parameters():
                if parameter.requires_grad:
                    parameter.add_(0.1)
        teacher = Teacher(tiny.forward, tiny.device)
        cold = teacher.logits(peft_model, rows[:6])
        warm = teacher.logits(peft_model, rows[:6])
        mixed = teacher.logits(peft_model, rows[3:9])
    finally:
        peft_model.unload()
    ids, mask = pad([row.inputs for row in rows[:6]], tiny.device)
    with torch.no_grad():
        expected = tiny.model(input_ids=ids, attention_mask=mask).logits[read_mask(rows[:6], ids.shape[1], tiny.device)]
    assert torch.allclose(cold, expected, atol=1e-4)
    assert torch.equal(cold, warm)
    assert torch.allclose(mixed[: sum(len(r.targets) for r in rows[3:6])], cold[-sum(len(r.targets) for r in rows[3:6]) :], atol=1e-4)


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
        found = assemble(student, torch.tensor(row.targets), teacher_MV=None, penalties=None, weights=(0, 0, 0)).total
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


def test_every_epoch_sees_every_row_once_in_a_seeded_order(rows):
    order = [row.id for batch in batches(rows, batch_size=7, epochs=2, seed=5) for row in batch]
    assert sorted(order[: len(rows)]) == sorted(row.id for row in rows) == sorted(order[len(rows) :])
    assert order[: len(rows)] != order[len(rows) :]
    assert order_hash(rows, batch_size=7, epochs=2, seed=5) == order_hash(rows, batch_size=7, epochs=2, seed=5)
    assert order_hash(rows, batch_size=7, epochs=2, seed=5) != order_hash(rows, batch_size=7, epochs=2, seed=6)


def test_the_staged_schedule_ramps_as_published():
    penalties, steps = REGULARIZERS["iclr2026"], 1001
    at = {share: penalty_weights(round(share * (steps - 1)), steps, penalties) for share in (0.0, 0.19, 0.225, 0.3, 1.0)}
    assert at[0.0][0] == pytest.approx(0.025)
    assert at[1.0][0] == pytest.approx(0.0025)
    assert at[0.19][1:] == (0, 0)
    assert 0 < at[0.225][1] < 0.005
    assert at[0.3][1:] == pytest.approx((0.005, 0.005))
    assert penalty_weights(7, 10, REGULARIZERS["paper-v1"]) == (1e-4, 3e-4, 1e-4)


def test_the_learning_rate_warms_up_and_decays():
    settings = TrainingConfig(warmup_share=0.1, decay="linear")
    factors = [learning_rate_factor(step, 100, settings) for step in range(100)]
    assert factors[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert factors[-1] == pytest.approx(1 / 90)
    assert all(a >= b for a, b in itertools.pairwise(factors[10:]))
