"""The configuration as users write it: fields, defaults, presets, precedence. The only place that knows defaults."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import Field, ValidationError, field_validator, model_validator

from balora_audit.config.parts import AdapterConfig, ClaimConfig, CollapseConfig, NoiseConfig, TrainingConfig, WritingConfig
from balora_audit.errors import ConfigurationError, unknown_name
from balora_audit.penalties import REGULARIZERS, Family, Frozen, Penalties, RegularizerPreset

__all__ = ["PRESETS", "AuditConfig", "resolve"]

PresetName = Literal["smoke", "quick", "standard", "full"]


PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {
        "model": "tiny",
        "train_rows": 320,
        "test_rows": 160,
        "training": {"epochs": 2, "batch_size": 16, "learning_rate": 3e-3},
        "noise": {"kinds": ("typo", "swap", "ocr", "word_drop"), "severities": (1, 3, 5)},
        "resamples": 1000,
    },
    "quick": {},
    "standard": {
        "seeds": (0, 1, 2),
        "train_rows": 800,
        "test_rows": 400,
        "noise": {
            "kinds": ("typo", "swap", "delete", "insert", "ocr", "homoglyph", "word_drop", "word_repeat"),
            "severities": (1, 3, 5),
        },
    },
    "full": {
        "models": ("base", "lora", "pissa", "balora"),
        "seeds": (0, 1, 2, 3, 4),
        "train_rows": 2000,
        "test_rows": 800,
        "training": {"epochs": 2},
        "conditions": ("clean", "noise:0.1", "noise:0.2", "noise:0.4", "imbalance:10", "imbalance:50", "imbalance:100"),
        "noise": {
            "kinds": (
                "typo", "swap", "delete", "insert", "case", "punctuation", "ocr", "homoglyph", "word_drop", "word_repeat",
                "filler", "contraction",
            ),
            "severities": (1, 2, 3, 4, 5),
        },
        "resamples": 10_000,
    },
}  # fmt: skip
"""What each preset changes; everything else keeps its default. ``quick`` *is* the defaults."""

PRESET_SUMMARIES: dict[str, str] = {
    "smoke": "the whole pipeline on a tiny shipped model, about a minute on two cores; for first contact and tests",
    "quick": "the default: SmolLM2-135M, built-in biographies, one seed, about ten minutes on two cores",
    "standard": "three seeds, twice the data, eight kinds of noise; claims about methods need this or more",
    "full": "five seeds, four methods, more conditions and every kind and severity of noise; for a GPU",
}


class AuditConfig(Frozen):
    """One audit, resolved: everything that decides its numbers."""

    preset: PresetName = "quick"
    model: str = Field(default="smollm2", description="built-in name, local folder, .gguf file or Hub id")
    revision: str | None = None
    data: str = Field(default="biographies", description="built-in name, file, folder or Hub data set")
    test_data: str | None = Field(default=None, description="file with the test split, when --data is a file")
    columns: dict[str, str] = Field(default_factory=dict, description="role → column, e.g. text=sentence,label=0")
    label_names: tuple[str, ...] | dict[str, str] | None = None
    prompt: str | None = None
    train_rows: int = Field(default=320, ge=2)
    test_rows: int = Field(default=128, ge=2)
    data_seed: int = Field(default=0, ge=0)
    correlation: float = Field(default=0.8, ge=0.5, le=1.0, description="planted gender–occupation correlation in training")
    head: Literal["auto", "lm", "classifier"] = Field(default="auto", description="answer with text, or with a classification head")
    models: tuple[str, ...] = ("base", "lora", "balora")
    baseline: str | None = Field(default=None, description="compare with this model only; default: base and lora")
    conditions: tuple[str, ...] = ("clean", "noise:0.3", "imbalance:20")
    probes: tuple[str, ...] = ("noise", "imbalance", "collapse", "drift")
    tasks: tuple[str, ...] = Field(default=(), description="tasks of lm-evaluation-harness to run on every model")
    task_metadata: dict[str, Any] = Field(default_factory=dict, description="for the data functions of the tasks")
    task_include: tuple[str, ...] = Field(default=(), description="folders with task files of one's own")
    task_shots: int | None = Field(default=None, ge=0, description="examples before each question; default: what the task says")
    task_chat_template: bool = Field(default=False, description="wrap the tasks' prompts in the model's chat template")
    seeds: tuple[int, ...] = (0,)
    regularizers: RegularizerPreset = "iclr2026"
    penalties: dict[str, float | int | str | None] = Field(default_factory=dict, description="overrides of the preset's")
    adapter: AdapterConfig = AdapterConfig()
    training: TrainingConfig = TrainingConfig()
    noise: NoiseConfig = NoiseConfig()
    collapse: CollapseConfig = CollapseConfig()
    writing: WritingConfig = WritingConfig()
    layers: tuple[int, ...] | Literal["all"] = Field(default=(), description="layers whose features are measured too, or all")
    general: str | None = Field(default=None, description="file of general text for knowledge drift, in place of the built-in one")
    swaps: str | None = Field(default=None, description="file of identity terms to swap, in place of the built-in gendered words")
    margins: dict[str, float] = Field(default_factory=dict)
    claims: tuple[ClaimConfig, ...] = Field(default=(), description="what is claimed beforehand; a default set when empty")
    ci: float = Field(default=0.95, gt=0.5, lt=1.0)
    resamples: int = Field(default=5000, ge=200)
    limit: int | None = Field(default=None, ge=2)
    device: str = "auto"
    dtype: str = "auto"
    trust_remote_code: bool = False

    @field_validator("models", "conditions", "probes", "seeds")
    @classmethod
    def _distinct(cls, value: tuple[Any, ...]) -> tuple[Any, ...]:
        if not value:
            raise ValueError("at least one is needed")
        repeated = sorted({str(item) for item in value if value.count(item) > 1})
        if repeated:
            raise ValueError(f"listed twice: {', '.join(repeated)}")
        return value

    @field_validator("seeds")
    @classmethod
    def _seed_range(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(seed < 0 or seed >= 2**31 for seed in value):
            raise ValueError(f"seeds must be within 0 and 2³¹ − 1, got {list(value)}")
        return value

    @model_validator(mode="after")
    def _coherent(self) -> AuditConfig:
        names = self.model_names
        if len(set(names)) != len(names):
            raise ValueError(f"two models are called {next(name for name in names if names.count(name) > 1)!r}")
        for name in (*([self.baseline] if self.baseline is not None else []), *self.training.learning_rates):
            if name not in names:
                raise ValueError(f"{name!r} is not among the models {', '.join(names)}")
        for metric, margin in self.margins.items():
            if not 0 <= margin < float("inf"):
                raise ValueError(f"the margin of {metric} must be 0 or more, got {margin}")
        _ = self.penalties_for("nlg"), self.penalties_for("nlu")
        return self

    @property
    def model_names(self) -> tuple[str, ...]:
        """What the models are called: an imported adapter is given as NAME=PATH."""
        return tuple(spec.partition("=")[0] for spec in self.models)

    def penalties_for(self, family: Family) -> Penalties:
        """Return the regularizer preset for a family of tasks, with the configured overrides."""
        return Penalties.model_validate({**REGULARIZERS[self.regularizers][family].model_dump(), **self.penalties})

    @property
    def active_probes(self) -> tuple[str, ...]:
        """The probes that run: the chosen ones, and the harness's as soon as a task is named."""
        return (*self.probes, "harness") if self.tasks and "harness" not in self.probes else self.probes

    @property
    def baselines(self) -> tuple[str, ...]:
        """The models that others are compared with."""
        if self.baseline is not None:
            return (self.baseline,)
        return tuple(name for name in ("base", "lora") if name in self.model_names) or self.model_names[:1]


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
        One message that names the field, the value and where it came from.
    """
    from_environment = _environment(os.environ if environment is None else environment)
    from_file = _file(file) if file is not None else {}
    preset = flags.get("preset") or from_environment.get("preset") or from_file.get("preset") or "quick"
    if preset not in PRESETS:
        raise unknown_name("preset", str(preset), PRESETS)
    merged: dict[str, Any] = {}
    for layer in (PRESETS[preset], from_file, from_environment, flags):
        merged = _merge(merged, layer)
    merged["preset"] = preset
    try:
        return AuditConfig.model_validate(merged)
    except ValidationError as error:
        raise _explain(error, flags, from_environment, file) from error


def _environment(environment: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    reserved = {"BALORA_CACHE"}
    names = {f"BALORA_{name.upper()}": name for name in AuditConfig.model_fields}
    for variable in sorted(environment):
        if not variable.startswith("BALORA_") or variable in reserved:
            continue
        if variable not in names:
            raise unknown_name("environment variable", variable, [*names, *sorted(reserved)])
        found[names[variable]] = split_value(names[variable], environment[variable])
    return found


def split_value(field: str, text: str) -> Any:
    """Turn the text of a flag or variable into what the field takes: lists split at commas, mappings at ``=``."""
    annotation = AuditConfig.model_fields[field].annotation
    if field in ("columns", "margins", "penalties"):
        return _pairs(field, text)
    if field == "layers" and text.strip() == "all":
        return "all"
    if field == "task_metadata":
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise ConfigurationError(f"task_metadata takes a JSON object, got {text!r} ({error})") from error
    if field == "label_names":
        return _pairs(field, text) if "=" in text else tuple(part.strip() for part in text.split(","))
    if field == "layers" or getattr(annotation, "__origin__", None) is tuple:
        kind = int if field == "layers" else get_args(annotation)[0]
        parts = [part.strip() for part in text.split(",") if part.strip()]
        if kind is not int:
            return tuple(parts)
        try:
            return tuple(int(part) for part in parts)
        except ValueError as error:
            raise ConfigurationError(f"{field} takes whole numbers separated by commas, got {text!r}") from error
    # a shell passes backslash-n as two characters, and a prompt is meant to have line breaks
    return text.replace("\\n", "\n") if field == "prompt" else text


def _pairs(field: str, text: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for part in text.split(","):
        key, separator, value = part.partition("=")
        if not separator or not key.strip() or not value.strip():
            raise ConfigurationError(f"{field} takes name=value pairs separated by commas, got {part.strip()!r} in {text!r}")
        pairs[key.strip()] = value.strip()
    return pairs


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
    for name in found:
        if name not in AuditConfig.model_fields:
            raise ConfigurationError(f"{path}: {unknown_name('setting', str(name), AuditConfig.model_fields)}")
    return found


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def _explain(error: ValidationError, flags: Mapping[str, Any], environment: Mapping[str, Any], file: Path | None) -> ConfigurationError:
    first = error.errors()[0]
    place: Sequence[Any] = first["loc"]
    message = first["msg"].removeprefix("Value error, ")
    if not place:
        return ConfigurationError(message)
    top = str(place[0])
    source = (
        f"flag --{top.replace('_', '-')}"
        if top in flags
        else f"environment variable BALORA_{top.upper()}"
        if top in environment
        else f"configuration file {file}"
        if file is not None
        else "preset"
    )
    name = ".".join(str(part) for part in place)
    if first["type"] == "extra_forbidden":
        return ConfigurationError(f"unknown setting {name!r} ({source})")
    return ConfigurationError(f"{name} = {first.get('input')!r} ({source}): {message}")
