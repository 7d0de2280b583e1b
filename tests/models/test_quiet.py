"""No bar of a library reaches stderr, whatever stderr is; with a negative control for each kind of bar."""

import sys

import pytest
import torch
from tqdm.auto import tqdm
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from balora_audit.errors import ModelError
from balora_audit.models.gguf import convert_gguf
from balora_audit.models.load import load
from balora_audit.models.locate import locate
from balora_audit.models.quiet import without_bars


def draw(bar):
    for _ in bar(range(3), desc="a bar"):
        pass


@pytest.mark.parametrize("bar", [tqdm, logging.tqdm], ids=["tqdm", "transformers"])
def test_bars_are_drawn_outside_of_the_block_alone(bar, capfd):
    logging.enable_progress_bar()
    with without_bars():
        draw(bar)
    assert capfd.readouterr().err == ""
    assert logging.is_progress_bar_enabled()
    draw(bar)
    assert "a bar" in capfd.readouterr().err


def test_a_bar_that_was_switched_off_stays_off():
    logging.disable_progress_bar()
    try:
        with without_bars():
            pass
        assert not logging.is_progress_bar_enabled()
    finally:
        logging.enable_progress_bar()


def test_an_error_inside_leaves_stderr_as_it_was():
    before = sys.stderr
    with pytest.raises(KeyError), without_bars():
        raise KeyError
    assert sys.stderr is before


def test_converting_a_gguf_model_draws_no_bar_in_a_pipe(tmp_path, monkeypatch, capfd):
    """The reader of transformers draws with tqdm itself, which its own switch does not reach."""

    def draw_and_fail(**_):
        draw(tqdm)
        raise OSError("enough")

    monkeypatch.setenv("BALORA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(AutoTokenizer, "from_pretrained", lambda **_: None)
    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", draw_and_fail)
    path = tmp_path / "m.gguf"
    path.write_bytes(b"GGUF")
    with pytest.raises(ModelError, match="enough"):
        convert_gguf(path)
    assert capfd.readouterr().err == ""


@pytest.mark.slow
def test_loading_a_model_draws_no_bar_in_a_pipe(capfd):
    logging.enable_progress_bar()
    load(locate("tiny"), device=torch.device("cpu"), dtype=torch.float32)
    assert capfd.readouterr().err == ""
