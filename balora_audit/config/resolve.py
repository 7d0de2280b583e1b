"""Where settings come from, and which of them holds: flag > environment > configuration file > preset > default."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from balora_audit.config.audit import AuditConfig
from balora_audit.config.options import VARIABLE_PREFIX, Setting, file_only, model_inside, nearest, settings_of
from balora_audit.config.presets import PRESETS
from balora_audit.config.values import choices, pairs
from balora_audit.errors import ConfigurationError, unknown_name

__all__ = ["nested", "resolve"]

_RESERVED = ("BALORA_CACHE",)  # read where the cache is, which no audit depends on
_WAY_OUT = "`balora-audit compare --help` lists them all"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """Settings of one origin; `describe` names the place of one of them, as the user wrote it."""

    values: Mapping[str, Any]
    describe: Callable[[Setting | None], str]


def resolve(
    flags: Mapping[str, Any],
    *,
    environment: Mapping[str, str] | None = None,
    file: Path | None = None,
) -> AuditConfig:
    """Merge flag > environment ``BALORA_*`` > configuration file > preset > default.

    `flags` holds only what the user gave. Nested settings (``training``, ``noise``, …) merge key by key.

    Raises
    ------
    ConfigurationError
        One message that names the setting, the value, where it came from and near names.
    """
    settings = settings_of(AuditConfig)
    from_environment = _environment(os.environ if environment is None else environment, settings)
    from_file = _file(file) if file is not None else {}
    preset = flags.get("preset") or from_environment.get("preset") or from_file.get("preset") or "quick"
    if str(preset) not in PRESETS:
        raise unknown_name("preset", str(preset), PRESETS)
    sources = (
        _Source(values=flags, describe=lambda setting: f"flag {setting.flag}" if setting else "flags"),
        _Source(values=from_environment, describe=lambda setting: f"variable {setting.variable}" if setting else "environment"),
        _Source(values=from_file, describe=lambda _: f"configuration file {file}"),
        _Source(values=PRESETS[preset], describe=lambda _: f"preset {preset}"),
    )
    merged: dict[str, Any] = {}
    for source in reversed(sources):
        merged = _merge(merged, source.values)
    merged["preset"] = preset
    try:
        return AuditConfig.model_validate(merged)
    except ValidationError as error:
        # an unknown name is often why another is missing
        first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
        raise _explain(first, settings, sources) from error


def nested(values: Iterable[tuple[Sequence[str], Any]]) -> dict[str, Any]:
    """Return values by path as mappings in mappings; of two values at one place the later one holds.

    Examples
    --------
    >>> nested([(("training", "epochs"), 3), (("seeds",), (0, 1))])
    {'training': {'epochs': 3}, 'seeds': (0, 1)}
    """
    found: dict[str, Any] = {}
    for path, value in values:
        for name in reversed(path):
            value = {name: value}
        found = _merge(found, value)
    return found


def _environment(environment: Mapping[str, str], settings: Sequence[Setting]) -> dict[str, Any]:
    by_variable = {setting.variable: setting for setting in settings}
    found: list[tuple[Sequence[str], Any]] = []
    for variable in sorted(environment):
        if not variable.startswith(VARIABLE_PREFIX) or variable in _RESERVED:
            continue
        text, source = environment[variable], f"variable {variable}"
        if variable in by_variable:
            setting = by_variable[variable]
            found.append((setting.path, setting.read(text, source)))
        elif members := [setting for setting in settings if setting.variable.startswith(f"{variable}__")]:
            found += _parts(text, members, source)
        else:
            raise _unknown_variable(variable, [*by_variable, *_RESERVED])
    return nested(found)


def _parts(text: str, members: Sequence[Setting], source: str) -> list[tuple[Sequence[str], Any]]:
    """Read ``BALORA_PENALTIES=consistency=0.1,top_k=10``: several settings of one kind in one variable."""
    by_name = {setting.path[-1]: setting for setting in members}
    try:
        given = pairs(text)
    except ValueError as error:
        raise ConfigurationError(f"{members[0].path[0]} {error}, got {text!r} ({source})") from error
    for name in given:
        if name not in by_name:
            raise ConfigurationError(f"{source}: {unknown_name('setting', name, by_name)}")
    return [(by_name[name].path, by_name[name].read(part, source)) for name, part in given.items()]


def _unknown_variable(variable: str, names: Sequence[str]) -> ConfigurationError:
    field = variable.removeprefix(VARIABLE_PREFIX).lower()
    if field in file_only(AuditConfig):
        return ConfigurationError(f"{variable}: {field} can be given in a configuration file only (--config)")
    near = nearest(field.upper(), [name.removeprefix(VARIABLE_PREFIX) for name in names], "__")
    hint = f" — did you mean {VARIABLE_PREFIX + near!r}?" if near else "."
    return ConfigurationError(f"unknown environment variable {variable!r}{hint} A setting's variable follows from its flag: {_WAY_OUT}")


def _file(path: Path) -> dict[str, Any]:
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigurationError(f"configuration file {path} does not exist") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"configuration file {path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"configuration file {path} is not YAML: {error}") from error
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ConfigurationError(f"configuration file {path} must be a mapping of settings, got {type(found).__name__}")
    return found


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def _explain(error: ErrorDetails, settings: Sequence[Setting], sources: Sequence[_Source]) -> ConfigurationError:
    """Turn a complaint of pydantic's into one line: the setting, the value, where it stands, what is allowed."""
    message = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:
        return ConfigurationError(message)
    source, place = max(((source, _place(error["loc"], source.values)) for source in sources), key=lambda found: len(found[1]))
    name = ".".join(map(str, place))
    setting = next((setting for setting in settings if setting.path == place[: len(setting.path)]), None)
    where = source.describe(setting)
    if error["type"] in ("extra_forbidden", "invalid_key"):
        near = _near(place, settings)
        hint = f" — did you mean {near!r}?" if near else "."
        return ConfigurationError(f"unknown setting {name!r} ({where}){hint} {_WAY_OUT}")
    if error["type"] == "missing":
        return ConfigurationError(f"{name}.{error['loc'][-1]} is missing ({where})")
    if error["type"] == "literal_error" and setting is not None:
        return ConfigurationError(f"{where}: {unknown_name(setting.name, str(error['input']), choices(setting.annotation))}")
    return ConfigurationError(f"{name} = {error.get('input')!r} ({where}): {message}")


def _near(place: Sequence[int | str], settings: Sequence[Setting]) -> str | None:
    """Return the setting that was meant: one at the same place, else one that stands elsewhere."""
    inside: type[BaseModel] = AuditConfig
    for part in place[:-1]:
        if isinstance(part, str):
            inside = model_inside(inside.model_fields[part]) or inside
    sibling = nearest(str(place[-1]), inside.model_fields)
    if sibling is not None:
        return ".".join(map(str, (*place[:-1], sibling)))
    return nearest(str(place[-1]), [setting.name for setting in settings])


def _place(location: Sequence[int | str], values: Any) -> tuple[int | str, ...]:
    """Return how far a location leads into values; pydantic's names for the members of a union lead nowhere."""
    for number, part in enumerate(location):
        inside = part in values if isinstance(values, Mapping) else isinstance(values, list | tuple) and isinstance(part, int)
        if not inside:
            return tuple(location[:number])
        values = values[part]
    return tuple(location)
