"""What an audit will do, worked out before anything is computed: cells, candidates, units of work, claims. Loads no weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from balora_audit import methods as known_methods
from balora_audit import probes as known_probes
from balora_audit.comparison.claims import declare, pairs
from balora_audit.config import AuditConfig
from balora_audit.data import AuditDataset, load
from balora_audit.data import perturbations as known_noise
from balora_audit.data.perturbations import Perturbation
from balora_audit.errors import ConfigurationError, unknown_name
from balora_audit.extensions import Extension, described
from balora_audit.methods import Method, find_methods
from balora_audit.models.locate import ResolvedModel, locate
from balora_audit.models.precision import choose_device
from balora_audit.probes import Probe
from balora_audit.probes.harness import suite_of
from balora_audit.records import Claim
from balora_audit.run import provenance
from balora_audit.run.candidates import Setting, SettingGrid, grid_of
from balora_audit.run.choices import (
    check_modules,
    choose_conditions,
    choose_extractor,
    choose_format,
    choose_head,
    choose_layers,
    with_controls,
)
from balora_audit.run.keys import UnitKeys, content_key
from balora_audit.run.layout import Cell, Layout, Trial
from balora_audit.training.workshop import Recipe

__all__ = ["Cell", "Plan", "Trial", "make_plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A resolved audit.

    Parameters
    ----------
    layout : Layout
        What cells and candidates are laid out from.
    probes : mapping
        The probes that run, by name.
    pairs : tuple of (baseline, candidate)
        Which models are compared.
    changed : mapping
        Condition and seed → what was done to the training rows.
    extensions : tuple of Extension
        What other packages bring, used or not.
    grid : SettingGrid, optional
        The settings that are tried for every trained method; None where nothing is tuned.
    trials : tuple of Trial
        The candidates.
    settings : mapping
        Method → the setting that it is trained with; until one is chosen, where the grid begins.
    failed : mapping
        Training unit of a candidate → why there is nothing to test.
    settled : bool
        Whether the settings are the chosen ones.
    """

    layout: Layout
    config: AuditConfig
    model: ResolvedModel
    dataset: AuditDataset
    recipe: Recipe
    methods: Mapping[str, Method]
    probes: Mapping[str, Probe]
    device: str
    dtype: str
    dtype_reason: str
    cells: tuple[Cell, ...]
    pairs: tuple[tuple[str, str], ...]
    claims: tuple[Claim, ...]
    changed: Mapping[str, Any]
    extensions: tuple[Extension, ...]
    warnings: tuple[str, ...]
    grid: SettingGrid | None = None
    trials: tuple[Trial, ...] = ()
    settings: Mapping[str, Setting] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    settled: bool = True

    @property
    def unit_keys(self) -> list[str]:
        """All units of work, each once, in order of execution."""
        keys: dict[str, None] = {}
        for trial in self.trials:
            keys[trial.validation_key] = None
            if trial.train_key not in self.failed:
                keys[trial.train_key] = None
                keys.update((key, None) for cell in trial.states for key in cell.score_keys.values())
        for cell in self.cells:
            if cell.train_key is not None:
                keys[cell.train_key] = None
            keys.update(dict.fromkeys((*cell.score_keys.values(), *cell.rebatched_keys.values())))
        return list(keys)

    @property
    def tuned(self) -> list[str]:
        """The methods whose settings are chosen."""
        return [] if self.grid is None else [name for name, method in self.methods.items() if method.trains]

    @property
    def controls(self) -> dict[str, str]:
        """Condition → its control, of those that are trained."""
        contexts = (cell.context for cell in self.cells)
        return {str(context.condition): str(context.control) for context in contexts if context.control is not None}

    @property
    def run_key(self) -> str:
        """The content address of the whole result: same key, same measurements."""
        return content_key(
            "run",
            {
                "units": self.unit_keys,
                "claims": [repr(claim) for claim in self.claims],
                "config": self.config.model_dump(mode="json"),
                "code": provenance.code_hash(),
                "extensions": described(self.extensions),
            },
        )

    def trying(self, grid: SettingGrid) -> Plan:
        """Return the plan with the candidates of a grid; what is trained otherwise waits for one of them to be chosen."""
        trials: dict[str, Trial] = {}
        for name in (name for name, method in self.methods.items() if method.trains):
            own = self.config.training.learning_rate_of(name)
            for places in grid.rounds:
                settings = [grid.setting(place, own) for place in places]
                for setting in settings:
                    among = tuple(dict.fromkeys(other.rate for other in settings if other.others == setting.others))
                    for seed in self.config.seeds:
                        trial = self.layout.trial(name, setting, seed, among)
                        trials.setdefault(trial.train_key, trial)  # a setting that changes nothing for a method is no other candidate
        tried = replace(self, grid=grid, trials=tuple(trials.values()))
        first = {name: next(t.setting for t in tried.trials if t.method == name) for name in tried.tuned}
        return replace(tried.with_settings(first), settled=False)

    def with_settings(self, settings: Mapping[str, Setting], *, failed: Mapping[str, str] | None = None) -> Plan:
        """Return the plan whose methods are trained with these settings; a candidate that has a method's setting is its clean run."""
        chosen = {(t.method, t.cell.context.seed): t.train_key for t in self.trials if settings.get(t.method) == t.setting}
        cells, changed = self.layout.cells(settings, chosen)
        return replace(self, cells=cells, changed=changed, settings=settings, failed=failed or {}, settled=True)


def make_plan(config: AuditConfig, *, convert: bool = True, say: Callable[[str], None] = lambda _: None) -> Plan:
    """Check every name, read the data, find the model and lay out the units of work.

    With ``convert=False`` a GGUF model is not converted, so that looking at a plan loads no weights.

    Raises
    ------
    AuditError
        Anything that can be known to be wrong before computing is an error here.
    """
    noise, probes, extensions = _find(config)
    methods = find_methods(config.models)
    device = choose_device(config.device)
    dataset = load(config)
    asked = choose_conditions(config, dataset, methods)
    conditions, unmade = with_controls(config, dataset, asked)
    model = locate(config.model, revision=config.revision, convert=convert, say=say)
    head = choose_head(config.head, dataset, model)
    if head.kind == "classifier":
        if config.tasks:
            raise ConfigurationError("--tasks needs a model that predicts words, and this one gets a classification head; give --head lm")
        if config.chat_template:
            raise ConfigurationError("--chat-template is for models that answer with text, and this one gets a classification head")
        dataset = replace(dataset, prompt="{text}", general=())  # a head reads the bare text, and predicts no words
    if config.chat_template and model.has_chat_template is False:
        raise ConfigurationError(f"--chat-template: {model.name!r} brings no chat template")
    check_modules(config, methods.values(), model, head)
    dtype, reason = choose_format(config, methods, device, model)
    recipe = Recipe(
        adapter=config.adapter,
        training=config.training,
        penalties=config.penalties_for(head.family),
        regularizers=config.regularizers,
        head=head,
        chat_template=config.chat_template,
    )
    active = {name: probes[name] for name in config.active_probes}
    layout = Layout(
        config=config,
        dataset=dataset,
        recipe=recipe,
        methods=methods,
        probes=active,
        keys=UnitKeys(recipe=recipe, dataset=dataset, model=model, device=str(device), dtype=dtype),
        conditions=conditions,
        unmade=unmade,
        noise=noise,
        layers=choose_layers(config, model),
        extractor=choose_extractor(config, dataset),
    )
    cells, changed = layout.cells({}, {})
    if config.tasks:
        suite_of(config).check(model.context_tokens, template=model.has_chat_template)
    plan = Plan(
        layout=layout,
        config=config,
        model=model,
        dataset=dataset,
        recipe=recipe,
        methods=methods,
        probes=active,
        device=str(device),
        dtype=dtype,
        dtype_reason=reason,
        cells=cells,
        pairs=tuple(pairs(config)),
        claims=tuple(declare(config, dataset, conditions, [cell.context for cell in cells], probes)),
        changed=changed,
        extensions=extensions,
        warnings=(
            *dataset.notes,
            *unmade.values(),
            *(f"the {e.kind} {e.name!r} ({e.package}) was left out: {e.failure}" for e in extensions if e.failure),
        ),
    )
    return plan.trying(_checked_grid(config)) if _tunes(config, methods) else plan


def _tunes(config: AuditConfig, methods: Mapping[str, Method]) -> bool:
    return config.tune and any(method.trains for method in methods.values())


def _checked_grid(config: AuditConfig) -> SettingGrid:
    """Return the grid; raises `ConfigurationError` where a method has a rate of its own and the grid has rates for all."""
    grid = grid_of(config)
    if config.training.learning_rates and not grid.relative:
        raise ConfigurationError(
            "training.learning_rates gives methods rates of their own, and tuning.learning_rate one grid to all of them; leave one out"
        )
    return grid


def _find(config: AuditConfig) -> tuple[dict[str, Perturbation], dict[str, Probe], tuple[Extension, ...]]:
    """Return the kinds of noise and the probes that there are, and what other packages bring, after a check of the names."""
    noise, probes = known_noise.extensions(), known_probes.extensions()
    noise.require(config.noise.kinds)
    probes.require(config.probes)
    all_noise, all_probes = {**known_noise.PERTURBATIONS, **noise.things}, {**known_probes.PROBES, **probes.things}
    metrics = [metric for probe in all_probes.values() for metric in probe.metrics]
    named: tuple[tuple[str, Iterable[str], Iterable[str]], ...] = (
        ("probe", config.probes, all_probes),
        ("perturbation", config.noise.kinds, all_noise),
        ("metric with a margin", config.margins, metrics),
    )
    for kind, given, known in named:
        for name in given:
            if name not in known:
                raise unknown_name(kind, name, known)
    return all_noise, all_probes, (*probes.origins, *noise.origins, *known_methods.extensions().origins)
