"""Options that follow from fields: the table of all of them, and what a new field brings with it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

import balora_audit
from balora_audit.config import AuditConfig, nearest, settings_of
from balora_audit.config.options import FileOnly, Heading, Option, Overrides
from balora_audit.penalties import Penalties

SETTINGS = settings_of(AuditConfig)
SHORT = {"--lr": "training.learning_rate", "--epochs": "training.epochs", "--batch-size": "training.batch_size",
         "--rank": "adapter.rank", "--alpha": "adapter.alpha"}  # fmt: skip


def leaves(value: BaseModel, path: tuple[str, ...] = ()) -> list[str]:
    """Return the dotted names of all values in a model, found in an instance and not in the fields' annotations."""
    found = []
    for name, inside in value:
        found += leaves(inside, (*path, name)) if isinstance(inside, BaseModel) else [".".join((*path, name))]
    return found


def test_every_field_has_one_long_flag():
    expected = {*leaves(AuditConfig()), *(f"penalties.{name}" for name in Penalties.model_fields)} - {"claims", "penalties"}
    assert {setting.name for setting in SETTINGS} == expected
    assert len(SETTINGS) == len(expected)


def test_no_flag_and_no_variable_is_taken_twice():
    flags = [flag for setting in SETTINGS for flag in setting.flags]
    assert len(flags) == len(set(flags))
    assert len({setting.variable for setting in SETTINGS}) == len(SETTINGS)


def test_short_flags_are_those_that_are_promised():
    assert {setting.option.short: setting.name for setting in SETTINGS if setting.option.short} == SHORT


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_option_says_what_it_is(setting):
    assert setting.description
    assert setting.heading
    assert setting.is_switch or setting.metavar
    assert setting.flag == "--margin" or setting.flag == "--" + setting.name.replace("_", "-")


def test_help_shows_a_default_where_there_is_one():
    helps = {setting.name: setting.help for setting in SETTINGS}
    assert helps["training.learning_rate"].endswith("[0.0005]")
    assert helps["training.weight_decay"].endswith("[0]")
    assert helps["noise.severities"].endswith("[3]")
    assert not helps["test_data"].endswith("]")
    assert not helps["trust_remote_code"].endswith("]")
    assert not helps["penalties.temperature"].endswith("]")  # a preset's value holds, not the model's default


class Inner(BaseModel):
    depth: int = Field(default=2, ge=1)
    deeper: Annotated[float, Option("SHARE", short="--deep"), Heading("Own")] = 0.5


class Outer(BaseModel):
    inner: Annotated[Inner, Heading("Inside")] = Inner()
    some: Annotated[dict[str, Any], Overrides(Inner)] = Field(default_factory=dict)
    word: Literal["a", "b"] | None = None
    notes: Annotated[tuple[str, ...], FileOnly()] = ()


def test_markers_say_what_the_type_cannot():
    found = {setting.name: setting for setting in settings_of(Outer)}
    assert list(found) == ["inner.depth", "inner.deeper", "some.depth", "some.deeper", "word"]
    assert [found[name].heading for name in ("inner.depth", "inner.deeper", "some.depth")] == ["Inside", "Own", ""]
    assert (found["inner.deeper"].metavar, found["word"].metavar) == ("SHARE", "a|b")
    assert found["inner.deeper"].flags == ("--inner.deeper", "--deep")
    assert found["inner.depth"].variable == "BALORA_INNER__DEPTH"
    assert (found["inner.depth"].default, found["some.depth"].default) == (2, None)


def test_overrides_have_the_types_of_the_fields_they_replace():
    assert Outer(some={"depth": "3"}).some == {"depth": 3}
    assert Outer().model_dump()["some"] == {}
    for wrong, place in (({"depth": 0}, ("some", "depth")), ({"dept": 1}, ("some", "dept"))):
        with pytest.raises(ValidationError) as caught:
            Outer(some=wrong)
        assert caught.value.errors()[0]["loc"] == place


def test_a_near_name_is_found_at_any_depth():
    names = ["training.learning-rate", "training.epochs", "model", "lr"]
    assert nearest("lernrate", names) == "training.learning-rate"
    assert nearest("trainin.epoch", names) == "training.epochs"
    assert nearest("modle", names) == "model"
    assert nearest("colour", names) is None


def test_a_new_field_is_one_line(tmp_path):
    package = tmp_path / "balora_audit"
    shutil.copytree(Path(balora_audit.__file__).parent, package, ignore=shutil.ignore_patterns("assets", "__pycache__"))
    file = package / "config" / "training.py"
    line = '    mixing_share: float = Field(default=0.25, ge=0, description="general text mixed into the training rows")\n'
    anchor = "    epochs: "
    source = file.read_text(encoding="utf-8")
    assert source.count(anchor) == 1
    file.write_text(source.replace(anchor, line + anchor), encoding="utf-8")
    (tmp_path / "audit.yaml").write_text("training: {mixing_share: 0.5}\n", encoding="utf-8")
    code = """
import json, pathlib
from typer.testing import CliRunner
from balora_audit.config import resolve
from balora_audit.interface.cli import app
help = CliRunner().invoke(app, ["compare", "--help"], terminal_width=140).stdout
shares = [resolve({}, environment={}), resolve({}, environment={"BALORA_TRAINING__MIXING_SHARE": "0.75"}),
          resolve({}, environment={}, file=pathlib.Path("audit.yaml"))]
wrong = CliRunner().invoke(app, ["plan", "--training.mixing-share", "-1"])
print(json.dumps({"help": help, "shares": [config.training.mixing_share for config in shares], "wrong": wrong.stderr}))
"""
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert "--training.mixing-share X" in found["help"]
    assert "general text mixed into the training rows [0.25]" in found["help"]
    assert found["shares"] == [0.25, 0.75, 0.5]
    assert "(flag --training.mixing-share)" in found["wrong"]
