"""Adapters trained abreast end where each ends alone; one that fails touches no other."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from balora_audit.errors import UnitError, Unusable
from balora_audit.methods import METHODS
from balora_audit.methods.abreast import rows_stay_apart
from balora_audit.methods.adapter import target_modules
from balora_audit.models.forward import CausalForward
from balora_audit.models.load import HeadSpec, LoadedModel, load, weights_hash
from balora_audit.models.locate import locate
from balora_audit.progress import Silent
from balora_audit.training.process_group import ProcessGroup
from balora_audit.training.workshop import Made, Workshop

RATES = (1e-3, 3e-3, 1e-2)
DIVERGES = 1e30


@pytest.fixture
def jobs(job, under):
    """Return a function that makes jobs which differ in learning rate and folder, named by where they are trained."""

    def make(where, rates=RATES, **training):
        return [job(f"{where}-{rate:g}", under(learning_rate=rate, **training)) for rate in rates]

    return make


def adapter(folder):
    return load_file(folder / "adapter_model.safetensors")


def assert_same_adapter(one, two, *, start, tolerance=2e-4):
    """`tolerance` is relative to the largest change since the start, so that what did not move cannot hide what did."""
    found, expected, initial = adapter(one), adapter(two), adapter(start)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        moved = float((value - initial[key]).abs().max())
        assert float((found[key] - value).abs().max()) <= tolerance * moved + 1e-7, key


@pytest.fixture
def start(open_workshop, job, tmp_path):
    """Return a function that gives the folder of a method's untrained adapter."""

    def make(name):
        attached = METHODS[name].attach(open_workshop(), 0)
        attached.write_back()
        attached.save(tmp_path / "start")
        attached.detach()
        return tmp_path / "start"

    return make


@torch.no_grad()
def logits(method, base, folder):
    ids = torch.tensor([base.tokenizer("Anna painted the harbour in oils by the river.").input_ids])
    with METHODS[method].place(base, folder):
        return base.model(ids).logits


@pytest.mark.parametrize("name", ["lora", "pissa", "balora", "rslora"])
@pytest.mark.parametrize("accumulation", [1, 2])
def test_together_is_one_by_one(tiny, open_workshop, jobs, start, name, accumulation):
    """21 rows in batches of 8: the last batch of an epoch is smaller than the others."""
    method, workshop = METHODS[name], open_workshop()
    together, alone = jobs("together", accumulation=accumulation), jobs("alone", accumulation=accumulation)
    assert method.can_train_together(workshop, together)
    found = method.make_together(workshop, together)
    expected = [method.make(workshop, each) for each in alone]
    initial = start(name)
    for one, two, a, b in zip(together, alone, found, expected, strict=True):
        assert_same_adapter(one.output.folder, two.output.folder, start=initial)
        assert a.order_sha256 == b.order_sha256
        assert a.passes == b.passes == 2 * 21
        assert a.curves.keys() == b.curves.keys()
        for term, values in b.curves.items():
            assert a.curves[term] == pytest.approx(values, rel=1e-4, abs=1e-5), term
        assert a.cell.keys() == b.cell.keys()
        assert a.cell["trainable_parameters"] == b.cell["trainable_parameters"]
        assert a.cell["notes"][:-1] == b.cell["notes"]
        assert "in one pass with 2 other learning rates" in a.cell["notes"][-1]
        assert sorted(path.name for path in one.output.folder.iterdir()) == sorted(path.name for path in two.output.folder.iterdir())
        configs = [json.loads((each.output.folder / "adapter_config.json").read_text()) for each in (one, two)]
        assert configs[0] == configs[1]
        ours, theirs = logits(name, tiny, one.output.folder), logits(name, tiny, two.output.folder)
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3 * float(theirs.abs().max()))
    assert not torch.equal(*(next(iter(adapter(each.output.folder).values())) for each in together[:2]))
    assert weights_hash(tiny.model) == tiny.weights


def test_in_bfloat16_the_first_losses_are_those_of_one_by_one(open_workshop, jobs):
    base = load(locate("tiny"), device=torch.device("cpu"), dtype=torch.bfloat16)
    workshop = open_workshop(base=base)
    found = METHODS["balora"].make_together(workshop, jobs("together"))
    expected = [METHODS["balora"].make(workshop, each) for each in jobs("alone")]
    for a, b in zip(found, expected, strict=True):
        assert a.curves["task"][:3] == pytest.approx(b.curves["task"][:3], rel=0.05)
    assert base.current_weights() == base.weights


@pytest.mark.parametrize("name", ["lora", "balora"])
def test_one_that_diverges_leaves_and_the_others_go_on_as_if_it_had_never_been_there(tiny, open_workshop, jobs, start, name):
    method, workshop = METHODS[name], open_workshop()
    steep = {"warmup_share": 0.0}
    with_it = jobs("with", (RATES[0], DIVERGES, RATES[2]), **steep)
    without = jobs("without", (RATES[0], RATES[2]), **steep)
    found, expected = method.make_together(workshop, with_it), method.make_together(workshop, without)
    (alone,) = jobs("alone", (DIVERGES,), **steep)
    with pytest.raises(UnitError, match="not finite at step 2 of 6") as raised:
        method.make(workshop, alone)
    failed = found.pop(1)
    assert isinstance(failed, UnitError)
    said, kept = (str(error).split("(")[0] for error in (failed, raised.value))
    assert said == kept
    assert "its last good state is kept in with-1e+30.diverged" in str(failed)
    assert not with_it[1].output.folder.exists()
    last_good = adapter(with_it[1].output.folder.with_name("with-1e+30.diverged"))
    assert all(value.isfinite().all() for value in last_good.values())
    initial = start(name)
    for index, (a, b) in enumerate(zip(found, expected, strict=True)):
        assert isinstance(a, Made)
        assert a.cell["steps"] == b.cell["steps"] == 6
        assert_same_adapter(with_it[2 * index].output.folder, without[index].output.folder, start=initial)
    assert weights_hash(tiny.model) == tiny.weights


def test_when_all_diverge_all_are_told(open_workshop, jobs):
    found = METHODS["lora"].make_together(open_workshop(), jobs("all", (1e29, 1e30), warmup_share=0.0))
    assert [type(each) for each in found] == [Unusable, Unusable]


def test_an_interrupted_group_goes_on_where_all_of_it_stands(open_workshop, jobs, start, monkeypatch):
    """Checkpoints come every two steps; the interruption is in the fourth, after one checkpoint."""
    method, workshop = METHODS["balora"], open_workshop()
    expected = method.make_together(workshop, jobs("whole"))
    interrupted, steps = jobs("interrupted"), []

    def advance(count):
        steps.append(count)
        if len(steps) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(workshop.progress, "advance", advance)
    with pytest.raises(KeyboardInterrupt):
        method.make_together(workshop, interrupted)
    steps.clear()
    monkeypatch.setattr(workshop.progress, "advance", steps.append)
    found = method.make_together(workshop, interrupted)
    assert steps == [2, 1, 1, 1, 1]
    for a, b, one, two in zip(found, expected, interrupted, jobs("whole"), strict=True):
        assert a.curves == b.curves
        assert all(torch.equal(value, adapter(two.output.folder)[key]) for key, value in adapter(one.output.folder).items())


def refusals():
    def other_rows(jobs):
        return [jobs[0], replace(jobs[1], train=jobs[1].train[::-1])]

    def changed(**changes):
        return lambda jobs: [jobs[0], replace(jobs[1], **changes)]

    def trained(**changes):
        def change(jobs):
            return [
                replace(job, recipe=replace(job.recipe, training=job.recipe.training.model_copy(update=value)))
                for job, value in zip(jobs, [{name: values[i] for name, values in changes.items()} for i in (0, 1)], strict=True)
            ]

        return change

    def second(part, **changes):
        def change(jobs):
            recipe = jobs[1].recipe
            return [jobs[0], replace(jobs[1], recipe=replace(recipe, **{part: getattr(recipe, part).model_copy(update=changes)}))]

        return change

    return {
        "one job": lambda jobs: jobs[:1],
        "other rows": other_rows,
        "another seed": changed(seed=1),
        "other steps": changed(steps=3),
        "the workshop's recipe, which has another batch size": lambda jobs: [
            replace(jobs[0], recipe=None),
            *trained(batch_size=(4, 4))(jobs),
        ],
        "other epochs": trained(epochs=(1, 2)),
        "early stopping": trained(patience=(1, 1)),
        "checkpointed activations": trained(gradient_checkpointing=(True, True)),
        "another rank": second("adapter", rank=2),
        "other penalties": second("penalties", diversity=0.5),
    }


@pytest.mark.parametrize("name", refusals())
def test_what_cannot_be_trained_together_is_refused(open_workshop, jobs, name):
    workshop, chosen = open_workshop(), refusals()[name](jobs("refused", RATES[:2]))
    assert not METHODS["balora"].can_train_together(workshop, chosen)
    with pytest.raises(ValueError, match="cannot be trained together"):
        METHODS["balora"].make_together(workshop, chosen)


def test_dora_dropout_and_several_processes_are_refused(open_workshop, jobs, job, under):
    pair = jobs("refused", RATES[:2])
    assert METHODS["lora"].can_train_together(open_workshop(), pair)
    assert not METHODS["dora"].can_train_together(open_workshop(), pair)
    assert not METHODS["lora"].can_train_together(open_workshop(process_group=ProcessGroup(size=2)), pair)
    dropping = [job(str(rate), under(adapter={"dropout": 0.1}, learning_rate=rate)) for rate in RATES]
    assert not METHODS["lora"].can_train_together(open_workshop(), dropping)


def held(model):
    model.eval().requires_grad_(False)
    cpu = torch.device("cpu")
    return LoadedModel(
        model=model, tokenizer=None, forward=CausalForward(model), device=cpu, dtype=torch.float32, weights="", limit_tokens=64
    )


@pytest.mark.parametrize(("dropout", "expected"), [(0.0, True), (0.1, False)])
def test_a_base_that_draws_random_numbers_in_training_is_told(dropout, expected):
    config = GPT2Config(
        vocab_size=60, n_positions=32, n_embd=16, n_layer=1, n_head=2, resid_pdrop=dropout, attn_pdrop=dropout, embd_pdrop=dropout
    )
    assert rows_stay_apart(held(GPT2LMHeadModel(config)), {}) is expected


class Experts(torch.nn.Module):
    """A layer that sees the tokens of a batch in one list, as the experts of a mixture do, and one that nothing reaches."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.expert, self.idle = inner, torch.nn.Linear(16, 16), torch.nn.Linear(16, 16)

    def forward(self, x):
        return self.inner(x) + self.expert(x.reshape(-1, 16)).view(x.shape)


def test_layers_that_see_no_rows_are_told():
    base = held(
        LlamaForCausalLM(LlamaConfig(vocab_size=60, hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2))
    )
    base.model.model.layers[0].mlp = Experts(base.model.model.layers[0].mlp)
    layers = target_modules(base.model, (), head=base.head)
    inside = {name.rsplit(".", 1)[-1]: {name: layer} for name, layer in layers.items()}
    assert {name: rows_stay_apart(base, one) for name, one in inside.items()} == {name: name not in ("expert", "idle") for name in inside}


def test_a_classifier_is_refused(dataset, tmp_path, jobs):
    head = HeadSpec(kind="classifier", outputs=3)
    base = load(locate("tiny"), device=torch.device("cpu"), dtype=torch.float32, head=head)
    pair = [replace(each, recipe=replace(each.recipe, head=head)) for each in jobs("refused", RATES[:2])]
    workshop = Workshop(base, pair[0].recipe, dataset, teacher_identity={}, progress=Silent(), process_group=ProcessGroup())
    assert not METHODS["lora"].can_train_together(workshop, pair)
