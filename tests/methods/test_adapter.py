import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from balora_audit.config import AdapterConfig
from balora_audit.errors import ConfigurationError, ModelError, UnitError
from balora_audit.methods import METHODS
from balora_audit.methods.adapter import attach, loaded, target_modules
from balora_audit.models.load import load, weights_hash
from balora_audit.models.locate import locate
from balora_audit.resources import TINY_MODEL_PATH

SETTINGS = AdapterConfig(rank=4, alpha=8.0)
TRAINED = ["lora", "pissa", "balora", "rslora", "olora"]


@pytest.fixture
def ids(tiny):
    return torch.tensor([tiny.tokenizer("Anna painted the harbour in oils by the river.").input_ids])


@torch.no_grad()
def logits(model, ids):
    return model(ids).logits


@pytest.mark.parametrize("name", TRAINED)
def test_the_first_logits_are_the_base_models(tiny, ids, name):
    expected = logits(tiny.model, ids)
    attached = attach(tiny, METHODS[name], SETTINGS, seed=0)
    try:
        found = logits(attached.model, ids)
    finally:
        attached.detach()
    assert float((found - expected).abs().max()) <= 1e-4 * float(expected.abs().max())


@pytest.mark.parametrize("name", TRAINED)
def test_switching_a_changed_adapter_off_gives_the_untouched_base(tiny, ids, name):
    expected = logits(tiny.model, ids)
    attached = attach(tiny, METHODS[name], SETTINGS, seed=0)
    try:
        with torch.no_grad():
            for parameter in attached.parameters.values():
                parameter.add_(0.05)
        assert not torch.allclose(logits(attached.model, ids), expected, atol=1e-3)
        with attached.disable():
            assert torch.equal(logits(attached.model, ids), expected)
        assert weights_hash(tiny.model) == tiny.weights
    finally:
        attached.detach()
    assert weights_hash(tiny.model) == tiny.weights


def test_principal_factors_equal_pefts_own_up_to_sign():
    reference = AutoModelForCausalLM.from_pretrained(TINY_MODEL_PATH, dtype=torch.float32)
    ours = METHODS["pissa"].initialise(target_modules(reference, (), head=reference.get_output_embeddings()), 4, 2.0, 0)
    names = sorted(ours)
    peft_model = get_peft_model(reference, LoraConfig(r=4, lora_alpha=8, target_modules=names, init_lora_weights="pissa"))
    for name in names:
        layer = peft_model.get_submodule(f"base_model.model.{name}")
        product = (layer.lora_B["default"].weight @ layer.lora_A["default"].weight).detach()
        a_RI, b_OR = ours[name]
        assert torch.allclose(b_OR @ a_RI, product, atol=1e-4 * float(product.abs().max()))
        for row, theirs in zip(a_RI, layer.lora_A["default"].weight, strict=True):
            assert min(float((row - sign * theirs.detach()).abs().max()) for sign in (1, -1)) <= 1e-3


def test_lora_starts_with_zero_b_and_is_seeded(tiny):
    modules = target_modules(tiny.model, (), head=tiny.head)
    one, same, other = (METHODS["lora"].initialise(modules, 4, 2.0, seed) for seed in (3, 3, 4))
    name = next(iter(modules))
    assert (one[name][1] == 0).all()
    assert torch.equal(one[name][0], same[name][0])
    assert not torch.equal(one[name][0], other[name][0])
    bound = 1 / np.sqrt(modules[name].in_features)  # Kaiming-uniform with a = √5 is U(−1/√in, 1/√in)
    assert float(one[name][0].abs().max()) <= bound


def fill(attached, size=0.02):
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in attached.parameters.values():
            parameter.add_(size * torch.randn(parameter.shape, generator=generator))


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_fast_layers_give_pefts_own_values_and_gradients(tiny, ids, name, dtype):
    """PEFT runs the written-back adapter with its own layers and autograd."""
    base = tiny if dtype == torch.float32 else load(locate("tiny"), device=torch.device("cpu"), dtype=dtype)
    attached = attach(base, METHODS[name], SETTINGS, seed=0)
    try:
        fill(attached)
        fast = attached.model(ids, labels=ids)
        fast.loss.backward()
        gradients = {key: parameter.grad.clone() for key, parameter in attached.parameters.items()}
        attached.write_back()
        own = {key: p for key, p in attached.model.named_parameters() if ".lora_" in key}
        for parameter in own.values():
            parameter.requires_grad_(True)
            parameter.grad = None
        plain = attached.model(ids, labels=ids)
        plain.loss.backward()
        close = {"rtol": 1e-4, "atol": 1e-6} if dtype == torch.float32 else {"rtol": 0.05, "atol": 0.02}
        torch.testing.assert_close(fast.logits, plain.logits, **({"rtol": 1e-4, "atol": 1e-4} if dtype == torch.float32 else close))
        for key, found in gradients.items():
            expected = own[key].grad[: found.shape[0], : found.shape[1]]
            scale = float(expected.abs().max())
            torch.testing.assert_close(found / scale, expected / scale, **close)
    finally:
        attached.detach()


def test_the_anchor_stays_what_it_was(tiny):
    attached = attach(tiny, METHODS["pissa"], SETTINGS, seed=0)
    try:
        before = {key: p.detach().clone() for key, p in attached.model.named_parameters() if ".lora_" in key}
        fill(attached)
        attached.write_back()
        rank = SETTINGS.rank
        for key, parameter in attached.model.named_parameters():
            if ".lora_" in key:
                now, then = (parameter, before[key]) if "lora_A" in key else (parameter.T, before[key].T)
                assert torch.equal(now[rank:], then[rank:])
                assert not torch.equal(now[:rank], then[:rank])
    finally:
        attached.detach()


def test_lora_and_pissa_train_the_same_number_of_parameters(tiny):
    counts = []
    for name in ("lora", "pissa"):
        attached = attach(tiny, METHODS[name], SETTINGS, seed=0)
        counts.append(attached.count)
        attached.detach()
    modules = target_modules(tiny.model, (), head=tiny.head).values()
    assert counts == [sum(4 * (m.in_features + m.out_features) for m in modules)] * 2


@pytest.mark.parametrize("name", TRAINED)
def test_a_saved_adapter_loads_with_plain_peft_on_the_untouched_base(tiny, ids, tmp_path, name):
    attached = attach(tiny, METHODS[name], SETTINGS, seed=0)
    try:
        fill(attached)
        expected = logits(attached.model, ids)
        attached.write_back()
        attached.save(tmp_path)
    finally:
        attached.detach()
    assert not list(tmp_path.glob("*.bin"))
    fresh = AutoModelForCausalLM.from_pretrained(TINY_MODEL_PATH, dtype=torch.float32)
    plain = PeftModel.from_pretrained(fresh, str(tmp_path))
    found = logits(plain, ids)
    assert float((found - expected).abs().max()) <= 1e-3 * float(expected.abs().max())
    with loaded(tiny, tmp_path) as disabled:
        assert torch.allclose(logits(tiny.model, ids), expected, atol=1e-4)
        with disabled():
            assert not torch.allclose(logits(tiny.model, ids), expected, atol=1e-4)
    assert weights_hash(tiny.model) == tiny.weights


@pytest.mark.parametrize("name", TRAINED)
def test_an_untrained_adapter_is_refused(tiny, tmp_path, name):
    attached = attach(tiny, METHODS[name], SETTINGS, seed=0)
    attached.write_back()
    attached.save(tmp_path)
    attached.detach()
    with pytest.raises(UnitError, match="zero"), loaded(tiny, tmp_path):
        pass


def test_a_folder_without_an_adapter_is_refused(tiny, tmp_path):
    with pytest.raises(ModelError, match="not a PEFT adapter"), loaded(tiny, tmp_path):
        pass


def test_a_rank_that_no_matrix_allows_is_refused(tiny):
    with pytest.raises(ConfigurationError, match="rank 1000 is larger"):
        attach(tiny, METHODS["pissa"], AdapterConfig(rank=1000), seed=0)


def test_modules_that_do_not_exist_are_refused_with_the_names_there_are(tiny):
    with pytest.raises(ConfigurationError, match="q_proj"):
        target_modules(tiny.model, ("query",))
