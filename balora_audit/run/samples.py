"""The items behind the rates: every prediction in ``samples/*.jsonl``, and the few that the report shows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from balora_audit.cells import CellId
from balora_audit.files import write_atomic
from balora_audit.harness.records import HarnessScores
from balora_audit.probes import ScoreRequest, Scores
from balora_audit.probes.noise.copies import noisy, unchanged
from balora_audit.records import SampleRow, SampleTable
from balora_audit.run.plan import Cell, Plan
from balora_audit.run.store import RunStore
from balora_audit.scoring.protocol import AnswerScores, LabelScores, NumberScores, ResponseScores, TextScores

__all__ = ["write"]

_SHOWN = 20
_DISAGREEING = 10

AllScores = Mapping[CellId, Mapping[str, Scores]]


def write(plan: Plan, store: RunStore, scores: AllScores) -> list[SampleTable]:
    """Write one file of per-item results per model, condition and seed; return the tables for the report."""
    for cell in plan.cells:
        if cell.id in scores and cell.context.evidence is not None:
            lines = [json.dumps(row, ensure_ascii=False, allow_nan=False) for row in _rows(plan, cell, scores[cell.id])]
            write_atomic(store.folder / cell.context.evidence, "".join(line + "\n" for line in lines))
    if plan.dataset.task != "classification":
        return []
    return [table for view in _views(plan) if (table := _table(plan, view, scores)) is not None]


def _rows(plan: Plan, cell: Cell, scores: Mapping[str, Scores]) -> list[dict[str, object]]:
    dataset = plan.dataset
    known = {example.id: example for example in (*dataset.test, *cell.context.train)}
    found: list[dict[str, object]] = []
    for key, request in cell.requests.items():
        result = scores[key]
        if isinstance(result, HarnessScores):
            found += result.rows()
            continue
        numbers = _numbers(result, request)
        for index, item in enumerate(request.ids):
            row: dict[str, object] = {"set": key, "id": item, "input": request.texts[index]}
            example = known.get(item)
            if example is not None and example.group is not None:
                row["group"] = example.group
            if isinstance(result, LabelScores) and example is not None and example.label is not None:
                true = cell.context.flipped[item][0] if key == "flipped" else example.label
                row["gold"] = dataset.label_names[true]
                if key == "flipped":
                    row["trained_as"] = dataset.label_names[cell.context.flipped[item][1]]
                row["answer"] = dataset.label_names[int(result.prediction[index])]
                row["log_likelihood"] = {
                    name: round(float(value), 4) for name, value in zip(dataset.label_names, result.log_likelihood[index], strict=True)
                }
            elif isinstance(result, AnswerScores | NumberScores) and example is not None:
                row["gold"] = example.response if isinstance(result, AnswerScores) else example.target
            row |= {name: values[index] for name, values in numbers.items()}
            found.append(row)
    if "noise" in plan.config.active_probes:
        clean = {(row["set"], row["id"]): row for row in found if row["set"] in ("test", "written:clean")}
        for key, source, ids in unchanged(cell.context):
            found += [{**clean[source, item], "set": key, "unchanged": True} for item in sorted(ids)]
    return found


def _numbers(result: Scores, request: ScoreRequest) -> dict[str, Sequence[object]]:
    """Return what was found for each item, by name; labels are named elsewhere."""
    if isinstance(result, AnswerScores):
        return {"written": result.written, "finished": [bool(value) for value in result.finished]}
    if isinstance(result, ResponseScores):
        return {"response": request.responses, "nll": result.nll.tolist(), "tokens": result.tokens.tolist()}
    if isinstance(result, NumberScores):
        return {"predicted": result.value.tolist()}
    if isinstance(result, TextScores):
        return {"kl": result.kl.tolist(), "nll": result.nll.tolist(), "tokens": result.tokens.tolist()}
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """One table to show: a scored set under a condition."""

    probe: str
    condition: str
    key: str
    title: str
    paired_with: str | None = None


def _views(plan: Plan) -> list[_View]:
    found = []
    noise = plan.config.noise
    for condition in dict.fromkeys(str(cell.context.condition) for cell in plan.cells):
        first = next(cell for cell in plan.cells if str(cell.context.condition) == condition)
        worst = str(noisy(noise.kinds[0], noise.severities[-1]))
        if worst in first.requests:
            found.append(_View(probe="noise", condition=condition, key=worst, title=f"Answers under {worst}"))
        if "flipped" in first.requests and "noise" in plan.config.probes:
            title = "Mislabelled training items: gold is the true label"
            found.append(_View(probe="noise", condition=condition, key="flipped", title=title))
        if "counterfactual" in first.requests and first.context.condition.is_clean:
            title = f"Answers before → after {plan.dataset.swapped} is swapped"
            found.append(_View(probe="imbalance", condition=condition, key="counterfactual", title=title, paired_with="test"))
        if first.context.condition.imbalance is not None and "test" in first.requests:
            title = "Answers after training on imbalanced classes"
            found.append(_View(probe="imbalance", condition=condition, key="test", title=title))
    return found


def _table(plan: Plan, view: _View, scores: AllScores) -> SampleTable | None:
    seed = plan.config.seeds[0]
    cells = {
        cell.context.method: cell
        for cell in plan.cells
        if str(cell.context.condition) == view.condition and cell.context.seed == seed and cell.id in scores
    }
    results: dict[str, LabelScores] = {}
    for name, cell in cells.items():
        found = scores[cell.id].get(view.key)
        if isinstance(found, LabelScores):
            results[name] = found
    if not results:
        return None
    any_cell = next(iter(cells.values()))
    request = any_cell.requests[view.key]
    order = _choose(np.stack([result.log_likelihood for result in results.values()]))
    return SampleTable(
        probe=view.probe,
        condition=view.condition,
        title=view.title,
        rule=(
            f"the {_DISAGREEING} items on which the models' answers differ most (ties in order of id), then a seeded random "
            f"choice up to {_SHOWN}"
        ),
        total=len(request.ids),
        path=any_cell.context.evidence,
        rows=tuple(_row(plan, view, any_cell, index, results, scores, cells) for index in order),
    )


def _choose(log_likelihood_MND: np.ndarray) -> list[int]:
    """Return item indices: most distinct answers first, then the widest spread of likelihoods, then random ones."""
    answers_MN = log_likelihood_MND.argmax(axis=2)
    distinct = np.array([len(set(column.tolist())) for column in answers_MN.T])
    spread = log_likelihood_MND.std(axis=0).mean(axis=1)
    ranked = sorted(range(len(distinct)), key=lambda i: (-distinct[i], -round(float(spread[i]), 6), i))
    first = ranked[:_DISAGREEING]
    rest = sorted(set(range(len(distinct))) - set(first))
    count = min(len(rest), _SHOWN - len(first))
    return [*first, *(int(i) for i in sorted(np.random.default_rng(0).choice(rest, size=count, replace=False)))] if rest else first


def _row(
    plan: Plan,
    view: _View,
    cell: Cell,
    index: int,
    results: Mapping[str, LabelScores],
    scores: AllScores,
    cells: Mapping[str, Cell],
) -> SampleRow:
    names = plan.dataset.label_names
    request = cell.requests[view.key]
    item = request.ids[index]
    known = {example.id: example for example in (*plan.dataset.test, *cell.context.train)}
    label = cell.context.flipped[item][0] if view.key == "flipped" else known[item].label
    answers: dict[str, str | None] = {}
    for name, result in results.items():
        said = names[int(result.prediction[index])]
        if view.paired_with is not None:
            before = scores[cells[name].id][view.paired_with]
            position = cells[name].requests[view.paired_with].ids.index(item)
            if isinstance(before, LabelScores):
                said = f"{names[int(before.prediction[position])]} → {said}"
        answers[name] = said
    note = f"trained as {names[cell.context.flipped[item][1]]}" if view.key == "flipped" else ""
    return SampleRow(id=item, input=request.texts[index], gold=names[label] if label is not None else "", answers=answers, note=note)
