"""Choosing each method's setting: candidates on the validation rows, the grid extended where a best value lies at its end (METHODS §9)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from balora_audit.records import Tuning, TuningCandidate
from balora_audit.run.candidates import RATE, Setting
from balora_audit.run.notes import failure_note, first_failure, training_note
from balora_audit.run.plan import Plan, Trial
from balora_audit.run.scores import read_scores
from balora_audit.run.store import RunStore
from balora_audit.run.validation import METRIC, validation_losses
from balora_audit.run.worker import can_be_tested
from balora_audit.stats import ItemScores, interval, paired

__all__ = ["settle", "tuning_record"]

_MOST_ROUNDS = 2
Lost = Mapping[str, str]
"""Unit → why it failed in this run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tried:
    """One setting of one method: the validation losses of its seeds, or why it cannot be chosen."""

    setting: Setting
    losses: tuple[ItemScores, ...]
    reason: str | None

    @property
    def loss(self) -> float:
        """The mean over seeds."""
        return float(np.mean([scores.defined_value() for scores in self.losses]))


def settle(
    plan: Plan,
    store: RunStore,
    *,
    lost: Lost,
    work: Callable[[Sequence[Trial], Collection[str]], None] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Plan | None:
    """Return the plan with a chosen setting for every method.

    `work` gets all candidates and the units of those that are missing, to train and score them; without it, None where one is. A best
    learning rate at an end of the grid extends it for all methods alike, at most twice; what was found before leads to the same extensions.
    """
    if plan.grid is None:
        return plan
    for left in range(_MOST_ROUNDS, -1, -1):
        missing = {trial.train_key for trial in plan.trials if not _done(trial, store, lost)}
        if missing and work is None:
            return None
        if missing and work is not None:
            work(plan.trials, missing)
        bests = {method: best for method in plan.tuned if (best := _best(_tried(plan, store, lost, method))) is not None}
        wider = plan.grid.extended([best.setting.place for best in bests.values()]) if plan.grid is not None and left else None
        if wider is None:
            break
        say("a best learning rate lies at an end of the grid: all methods get another one there")
        plan = plan.trying(wider)
    failed = {trial.train_key: reason for trial in plan.trials if (reason := _failure(trial, store, lost)) is not None}
    return plan.with_settings({**plan.settings, **{method: best.setting for method, best in bests.items()}}, failed=failed)


def _done(trial: Trial, store: RunStore, lost: Lost) -> bool:
    """Whether a candidate is validated, and what it is still to be tested with is there."""
    if trial.train_key in lost or trial.validation_key in lost:
        return True
    if not store.has(trial.validation_key):
        return False
    return failure_note(store, trial.validation_key) is not None or all(can_be_tested(store, cell) for cell in trial.states)


def _failure(trial: Trial, store: RunStore, lost: Lost) -> str | None:
    for unit in (trial.train_key, trial.validation_key):
        if unit in lost:
            return lost[unit]
    return failure_note(store, trial.validation_key)


def _tried(plan: Plan, store: RunStore, lost: Lost, method: str) -> list[_Tried]:
    """Return the settings of a method in order of place, each with all its seeds."""
    by_setting: dict[Setting, list[Trial]] = {}
    for trial in plan.trials:
        if trial.method == method:
            by_setting.setdefault(trial.setting, []).append(trial)
    found = []
    for setting in sorted(by_setting, key=lambda setting: setting.place):
        trials = by_setting[setting]
        reasons = [reason for trial in trials if (reason := _failure(trial, store, lost)) is not None]
        losses = () if reasons else tuple(validation_losses(plan.dataset, read_scores(store, trial.validation_key)) for trial in trials)
        found.append(_Tried(setting=setting, losses=losses, reason=reasons[0] if reasons else None))
    return found


def _best(tried: Sequence[_Tried]) -> _Tried | None:
    """Return the setting with the smallest mean loss, of equal ones the first; None where all failed."""
    whole = [one for one in tried if one.reason is None]
    return min(whole, key=lambda one: one.loss) if whole else None


def tuning_record(plan: Plan, store: RunStore, lost: Lost) -> Tuning | None:
    """Return what the audit keeps of the tuning; None where nothing was tuned."""
    if plan.grid is None:
        return None
    candidates = [_candidate(plan, store, lost, trial) for trial in plan.trials]
    return Tuning(
        metric=METRIC,
        rows=len(plan.dataset.validation),
        axes={**plan.grid.axes},
        relative=plan.grid.relative,
        candidates=tuple(candidates),
        choices={method: plan.settings[method].name for method in plan.tuned if any(c.chosen for c in candidates if c.method == method)},
        notes=(
            *_battery(plan),
            *(note for method in plan.tuned for note in _notes(plan, store, lost, method)),
            *_without_point(plan, store),
        ),
    )


def _battery(plan: Plan) -> Iterator[str]:
    """Yield what is different about the noise that candidates are tested with."""
    light, full = plan.trials[0].cell.context.config.noise, plan.config.noise
    if "noise" in plan.probes and (light.kinds, light.severities) != (full.kinds, full.severities):
        which = f"{', '.join(light.kinds)} at severity {light.severities[0]}" if light.kinds else "no noise"
        yield f"candidates are tested with {which}: at equal skill, noise means that; the models themselves are tested with all kinds"


def _without_point(plan: Plan, store: RunStore) -> Iterator[str]:
    """Yield which shares of which candidates are no points of a frontier, and why."""
    for trial in plan.trials:
        for cell in trial.partial:
            if (reason := first_failure(store, cell.score_keys.values())) is not None:
                title, where = plan.methods[trial.method].title, f"{trial.setting.name}, seed {cell.context.seed}"
                yield f"{title}: {where}: no point after {cell.share:g} of the steps: {reason}"


def _candidate(plan: Plan, store: RunStore, lost: Lost, trial: Trial) -> TuningCandidate:
    reason = _failure(trial, store, lost)
    common: dict[str, Any] = {
        "method": trial.method,
        "setting": trial.setting.name,
        "values": dict(trial.setting.values),
        "seed": trial.cell.context.seed,
    }
    if reason is not None:
        return TuningCandidate(**common, validation=None, reason=reason)
    losses = validation_losses(plan.dataset, read_scores(store, trial.validation_key))
    bounds = interval(losses, level=plan.config.ci, n_resamples=plan.config.resamples, seed=0)
    return TuningCandidate(
        **common,
        validation=losses.defined_value(),
        ci_low=None if bounds is None else bounds[0],
        ci_high=None if bounds is None else bounds[1],
        wall_seconds=training_note(store, trial.train_key).cell.get("wall_seconds"),
        chosen=trial.setting == plan.settings.get(trial.method),
    )


def _notes(plan: Plan, store: RunStore, lost: Lost, method: str) -> Iterator[str]:
    """Yield what limits the choice of a method's setting."""
    assert plan.grid is not None
    title, tried = plan.methods[method].title, _tried(plan, store, lost, method)
    best = _best(tried)
    if best is None:
        yield f"{title}: all {len(tried)} candidates failed"
        return
    if len(tried) == 1:
        yield f"{title}: one candidate, {best.setting.name}: nothing was tuned"
        return
    if len(tried) < len(plan.grid.places):
        yield f"{title}: {len(tried)} of {len(plan.grid.places)} settings differ for it; the others change nothing in it"
    failures = [one for one in tried if one.reason is not None]
    if failures:
        yield f"{title}: {len(failures)} of {len(tried)} candidates failed: {', '.join(one.setting.name for one in failures)}"
    if best.setting.place[0] in plan.grid.ends and len(plan.grid.axes[RATE]) > 1:
        yield f"{title}: the best learning rate, {best.setting.rate:g}, lies at the end of the grid: another one may be better"
    alike = [one.setting.name for one in tried if one is not best and one.reason is None and not _worse(plan, one, best)]
    if alike:
        rows = len(plan.dataset.validation)
        yield f"{title}: {rows} validation rows do not tell {best.setting.name} from {', '.join(alike)}"


def _worse(plan: Plan, one: _Tried, best: _Tried) -> bool:
    """Whether a setting's loss is above the best's beyond the interval of their difference."""
    found = paired(one.losses, best.losses, level=plan.config.ci, n_resamples=plan.config.resamples, seed=0)
    return found.ci_low is not None and found.ci_low > 0
