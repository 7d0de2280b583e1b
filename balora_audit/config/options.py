"""What a field of the settings says about its option, and the options that follow from the fields.

A field is one option: its path is the flag (``--training.learning-rate``), the variable (``BALORA_TRAINING__LEARNING_RATE``) and the
key in the configuration file; its description is the help; its type says how text is read. What the type cannot say stands in
the field's annotation, as one of the markers below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, GetCoreSchemaHandler
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, PydanticUndefined, core_schema

from balora_audit.config.values import alternatives, choices, read_text
from balora_audit.errors import ConfigurationError
from balora_audit.errors import nearest as near_names

__all__ = ["FileOnly", "Heading", "Option", "Overrides", "Setting", "file_only", "model_inside", "nearest", "settings_of"]

Marker = TypeVar("Marker")

VARIABLE_PREFIX = "BALORA_"
_METAVARS: dict[Any, str] = {int: "N", float: "X", str: "TEXT"}


@dataclass(frozen=True, slots=True)
class Heading:
    """Marks the heading of ``--help`` that a field stands under, with all fields inside it."""

    title: str


@dataclass(frozen=True, slots=True)
class Option:
    """Marks what an option has beside what the field's name, type and description say."""

    metavar: str | None = None
    """What stands for the value in ``--help``; follows from the type when left out."""
    short: str | None = None
    """A second, shorter flag."""
    name: str | None = None
    """The flag, where it is not the field's own name."""
    parse: Callable[[str], Any] | None = None
    """What reads the text, where the type does not say it."""
    repeatable: bool = False
    """Whether the flag may be given several times, which joins the texts with commas."""


@dataclass(frozen=True, slots=True)
class FileOnly:
    """Marks a field that only a configuration file can hold."""


@dataclass(frozen=True, slots=True)
class Overrides:
    """Marks a mapping that replaces some fields of another settings model; each has the type and the option that it has there."""

    model: type[BaseModel]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Build the schema of a dictionary in which every field may be missing and no other may be."""
        fields = {
            name: core_schema.typed_dict_field(handler.generate_schema(field.rebuild_annotation()), required=False)
            for name, field in self.model.model_fields.items()
        }
        return core_schema.typed_dict_schema(fields, extra_behavior="forbid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One option: a field that holds a value, at its place in the configuration."""

    path: tuple[str, ...]
    annotation: Any
    description: str
    default: Any
    heading: str
    option: Option

    @property
    def name(self) -> str:
        """The dotted name, ``training.learning_rate``."""
        return ".".join(self.path)

    @property
    def flag(self) -> str:
        """The long flag, ``--training.learning-rate``."""
        return self.option.name or f"--{self.name.replace('_', '-')}"

    @property
    def flags(self) -> tuple[str, ...]:
        """Every flag, the long one first."""
        return (self.flag, self.option.short) if self.option.short else (self.flag,)

    @property
    def variable(self) -> str:
        """The environment variable, ``BALORA_TRAINING__LEARNING_RATE``."""
        return VARIABLE_PREFIX + "__".join(self.path).upper()

    @property
    def is_switch(self) -> bool:
        """Whether the flag takes no value."""
        return self.annotation is bool

    @property
    def metavar(self) -> str:
        """What stands for the value in ``--help``."""
        if self.option.metavar is not None:
            return self.option.metavar
        return "|".join([*choices(self.annotation), *filter(None, map(_metavar, alternatives(self.annotation)))])

    @property
    def help(self) -> str:
        """The description, and the default where there is one."""
        default = self.default if isinstance(self.default, tuple) else (self.default,)
        shown = ",".join(f"{part:g}" if isinstance(part, float) else str(part) for part in default)
        return f"{self.description} [{shown}]" if shown not in ("", "None", "False") else self.description

    def read(self, text: str, source: str) -> Any:
        """Turn a text into a value; raises `ConfigurationError` that names the setting, the text and where it came from."""
        try:
            return self.option.parse(text) if self.option.parse is not None else read_text(text, self.annotation)
        except ValueError as error:
            raise ConfigurationError(f"{self.name} {error}, got {text!r} ({source})") from error


def settings_of(model: type[BaseModel]) -> tuple[Setting, ...]:
    """Return the options of a settings model, those of the models inside it included, in the order of the fields."""
    return tuple(_settings(model, (), ""))


def file_only(model: type[BaseModel]) -> tuple[str, ...]:
    """Return the fields of a settings model that have no option."""
    return tuple(name for name, field in model.model_fields.items() if _marker(field, FileOnly) is not None)


def model_inside(field: FieldInfo) -> type[BaseModel] | None:
    """Return the settings model whose fields a field holds, itself, several times or some of them."""
    overrides = _marker(field, Overrides)
    candidates = (overrides.model,) if overrides is not None else (field.annotation, *get_args(field.annotation))
    return next((kind for kind in candidates if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def nearest(text: str, names: Iterable[str], separator: str = ".") -> str | None:
    """Return the name that is most like a text, as a whole or by what follows its last separator.

    Examples
    --------
    >>> nearest("lernrate", ["training.learning-rate", "training.epochs"])
    'training.learning-rate'
    """
    spellings: dict[str, str] = {}
    for name in names:
        spellings[name] = name
        spellings.setdefault(name.rpartition(separator)[2], name)
    return next((spellings[name] for name in near_names(text, spellings)), None)


def _settings(model: type[BaseModel], path: tuple[str, ...], heading: str) -> Iterator[Setting]:
    for name, field in model.model_fields.items():
        if _marker(field, FileOnly) is not None:
            continue
        title = marked.title if (marked := _marker(field, Heading)) is not None else heading
        if (overrides := _marker(field, Overrides)) is not None:
            # what is not overridden comes from a preset, so the other model's defaults are not what holds here
            yield from (replace(setting, default=None) for setting in _settings(overrides.model, (*path, name), title))
            continue
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _settings(field.annotation, (*path, name), title)
            continue
        yield Setting(
            path=(*path, name),
            annotation=field.annotation,
            description=field.description or "",
            default=None if field.default is PydanticUndefined else field.default,
            heading=title,
            option=_marker(field, Option) or Option(),
        )


def _marker(field: FieldInfo, kind: type[Marker]) -> Marker | None:
    return next((marker for marker in field.metadata if isinstance(marker, kind)), None)


def _metavar(member: Any) -> str:
    """Return what stands for one alternative of a type; an empty text where nothing does."""
    if get_origin(member) is tuple:
        item = _METAVARS[get_args(member)[0]]
        return "A,B,…" if item == "TEXT" else f"{item},{item},…"
    return "NAME=VALUE,…" if get_origin(member) is dict else _METAVARS.get(member, "")
