"""The fused head against whole logits in float64, and architectures whose logits are changed after the head."""

import pytest
import torch
from transformers import Gemma2Config, Gemma2ForCausalLM

from balora_audit import penalties as penalties_package
from balora_audit.config import AdapterConfig, TrainingConfig
from balora_audit.methods import METHODS
from balora_audit.methods.adapter import attach
from balora_audit.models.forward import CausalForward
from balora_audit.models.load import LoadedModel
from balora_audit.penalties import REGULARIZERS
from balora_audit.training import fused
from balora_audit.training.examples import TrainingRow
from balora_audit.training.fused import Head, can_fuse, fused_loss
from balora_audit.training.loop import Trainer
from balora_audit.training.loss import assemble, assemble_regression
from balora_audit.training.objective import objective_for
from balora_audit.training.process_group import ProcessGroup
from balora_audit.training.teacher import Teacher

WEIGHTS = {"consistency": 0.3, "diversity": 0.2, "spectral": 0.5}


def problem(positions, hidden, words, *, bias, seed=0):
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(words, hidden, generator=generator) * 0.3
    states = torch.randn(positions, hidden, generator=generator).requires_grad_()
    teacher = torch.randn(positions, hidden, generator=generator)
    targets = torch.randint(0, words, (positions,), generator=generator)
    return Head(weight, torch.randn(words, generator=generator) if bias else None), states, teacher, targets


@pytest.mark.parametrize("preset", ["iclr2026", "paper-v1"])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(1, 8, 30), (7, 16, 50), (40, 12, 200), (30, 60, 41)])
@pytest.mark.parametrize("chunk", [1, 7, None])
def test_chunks_equal_whole_logits_in_float64(monkeypatch, preset, bias, shape, chunk):
    head, states, teacher, targets = problem(*shape, bias=bias)
    if chunk is not None:
        monkeypatch.setattr(fused, "_CHUNK_BYTES", chunk * 4 * shape[2])
    check_against_whole_logits(head, states, teacher, targets, REGULARIZERS[preset]["nlg"], WEIGHTS)


def check_against_whole_logits(head, states, teacher, targets, penalties, weights):
    loss = fused_loss(states, head, targets, teacher_MD=teacher, penalties=penalties, weights=weights)
    loss.total.backward()
    exact = states.detach().double().requires_grad_()
    bias_V = 0.0 if head.bias_V is None else head.bias_V.double()
    student_MV, teacher_MV = (x @ head.weight_VD.double().T + bias_V for x in (exact, teacher.double()))
    expected = assemble(student_MV, targets, teacher_MV=teacher_MV, penalties=penalties, weights=weights)
    expected.total.backward()
    assert list(loss.terms) == list(expected.terms)
    for name, term in expected.terms.items():
        assert float(loss.terms[name].detach()) == pytest.approx(float(term.detach()), rel=1e-5, abs=1e-5), name
    scale = float(exact.grad.abs().max())
    assert float((states.grad - exact.grad).abs().max()) <= 2e-5 * scale


@pytest.mark.parametrize("temperature", [0.7, 1.0, 2.0, 3.0])
@pytest.mark.parametrize("top_k", [None, 5, 500])
@pytest.mark.parametrize("names", [("consistency",), ("diversity",), ("consistency", "diversity"), ("diversity", "spectral")])
def test_every_shape_and_choice_of_terms_equals_whole_logits(temperature, top_k, names):
    penalties = REGULARIZERS["iclr2026"]["nlg"].override({"temperature": temperature, "top_k": top_k})
    head, states, teacher, targets = problem(12, 16, 50, bias=True)
    check_against_whole_logits(head, states, teacher, targets, penalties, {name: WEIGHTS[name] for name in names})


@pytest.mark.parametrize("preset", ["iclr2026", "paper-v1"])
def test_the_order_of_the_table_does_not_matter(monkeypatch, preset):
    """At T = 1 the divergence scales the softmax, which must not scale what another term has added before it."""
    monkeypatch.setattr(penalties_package, "PENALTIES", dict(reversed(penalties_package.PENALTIES.items())))
    head, states, teacher, targets = problem(12, 16, 50, bias=False)
    check_against_whole_logits(head, states, teacher, targets, REGULARIZERS[preset]["nlg"], WEIGHTS)


@pytest.mark.parametrize(
    ("changes", "fuses"),
    [({}, True), ({"diversity_form": "covariance"}, False), ({"consistency_form": "mse"}, False),
     ({"consistency_form": "mse", "consistency": 0.0}, True)],
)  # fmt: skip
def test_a_form_without_a_fused_part_takes_the_plain_path_while_it_is_active(changes, fuses):
    assert can_fuse(REGULARIZERS["iclr2026"]["nlg"].override(changes)) is fuses
    assert can_fuse(None)


def test_a_term_on_the_teacher_without_the_teacher_is_refused():
    head, states, _, targets = problem(5, 8, 30, bias=False)
    penalties, weights = REGULARIZERS["iclr2026"]["nlg"], {"consistency": 0.1}
    with pytest.raises(ValueError, match="no teacher's states"):
        fused_loss(states, head, targets, teacher_MD=None, penalties=penalties, weights=weights)
    with pytest.raises(ValueError, match="no teacher's output"):
        assemble(head.logits(states), targets, teacher_MV=None, penalties=penalties, weights=weights)


def test_on_a_single_output_only_the_distance_from_the_teacher_counts():
    student, teacher, targets = torch.tensor([1.0, 2.0]), torch.tensor([0.0, 2.0]), torch.tensor([1.0, 4.0])
    loss = assemble_regression(student, targets, teacher_M=teacher, penalties=REGULARIZERS["iclr2026"]["nlu"], weights=WEIGHTS)
    assert {name: float(term) for name, term in loss.terms.items()} == {"task": 2.0, "consistency": 0.5}  # (0 + 4)/2 and (1 + 0)/2
    assert float(loss.total) == pytest.approx(2.0 + 0.3 * 0.5)


def test_a_head_of_deficient_rank_has_the_same_spectrum():
    weight = torch.randn(50, 3) @ torch.randn(3, 8)
    head, states = Head(weight, None), torch.randn(10, 8)
    ours = torch.linalg.svdvals(head.reduced(states))
    assert torch.allclose(ours, torch.linalg.svdvals(states @ weight.T)[: len(ours)], rtol=1e-4, atol=1e-3)


def test_terms_of_weight_zero_are_not_computed():
    head, states, _, targets = problem(5, 8, 30, bias=False)
    loss = fused_loss(states, head, targets, teacher_MD=None, penalties=REGULARIZERS["iclr2026"]["nlg"], weights={})
    assert set(loss.terms) == {"task"}
    expected = torch.nn.functional.cross_entropy(head.logits(states), targets)
    assert float(loss.total.detach()) == pytest.approx(float(expected.detach()), rel=1e-6)


@pytest.fixture(scope="module")
def capped():
    """A small Gemma 2 with random weights: its logits are soft-capped after the head."""
    torch.manual_seed(0)
    model = Gemma2ForCausalLM(
        Gemma2Config(
            vocab_size=90, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
            head_dim=8, final_logit_softcapping=2.0, max_position_embeddings=64, initializer_range=0.6, attn_implementation="eager",
        )
    )  # fmt: skip
    model.eval().requires_grad_(False)
    cpu = torch.device("cpu")
    loaded = LoadedModel(
        model=model, tokenizer=None, forward=CausalForward(model), device=cpu, dtype=torch.float32, weights="", limit_tokens=64
    )
    loaded.weights = loaded.current_weights()
    return loaded


def test_logits_that_are_changed_after_the_head_are_the_models_own(capped):
    """Cross-entropy and teacher come from the capped logits: anything else would be another model's loss."""
    assert capped.forward.linear_head is None
    rows = [TrainingRow(id=str(i), inputs=(5 + i, 7, 9, 11), first_read=1, targets=(9, 11, 13)) for i in range(4)]
    penalties = REGULARIZERS["iclr2026"]["nlg"].model_copy(update={"schedule": "constant"})
    attached = attach(capped, METHODS["balora"], AdapterConfig(rank=2, alpha=2.0), seed=0)
    try:
        objective = objective_for(capped, None, Teacher(capped), penalties, ProcessGroup(), regression=False)
        settings = TrainingConfig(batch_size=4, learning_rate=1e-2, epochs=5)
        trainer = Trainer(attached, objective, settings, learning_rate=1e-2, penalties=penalties, seed=0, device=capped.device)
        with torch.no_grad():
            ids = torch.tensor([row.inputs for row in rows])
            logits = capped.model(ids).logits[:, 1:].reshape(-1, 90)
        expected = torch.nn.functional.cross_entropy(logits, torch.tensor([t for row in rows for t in row.targets]))
        log = trainer.fit(rows)
    finally:
        attached.detach()
    assert log.curves["task"][0] == pytest.approx(float(expected), rel=1e-4)
    assert log.curves["consistency"][0] == pytest.approx(0, abs=1e-5)
    assert log.curves["task"][-1] < log.curves["task"][0]
    assert capped.current_weights() == capped.weights
