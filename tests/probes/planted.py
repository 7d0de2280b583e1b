"""Planted scores: what probes are given in place of a model's."""

from dataclasses import replace

import numpy as np

from balora_audit.config import resolve
from balora_audit.data.biographies import generate
from balora_audit.data.conditions import apply, parse
from balora_audit.probes import PROBES, Beside, Context
from balora_audit.probes.noise.copies import changed
from balora_audit.scoring import AnswerScores, LabelScores, ResponseScores, TextScores

DATA = generate(n_train=160, n_test=80, seed=3, correlation=0.8)
CONFIG = resolve({"preset": "smoke", "resamples": 300, "noise": {"kinds": ("typo", "ocr"), "severities": (1, 3)}}, environment={})
GOLD = np.array([e.label for e in DATA.test])


def context(condition="clean", dataset=DATA, **more):
    parsed = parse(condition)
    done = apply(dataset, parsed, 0)
    flipped = {i: (c["clean"], c["noisy"]) for i, c in done.changed.get("flipped", {}).items()}
    settings = {"config": CONFIG, "dataset": dataset, "method": "m", "condition": parsed, "seed": 0, "train": done.train}
    return Context(**{**settings, "flipped": flipped, **more})


def answering(labels, features=None):
    scores = np.full((len(labels), 8), -5.0)
    scores[np.arange(len(labels)), labels] = -0.1
    return LabelScores(log_likelihood=scores, features=features)


PLACE = {e.id: index for index, e in enumerate(DATA.test)}


class Planted(dict):
    """Scores by key; what a test does not plant is what a model gives that does not look at names, and healthy general features."""

    def __init__(self, here, scores):
        super().__init__(scores)
        self.test = here.dataset.test

    def __missing__(self, key):
        if key == "placebo":
            chosen = [i for i, e in enumerate(self.test) if None not in (e.counterfactual, e.placebo) and e.decided is not True]
            return answering(self["test"].prediction[chosen])
        if key == "general":
            features = np.random.default_rng(9).normal(size=(96, 6)).astype(np.float32)
            count = len(DATA.general)
            rest = {"kl": np.zeros(count), "nll": np.ones(count), "base_nll": np.ones(count), "tokens": np.full(count, 3)}
            return TextScores(**rest, features=features, feature_text=np.arange(96) % count)
        raise KeyError(key)


def measure(probe, here, scores, beside=Beside()):  # noqa: B008 - frozen
    """Measure planted scores."""
    return PROBES[probe].measure(here, Planted(here, scores), beside)


def answered(requests, **planted):
    """Answer every request about the test set: with planted labels for all 80 items by set, else rightly."""
    found = {}
    for request in requests:
        if set(request.ids) <= set(PLACE):
            rows = [PLACE[item] for item in request.ids]
            found[request.key] = answering(planted.get(request.key, planted.get("all", GOLD))[rows])
    return found


def wrong_at(share, seed=0):
    labels = GOLD.copy()
    hit = np.random.default_rng(seed).permutation(len(labels))[: round(share * len(labels))]
    labels[hit] = (labels[hit] + 1) % 8
    return labels


def values(findings):
    return {(m.metric, m.slice): m.value for m in findings.measurements}


def reasons(findings):
    return {(m.metric, m.slice): m.reason for m in findings.measurements if m.reason is not None}


def changed_at(here, kind, severity, count):
    """Return labels that are wrong on some of the items whose copy differs from its text."""
    labels = GOLD.copy()
    places = [PLACE[item] for item in changed(here, kind, severity)[0]][:count]
    assert len(places) == count
    labels[places] = (labels[places] + 1) % 8
    return labels


def generation(answers):
    test = tuple(replace(e, label=None, response=f"So it is #### {i}") for i, e in enumerate(DATA.test))
    here = context(dataset=replace(DATA, task="generation", label_names=(), test=test), extractor="gsm8k")
    scores = {}
    for request in PROBES["noise"].requests(here):
        count = len(request.ids)
        if request.kind == "answers":
            written = [answers(PLACE[item], request.key) for item in request.ids]
            scores[request.key] = AnswerScores.of(written, tokens=[5] * count, finished=[True] * count)
        else:
            scores[request.key] = ResponseScores(nll=np.ones(count), tokens=np.full(count, 4), correct_tokens=np.full(count, 2))
    return here, scores
