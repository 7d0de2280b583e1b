"""A pass for several adapters gives each what a pass of its own gives: values and gradients."""

import pytest
import torch

from balora_audit.config import AdapterConfig
from balora_audit.methods import METHODS
from balora_audit.methods.abreast import Abreast
from balora_audit.methods.adapter import attach
from balora_audit.models.load import load, weights_hash
from balora_audit.models.locate import locate

SETTINGS = AdapterConfig(rank=4, alpha=8.0)
CLOSE = {torch.float32: {"rtol": 1e-4, "atol": 1e-5}, torch.bfloat16: {"rtol": 0.05, "atol": 0.03}}


@pytest.fixture
def ids(tiny):
    """Three rows of seven tokens."""
    return torch.tensor(tiny.tokenizer("Anna painted the harbour in oils by the river.").input_ids * 3)[:21].view(3, 7)


def fill(parameters, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in parameters.values():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator))


def alone(base, name, ids, seed):
    """Return the logits of one adapter and the gradient of their mean square."""
    attached = attach(base, METHODS[name], SETTINGS, seed=0)
    try:
        fill(attached.parameters, seed)
        logits = attached.model(ids).logits.float()
        logits.square().mean().backward()
        return logits.detach(), {key: parameter.grad for key, parameter in attached.parameters.items()}
    finally:
        attached.detach()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["lora", "pissa", "rslora", "olora"])
def test_every_member_has_the_values_and_gradients_of_one_alone(tiny, ids, name, dtype):
    base = tiny if dtype == torch.float32 else load(locate("tiny"), device=torch.device("cpu"), dtype=dtype)
    expected = [alone(base, name, ids, seed) for seed in range(3)]
    group = Abreast(attach(base, METHODS[name], SETTINGS, seed=0), 3)
    try:
        for seed, member in enumerate(group.members):
            fill(member.parameters, seed)
        logits = group.model(ids.repeat(3, 1)).logits.float().chunk(3)
        sum(part.square().mean() for part in logits).backward()
    finally:
        group.detach()
    for part, member, (values, gradients) in zip(logits, group.members, expected, strict=True):
        torch.testing.assert_close(part, values, **CLOSE[dtype])
        for key, gradient in gradients.items():
            scale = float(gradient.abs().max())
            torch.testing.assert_close(member.parameters[key].grad / scale, gradient / scale, **CLOSE[dtype])


@pytest.mark.parametrize("name", ["lora", "pissa"])
def test_who_is_dropped_leaves_its_place_and_the_rest_in_order(tiny, ids, name):
    group = Abreast(attach(tiny, METHODS[name], SETTINGS, seed=0), 3)
    try:
        for seed, member in enumerate(group.members):
            fill(member.parameters, seed)
        with torch.no_grad():
            whole = group.model(ids.repeat(3, 1)).logits.chunk(3)
            group.drop(1)
            rest = group.model(ids.repeat(2, 1)).logits.chunk(2)
            with group.disable():
                base = group.model(ids).logits
            for one, other in zip(rest, (whole[0], whole[2]), strict=True):
                torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    finally:
        group.detach()
    with torch.no_grad():
        assert torch.equal(base, tiny.model(ids).logits)
    assert weights_hash(tiny.model) == tiny.weights


@pytest.mark.parametrize("number", [torch.nan, torch.inf])
def test_one_members_broken_numbers_reach_no_other(tiny, ids, number):
    group = Abreast(attach(tiny, METHODS["pissa"], SETTINGS, seed=0), 3)
    try:
        with torch.no_grad():
            for parameter in group.members[1].parameters.values():
                parameter.fill_(number)
        logits = group.model(ids.repeat(3, 1)).logits.chunk(3)
        sum(part.square().mean() for part in logits).backward()
    finally:
        group.detach()
    assert not logits[1].isfinite().any()
    for index in (0, 2):
        assert logits[index].isfinite().all()
        assert all(parameter.grad.isfinite().all() for parameter in group.members[index].parameters.values())
