"""The analysis of changed weights against PEFT's own merged weights and whole decompositions."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import GPT2Config, GPT2LMHeadModel

from balora_audit.config import AdapterConfig
from balora_audit.methods import METHODS
from balora_audit.methods.adapter import adapter_changes, attach
from balora_audit.methods.full import FullTuning
from balora_audit.metrics import singular_values
from balora_audit.models.decompositions import Decompositions
from balora_audit.models.placed import Placed
from balora_audit.scoring import Reader, ScoreRequest, score

SETTINGS = AdapterConfig(rank=4, alpha=8)


def analysed(placed, *, modules, vectors):
    settings = (("modules", modules), ("vectors", vectors))
    return score(ScoreRequest(key="weights", kind="weights", ids=(), texts=(), settings=settings), Reader(placed=placed, encoder=None))


def disturbed(tuned, folder, size):
    """Move every trainable number a little and save."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in tuned.parameters.values():
            parameter += size * torch.randn(parameter.shape, generator=generator)
    tuned.write_back()
    tuned.save(folder)
    tuned.detach()


def linear(model):
    head = model.get_output_embeddings()
    return {n: m.weight.detach().double().numpy() for n, m in model.named_modules() if isinstance(m, torch.nn.Linear) and m is not head}


def check(found, before, after):
    assert found.names == tuple(before)
    for index, name in enumerate(found.names):
        change = np.linalg.svd(after[name] - before[name], compute_uv=False)
        assert found.norm[index] == pytest.approx(np.linalg.norm(before[name]), rel=1e-5)
        assert found.change_norm[index] == pytest.approx(np.linalg.norm(after[name] - before[name]), rel=1e-4)
        width = min(found.change_sigma.shape[1], len(change))
        assert found.change_sigma[index, :width] == pytest.approx(change[:width], rel=1e-3, abs=1e-5 * change[0])
    for place, index in enumerate(found.examined):
        name = found.names[index]
        old, new = (np.linalg.svd(m, full_matrices=False)[0] for m in (before[name], after[name]))
        assert found.likeness[place] == pytest.approx(np.abs(old.T @ new[:, :4]).max(axis=0), abs=2e-3)


@pytest.mark.parametrize("method", ["lora", "pissa", "rslora", "dora", "olora"])
def test_adapters_are_analysed_as_peft_merges_them(tiny, tmp_path, method):
    before = linear(tiny.model)
    disturbed(attach(tiny, METHODS[method], SETTINGS, seed=0), tmp_path / "adapter", 0.05)
    with METHODS[method].place(tiny, tmp_path / "adapter") as placed:
        found = analysed(placed, modules=5, vectors=4)
    merged = PeftModel.from_pretrained(copy.deepcopy(tiny.model), tmp_path / "adapter").merge_and_unload()
    check(found, before, linear(merged))
    assert len(found.examined) == 5
    assert tiny.current_weights() == tiny.weights


def test_full_fine_tuning_is_analysed_from_both_matrices(tiny, tmp_path):
    before = linear(tiny.model)
    disturbed(FullTuning(tiny), tmp_path / "full", 0.01)
    with METHODS["full"].place(tiny, tmp_path / "full") as placed:
        after = linear(tiny.model)
        found = analysed(placed, modules=3, vectors=4)
    check(found, before, after)
    assert tiny.current_weights() == tiny.weights


def test_matrices_that_are_kept_transposed_are_turned(tmp_path):
    config = GPT2Config(n_embd=24, n_layer=1, n_head=2, n_positions=16, vocab_size=40)
    model = GPT2LMHeadModel(config).eval()
    name = "transformer.h.0.attn.c_attn"
    before = model.get_submodule(name).weight.detach().double().numpy().T.copy()
    tuned = get_peft_model(model, LoraConfig(r=2, lora_alpha=4, target_modules=["c_attn"], fan_in_fan_out=True))
    with torch.no_grad():
        tuned.get_submodule(f"base_model.model.{name}").lora_B["default"].weight.normal_(0, 0.1)
    base = SimpleNamespace(model=model, decompositions=Decompositions())
    found = analysed(Placed(base=base, changes=lambda: adapter_changes(model)), modules=1, vectors=4)
    after = tuned.merge_and_unload().get_submodule(name).weight.detach().double().numpy().T
    check(found, {name: before}, {name: after})


def test_a_model_without_any_changed_module_is_no_error(tiny):
    found = analysed(Placed(base=tiny), modules=3, vectors=4)
    assert found.names == ()
    assert found.likeness.shape == (0, 0)


def test_no_module_is_examined_when_none_is_asked_for(tiny, tmp_path):
    disturbed(attach(tiny, METHODS["lora"], SETTINGS, seed=0), tmp_path / "adapter", 0.05)
    with METHODS["lora"].place(tiny, tmp_path / "adapter") as placed:
        found = analysed(placed, modules=0, vectors=4)
    assert found.likeness.shape == (0, 0)
    assert (found.change_norm > 0).all()
    assert all(np.count_nonzero(sigma > 1e-9) == 4 for sigma in found.change_sigma)
    assert singular_values(np.diag(found.change_sigma[0]), center=False)[0] == pytest.approx(found.change_sigma[0, 0])
