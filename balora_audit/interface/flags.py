"""The flags of ``compare`` and ``plan``, made from the configuration's fields; nothing about a setting is written here."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from balora_audit.config import AuditConfig, Setting, file_only, nearest, nested, resolve, settings_of
from balora_audit.errors import ConfigurationError
from balora_audit.interface.outcome import reported

__all__ = ["Flags", "SettingsCommand", "configuration", "with_settings"]

_OUTPUT = "Output"  # the heading of the flags that are no settings: where results go and how much is said

Flags = Mapping[Setting, str | bool | list[str]]
"""What the user gave, as text."""


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command one flag for each setting, in front of its own; it receives those that the user gave as ``flags``."""
    settings = {"__".join(setting.path): setting for setting in settings_of(AuditConfig)}
    shared = [_parameter(name, setting) for name, setting in settings.items()]
    own = [parameter for name, parameter in inspect.signature(command, eval_str=True).parameters.items() if name != "flags"]

    @functools.wraps(command)
    def wrapper(**given: Any) -> None:
        flags = {setting: value for name, setting in settings.items() if (value := given.pop(name)) is not None}
        command(flags=flags, **given)

    wrapper.__signature__ = inspect.Signature([*shared, *own])  # type: ignore[attr-defined]
    wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in (*shared, *own)}
    return wrapper


def configuration(flags: Flags, file: Path | None) -> AuditConfig:
    """Resolve the configuration of a command line; raises `ConfigurationError` where something in it is wrong."""
    given = []
    for setting, value in flags.items():
        text = ",".join(value) if isinstance(value, list) else value
        given.append((setting.path, setting.read(text, f"flag {setting.flag}") if isinstance(text, str) else text))
    return resolve(nested(given), file=file)


class SettingsCommand(TyperCommand):
    """A command whose ``--help`` stands under headings, and which knows near names of a flag at any depth."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Refuse an unknown flag with the name that was meant; leave the rest to typer."""
        with reported(as_json="--json" in args):
            self._refuse_unknown(ctx, args)
        return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options under their headings, in the order of the first option of each."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for option in self.get_params(ctx):
            if (record := option.get_help_record(ctx)) is not None:
                sections.setdefault(getattr(option, "rich_help_panel", None) or _OUTPUT, []).append(record)
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)

    def _refuse_unknown(self, ctx: Any, args: Sequence[str]) -> None:
        takes_value = {
            name: not getattr(option, "is_flag", False)
            for option in self.get_params(ctx)
            for name in (*option.opts, *option.secondary_opts)
        }
        rest = iter(args)
        for argument in rest:
            name, separator, _ = argument.partition("=")
            if argument == "--":
                return
            if not argument.startswith("--"):
                continue
            if name not in takes_value:
                raise _unknown_flag(name, list(takes_value))
            if takes_value[name] and not separator:
                next(rest, None)


def _unknown_flag(name: str, known: Sequence[str]) -> ConfigurationError:
    if (field := name.removeprefix("--").replace("-", "_")) in file_only(AuditConfig):
        return ConfigurationError(f"{name}: {field} can be given in a configuration file only (--config)")
    near = nearest(name.removeprefix("--"), [flag.removeprefix("--") for flag in known])
    hint = f" — did you mean {'--' + near!r}?" if near is not None else "."
    return ConfigurationError(f"unknown flag {name!r}{hint} `balora-audit compare --help` lists them all")


def _parameter(name: str, setting: Setting) -> inspect.Parameter:
    """Describe one setting to typer."""
    flags = [f"{setting.flag}/--no-{setting.flag.removeprefix('--')}"] if setting.is_switch else list(setting.flags)
    option = typer.Option(
        *flags,
        help=setting.help,
        metavar=None if setting.is_switch else setting.metavar,
        rich_help_panel=setting.heading,
        show_default=False,
    )
    kind = bool if setting.is_switch else list[str] if setting.option.repeatable else str
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=Annotated[kind | None, option])
