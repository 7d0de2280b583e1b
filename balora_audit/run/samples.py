"""The items behind the rates: every answer in ``samples/*.jsonl``, and the few that the report shows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from balora_audit.data.dataset import Example
from balora_audit.files import write_atomic
from balora_audit.probes import Context, Probe, View
from balora_audit.records import SampleRow, SampleTable
from balora_audit.run.plan import Cell
from balora_audit.run.scores import FEATURES, StoredScores
from balora_audit.run.store import RunStore
from balora_audit.scoring import LabelScores, Scores

__all__ = ["write"]

_SHOWN = 20
_DISAGREEING = 10
_RULE = (
    f"the {_DISAGREEING} items on which the models' answers differ most (ties in order of id), then a seeded random choice up to {_SHOWN}"
)


def write(store: RunStore, probes: Iterable[Probe], cells: Sequence[Cell], lost: Mapping[str, str]) -> list[SampleTable]:
    """Write one file of per-item results for each of these cells; return the tables for the report, of the first seed.

    `lost` are the units that failed: their sets are left out.
    """
    asked = list(probes)
    for cell in cells:
        if cell.context.evidence is not None:
            rows = _rows(cell, _scores(store, cell, lost), asked)
            write_atomic(store.folder / cell.context.evidence, "".join(f"{_line(row)}\n" for row in rows))
    tables = []
    for condition in dict.fromkeys(cell.id.condition for cell in cells):
        of_condition = [cell for cell in cells if cell.id.condition == condition]
        shown = [cell for cell in of_condition if cell.id.seed == of_condition[0].id.seed]
        scores = {cell.id.method: _scores(store, cell, lost) for cell in shown}
        views = [(probe.name, view) for probe in asked for view in probe.views(shown[0].context)]
        tables += [table for name, view in views if (table := _table(name, view, shown, scores)) is not None]
    return tables


def _scores(store: RunStore, cell: Cell, lost: Mapping[str, str]) -> StoredScores:
    return StoredScores(store, cell.score_keys, lost=lost, without=FEATURES)


def _line(row: Mapping[str, object]) -> str:
    return json.dumps(row, ensure_ascii=False, allow_nan=False)


def _rows(cell: Cell, scores: Mapping[str, Scores], probes: Iterable[Probe]) -> list[dict[str, object]]:
    known = _examples(cell.context)
    found: list[dict[str, object]] = []
    for key, result in scores.items():
        request = cell.requests[key]
        columns = result.columns(request)
        given = {} if "id" in columns else {"id": request.ids, "input": request.texts}
        for values in zip(*given.values(), *columns.values(), strict=True):
            row = {"set": key, **dict(zip((*given, *columns), values, strict=True))}
            found.append({**row, **(_truth(cell.context, known.get(str(row["id"]))) if given else {})})
    rows = {(row["set"], row["id"]): row for row in found}
    for repeat in (repeat for probe in probes for repeat in probe.repeats(cell.context)):
        sources = [(item, rows.get((repeat.source, item))) for item in sorted(repeat.ids)]
        found += [{**row, "set": repeat.key, "unchanged": True} for _, row in sources if row is not None]
    return found


def _examples(context: Context) -> dict[str, Example]:
    return {example.id: example for example in (*context.dataset.test, *context.train)}


def _truth(context: Context, example: Example | None) -> dict[str, object]:
    """Return what is known of an item: its group, the right answer, and the wrong label that it was trained with."""
    if example is None:
        return {}
    names, flip = context.dataset.label_names, context.flipped.get(example.id)
    label = example.label if flip is None else flip[0]
    gold = names[label] if label is not None else example.response if example.response is not None else example.target
    return {
        **({} if example.group is None else {"group": example.group}),
        **({} if gold is None else {"gold": gold}),
        **({} if flip is None else {"trained_as": names[flip[1]]}),
    }


def _table(probe: str, view: View, cells: Sequence[Cell], scores: Mapping[str, StoredScores]) -> SampleTable | None:
    """Return one table of items with every model's answer; None where no model has labelled them."""
    labelled = {cell.id.method: cell for cell in cells if isinstance(scores[cell.id.method].get(view.key), LabelScores)}
    if not labelled:
        return None
    answers = {name: _labels(scores[name], view.key) for name in labelled}
    first = next(iter(labelled.values()))
    order = _choose(np.stack([found.log_likelihood for found in answers.values()]))
    said = {name: _said(labelled[name], view, scores[name], order) for name in labelled}
    known, request = _examples(first.context), first.requests[view.key]
    rows = []
    for place, index in enumerate(order):
        item = request.ids[index]
        truth = _truth(first.context, known[item])
        rows.append(
            SampleRow(
                id=item,
                input=request.texts[index],
                gold=str(truth.get("gold", "")),
                answers={name: answer[place] for name, answer in said.items()},
                note=f"trained as {truth['trained_as']}" if "trained_as" in truth else "",
            )
        )
    return SampleTable(
        probe=probe,
        condition=first.id.condition,
        title=view.title,
        rule=_RULE,
        total=len(request.ids),
        path=first.context.evidence,
        rows=tuple(rows),
    )


def _labels(scores: Mapping[str, Scores], key: str) -> LabelScores:
    found = scores[key]
    if not isinstance(found, LabelScores):
        raise TypeError(f"the set {key!r} was not scored for its labels")
    return found


def _said(cell: Cell, view: View, scores: Mapping[str, Scores], order: Sequence[int]) -> list[str]:
    """Return a model's answers to the chosen items, after those that it gave before where the view asks for them."""
    names = cell.context.dataset.label_names
    now = [names[label] for label in _labels(scores, view.key).prediction[list(order)]]
    if view.before is None or view.before not in scores:
        return now
    places = {item: index for index, item in enumerate(cell.requests[view.before].ids)}
    ids = cell.requests[view.key].ids
    before = _labels(scores, view.before).prediction[[places[ids[index]] for index in order]]
    return [f"{names[label]} → {answer}" for label, answer in zip(before, now, strict=True)]


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
