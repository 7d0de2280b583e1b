"""Probing several models with all probes: shared passes against one forward pass per probe, item and label.

    python benchmarks/probes.py [--model tiny|smollm2|FOLDER] [--models base,lora,pissa,balora] [--rows 24] [--rounds 3] [--json FILE]

Both ways score the same texts with the same adapters in one process, in float32, alternating. The naive way does what a
probe written on its own would do: it scores its own test set, item by item and label by label, with the whole model's
logits. The largest difference between the two ways' numbers is printed beside the ratio of their times.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from balora_audit.config import resolve
from balora_audit.models.placed import Placed
from balora_audit.probes import PROBES
from balora_audit.progress import Silent
from balora_audit.run.plan import Plan, make_plan
from balora_audit.run.scores import read_scores
from balora_audit.run.store import RunStore
from balora_audit.run.worker import Worker
from balora_audit.scoring import LabelScores, ScoreRequest, Scores, TextScores


def trained(plan: Plan, folder: Path) -> tuple[Worker, RunStore]:
    """Return a worker whose adapters are trained."""
    store = RunStore(folder)
    (folder / "units").mkdir(parents=True)
    worker = Worker(plan, store, Silent())
    for cell in plan.cells:
        if cell.train_key is not None:
            worker.train(cell, cell.context.method)
    return worker, store


def shared(plan: Plan, worker: Worker, store: RunStore) -> dict[tuple[str, str], Scores]:
    """Score every cell as the main job does; return (method, set) → scores."""
    found = {}
    for cell in plan.cells:
        for unit in cell.score_keys.values():
            store.forget(unit)
    for cell in plan.cells:
        with worker.placed(cell) as placed:
            for key, unit in cell.score_keys.items():
                if cell.requests[key].kind != "weights":
                    worker.score(unit, cell.requests[key], placed)
                    found[cell.context.method, key] = read_scores(store, unit)
    return found


@torch.no_grad()
def naive(plan: Plan, worker: Worker) -> dict[tuple[str, str], Scores]:
    """Score every probe's own requests for every cell: one forward pass per item and label."""
    found: dict[tuple[str, str], Scores] = {}
    for cell in plan.cells:
        with worker.placed(cell) as placed:
            for name in plan.config.active_probes:
                for request in PROBES[name].requests(cell.context):
                    if request.kind == "labels":
                        found[cell.context.method, request.key] = one_by_one(plan, worker, request)
                    elif request.kind == "texts":
                        found[cell.context.method, request.key] = text_by_text(worker, request, placed)
    return found


def one_by_one(plan: Plan, worker: Worker, request: ScoreRequest) -> LabelScores:
    """One forward pass per item and label, and another one for the features."""
    encoder, model = worker.workshop.encoder(), worker.base.model
    scores, features = np.zeros((len(request.texts), len(plan.dataset.label_names))), []
    for row, text in enumerate(request.texts):
        for column, name in enumerate(plan.dataset.label_names):
            answer = encoder.answer(" " + name)
            prompt = encoder.prompt(text)
            logits = model(torch.tensor([prompt + answer])).logits[0].float().log_softmax(-1)
            picked = [float(logits[len(prompt) - 1 + k, token]) for k, token in enumerate(answer)]
            scores[row, column] = np.mean(picked)
        if request.features:
            states = model(torch.tensor([encoder.prompt(text)]), output_hidden_states=True).hidden_states[-1]
            features.append(states[0, -1].float().numpy())
    return LabelScores(log_likelihood=scores, features=np.stack(features) if features else None)


def text_by_text(worker: Worker, request: ScoreRequest, placed: Placed) -> TextScores:
    """Two forward passes per text: the model and the base."""
    encoder, model = worker.workshop.encoder(), worker.base.model
    kl, nll, base_nll, tokens = [], [], [], []
    for text in request.texts:
        ids = torch.tensor([encoder.prompt(text)])
        mine = model(ids).logits[0, :-1].float().log_softmax(-1)
        with placed.disabled():
            base = model(ids).logits[0, :-1].float().log_softmax(-1)
        goal = ids[0, 1:, None]
        kl.append(float((base.exp() * (base - mine)).sum()))
        nll.append(-float(mine.gather(1, goal).sum()))
        base_nll.append(-float(base.gather(1, goal).sum()))
        tokens.append(len(goal))
    return TextScores(kl=np.array(kl), nll=np.array(nll), base_nll=np.array(base_nll), tokens=np.array(tokens))


def difference(a: dict[tuple[str, str], Scores], b: dict[tuple[str, str], Scores]) -> float:
    """Return the largest difference of any likelihood, feature (relative to the largest feature) or divergence per token."""
    assert a.keys() == b.keys(), a.keys() ^ b.keys()
    worst = 0.0
    for key, mine in a.items():
        other = b[key]
        if isinstance(mine, LabelScores) and isinstance(other, LabelScores):
            worst = max(worst, float(np.abs(mine.log_likelihood - other.log_likelihood).max()))
            if mine.features is not None and other.features is not None:
                worst = max(worst, float(np.abs(mine.features - other.features).max() / np.abs(other.features).max()))
        elif isinstance(mine, TextScores) and isinstance(other, TextScores):
            worst = max(worst, *(float((np.abs(x - y) / mine.tokens).max()) for x, y in ((mine.kl, other.kl), (mine.nll, other.nll))))
    return worst


def main() -> None:
    """Train the adapters once, score both ways in turn, print the ratio and the largest difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--models", default="base,lora,pissa,balora")
    parser.add_argument("--rows", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    config = resolve(
        {
            "preset": "smoke",
            "model": chosen.model,
            "models": tuple(chosen.models.split(",")),
            "conditions": ("clean",),
            "train_rows": 32,
            "test_rows": chosen.rows,
            "training": {"epochs": 1, "max_tokens": 256, "batch_size": 8},
            "dtype": "float32",
        }
    )
    plan = make_plan(config)
    times: dict[str, list[float]] = {"shared": [], "naive": []}
    with tempfile.TemporaryDirectory() as folder:
        worker, store = trained(plan, Path(folder))
        ways = {"shared": lambda: shared(plan, worker, store), "naive": lambda: naive(plan, worker)}
        worst = 0.0
        for _ in range(chosen.rounds):
            results = {}
            for name, way in ways.items():
                start = time.perf_counter()
                results[name] = way()
                times[name].append(time.perf_counter() - start)
            worst = max(worst, difference(results["shared"], results["naive"]))
    medians = {name: statistics.median(values) for name, values in times.items()}
    ratio = medians["naive"] / medians["shared"]
    texts = sum(len(request.texts) for cell in plan.cells for request in cell.requests.values())
    labels = len(plan.dataset.label_names)
    print(f"{chosen.model}, {len(plan.cells)} models, {texts} distinct texts, {labels} labels, {chosen.rounds} rounds")
    print(f"shared {medians['shared']:.2f} s, naive {medians['naive']:.2f} s: {ratio:.1f} times faster; largest difference {worst:.1e}")
    if chosen.json is not None:
        chosen.json.write_text(json.dumps({"seconds": times, "ratio": ratio, "largest_difference": worst}))


if __name__ == "__main__":
    main()
