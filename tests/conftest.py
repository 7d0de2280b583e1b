"""What the tests share: an isolated cache, the tiny model loaded once, small data."""

from __future__ import annotations

import os

import pytest
import torch

from balora_audit.config import resolve
from balora_audit.data.biographies import generate
from balora_audit.models.load import load
from balora_audit.models.locate import locate


@pytest.fixture(autouse=True, scope="session")
def _isolated_environment(tmp_path_factory):
    saved = {name: value for name, value in os.environ.items() if name.startswith("BALORA_")}
    for name in saved:
        del os.environ[name]
    os.environ["BALORA_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    os.environ["HF_HUB_OFFLINE"] = "1"
    yield
    del os.environ["BALORA_CACHE"]
    os.environ.update(saved)


@pytest.fixture(scope="session")
def tiny():
    """The shipped model in float32 on the CPU."""
    return load(locate("tiny"), device=torch.device("cpu"), dtype=torch.float32)


@pytest.fixture(scope="session")
def dataset():
    return generate(n_train=48, n_test=32, seed=1, correlation=0.8)


@pytest.fixture
def small_config():
    """A configuration of the main job that runs in seconds."""

    def make(**changes):
        settings = {
            "preset": "smoke",
            "models": ("base", "lora", "balora"),
            "train_rows": 48,
            "test_rows": 48,
            "training": {"epochs": 1},
            "noise": {"kinds": ("typo", "word_drop"), "severities": (2, 5)},
            "resamples": 200,
        }
        return resolve({**settings, **changes}, environment={})

    return make
