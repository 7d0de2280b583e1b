"""What an audit is made of: cells and candidates with their units of work, laid out from one set of circumstances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import PurePath, PurePosixPath
from typing import Any, TypeVar

from balora_audit.cells import CellId
from balora_audit.config import AuditConfig
from balora_audit.data import AuditDataset
from balora_audit.data.conditions import Condition, apply
from balora_audit.data.conditions import parse as parse_condition
from balora_audit.data.dataset import fingerprint
from balora_audit.data.perturbations import Perturbation
from balora_audit.methods import Method
from balora_audit.probes import Context, Probe
from balora_audit.probes.requests import one_per_key
from balora_audit.run.candidates import Setting, applied
from balora_audit.run.keys import UnitKeys
from balora_audit.run.validation import validation_request
from balora_audit.scoring import ScoreRequest
from balora_audit.training.examples import planned_steps
from balora_audit.training.shares import share_steps
from balora_audit.training.workshop import Recipe

__all__ = ["CANDIDATES", "CLEAN", "Cell", "Layout", "Trial", "share_folder"]

CLEAN = parse_condition("clean")
CANDIDATES = "candidates"
"""The folder of a run in which candidates lie."""

_BATCHED = frozenset({"labels", "numbers", "responses", "texts"})
"""Kinds of score that come out of batches, and that are cheap enough to have twice."""

AnyPath = TypeVar("AnyPath", bound=PurePath)


def share_folder(folder: AnyPath, share: float) -> AnyPath:
    """Return where the state after a share of a training goes: beside its end."""
    return folder.with_name(f"{folder.name}-share{share}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One model in one context. The base has one cell per context too; its scores are shared by their content.

    ``requests`` and ``score_keys`` are by the key of the requested set; ``asked`` says which sets each probe reads. ``rebatched`` are the
    sets that are scored once more, in other batches and another order, with their units. ``recipe`` is how it is trained, and ``folder``
    where what is trained goes, seen from the run folder. ``shares`` are those of its steps after which training keeps the state too;
    a cell with a ``share`` below 1 is such a state.
    """

    context: Context
    recipe: Recipe
    folder: PurePosixPath
    train_key: str | None
    requests: Mapping[str, ScoreRequest]
    score_keys: Mapping[str, str]
    asked: Mapping[str, tuple[str, ...]]
    rebatched: Mapping[str, ScoreRequest] = field(default_factory=dict)
    rebatched_keys: Mapping[str, str] = field(default_factory=dict)
    shares: tuple[float, ...] = ()
    share: float = 1.0

    @property
    def id(self) -> CellId:
        """Method, condition, seed."""
        return self.context.cell

    @property
    def state_key(self) -> str | None:
        """Which state of which training is scored: the training unit's key for its end; None for a bare base."""
        return self.train_key if self.share == 1 or self.train_key is None else f"{self.train_key}@{self.share}"

    def __str__(self) -> str:
        whole = self.context.method if self.train_key is None else str(self.id)
        return whole if self.share == 1 else f"{whole} after {self.share:g} of its steps"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One candidate: a method under one setting and seed, trained on clean data, with its validation and a light battery of tests.

    ``among`` are the learning rates of those that may be trained with it in one pass: the rounding of its numbers depends on them.
    ``partial`` are its states after shares of its steps, which have the same tests and no validation.
    """

    setting: Setting
    among: tuple[float, ...]
    cell: Cell
    validation: ScoreRequest
    validation_key: str
    partial: tuple[Cell, ...] = ()

    @property
    def states(self) -> tuple[Cell, ...]:
        """All that is tested: its end, and its states after shares of its steps."""
        return self.cell, *self.partial

    @property
    def method(self) -> str:
        """Of which method it is a candidate."""
        return self.cell.context.method

    @property
    def group(self) -> tuple[object, ...]:
        """What is equal for the candidates that may be trained with it."""
        return self.method, self.cell.context.seed, self.setting.others, self.among

    @property
    def train_key(self) -> str:
        """The unit of its training."""
        return str(self.cell.train_key)

    def __str__(self) -> str:
        return f"{self.method} at {self.setting.name}, seed {self.cell.context.seed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The circumstances that all cells of an audit share, and what lays cells out from them.

    ``recipe`` is the configured one; ``unmade`` says why a control cannot be made.
    """

    config: AuditConfig
    dataset: AuditDataset
    recipe: Recipe
    methods: Mapping[str, Method]
    probes: Mapping[str, Probe]
    keys: UnitKeys
    conditions: tuple[Condition, ...]
    unmade: Mapping[Condition, str]
    noise: Mapping[str, Perturbation]
    layers: tuple[int, ...]
    extractor: str | None

    def recipe_of(self, method: str, setting: Setting | None) -> Recipe:
        """Return how a method is trained: under a setting, or as configured."""
        return self.recipe if setting is None else applied(self.recipe, setting)

    def cells(
        self, settings: Mapping[str, Setting], chosen: Mapping[tuple[str, int], str]
    ) -> tuple[tuple[Cell, ...], dict[str, dict[str, Any]]]:
        """Return the cells, model by model, under the settings of their methods, and what the conditions changed.

        `chosen` has the unit of the candidate that is a method's clean run under a seed.
        """
        shown = (self._scored_twice(), self.config.seeds[0])
        recipes = {name: self.recipe_of(name, settings.get(name)) for name in self.methods}
        contexts, changed = self._contexts(recipes)
        cells = []
        for context in contexts:
            recipe = recipes[context.method]
            folder = PurePosixPath("adapters", context.cell.folder)
            again = (context.method, context.seed) == shown
            key = chosen.get((context.method, context.seed)) if context.condition.is_clean else None
            shares = self._shares(context) if key is not None else ()
            cells.append(self._cell(context, recipe, folder, self.probes, twice=again, key=key, shares=shares))
        return tuple(cells), changed

    def trial(self, method: str, setting: Setting, seed: int, among: tuple[float, ...]) -> Trial:
        """Return a candidate."""
        recipe, rows = self.recipe_of(method, setting), self.dataset.rows(seed)
        context = self._context(
            method,
            CLEAN,
            seed,
            train=rows,
            steps=planned_steps(len(rows), recipe.training),
            config=self._light(),
            dataset=self._open_twins(),
        )
        probes = {name: light for name, probe in self.probes.items() if (light := probe.battery) is not None}
        folder = PurePosixPath(CANDIDATES, method, setting.folder, f"seed{seed}")
        context = replace(context, layers=(), extractor=None)
        shares = self._shares(context)
        key = self.keys.training(self.methods[method], context, recipe, among=among, shares=shares)
        cell = self._cell(context, recipe, folder, probes, key=key, shares=shares)
        request = validation_request(self.dataset, self.recipe.head)
        return Trial(
            setting=setting,
            among=among,
            cell=cell,
            validation=request,
            validation_key=self.keys.scores(cell.train_key, request),
            partial=tuple(self._after(cell, share) for share in shares),
        )

    def _shares(self, context: Context) -> tuple[float, ...]:
        """Return the shares of a candidate's steps that have a step of their own."""
        return tuple(share_steps(self.config.frontier.shares, context.steps or 0))

    def _after(self, cell: Cell, share: float) -> Cell:
        """Return a cell as it is after a share of its steps."""
        partial = replace(cell, folder=share_folder(cell.folder, share), shares=(), share=share)
        keys = {key: self.keys.scores(partial.state_key, request) for key, request in cell.requests.items()}
        return replace(partial, score_keys=keys)

    def _light(self) -> AuditConfig:
        """Return the configuration of the battery: some kinds of noise, evenly chosen, at the middle severity."""
        noise, most = self.config.noise, self.config.frontier.kinds
        step = max(1, -(-len(noise.kinds) // max(1, most)))
        kinds = noise.kinds[::step][:most]
        severities = (noise.severities[len(noise.severities) // 2],)
        return self.config.model_copy(update={"noise": noise.model_copy(update={"kinds": kinds, "severities": severities})})

    def _open_twins(self) -> AuditDataset:
        """Return the data with no twins but of the texts that leave the answer open: only these are read of candidates."""
        test = tuple(replace(e, counterfactual=None) if e.decided is True else e for e in self.dataset.test)
        return replace(self.dataset, test=test)

    def _contexts(self, recipes: Mapping[str, Recipe]) -> tuple[list[Context], dict[str, dict[str, Any]]]:
        contexts: list[Context] = []
        changed: dict[str, dict[str, Any]] = {}
        for seed in self.config.seeds:
            conditioned = {condition: apply(self.dataset, condition, seed) for condition in self.conditions}
            flips = {condition: _flips(done.changed) for condition, done in conditioned.items()}
            given = len(self.dataset.rows(seed))
            steps = {name: planned_steps(given, recipe.training) for name, recipe in recipes.items()}
            for condition, done in conditioned.items():
                control = condition.control if condition.control in conditioned else None
                counts = {"rows": len(done.train), "rows_sha256": fingerprint(done.train)}
                counts |= {"steps": planned_steps(given, self.recipe.training)} | ({} if control is None else {"control": str(control)})
                changed[f"{condition}/seed{seed}"] = {**done.changed, **counts}
                contexts += [
                    self._context(
                        name,
                        condition,
                        seed,
                        train=done.train,
                        steps=steps[name],
                        flipped=flips[condition],
                        flipped_elsewhere={str(other): found for other, found in flips.items() if found and other.control == condition},
                        evidence=f"samples/{CellId(name, str(condition), seed).file_stem}.jsonl",
                        control=control,
                    )
                    for name, method in self.methods.items()
                    if method.applies_to(condition)
                ]
        order = {name: index for index, name in enumerate(self.methods)}
        return sorted(contexts, key=lambda context: order[context.method]), changed  # stable: the base first, if it was named first

    def _context(self, method: str, condition: Condition, seed: int, **more: Any) -> Context:
        fields: dict[str, Any] = {
            "config": self.config,
            "dataset": self.dataset,
            "flipped": {},
            "perturbations": self.noise,
            "changes_weights": not self.methods[method].is_base,
            "predicts_words": self.recipe.head.kind == "lm",
            "layers": self.layers,
            "extractor": self.extractor,
            "no_control": _no_control(condition, self.unmade),
        }
        return Context(method=method, condition=condition, seed=seed, **{**fields, **more})

    def _scored_twice(self) -> str | None:
        """Return the model whose numbers show the numerical floor: the last one that is trained, for it moved; the base where none is."""
        trained = [name for name, method in self.methods.items() if method.trains]
        return (trained or list(self.methods))[-1] if self.config.numerical_floor else None

    def _cell(
        self,
        context: Context,
        recipe: Recipe,
        folder: PurePosixPath,
        probes: Mapping[str, Probe],
        *,
        twice: bool = False,
        key: str | None = None,
        shares: tuple[float, ...] = (),
    ) -> Cell:
        train_key = key or self.keys.training(self.methods[context.method], context, recipe)
        wanted = {name: probe.requests(context) for name, probe in probes.items()}
        requests = one_per_key(chain.from_iterable(wanted.values()), "probes")
        asked = {name: tuple(request.key for request in of_probe) for name, of_probe in wanted.items()}
        again = {key: replace(request, rebatched=True) for key, request in requests.items() if twice and request.kind in _BATCHED}
        return Cell(
            context=context,
            recipe=recipe,
            folder=folder,
            train_key=train_key,
            requests=requests,
            score_keys={key: self.keys.scores(train_key, request) for key, request in requests.items()},
            asked=asked,
            rebatched=again,
            rebatched_keys={key: self.keys.scores(train_key, request) for key, request in again.items()},
            shares=shares,
        )


def _no_control(condition: Condition, unmade: Mapping[Condition, str]) -> str:
    if condition.control is None:
        return "this condition has no control"
    return unmade.get(condition.control, f"its control {condition.control} is not part of this audit")


def _flips(changed: dict[str, Any]) -> dict[str, tuple[int, int]]:
    return {item: (int(change["clean"]), int(change["noisy"])) for item, change in changed.get("flipped", {}).items()}
