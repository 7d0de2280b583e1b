"""Full fine-tuning moves the head too: it has its gradient, and the teacher keeps the original one."""

import pytest
import torch
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM

from balora_audit.config import AdapterConfig
from balora_audit.methods import METHODS
from balora_audit.methods.adapter import attach
from balora_audit.methods.full import FullTuning
from balora_audit.models.classifier import ClassifierForward
from balora_audit.models.forward import CausalForward
from balora_audit.models.load import HeadSpec, LoadedModel, load
from balora_audit.models.locate import locate
from balora_audit.penalties import REGULARIZERS
from balora_audit.training.examples import TrainingRow
from balora_audit.training.fused import Head
from balora_audit.training.objective import kept_head, objective_for
from balora_audit.training.process_group import ProcessGroup
from balora_audit.training.teacher import Teacher

ROWS = [TrainingRow(id=str(i), inputs=(5 + i, 7, 9, 11), first_read=1, targets=(9, 11, 13)) for i in range(4)]
TARGETS = torch.tensor([target for row in ROWS for target in row.targets])
IDS = torch.tensor([row.inputs for row in ROWS])
ALL_ON = {"consistency": 0.5, "diversity": 0.1, "spectral": 0.1}


def small(*, tied):
    """A Llama of random weights, its head tied to the embeddings or not."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 64}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=90, tie_word_embeddings=tied, initializer_range=0.3, **sizes))
    model.eval().requires_grad_(False)
    cpu = torch.device("cpu")
    return LoadedModel(
        model=model, tokenizer=None, forward=CausalForward(model), device=cpu, dtype=torch.float32, weights="", limit_tokens=64
    )


def logits_of(model):
    return model(IDS).logits[:, 1:].reshape(-1, model.config.vocab_size)


def objective(base, tuned, penalties, *, keep=True):
    fused = Head(base.forward.linear_head.weight, None) if isinstance(base.forward, CausalForward) else None
    kept = kept_head(base, tuned.parameters.values()) if keep else None
    return objective_for(base, fused, Teacher(base), penalties, ProcessGroup(), regression=False, teacher_head=kept)


def consistency(made, tuned, rows, positions):
    return float(made(tuned, rows, ALL_ON, positions=positions).terms["consistency"].detach())


def moved(tuned, size=0.05):
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in tuned.parameters.values():
            parameter.add_(size * torch.randn(parameter.shape, generator=generator))


@pytest.mark.parametrize("tied", [True, False])
def test_every_weight_has_the_gradient_of_the_whole_loss(tied):
    base = small(tied=tied)
    tuned = FullTuning(base)
    objective(base, tuned, None)(tuned, ROWS, {}, positions=12).total.backward()
    found = {name: parameter.grad.clone() for name, parameter in tuned.parameters.items()}
    base.model.zero_grad()
    functional.cross_entropy(logits_of(base.model), TARGETS).backward()
    for name, parameter in tuned.parameters.items():
        torch.testing.assert_close(found[name], parameter.grad, rtol=1e-4, atol=1e-6)
    head = base.model.get_output_embeddings().weight
    assert float(head.grad.abs().max()) > 0
    tuned.detach()


@pytest.mark.parametrize("tied", [True, False])
def test_the_teacher_keeps_the_original_head_while_the_students_moves(tied):
    base = small(tied=tied)
    with torch.no_grad():
        original = logits_of(base.model)
    penalties = REGULARIZERS["iclr2026"]["nlg"].model_copy(update={"schedule": "constant"})
    tuned = FullTuning(base)
    kept, follows = objective(base, tuned, penalties), objective(base, tuned, penalties, keep=False)
    moved(tuned)
    with torch.no_grad():
        student = logits_of(base.model)
    # T²·KL(softmax(Z_P/T) ‖ softmax(Z_F/T)) per position, T = 2
    expected = 4 * functional.kl_div((student / 2).log_softmax(1), (original / 2).log_softmax(1), log_target=True, reduction="batchmean")
    assert consistency(kept, tuned, ROWS, 12) == pytest.approx(float(expected), rel=1e-4)
    assert consistency(follows, tuned, ROWS, 12) != pytest.approx(float(expected), rel=1e-2)
    tuned.detach()


def test_a_classifiers_teacher_keeps_the_original_head_too():
    base = load(locate("tiny"), device=torch.device("cpu"), dtype=torch.float32, head=HeadSpec(kind="classifier", outputs=3))
    assert isinstance(base.forward, ClassifierForward)
    rows = [TrainingRow(id=str(i), inputs=(5 + i, 7, 9, 11), first_read=3, targets=(i % 3,)) for i in range(4)]
    generator = torch.Generator().manual_seed(2)
    base.forward.set_head(torch.randn(base.forward.head.weight.shape, generator=generator), torch.zeros(3))
    penalties = REGULARIZERS["iclr2026"]["nlu"]
    tuned = FullTuning(base)
    loss = objective(base, tuned, penalties)
    with torch.no_grad():
        base.forward.head.weight.add_(torch.randn(base.forward.head.weight.shape, generator=generator))
        student = base.forward.logits(base.forward.features(IDS, torch.ones_like(IDS)))
        with tuned.disable():
            teacher = base.forward.logits(base.forward.features(IDS, torch.ones_like(IDS)))
    found = consistency(loss, tuned, rows, 4)
    temperature = penalties.temperature
    log_student, log_teacher = (student / temperature).log_softmax(1), (teacher / temperature).log_softmax(1)
    expected = temperature**2 * functional.kl_div(log_student, log_teacher, log_target=True, reduction="batchmean")
    assert found == pytest.approx(float(expected), rel=1e-4)
    assert found > 0
    tuned.detach()


def test_an_adapter_leaves_the_head_alone_so_nothing_is_kept(tiny):
    attached = attach(tiny, METHODS["pissa"], AdapterConfig(rank=2), seed=0)
    try:
        assert kept_head(tiny, attached.parameters.values()) is None
    finally:
        attached.detach()
