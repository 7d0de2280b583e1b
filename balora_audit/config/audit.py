"""The configuration as users write it: every field with its default, its help and what is odd about its option."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from balora_audit.config.claims import ClaimConfig
from balora_audit.config.options import FileOnly, Heading, Option, Overrides
from balora_audit.config.presets import PresetName
from balora_audit.config.probes import CollapseConfig, NoiseConfig, WritingConfig
from balora_audit.config.training import AdapterConfig, TrainingConfig
from balora_audit.config.tuning import FrontierConfig, Grid, check_axes
from balora_audit.config.values import grids, json_object, names_or_pairs, with_line_breaks
from balora_audit.penalties import REGULARIZERS, Family, Frozen, Penalties, RegularizerPreset

__all__ = ["AuditConfig"]

DATA = Heading("Models and data")
TRAINING = Heading("Training")
TUNING = Heading("Tuning")
ADAPTER = Heading("Adapter")
PENALTIES = Heading("BA-LoRA's penalties")
NOISE = Heading("Noise")
COLLAPSE = Heading("Collapse")
WRITING = Heading("Writing")
STATISTICS = Heading("Statistics")
TASKS = Heading("Harness tasks")
MACHINE = Heading("Machine")


class AuditConfig(Frozen):
    """One audit, resolved: everything that decides its numbers. A field is also a flag, a variable and a key in a file."""

    preset: Annotated[PresetName, DATA] = Field(default="quick", description="what all settings start from (ls presets)")
    model: Annotated[str, DATA, Option("MODEL")] = Field(
        default="smollm2", description="built-in name (ls models), local folder, .gguf file or Hub id"
    )
    revision: Annotated[str | None, DATA, Option("REVISION")] = Field(default=None, description="revision of a Hub model or data set")
    data: Annotated[str, DATA, Option("DATA")] = Field(
        default="biographies",
        description="'biographies', a file (.csv .tsv .jsonl .parquet), a folder with train and test files, or a Hub data set",
    )
    test_data: Annotated[str | None, DATA, Option("FILE")] = Field(
        default=None, description="file with the test rows, when --data is a file; otherwise a stratified part of it is set aside"
    )
    columns: Annotated[dict[str, str], DATA, Option("ROLE=COLUMN,…")] = Field(
        default_factory=dict,
        description="where roles are found: text=sentence,label=label,group=gender; numbers for files without a header row",
    )
    label_names: Annotated[tuple[str, ...] | dict[str, str] | None, DATA, Option("A,B,…", parse=names_or_pairs)] = Field(
        default=None, description="names that the model answers with, in class order (Bad,Good), or by value (0=Bad,1=Good)"
    )
    prompt: Annotated[str | None, DATA, Option("TEMPLATE", parse=with_line_breaks)] = Field(
        default=None, description="prompt template with one {text}; the answer follows it"
    )
    train_rows: Annotated[int, DATA] = Field(default=240, ge=2, description="training rows used at most")
    test_rows: Annotated[int, DATA] = Field(default=384, ge=2, description="test rows used at most")
    data_seed: Annotated[int, DATA] = Field(default=0, ge=0, description="seed of the data: how they are made, drawn and disturbed")
    correlation: Annotated[float, DATA] = Field(
        default=0.8, ge=0.5, le=1.0, description="planted gender–occupation correlation in the training biographies"
    )
    chat_template: Annotated[bool, DATA] = Field(
        default=False, description="wrap prompts in the model's chat template, in training and probes (tasks: --task-chat-template)"
    )
    head: Annotated[Literal["auto", "lm", "classifier"], DATA] = Field(
        default="auto", description="lm: answer with text; classifier: a classification head"
    )
    models: Annotated[tuple[str, ...], DATA] = Field(
        default=("base", "lora", "balora"),
        description="methods to compare (ls methods); also lora[+cr], balora[-cr], and NAME=PATH for an adapter trained elsewhere",
    )
    baseline: Annotated[str | None, DATA, Option("MODEL")] = Field(
        default=None, description="compare with this model only (default: base and lora)"
    )
    conditions: Annotated[tuple[str, ...], DATA] = Field(
        default=("clean", "noise:0.3", "imbalance:20"),
        description="what is done to the training data: clean, noise:0.3, imbalance:20, correlate:0.9, joined by '+'",
    )
    probes: Annotated[tuple[str, ...], DATA] = Field(
        default=("noise", "imbalance", "collapse", "drift"), description="what is measured (ls probes); skill always is"
    )
    tasks: Annotated[tuple[str, ...], TASKS] = Field(
        default=(), description="tasks of lm-evaluation-harness to run on every model, ours (ls tasks) or upstream's"
    )
    task_metadata: Annotated[dict[str, Any], TASKS, Option("JSON", parse=json_object)] = Field(
        default_factory=dict, description='JSON object for the tasks\' data functions, such as {"items": 64}'
    )
    task_include: Annotated[tuple[str, ...], TASKS, Option("DIR,…")] = Field(
        default=(), description="folders with task files of your own (tasks validate)"
    )
    task_shots: Annotated[int | None, TASKS] = Field(
        default=None, ge=0, description="examples before each question of a task; default: what the task says, else none"
    )
    task_chat_template: Annotated[bool, TASKS] = Field(default=False, description="wrap the prompts of tasks in the model's chat template")
    seeds: Annotated[tuple[int, ...], DATA] = Field(default=(0,), description="training seeds; claims about a method need three or more")
    regularizers: Annotated[RegularizerPreset, PENALTIES] = Field(default="iclr2026", description="BA-LoRA's published settings")
    penalties: Annotated[dict[str, float | int | str | None], PENALTIES, Overrides(Penalties)] = Field(
        default_factory=dict, description="what replaces parts of the published settings"
    )
    adapter: Annotated[AdapterConfig, ADAPTER] = AdapterConfig()
    training: Annotated[TrainingConfig, TRAINING] = TrainingConfig()
    tune: Annotated[bool, TUNING] = Field(
        default=True, description="try a grid of learning rates for every trained method and take each one's best"
    )
    tuning: Annotated[Grid, TUNING, Option("AXIS=X/X,…", parse=grids)] = Field(
        default_factory=dict,
        description="what is tried, such as learning_rate=2e-4/1e-3,rank=4/8,penalties.consistency=0.01/0.1; default: four learning rates",
    )
    tune_budget: Annotated[int | None, TUNING] = Field(default=None, ge=1, description="candidates of each method at most")
    validation_rows: Annotated[int, TUNING] = Field(
        default=96, ge=8, description="rows set aside from training, on which settings are chosen"
    )
    frontier: Annotated[FrontierConfig, TUNING] = FrontierConfig()
    noise: Annotated[NoiseConfig, NOISE] = NoiseConfig()
    collapse: Annotated[CollapseConfig, COLLAPSE] = CollapseConfig()
    writing: Annotated[WritingConfig, WRITING] = WritingConfig()
    layers: Annotated[tuple[int, ...] | Literal["all"], COLLAPSE] = Field(
        default=(), description="layers whose features are measured too; 0 is the embeddings"
    )
    general: Annotated[str | None, DATA, Option("FILE")] = Field(
        default=None,
        description="file of general text for knowledge drift (.txt with blank lines between texts, or a table with a text column)",
    )
    swaps: Annotated[str | None, DATA, Option("FILE")] = Field(
        default=None, description="file of identity terms to swap for counterfactuals (.csv, .tsv or .json pairs)"
    )
    margins: Annotated[dict[str, float], STATISTICS, Option("METRIC=δ", name="--margin", repeatable=True)] = Field(
        default_factory=dict, description="smallest difference that matters, METRIC=δ, comma-separated or repeated"
    )
    claims: Annotated[tuple[ClaimConfig, ...], FileOnly()] = Field(
        default=(), description="what is claimed beforehand; a default set when empty"
    )
    ci: Annotated[float, STATISTICS, Option("LEVEL")] = Field(default=0.95, gt=0.5, lt=1.0, description="confidence level of intervals")
    resamples: Annotated[int, STATISTICS] = Field(default=5000, ge=200, description="resamples of every bootstrap")
    numerical_floor: Annotated[bool, STATISTICS] = Field(
        default=True, description="score one model twice, in other batches and another order, to see how much numbers depend on that"
    )
    limit: Annotated[int | None, DATA, Option("N")] = Field(
        default=None, ge=2, description="use at most N training and N test rows, for a trial"
    )
    device: Annotated[str, MACHINE, Option("DEVICE")] = Field(default="auto", description="auto, cpu, cuda, cuda:0 or mps")
    dtype: Annotated[str, MACHINE, Option("FORMAT")] = Field(default="auto", description="auto, float32, bfloat16 or float16")
    trust_remote_code: Annotated[bool, MACHINE] = Field(default=False, description="run code that comes with the model")

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

    @field_validator("tuning")
    @classmethod
    def _axes(cls, value: Grid) -> Grid:
        return check_axes(value)

    @model_validator(mode="after")
    def _coherent(self) -> AuditConfig:
        names = self.model_names
        folded = [name.casefold() for name in names]  # folders of two names that differ by case alone can be one
        if len(set(folded)) != len(names):
            raise ValueError(f"two models are called {next(name for name in names if folded.count(name.casefold()) > 1)!r}")
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
        return REGULARIZERS[self.regularizers][family].override(self.penalties)

    @property
    def active_probes(self) -> tuple[str, ...]:
        """The probes that run: skill always and first, the chosen ones, and the harness's as soon as a task is named."""
        return tuple(dict.fromkeys(("skill", *self.probes, *(("harness",) if self.tasks else ()))))

    @property
    def baselines(self) -> tuple[str, ...]:
        """The models that others are compared with."""
        if self.baseline is not None:
            return (self.baseline,)
        return tuple(name for name in ("base", "lora") if name in self.model_names) or self.model_names[:1]
