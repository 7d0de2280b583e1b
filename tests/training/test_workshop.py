"""A job may carry a recipe of its own: it trains as in a workshop whose recipe that is."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from balora_audit.methods import METHODS
from balora_audit.models.load import HeadSpec


def adapter(folder):
    return load_file(folder / "adapter_model.safetensors")


@pytest.mark.parametrize(
    "changes",
    [{"learning_rate": 1e-2}, {"epochs": 1}, {"adapter": {"rank": 2, "alpha": 6.0}}, {"max_tokens": 8}],
    ids=["learning rate", "epochs", "adapter", "texts"],
)
@pytest.mark.parametrize("name", ["lora", "balora"])
def test_a_job_is_trained_by_its_own_recipe(open_workshop, job, under, name, changes):
    one, two = job("one", under(**changes)), job("two")
    workshop = open_workshop()
    METHODS[name].make(workshop, job("before"))  # what this leaves in the workshop must not reach the next job
    by_job = METHODS[name].make(workshop, one)
    by_workshop = METHODS[name].make(open_workshop(under(**changes)), two)
    assert by_job.curves == by_workshop.curves
    assert by_job.order_sha256 == by_workshop.order_sha256
    assert by_job.cell["notes"] == by_workshop.cell["notes"]
    found, expected = adapter(one.output.folder), adapter(two.output.folder)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in found)
    settings = [json.loads((each.output.folder / "adapter_config.json").read_text()) for each in (one, two)]
    assert settings[0]["r"] == settings[1]["r"]
    assert settings[0]["lora_alpha"] == settings[1]["lora_alpha"]


def test_penalties_of_a_jobs_recipe_are_the_ones_in_the_loss(open_workshop, job, under):
    without = replace(under(), penalties=under().penalties.only(["consistency"]))
    made = METHODS["balora"].make(open_workshop(), job("one", without, steps=1))
    assert {name for name, values in made.curves.items() if values[0] is not None} == {"step", "total", "task", "consistency"}


def test_another_head_than_the_bases_is_refused(open_workshop, job, under):
    with pytest.raises(ValueError, match="cannot have"):
        METHODS["lora"].make(open_workshop(), job("one", replace(under(), head=HeadSpec(kind="classifier", outputs=3))))
