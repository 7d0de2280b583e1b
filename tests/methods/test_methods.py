"""What the methods own: their keys, their places on the base, their needs and their refusals."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from balora_audit.config import AdapterConfig, TrainingConfig, resolve
from balora_audit.data.conditions import parse
from balora_audit.errors import ConfigurationError, ModelError
from balora_audit.methods import METHODS, find_methods
from balora_audit.methods.adapter import attach
from balora_audit.methods.imported import Imported, bring_in
from balora_audit.models.load import HeadSpec, load
from balora_audit.models.locate import locate
from balora_audit.penalties import REGULARIZERS
from balora_audit.training.workshop import Recipe

SETTINGS = AdapterConfig(rank=4, alpha=8.0)
ROWS = {"rows": "a hash", "task": "classification"}
HEAD = HeadSpec(kind="classifier", outputs=3)


def recipe(*, head=HeadSpec(), rank=4, **training):  # noqa: B008 - frozen
    return Recipe(
        adapter=AdapterConfig(rank=rank),
        training=TrainingConfig(**training),
        penalties=REGULARIZERS["iclr2026"]["nlg"],
        regularizers="iclr2026",
        head=head,
    )


@pytest.fixture
def adapter(tiny, tmp_path):
    """A saved LoRA adapter that changes something."""
    attached = attach(tiny, METHODS["lora"], SETTINGS, seed=0)
    try:
        with torch.no_grad():
            for parameter in attached.parameters.values():
                parameter.add_(0.05)
        attached.write_back()
        attached.save(tmp_path / "adapter")
    finally:
        attached.detach()
    return tmp_path / "adapter"


def test_every_trained_method_has_a_key_of_its_own():
    keys = {name: json.dumps(method.key(recipe(), ROWS, 0, 40), sort_keys=True) for name, method in METHODS.items() if method.trains}
    assert len(set(keys.values())) == len(keys)


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.trains])
def test_a_key_follows_what_decides_training_and_nothing_else(name):
    method = METHODS[name]
    key = method.key(recipe(), ROWS, 0, 40)
    assert method.key(recipe(), ROWS, 1, 40) != key
    assert method.key(recipe(), {**ROWS, "rows": "another"}, 0, 40) != key
    assert method.key(recipe(epochs=3), ROWS, 0, 40) != key
    assert method.key(recipe(), ROWS, 0, 41) != key
    assert method.key(recipe(learning_rates={name: 1e-5}), ROWS, 0, 40) != key
    assert method.key(recipe(checkpoint_steps=7, teacher_cache_gb=0.5, learning_rates={"other": 1.0}), ROWS, 0, 40) == key


def test_the_base_has_something_to_make_only_where_it_has_a_head():
    assert METHODS["base"].key(recipe(), ROWS, 0, 40) is None
    assert METHODS["base"].key(recipe(head=HEAD), ROWS, 0, 40) == METHODS["base"].key(recipe(head=HEAD), ROWS, 1, 9) == ROWS


def test_an_imported_adapter_goes_by_its_files_and_clean_data(adapter):
    mine = find_methods([f"mine={adapter}"])["mine"]
    assert mine.key(recipe(), ROWS, 0, 40) == mine.key(recipe(epochs=3), {}, 1, 9)
    assert [mine.applies_to(parse(text)) for text in ("clean", "noise:0.3")] == [True, False]
    assert all(METHODS["lora"].applies_to(parse(text)) for text in ("clean", "noise:0.3"))
    with pytest.raises(ConfigurationError, match="beside condition clean"):
        mine.check_conditions([parse("noise:0.3")])


def test_all_weights_need_room_and_float32():
    assert METHODS["full"].needed_bytes(1000) == 2000
    assert METHODS["lora"].needed_bytes(1000) == 100
    assert METHODS["full"].required_dtype("auto") == ("float32", "full fine-tuning needs it")
    assert METHODS["lora"].required_dtype("bfloat16") is None
    with pytest.raises(ConfigurationError, match="too coarse"):
        METHODS["full"].required_dtype("bfloat16")


def test_what_the_report_shows_of_a_method_is_what_it_was_set_to():
    assert METHODS["base"].settings(recipe()) == {}
    lora, balora = (METHODS[name].settings(recipe(rank=6)) for name in ("lora", "balora"))
    assert (lora["rank"], lora["settings"]["stored rank"], balora["settings"]["stored rank"]) == (6, 6, 12)
    assert "regularizers" not in lora["settings"]
    assert balora["settings"]["regularizers"]["preset"] == "iclr2026"


def test_an_adapter_in_place_can_be_disabled_and_tells_its_changes(tiny, adapter):
    ids = torch.tensor([tiny.tokenizer("Anna painted the harbour.").input_ids])
    with torch.no_grad():
        expected = tiny.model(ids).logits
        with METHODS["lora"].place(tiny, adapter) as placed:
            changed = placed.base.model(ids).logits
            with placed.disabled():
                assert torch.equal(placed.base.model(ids).logits, expected)
            changes = list(placed.changes())
        assert torch.equal(tiny.model(ids).logits, expected)
    assert not torch.allclose(changed, expected)
    assert len(changes) == len([name for name in load_file(adapter / "adapter_model.safetensors") if "lora_A" in name])
    assert tiny.current_weights() == tiny.weights


def test_a_fitted_head_is_put_in_place_and_a_damaged_one_is_refused(tmp_path):
    base = load(locate("tiny"), device=torch.device("cpu"), dtype=torch.float32, head=HEAD)
    weight = torch.full_like(base.head.weight, 0.25)
    save_file({"weight": weight}, tmp_path / "head.safetensors")
    with METHODS["base"].place(base, tmp_path) as placed:
        assert torch.equal(placed.base.head.weight, weight)
        assert list(placed.changes()) == []
    (tmp_path / "head.safetensors").write_bytes(b"oops")
    with pytest.raises(ModelError, match="no head of this model"), METHODS["base"].place(base, tmp_path):
        pass


def imported(folder):
    return Imported(name="mine", title="mine", summary="", initialisation="", folder=folder)


def cut(path):
    path.write_bytes(path.read_bytes()[:-40])


def broken(text):
    return lambda path: path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("adapter_model.safetensors", cut),
        ("adapter_model.safetensors", broken("not safetensors at all")),
        ("adapter_config.json", broken("{")),
        ("adapter_config.json", broken("[]")),
        ("adapter_config.json", broken('{"peft_type": "LORA", "r": "four"}')),
    ],
)
def test_a_damaged_adapter_folder_is_an_error_that_names_it_and_leaves_the_base_alone(tiny, adapter, tmp_path, file, damage):
    damage(adapter / file)
    for attempt in (lambda: METHODS["lora"].place(tiny, adapter), lambda: imported(adapter).place(tiny, adapter)):
        with pytest.raises(ModelError, match=f"{adapter}.* damaged"), attempt():
            pass
    with pytest.raises(ModelError, match=f"{adapter}.* damaged"):
        bring_in(tiny, adapter, tmp_path / "target")
    assert tiny.current_weights() == tiny.weights
    assert not any("lora" in name for name, _ in tiny.model.named_parameters())


def test_weights_that_lack_a_part_or_are_damaged_are_refused(tiny, tmp_path):
    with pytest.raises(ModelError, match="no weights for"), METHODS["full"].place(tiny, tmp_path):
        pass
    tiny.model.save_pretrained(tmp_path)
    cut(tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match="is damaged"), METHODS["full"].place(tiny, tmp_path):
        pass
    shutil.rmtree(tmp_path)
    assert tiny.current_weights() == tiny.weights


@pytest.mark.parametrize("name", ["con", "NUL.tuned", "com1", "mine.", "m:ine", "a/b", "", "naïve"])
def test_an_adapter_cannot_be_called_what_no_folder_can_be_called_everywhere(tmp_path, name):
    (tmp_path / "adapter_config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="choose another"):
        find_methods([f"{name}={tmp_path}"])


@pytest.mark.parametrize("name", ["mine", "console", "v1.2-a_b", "x"])
def test_an_adapter_can_be_called_by_a_plain_name(tmp_path, name):
    (tmp_path / "adapter_config.json").write_text("{}", encoding="utf-8")
    assert list(find_methods([f"{name}={tmp_path}"])) == [name]


def test_two_names_that_differ_by_case_alone_are_one():
    with pytest.raises(ConfigurationError, match="two models are called 'mine'"):
        resolve({"models": ("base", "mine=a", "Mine=b")}, environment={})
