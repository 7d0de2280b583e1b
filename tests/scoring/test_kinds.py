"""What all kinds of score have in common: storage, columns for the samples, numbers that are not finite, memory that runs out."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.numpy import load, save

from balora_audit.errors import StoreError, UnitError
from balora_audit.models.encode import Encoder
from balora_audit.models.placed import Placed
from balora_audit.run.scores import read_scores
from balora_audit.run.store import RunStore
from balora_audit.scoring import (
    KINDS,
    AnswerScores,
    HarnessScores,
    LabelScores,
    NumberScores,
    Reader,
    ResponseScores,
    ScoreKind,
    ScoreRequest,
    TextScores,
    WeightScores,
    score,
)

NUMBERS = np.array([0.5, 1.5])
COUNTS = np.array([2, 3])
FEATURES = np.ones((2, 4), np.float32)
REQUEST = ScoreRequest(
    key="set", kind="labels", ids=("a", "b"), texts=("x", "y"), labels=("no", "yes"), responses=("r", "s"), features=True
)
EXAMPLES = {
    "answers": AnswerScores.of(["one", "two"], tokens=[1, 2], finished=[True, False]),
    "harness": HarnessScores(payload=np.frombuffer(b'{"metrics": [], "items": [], "shortened": {}}', dtype=np.uint8)),
    "labels": LabelScores(log_likelihood=np.array([[-2.0, -1.00004], [-1.0, -3.0]]), features=FEATURES),
    "numbers": NumberScores(value=NUMBERS, features=FEATURES),
    "responses": ResponseScores(nll=NUMBERS, tokens=COUNTS, correct_tokens=COUNTS, features=FEATURES, layer_features=FEATURES[:, None]),
    "texts": TextScores(kl=NUMBERS, nll=NUMBERS, base_nll=NUMBERS, tokens=COUNTS),
    "weights": WeightScores(
        modules=np.frombuffer(b'["a", "b"]', dtype=np.uint8), norm=NUMBERS, change_norm=NUMBERS, change_sigma=np.ones((2, 1)),
        examined=np.array([0]), likeness=np.ones((1, 3)),
    ),
}  # fmt: skip


def equal(one, other):
    return one.arrays().keys() == other.arrays().keys() and all((one.arrays()[name] == other.arrays()[name]).all() for name in one.arrays())


def test_every_kind_has_an_example_here_and_a_name_for_one_class():
    assert {name: type(example) for name, example in EXAMPLES.items()} == {name: kind.scores for name, kind in KINDS.items()}
    assert len({kind.module for kind in KINDS.values()}) == len(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_scores_survive_storage(kind):
    example = EXAMPLES[kind]
    stored = load(save({name: np.ascontiguousarray(array) for name, array in example.arrays().items()}))
    assert equal(KINDS[kind].scores.from_arrays(stored), example)


@pytest.mark.parametrize("kind", KINDS)
def test_optional_arrays_may_be_left_unread_and_no_others(kind):
    cls, arrays = KINDS[kind].scores, EXAMPLES[kind].arrays()
    assert cls.optional() <= {"features", "layer_features", "feature_text"}
    light = cls.from_arrays({name: array for name, array in arrays.items() if name not in cls.optional()})
    assert all(getattr(light, name) is None for name in cls.optional())
    for name in arrays.keys() - cls.optional():
        with pytest.raises(StoreError, match=f"no {cls.__name__} \\('{name}' is missing"):
            cls.from_arrays({other: array for other, array in arrays.items() if other != name})


@pytest.mark.parametrize("kind", KINDS)
def test_arrays_of_another_kind_name_or_format_are_refused(kind):
    cls, arrays = KINDS[kind].scores, EXAMPLES[kind].arrays()
    first = next(iter(arrays))
    for wrong in ({**arrays, "surplus": NUMBERS}, {**arrays, first: arrays[first].astype(np.float16)}):
        with pytest.raises(StoreError, match=f"no {cls.__name__}"):
            cls.from_arrays(wrong)


def test_the_samples_keep_what_is_known_of_every_item():
    found = {kind: example.columns(REQUEST) for kind, example in EXAMPLES.items()}
    assert found["labels"]["answer"] == ["yes", "no"]
    assert found["labels"]["log_likelihood"][0] == {"no": -2.0, "yes": -1.0}
    assert found["numbers"] == {"predicted": [0.5, 1.5]}
    assert found["responses"] == {"response": ("r", "s"), "nll": [0.5, 1.5], "tokens": [2, 3]}
    assert found["texts"] == {"kl": [0.5, 1.5], "nll": [0.5, 1.5], "tokens": [2, 3]}
    assert found["answers"] == {"written": ("one", "two"), "finished": [True, False]}
    assert found["weights"] == {}
    assert found["harness"].keys() == {"set", "id", "group", "pair_id", "severity", "requests", "responses", "values"}
    json.dumps(found, allow_nan=False)


@pytest.fixture
def store(tmp_path):
    return RunStore(tmp_path / "run")


def test_a_stored_unit_is_read_as_its_kind(store):
    store.write("score-1", {"kind": "texts"}, EXAMPLES["texts"].arrays())
    assert equal(read_scores(store, "score-1"), EXAMPLES["texts"])


@pytest.mark.parametrize(
    ("record", "says"),
    [({"kind": "labels"}, "score-1 is damaged"), ({"kind": "songs"}, "unknown kind 'songs'"), ({}, "unknown kind None")],
)
def test_a_unit_whose_arrays_do_not_fit_is_damaged(store, record, says):
    store.write("score-1", record, EXAMPLES["texts"].arrays())
    with pytest.raises(StoreError, match=says):
        read_scores(store, "score-1")


def answering(monkeypatch, answer):
    monkeypatch.setitem(KINDS, "labels", ScoreKind(scores=LabelScores, score=lambda request, reader: answer()))


def test_numbers_that_are_not_finite_fail_their_unit(monkeypatch):
    broken = dataclasses.replace(EXAMPLES["labels"], features=np.full((2, 4), np.nan, np.float32))
    answering(monkeypatch, lambda: broken)
    with pytest.raises(UnitError, match="features that are not finite on the set 'set'"):
        score(REQUEST, SimpleNamespace())


@pytest.mark.parametrize("error", [MemoryError("no more"), torch.OutOfMemoryError("no more")])
def test_exhausted_memory_fails_one_unit(monkeypatch, error):
    def run_out():
        raise error

    answering(monkeypatch, run_out)
    with pytest.raises(UnitError, match="out of memory while scoring the set 'set': no more"):
        score(REQUEST, SimpleNamespace())


@pytest.mark.parametrize("kind", ["responses", "texts", "answers"])
def test_a_head_is_not_asked_for_words(kind):
    reader = Reader(placed=Placed(base=SimpleNamespace(forward=None, device=None)), encoder=Encoder(None, 8))
    request = dataclasses.replace(REQUEST, kind=kind, settings=(("max_new_tokens", 3),))
    with pytest.raises(TypeError, match="reads a language model's answers"):
        score(request, reader)


def test_the_content_of_a_request_is_all_but_its_key():
    assert dataclasses.replace(REQUEST, key="other", ids=("c", "d")).content == REQUEST.content
    for change in ({"texts": ("x", "z")}, {"labels": ("no", "maybe")}, {"responses": ("r", "t")}, {"features": False}, {"layers": (1,)}):
        assert dataclasses.replace(REQUEST, **change).content != REQUEST.content
