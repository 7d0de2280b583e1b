"""Likelihoods that rounding cannot tie, answers that favour no class, and numbers that hardly depend on batches."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from balora_audit.errors import ModelError
from balora_audit.models.encode import Encoder
from balora_audit.models.load import load
from balora_audit.models.locate import locate
from balora_audit.models.placed import Placed
from balora_audit.scoring import LabelScores, Reader, ScoreRequest, score


@pytest.fixture(scope="module")
def rounded():
    """The shipped model in bfloat16."""
    return load(locate("tiny"), device=torch.device("cpu"), dtype=torch.bfloat16)


def reader_of(base, **options):
    return Reader(placed=Placed(base=base), encoder=Encoder(base.tokenizer, 256, **options))


def labels(dataset, **more):
    texts = tuple(dataset.render(e.text) for e in (*dataset.test, *dataset.train))
    return ScoreRequest(key="test", kind="labels", ids=tuple(map(str, range(len(texts)))), texts=texts, labels=dataset.label_names, **more)


def test_ties_go_to_every_tied_class_alike():
    scores = LabelScores(log_likelihood=np.tile([0.0, -1.0, 0.0, -2.0, 0.0], (3000, 1)))
    assert scores.tied.all()
    shares = np.bincount(scores.prediction, minlength=5) / 3000
    assert shares[[1, 3]].tolist() == [0, 0]
    assert shares[[0, 2, 4]] == pytest.approx([1 / 3] * 3, abs=0.03)
    assert (scores.prediction == scores.prediction).all()


def test_without_ties_the_answer_is_the_largest():
    found = LabelScores(log_likelihood=np.random.default_rng(0).normal(size=(200, 8)))
    assert not found.tied.any()
    assert (found.prediction == found.log_likelihood.argmax(axis=1)).all()


def test_a_rounded_head_ties_labels_and_a_float32_product_does_not(rounded, dataset):
    """Of the model's own bfloat16 logits several labels in a hundred tie; of the same hidden states in float32 none."""
    first = [rounded.tokenizer(" " + name, add_special_tokens=False).input_ids[0] for name in dataset.label_names]
    request = labels(dataset)
    tied = 0
    with torch.no_grad():
        for text in request.texts:
            ids = torch.tensor([rounded.tokenizer(text).input_ids])
            logits = rounded.model(ids).logits[0, -1, first]
            tied += len(set(logits.tolist())) < len(set(first))
    assert tied > 0.02 * len(request.texts)
    found = score(request, reader_of(rounded))
    assert not found.tied.any()
    assert len(np.unique(found.log_likelihood)) > 0.9 * found.log_likelihood.size


def test_float32_likelihoods_are_those_of_the_whole_model(tiny, dataset):
    request = labels(dataset)
    found = score(request, reader_of(tiny))
    for index in (0, 7, 40):
        ids = tiny.tokenizer(request.texts[index]).input_ids
        for place, name in enumerate(dataset.label_names):
            answer = tiny.tokenizer(" " + name, add_special_tokens=False).input_ids
            with torch.no_grad():
                logp = tiny.model(torch.tensor([ids + answer])).logits[0].log_softmax(-1)
            expected = np.mean([float(logp[len(ids) - 1 + k, token]) for k, token in enumerate(answer)])
            assert found.log_likelihood[index, place] == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("kind", ["labels", "texts", "responses"])
def test_other_batches_give_nearly_the_same_numbers_for_the_same_items(tiny, dataset, kind):
    texts = tuple(dataset.render(e.text) for e in dataset.test)
    plain = ScoreRequest(
        key="k", kind=kind, ids=tuple(e.id for e in dataset.test), texts=texts, features=True,
        labels=dataset.label_names if kind == "labels" else (),
        responses=tuple(dataset.answer(e) for e in dataset.test) if kind == "responses" else (),
    )  # fmt: skip
    again = replace(plain, rebatched=True)
    assert plain.content != again.content
    one, other = (score(request, reader_of(tiny)).arrays() for request in (plain, again))
    assert one.keys() == other.keys()
    for name, array in one.items():
        assert array == pytest.approx(other[name], abs=2e-3), name


def test_other_batches_are_other_batches(tiny):
    rows = [[0] * n for n in (5, 9, 9, 30, 31, 7, 8, 200, 190, 12)]
    usual, other = (reader_of(tiny).batches(rows, 400), replace(reader_of(tiny), rebatched=True).batches(rows, 400))
    assert sorted(i for batch in usual for i in batch) == sorted(i for batch in other for i in batch) == list(range(10))
    assert usual != other


def test_features_of_general_text_are_the_states_of_its_tokens_but_the_first(tiny):
    texts = ("The river had risen in the night.", "Salt lowers the freezing point of water.", "Yes")
    request = ScoreRequest(key="general", kind="texts", ids=("a", "b", "c"), texts=texts, features=True)
    found = score(request, reader_of(tiny))
    encoded = [tiny.tokenizer(text).input_ids for text in texts]
    assert found.feature_text.tolist() == [index for index, ids in enumerate(encoded) for _ in ids[1:]]
    ids = torch.tensor([encoded[0]])
    with torch.no_grad():
        states = tiny.model.model(ids).last_hidden_state[0, 1:].numpy()
    assert found.features[: len(states)] == pytest.approx(states, abs=1e-4)
    assert score(replace(request, features=False), reader_of(tiny)).features is None


def test_at_most_4096_tokens_are_kept_evenly(tiny):
    from balora_audit.scoring.texts import _chosen

    places = _chosen([300] * 40)
    assert sum(map(len, places)) == 4096
    assert max(map(len, places)) - min(map(len, places)) <= 2
    assert all(0 not in chosen for chosen in places)
    assert _chosen([1, 4]) == [[], [1, 2, 3]]


TEMPLATE = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}<reply>{% endif %}"


def test_a_chat_template_wraps_prompts_and_neither_answers_nor_general_text(tiny, monkeypatch):
    monkeypatch.setattr(tiny.tokenizer, "chat_template", TEMPLATE, raising=False)
    chat, bare = Encoder(tiny.tokenizer, 256, chat=True), Encoder(tiny.tokenizer, 256)
    written = tiny.tokenizer("<user>She works.<reply>", add_special_tokens=False).input_ids
    assert chat.prompt("She works.") == written
    assert chat.plain("She works.") == bare.prompt("She works.") == bare.plain("She works.")
    assert chat.answer(" nurse") == tiny.tokenizer("nurse", add_special_tokens=False).input_ids
    assert bare.answer(" nurse") == tiny.tokenizer(" nurse", add_special_tokens=False).input_ids


def test_an_end_token_that_a_chat_template_writes_stays(tiny, monkeypatch):
    end = tiny.tokenizer.eos_token
    monkeypatch.setattr(tiny.tokenizer, "chat_template", "{% for m in messages %}{{ m['content'] }}" + end + "{% endfor %}", raising=False)
    assert Encoder(tiny.tokenizer, 256, chat=True).prompt("She works.")[-1] == tiny.tokenizer.eos_token_id
    assert Encoder(tiny.tokenizer, 256).prompt("She works.")[-1] != tiny.tokenizer.eos_token_id


def test_a_tokenizer_without_a_chat_template_is_refused(tiny):
    with pytest.raises(ModelError, match="no chat template; leave out --chat-template"):
        Encoder(tiny.tokenizer, 256, chat=True).prompt("Hello")
