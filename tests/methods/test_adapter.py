import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from balora_audit.config import AdapterConfig
from balora_audit.errors import ConfigurationError, ModelError, UnitError
from balora_audit.methods import METHODS
from balora_audit.methods.adapter import attach, loaded, target_modules, trainable_parameters
from balora_audit.models.load import weights_hash
from balora_audit.resources import TINY_MODEL_PATH

SETTINGS = AdapterConfig(rank=4, alpha=8.0)
TRAINED = ["lora", "pissa", "balora"]


@pytest.fixture
def ids(tiny):
    return torch.tensor([tiny.tokenizer("Anna painted the harbour in oils by the river.").input_ids])


@torch.no_grad()
def logits(model, ids):
    return model(ids).logits


@pytest.mark.parametrize("name", TRAINED)
def test_the_first_logits_are_the_base_models(tiny, ids, name):
    expected = logits(tiny.model, ids)
    peft_model, _ = attach(tiny.model, METHODS[name], SETTINGS, seed=0)
    try:
        found = logits(peft_model, ids)
    finally:
        peft_model.unload()
    assert float((found - expected).abs().max()) <= 1e-4 * float(expected.abs().max())


@pytest.mark.parametrize("name", TRAINED)
def test_switching_a_changed_adapter_off_gives_the_untouched_base(tiny, ids, name):
    expected = logits(tiny.model, ids)
    peft_model, _ = attach(tiny.model, METHODS[name], SETTINGS, seed=0)
    try:
        with torch.no_grad():
            for parameter in peft_model.parameters():
                if parameter.requires_grad:
                    parameter.add_(0.05)
        assert not torch.allclose(logits(peft_model, ids), expected, atol=1e-3)
        with peft_model.disable_adapter():
            assert torch.equal(logits(peft_model, ids), expected)
        assert weights_hash(tiny.model) == tiny.weights
    finally:
        peft_model.unload()
    assert weights_hash(tiny.model) == tiny.weights


def test_principal_factors_equal_pefts_own_up_to_sign():
    reference = AutoModelForCausalLM.from_pretrained(TINY_MODEL_PATH, dtype=torch.float32)
    ours = METHODS["pissa"].initialise(target_modules(reference, ()), SETTINGS, 0)
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
    modules = target_modules(tiny.model, ())
    one, same, other = (METHODS["lora"].initialise(modules, SETTINGS, seed) for seed in (3, 3, 4))
    name = next(iter(modules))
    assert (one[name][1] == 0).all()
    assert torch.equal(one[name][0], same[name][0])
    assert not torch.equal(one[name][0], other[name][0])
    bound = 1 / np.sqrt(modules[name].in_features)  # Kaiming-uniform with a = √5 is U(−1/√in, 1/√in)
    assert float(one[name][0].abs().max()) <= bound


def test_gradients_never_reach_the_frozen_half(tiny, ids):
    peft_model, prepared = attach(tiny.model, METHODS["pissa"], SETTINGS, seed=0)
    try:
        peft_model(ids, labels=ids).loss.backward()
        for name, parameter in peft_model.named_parameters():
            if parameter.grad is None:
                continue
            frozen = parameter.grad[prepared.rank :] if "lora_A" in name else parameter.grad[:, prepared.rank :]
            live = parameter.grad[: prepared.rank] if "lora_A" in name else parameter.grad[:, : prepared.rank]
            assert (frozen == 0).all()
            assert live.abs().max() > 0
    finally:
        peft_model.unload()


def test_lora_and_pissa_train_the_same_number_of_parameters(tiny):
    counts = []
    for name in ("lora", "pissa"):
        peft_model, prepared = attach(tiny.model, METHODS[name], SETTINGS, seed=0)
        counts.append(trainable_parameters(peft_model, prepared))
        peft_model.unload()
    modules = target_modules(tiny.model, ()).values()
    assert counts == [sum(4 * (m.in_features + m.out_features) for m in modules)] * 2


@pytest.mark.parametrize("name", TRAINED)
def test_a_saved_adapter_loads_with_plain_peft_on_the_untouched_base(tiny, ids, tmp_path, name):
    peft_model, _ = attach(tiny.model, METHODS[name], SETTINGS, seed=0)
    try:
        with torch.no_grad():
            for key, parameter in peft_model.named_parameters():
                if parameter.requires_grad:
                    rank = SETTINGS.rank
                    part = parameter[:rank] if "lora_A" in key else parameter[:, :rank]
                    part.add_(0.02)
        expected = logits(peft_model, ids)
        peft_model.save_pretrained(tmp_path)
    finally:
        peft_model.unload()
    assert not list(tmp_path.glob("*.bin"))
    fresh = AutoModelForCausalLM.from_pretrained(TINY_MODEL_PATH, dtype=torch.float32)
    plain = PeftModel.from_pretrained(fresh, str(tmp_path))
    found = logits(plain, ids)
    assert float((found - expected).abs().max()) <= 1e-3 * float(expected.abs().max())
    with loaded(tiny.model, tmp_path) as again:
        assert torch.allclose(logits(again, ids), expected, atol=1e-5)
    assert weights_hash(tiny.model) == tiny.weights


@pytest.mark.parametrize("name", TRAINED)
def test_an_untrained_adapter_is_refused(tiny, tmp_path, name):
    peft_model, _ = attach(tiny.model, METHODS[name], SETTINGS, seed=0)
    peft_model.save_pretrained(tmp_path)
    peft_model.unload()
    with pytest.raises(UnitError, match="zero"), loaded(tiny.model, tmp_path):
        pass


def test_a_folder_without_an_adapter_is_refused(tiny, tmp_path):
    with pytest.raises(ModelError, match="not a PEFT adapter"), loaded(tiny.model, tmp_path):
        pass


def test_a_rank_that_no_matrix_allows_is_refused(tiny):
    with pytest.raises(ConfigurationError, match="rank 1000 is larger"):
        attach(tiny.model, METHODS["pissa"], AdapterConfig(rank=1000), seed=0)


def test_modules_that_do_not_exist_are_refused_with_the_names_there_are(tiny):
    with pytest.raises(ConfigurationError, match="q_proj"):
        target_modules(tiny.model, ("query",))
