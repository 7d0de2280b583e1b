"""What an audit will do, worked out before anything is computed: contexts, units of work, claims. Loads no weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from balora_audit import probes
from balora_audit.cells import CellId
from balora_audit.comparison.claims import declare
from balora_audit.config import AuditConfig
from balora_audit.data import AuditDataset, load, perturbations
from balora_audit.data.conditions import Condition, apply, parse
from balora_audit.data.dataset import fingerprint
from balora_audit.data.perturbations import Perturbation
from balora_audit.errors import ConfigurationError, unknown_name
from balora_audit.extensions import Extension, described
from balora_audit.files import hash_files
from balora_audit.methods import Method, find_methods
from balora_audit.methods.adapter import check, target_modules
from balora_audit.metrics import exact_match, find_extractor, guess_extractor
from balora_audit.models.load import HeadSpec
from balora_audit.models.locate import ResolvedModel, locate
from balora_audit.models.precision import choose_device, choose_dtype
from balora_audit.models.skeleton import skeleton
from balora_audit.probes import Context, Probe, ScoreRequest
from balora_audit.probes.harness import suite_of
from balora_audit.records import Claim
from balora_audit.run import provenance
from balora_audit.run.store import content_key

__all__ = ["Cell", "Plan", "make_plan"]


@dataclass(slots=True, kw_only=True)
class Cell:
    """One model in one context. The base has one cell per context too; its scores are shared by their content."""

    context: Context
    train_key: str | None
    requests: dict[str, ScoreRequest]
    score_keys: dict[str, str]

    @property
    def id(self) -> CellId:
        """Method × condition × seed."""
        return CellId(self.context.method, str(self.context.condition), self.context.seed)


@dataclass(slots=True, kw_only=True)
class Plan:
    """A resolved audit."""

    config: AuditConfig
    model: ResolvedModel
    dataset: AuditDataset
    methods: dict[str, Method]
    head: HeadSpec
    device: str
    dtype: str
    dtype_reason: str
    cells: list[Cell]
    claims: tuple[Claim, ...]
    probes: Mapping[str, Probe]
    perturbations: Mapping[str, Perturbation]
    extensions: tuple[Extension, ...] = ()
    changed: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @property
    def unit_keys(self) -> list[str]:
        """All units of work, each once, in order of execution."""
        keys: dict[str, None] = {}
        for cell in self.cells:
            if cell.train_key is not None:
                keys[cell.train_key] = None
            keys.update(dict.fromkeys(cell.score_keys.values()))
        return list(keys)

    @property
    def run_key(self) -> str:
        """The content address of the whole result: same key, same measurements."""
        return content_key(
            "run",
            {
                "units": self.unit_keys,
                "claims": [repr(claim) for claim in self.claims],
                "config": self.config.model_dump(mode="json"),
                "code": provenance.code_hash(all_code=True),
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
    methods = find_methods(config.models)
    known_probes, known_noise = probes.extensions(), perturbations.extensions()
    known_probes.require(config.probes)
    known_noise.require(config.noise.kinds)
    all_probes, all_noise = {**probes.PROBES, **known_probes.things}, {**perturbations.PERTURBATIONS, **known_noise.things}
    _check_names(config, all_probes, all_noise)
    conditions = _conditions(config)
    device = choose_device(config.device)
    dataset = load(config)
    if dataset.task != "classification":
        _refuse_label_conditions(conditions)
    if any(method.tuning == "imported" for method in methods.values()) and not any(c.is_clean for c in conditions):
        raise ConfigurationError("an adapter trained elsewhere is measured beside condition clean; add it to --conditions")
    model = locate(config.model, revision=config.revision, convert=convert, say=say)
    head = choose_head(config.head, dataset, model)
    if head.kind == "classifier":
        if config.tasks:
            raise ConfigurationError("--tasks needs a model that predicts words, and this one gets a classification head; give --head lm")
        dataset = replace(dataset, prompt="{text}", general=())  # a head reads the bare text, and predicts no words
    _check_adapters(config, methods, model, head)
    dtype, reason = _dtype(config, methods, device, model)
    plan = Plan(
        config=config,
        model=model,
        dataset=dataset,
        methods=methods,
        head=head,
        device=str(device),
        dtype=str(dtype).removeprefix("torch."),
        dtype_reason=reason,
        cells=[],
        claims=(),
        probes=all_probes,
        perturbations=all_noise,
        extensions=(*known_probes.origins, *known_noise.origins),
    )
    _lay_out(plan, conditions)
    if config.tasks:
        suite_of(config).check(model.context_tokens, template=model.has_chat_template)
    plan.claims = tuple(declare(config, dataset, conditions, [cell.context for cell in plan.cells], plan.probes))
    plan.warnings += [f"the {e.kind} {e.name!r} ({e.package}) was left out: {e.failure}" for e in plan.extensions if e.failure is not None]
    return plan


def _check_names(config: AuditConfig, known_probes: Mapping[str, Probe], known_noise: Mapping[str, Perturbation]) -> None:
    metrics = [metric for probe in known_probes.values() for metric in probe.metrics]
    kinds: tuple[tuple[str, Iterable[str], Iterable[str]], ...] = (
        ("probe", config.probes, known_probes),
        ("perturbation", config.noise.kinds, known_noise),
        ("metric with a margin", config.margins, metrics),
    )
    for kind, given, known in kinds:
        for name in given:
            if name not in known:
                raise unknown_name(kind, name, known)


def _conditions(config: AuditConfig) -> list[Condition]:
    parsed = [parse(text) for text in config.conditions]
    names = [str(condition) for condition in parsed]
    if len(set(names)) != len(names):
        raise ConfigurationError(f"conditions name the same thing twice: {', '.join(config.conditions)}")
    return parsed


def _refuse_label_conditions(conditions: Iterable[Condition]) -> None:
    labelled = [str(condition) for condition in conditions if not condition.is_clean]
    if labelled:
        raise ConfigurationError(f"condition {labelled[0]!r} changes class labels, and the data have none; use --conditions clean")


def choose_head(wanted: str, dataset: AuditDataset, model: ResolvedModel) -> HeadSpec:
    """Return how the model answers: ``auto`` lets a causal language model answer with text and gives others a head.

    Raises
    ------
    ConfigurationError
        Generation without a language model.
    """
    named = [str(name) for name in model.config.get("architectures") or ["LMHeadModel"]]
    causal = any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in named)
    regression = dataset.task == "regression"
    kind = wanted if wanted != "auto" else "lm" if causal and not regression else "classifier"
    if kind == "lm" and regression:
        raise ConfigurationError("numbers are predicted by a head, not by text; leave out --head lm")
    if dataset.task == "generation" and (kind == "classifier" or not causal):
        raise ConfigurationError(f"{model.name!r} ({named[0]}) writes no text, and the data are prompts and responses")
    if kind == "lm":
        return HeadSpec()
    return HeadSpec(kind="classifier", outputs=1 if regression else len(dataset.label_names), regression=regression)


def _check_adapters(config: AuditConfig, methods: dict[str, Method], model: ResolvedModel, head: HeadSpec) -> None:
    found = skeleton(model, head, trust_remote_code=config.trust_remote_code)
    adapters = [method for method in methods.values() if method.tuning == "adapter"]
    if found is None or not adapters:
        return
    modules = target_modules(found[0], config.adapter.target_modules, head=found[1])
    shapes = {name: (module.out_features, module.in_features) for name, module in modules.items()}
    for method in adapters:
        check(method, config.adapter, shapes)


def _dtype(config: AuditConfig, methods: dict[str, Method], device: torch.device, model: ResolvedModel) -> tuple[torch.dtype, str]:
    full = [name for name, method in methods.items() if method.tuning == "full"]
    if full and config.dtype not in ("auto", "float32"):
        raise ConfigurationError(f"{full[0]!r} updates all weights, which {config.dtype} is too coarse for; use --dtype float32")
    if full:
        return torch.float32, "full fine-tuning needs it"
    return choose_dtype(config.dtype, device, int(model.config.get("hidden_size") or 0))


def _lay_out(plan: Plan, conditions: list[Condition]) -> None:
    config, dataset = plan.config, plan.dataset
    layers, extractor = _layers(config, plan.model), _extractor(config, dataset)
    for seed in config.seeds:
        conditioned = {condition: apply(dataset, condition, seed) for condition in conditions}
        flips = {str(condition): _flips(done.changed) for condition, done in conditioned.items()}
        for condition, done in conditioned.items():
            plan.changed[f"{condition}/seed{seed}"] = {
                **done.changed,
                "rows": len(done.train),
                "rows_sha256": fingerprint(done.train),
            }
            for name, method in plan.methods.items():
                if method.tuning == "imported" and not condition.is_clean:
                    continue  # what it was trained on is not known
                context = Context(
                    config=config,
                    dataset=dataset,
                    method=name,
                    condition=condition,
                    seed=seed,
                    train=done.train,
                    flipped=flips[str(condition)],
                    flipped_elsewhere={other: found for other, found in flips.items() if found} if condition.is_clean else {},
                    perturbations=plan.perturbations,
                    changes_weights=not method.is_base,
                    predicts_words=plan.head.kind == "lm",
                    layers=layers,
                    extractor=extractor,
                    evidence=f"samples/{name}-{condition}-seed{seed}.jsonl",
                )
                plan.cells.append(_cell(plan, context))
    order = {name: index for index, name in enumerate(plan.methods)}
    plan.cells.sort(key=lambda cell: order[cell.context.method])  # stable: the base first, if it was named first


def _flips(changed: dict[str, Any]) -> dict[str, tuple[int, int]]:
    return {item: (int(change["clean"]), int(change["noisy"])) for item, change in changed.get("flipped", {}).items()}


def _layers(config: AuditConfig, model: ResolvedModel) -> tuple[int, ...]:
    count = int(model.config.get("num_hidden_layers") or model.config.get("n_layer") or 0)
    if config.layers == "all":
        if count == 0:
            raise ConfigurationError(f"the configuration of {model.name!r} does not say how many layers it has; name them: --layers 0,1")
        return tuple(range(count + 1))
    wrong = [layer for layer in config.layers if layer < 0 or (count and layer > count)]
    if wrong:
        raise ConfigurationError(f"--layers {wrong[0]}: {model.name!r} has layers 1 to {count}, and 0 for the embeddings")
    return tuple(dict.fromkeys(config.layers))


def _extractor(config: AuditConfig, dataset: AuditDataset) -> str | None:
    """Return how written answers are read; the references must have answers under it before anything is computed."""
    if dataset.task != "generation" or config.writing.extractor == "none":
        return None
    references = [str(example.response) for example in dataset.test]
    extractor = guess_extractor(references) if config.writing.extractor == "auto" else config.writing.extractor
    if extractor is None:
        return None
    exact_match(references, references, find_extractor(extractor))
    if config.writing.max_new_tokens > config.training.max_tokens - 8:
        raise ConfigurationError(
            f"writing.max_new_tokens {config.writing.max_new_tokens} leaves no room for a prompt within training.max_tokens "
            f"{config.training.max_tokens}; lower the one or raise the other"
        )
    return extractor


def _cell(plan: Plan, context: Context) -> Cell:
    config = context.config
    environment = {
        "code": provenance.code_hash(),
        "versions": provenance.versions(),
        "model": plan.model.fingerprint,
        "device": plan.device,
        "dtype": plan.dtype,
        "limit_tokens": config.training.max_tokens,
        "prompt": plan.dataset.prompt,
        "label_names": plan.dataset.label_names,
        "head": repr(plan.head),
    }
    train_key = _train_key(plan, context, environment)
    requests: dict[str, ScoreRequest] = {}
    for name in config.active_probes:
        for request in plan.probes[name].requests(context):
            if request.key in requests and requests[request.key].content != request.content:
                raise ValueError(f"two probes ask for different texts under the key {request.key!r}")
            requests[request.key] = request
    score_keys = {
        key: content_key("score", {**environment, "adapter": train_key, "request": request.content}) for key, request in requests.items()
    }
    return Cell(context=context, train_key=train_key, requests=requests, score_keys=score_keys)


def _train_key(plan: Plan, context: Context, environment: dict[str, Any]) -> str | None:
    """Return the content address of what is trained for a cell; None for a base that needs no head."""
    config, method = context.config, plan.methods[context.method]
    if method.tuning == "imported":
        assert method.folder is not None
        return content_key("import", {**environment, "files": hash_files(method.folder)})
    rows = {"rows": fingerprint(context.train), "task": plan.dataset.task}
    if method.is_base:
        return content_key("head", {**environment, **rows}) if plan.head.kind == "classifier" else None
    penalties = method.penalties(config.penalties_for(plan.head.family)) if method.penalties else None
    return content_key(
        "train",
        {
            **environment,
            **rows,
            "method": [method.tuning, method.initialisation, method.anchored, dict(method.peft)],
            "adapter": config.adapter.model_dump(mode="json"),
            "training": config.training.deciding,
            "learning_rate": config.training.learning_rate_of(method.name),
            "penalties": penalties.model_dump(mode="json") if penalties else None,
            "seed": context.seed,
        },
    )
