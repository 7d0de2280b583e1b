"""What an audit will do, worked out before anything is computed: contexts, units of work, claims. Loads no weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from balora_audit import provenance
from balora_audit.audit import Claim
from balora_audit.claims import declare
from balora_audit.config import AuditConfig
from balora_audit.data import AuditDataset, load
from balora_audit.data.conditions import Condition, apply, parse
from balora_audit.data.dataset import fingerprint
from balora_audit.data.perturbations import PERTURBATIONS
from balora_audit.errors import ConfigurationError, unknown_name
from balora_audit.methods import METHODS
from balora_audit.models.locate import ResolvedModel, locate
from balora_audit.models.precision import choose_device, choose_dtype
from balora_audit.probes import PROBES
from balora_audit.probes.evidence import Context, ScoreRequest
from balora_audit.store import content_key

__all__ = ["Cell", "Plan", "make_plan"]


@dataclass(slots=True, kw_only=True)
class Cell:
    """One model in one context. The base has one cell per context too; its scores are shared by their content."""

    context: Context
    train_key: str | None
    requests: dict[str, ScoreRequest]
    score_keys: dict[str, str]

    @property
    def id(self) -> tuple[str, str, int]:
        """(method, condition, seed)."""
        return self.context.method, str(self.context.condition), self.context.seed


@dataclass(slots=True, kw_only=True)
class Plan:
    """A resolved audit."""

    config: AuditConfig
    model: ResolvedModel
    dataset: AuditDataset
    device: str
    dtype: str
    dtype_reason: str
    cells: list[Cell]
    claims: tuple[Claim, ...]
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
    for name in config.models:
        if name not in METHODS:
            raise unknown_name("method", name, METHODS)
    for name in config.probes:
        if name not in PROBES:
            raise unknown_name("probe", name, PROBES)
    for name in config.noise.kinds:
        if name not in PERTURBATIONS:
            raise unknown_name("perturbation", name, PERTURBATIONS)
    conditions = _conditions(config)
    device = choose_device(config.device)
    dataset = load(config)
    if dataset.task == "generation":
        _refuse_label_conditions(conditions)
    model = locate(config.model, revision=config.revision, convert=convert, say=say)
    dtype, reason = choose_dtype(config.dtype, device, int(model.config.get("hidden_size") or 0))
    plan = Plan(
        config=config,
        model=model,
        dataset=dataset,
        device=str(device),
        dtype=str(dtype).removeprefix("torch."),
        dtype_reason=reason,
        cells=[],
        claims=(),
    )
    _lay_out(plan, conditions)
    plan.claims = tuple(declare(config, dataset, conditions))
    return plan


def _conditions(config: AuditConfig) -> list[Condition]:
    parsed = [parse(text) for text in config.conditions]
    names = [str(condition) for condition in parsed]
    if len(set(names)) != len(names):
        raise ConfigurationError(f"conditions name the same thing twice: {', '.join(config.conditions)}")
    return parsed


def _refuse_label_conditions(conditions: Iterable[Condition]) -> None:
    labelled = [str(condition) for condition in conditions if not condition.is_clean]
    if labelled:
        raise ConfigurationError(
            f"condition {labelled[0]!r} changes class labels, and the data are prompts and responses; use --conditions clean"
        )


def _lay_out(plan: Plan, conditions: list[Condition]) -> None:
    config, dataset = plan.config, plan.dataset
    for seed in config.seeds:
        for condition in conditions:
            conditioned = apply(dataset, condition, seed)
            flipped = {
                item: (int(change["clean"]), int(change["noisy"])) for item, change in conditioned.changed.get("flipped", {}).items()
            }
            plan.changed[f"{condition}/seed{seed}"] = {
                **conditioned.changed,
                "rows": len(conditioned.train),
                "rows_sha256": fingerprint(conditioned.train),
            }
            for name in config.models:
                context = Context(
                    config=config,
                    dataset=dataset,
                    method=name,
                    condition=condition,
                    seed=seed,
                    train=conditioned.train,
                    flipped=flipped,
                    evidence=f"samples/{name}-{condition}-seed{seed}.jsonl",
                )
                plan.cells.append(_cell(plan, context))
    order = {name: index for index, name in enumerate(config.models)}
    plan.cells.sort(key=lambda cell: order[cell.context.method])  # stable: the base first, if it was named first


def _cell(plan: Plan, context: Context) -> Cell:
    config = context.config
    method = METHODS[context.method]
    environment = {
        "code": provenance.code_hash(),
        "versions": provenance.versions(),
        "model": plan.model.fingerprint,
        "device": plan.device,
        "dtype": plan.dtype,
        "limit_tokens": config.training.max_tokens,
        "prompt": plan.dataset.prompt,
        "label_names": plan.dataset.label_names,
    }
    train_key = None
    if method.trains:
        penalties = method.penalties(config.effective_penalties) if method.penalties else None
        train_key = content_key(
            "train",
            {
                **environment,
                "method": [method.name, method.initialisation, method.anchored],
                "adapter": config.adapter.model_dump(mode="json"),
                "training": config.training.model_dump(mode="json"),
                "penalties": penalties.model_dump(mode="json") if penalties else None,
                "rows": fingerprint(context.train),
                "task": plan.dataset.task,
                "seed": context.seed,
            },
        )
    requests: dict[str, ScoreRequest] = {}
    for name in config.probes:
        for request in PROBES[name].requests(context):
            if request.key in requests and requests[request.key].content != request.content:
                raise ValueError(f"two probes ask for different texts under the key {request.key!r}")
            requests[request.key] = request
    score_keys = {
        key: content_key("score", {**environment, "adapter": train_key, "request": request.content}) for key, request in requests.items()
    }
    return Cell(context=context, train_key=train_key, requests=requests, score_keys=score_keys)
