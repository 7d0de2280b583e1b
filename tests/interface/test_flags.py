"""Flags of the command line become settings, and stand under headings in the help."""

from __future__ import annotations

import json
import re
import resource
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from balora_audit.config import AuditConfig, settings_of
from balora_audit.interface.cli import app
from balora_audit.interface.flags import Flags, SettingsCommand, configuration, with_settings
from balora_audit.interface.outcome import reported

RUN = CliRunner()
HEADINGS = ["Models and data", "Harness tasks", "BA-LoRA's penalties", "Adapter", "Training", "Tuning", "Noise", "Collapse", "Writing",
            "Statistics", "Machine", "Output"]  # fmt: skip

show = typer.Typer()


@show.command(cls=SettingsCommand)
@with_settings
def print_configuration(flags: Flags, config: Annotated[Path | None, typer.Option("--config")] = None) -> None:
    """Print the configuration that the flags give."""
    with reported():
        typer.echo(configuration(flags, config).model_dump_json())


def resolved(*arguments: str, **environment: str) -> dict[str, object]:
    """Return the configuration of a command line as plain data."""
    done = RUN.invoke(show, list(arguments), env=environment)
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def sections(command: str) -> dict[str, str]:
    """Return the text of a command's help under each heading."""
    text = RUN.invoke(app, [command, "--help"], terminal_width=140).stdout
    parts = re.split(r"^(\S.*):\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize(
    ("arguments", "place", "value"),
    [
        (["--models", "base, lora"], ["models"], ["base", "lora"]),
        (["--layers", "all"], ["layers"], "all"),
        (["--layers", "0,6"], ["layers"], [0, 6]),
        (["--margin", "accuracy=0.1", "--margin", "tail_recall=0.2"], ["margins"], {"accuracy": 0.1, "tail_recall": 0.2}),
        (["--margin", "accuracy=0.1,tail_recall=0.2"], ["margins"], {"accuracy": 0.1, "tail_recall": 0.2}),
        (["--label-names", "Bad,Good"], ["label_names"], ["Bad", "Good"]),
        (["--label-names", "0=Bad,1=Good"], ["label_names"], {"0": "Bad", "1": "Good"}),
        (["--columns", "text=0,label=1"], ["columns"], {"text": "0", "label": "1"}),
        (["--prompt", r"--{text}\nAnswer:"], ["prompt"], "--{text}\nAnswer:"),
        (["--task-metadata", '{"items": 64}'], ["task_metadata"], {"items": 64}),
        (["--task-chat-template"], ["task_chat_template"], True),
        (["--training.learning-rate", "1e-3"], ["training", "learning_rate"], 1e-3),
        (["--lr=1e-3"], ["training", "learning_rate"], 1e-3),
        (["--training.gradient-checkpointing"], ["training", "gradient_checkpointing"], True),
        (["--training.learning-rates", "lora=1e-3"], ["training", "learning_rates"], {"lora": 1e-3}),
        (["--adapter.target-modules", "q_proj,v_proj"], ["adapter", "target_modules"], ["q_proj", "v_proj"]),
        (["--noise.kinds", "typo,swap"], ["noise", "kinds"], ["typo", "swap"]),
        (["--collapse.perplexities", "5,2.5"], ["collapse", "perplexities"], [5.0, 2.5]),
        (["--writing.stop", r"\n\n"], ["writing", "stop"], ["\n\n"]),
        (["--penalties.top-k", "none", "--penalties.k", "3"], ["penalties"], {"top_k": None, "k": 3}),
    ],
)
def test_a_flag_sets_its_field(arguments, place, value):
    found = resolved(*arguments)
    for name in place:
        found = found[name]
    assert found == value


def test_a_nested_flag_leaves_its_neighbours_alone():
    training = resolved("--preset", "smoke", "--lr", "0.1", BALORA_TRAINING__BATCH_SIZE="3")["training"]
    assert (training["learning_rate"], training["batch_size"], training["epochs"]) == (0.1, 3, 2)


def test_of_two_names_of_one_flag_the_last_one_holds():
    assert resolved("--training.learning-rate", "0.1", "--lr", "0.2")["training"]["learning_rate"] == 0.2
    assert resolved("--lr", "0.2", "--training.learning-rate", "0.1")["training"]["learning_rate"] == 0.1


def test_a_switch_can_be_turned_off_over_a_file(tmp_path):
    path = tmp_path / "audit.yaml"
    path.write_text("trust_remote_code: true\n", encoding="utf-8")
    assert resolved("--config", str(path))["trust_remote_code"] is True
    assert resolved("--config", str(path), "--no-trust-remote-code")["trust_remote_code"] is False


@pytest.mark.parametrize("command", ["compare", "plan"])
def test_help_stands_under_headings(command):
    found = sections(command)
    assert list(found) == HEADINGS
    for setting in settings_of(AuditConfig):
        assert setting.flag in found[setting.heading]
        assert sum(bool(re.search(rf"^  {re.escape(setting.flag)}\b(?![.-])", text, re.MULTILINE)) for text in found.values()) == 1
    assert "--training.learning-rate, --lr X" in found["Training"]
    assert "--out DIR" in found["Output"]


def test_help_answers_at_once():
    """In seconds of the processor, so that a busy machine does not count."""

    def used() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    seconds = []
    for _ in range(3):
        before = used()
        subprocess.run([sys.executable, "-m", "balora_audit", "compare", "--help"], capture_output=True, check=True)
        seconds.append(used() - before)
    assert statistics.median(seconds) < 0.5
