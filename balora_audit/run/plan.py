"""What an audit will do, worked out before anything is computed: cells, units of work, claims. Loads no weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from balora_audit import methods as known_methods
from balora_audit import probes as known_probes
from balora_audit.cells import CellId
from balora_audit.comparison.claims import declare, pairs
from balora_audit.config import AuditConfig
from balora_audit.data import AuditDataset, load
from balora_audit.data import perturbations as known_noise
from balora_audit.data.conditions import Condition, apply
from balora_audit.data.dataset import fingerprint
from balora_audit.data.perturbations import Perturbation
from balora_audit.errors import ConfigurationError, unknown_name
from balora_audit.extensions import Extension, described
from balora_audit.methods import Method, find_methods
from balora_audit.models.locate import ResolvedModel, locate
from balora_audit.models.precision import choose_device
from balora_audit.probes import Context, Probe
from balora_audit.probes.harness import suite_of
from balora_audit.probes.requests import one_per_key
from balora_audit.records import Claim
from balora_audit.run import provenance
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
from balora_audit.scoring import ScoreRequest
from balora_audit.training.examples import planned_steps
from balora_audit.training.workshop import Recipe

__all__ = ["Cell", "Plan", "make_plan"]

_BATCHED = frozenset({"labels", "numbers", "responses", "texts"})
"""Kinds of score that come out of batches, and that are cheap enough to have twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One model in one context. The base has one cell per context too; its scores are shared by their content.

    ``requests`` and ``score_keys`` are by the key of the requested set; ``asked`` says which sets each probe reads. ``rebatched`` are the
    sets that are scored once more, in other batches and another order, with their units.
    """

    context: Context
    train_key: str | None
    requests: Mapping[str, ScoreRequest]
    score_keys: Mapping[str, str]
    asked: Mapping[str, tuple[str, ...]]
    rebatched: Mapping[str, ScoreRequest]
    rebatched_keys: Mapping[str, str]

    @property
    def id(self) -> CellId:
        """Method, condition, seed."""
        return self.context.cell

    def __str__(self) -> str:
        return self.context.method if self.train_key is None else str(self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A resolved audit.

    Parameters
    ----------
    recipe : Recipe
        What the configuration says about training.
    probes : mapping
        The probes that run, by name.
    pairs : tuple of (baseline, candidate)
        Which models are compared.
    changed : mapping
        Condition and seed → what was done to the training rows.
    extensions : tuple of Extension
        What other packages bring, used or not.
    """

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

    @property
    def unit_keys(self) -> list[str]:
        """All units of work, each once, in order of execution."""
        keys: dict[str, None] = {}
        for cell in self.cells:
            if cell.train_key is not None:
                keys[cell.train_key] = None
            keys.update(dict.fromkeys((*cell.score_keys.values(), *cell.rebatched_keys.values())))
        return list(keys)

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
    contexts, changed = _contexts(config, dataset, model, recipe, methods, conditions, unmade, noise)
    active = {name: probes[name] for name in config.active_probes}
    keys = UnitKeys(recipe=recipe, dataset=dataset, model=model, device=str(device), dtype=dtype)
    shown = (_scored_twice(config, methods), config.seeds[0])
    cells = tuple(
        _cell(keys, methods[context.method], context, active, twice=(context.method, context.seed) == shown) for context in contexts
    )
    if config.tasks:
        suite_of(config).check(model.context_tokens, template=model.has_chat_template)
    return Plan(
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
        claims=tuple(declare(config, dataset, conditions, contexts, probes)),
        changed=changed,
        extensions=extensions,
        warnings=(
            *dataset.notes,
            *unmade.values(),
            *(f"the {e.kind} {e.name!r} ({e.package}) was left out: {e.failure}" for e in extensions if e.failure),
        ),
    )


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


def _contexts(
    config: AuditConfig,
    dataset: AuditDataset,
    model: ResolvedModel,
    recipe: Recipe,
    methods: Mapping[str, Method],
    conditions: tuple[Condition, ...],
    unmade: Mapping[Condition, str],
    noise: Mapping[str, Perturbation],
) -> tuple[list[Context], dict[str, dict[str, Any]]]:
    """Return the circumstances of every cell, model by model, and what the conditions changed."""
    layers, extractor = choose_layers(config, model), choose_extractor(config, dataset)
    contexts: list[Context] = []
    changed: dict[str, dict[str, Any]] = {}
    for seed in config.seeds:
        conditioned = {condition: apply(dataset, condition, seed) for condition in conditions}
        flips = {condition: _flips(done.changed) for condition, done in conditioned.items()}
        steps = planned_steps(len(dataset.rows(seed)), config.training)
        for condition, done in conditioned.items():
            control = condition.control if condition.control in conditioned else None
            counts = {"rows": len(done.train), "rows_sha256": fingerprint(done.train), "steps": steps}
            counts |= {} if control is None else {"control": str(control)}
            changed[f"{condition}/seed{seed}"] = {**done.changed, **counts}
            contexts += [
                Context(
                    config=config,
                    dataset=dataset,
                    method=name,
                    condition=condition,
                    seed=seed,
                    train=done.train,
                    flipped=flips[condition],
                    flipped_elsewhere={str(other): found for other, found in flips.items() if found and other.control == condition},
                    perturbations=noise,
                    changes_weights=not method.is_base,
                    predicts_words=recipe.head.kind == "lm",
                    layers=layers,
                    extractor=extractor,
                    evidence=f"samples/{CellId(name, str(condition), seed).file_stem}.jsonl",
                    control=control,
                    no_control=_no_control(condition, unmade),
                    steps=steps,
                )
                for name, method in methods.items()
                if method.applies_to(condition)
            ]
    order = {name: index for index, name in enumerate(methods)}
    return sorted(contexts, key=lambda context: order[context.method]), changed  # stable: the base first, if it was named first


def _no_control(condition: Condition, unmade: Mapping[Condition, str]) -> str:
    if condition.control is None:
        return "this condition has no control"
    return unmade.get(condition.control, f"its control {condition.control} is not part of this audit")


def _flips(changed: dict[str, Any]) -> dict[str, tuple[int, int]]:
    return {item: (int(change["clean"]), int(change["noisy"])) for item, change in changed.get("flipped", {}).items()}


def _scored_twice(config: AuditConfig, methods: Mapping[str, Method]) -> str | None:
    """Return the model whose numbers show the numerical floor: the last one that is trained, for it moved; the base where none is."""
    trained = [name for name, method in methods.items() if method.trains]
    return (trained or list(methods))[-1] if config.numerical_floor else None


def _cell(keys: UnitKeys, method: Method, context: Context, probes: Mapping[str, Probe], *, twice: bool) -> Cell:
    train_key = keys.training(method, context)
    wanted = {name: probe.requests(context) for name, probe in probes.items()}
    requests = one_per_key(chain.from_iterable(wanted.values()), "probes")
    asked = {name: tuple(request.key for request in of_probe) for name, of_probe in wanted.items()}
    again = {key: replace(request, rebatched=True) for key, request in requests.items() if twice and request.kind in _BATCHED}
    return Cell(
        context=context,
        train_key=train_key,
        requests=requests,
        score_keys={key: keys.scores(train_key, request) for key, request in requests.items()},
        asked=asked,
        rebatched=again,
        rebatched_keys={key: keys.scores(train_key, request) for key, request in again.items()},
    )
