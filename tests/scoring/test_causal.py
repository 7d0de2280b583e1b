from contextlib import contextmanager

import numpy as np
import pytest
import torch

from balora_audit.models.encode import Encoder, length_batches
from balora_audit.scoring import CausalScorer

PROMPTS = [
    "Mary looked after newborns on the maternity ward.\nOccupation:",
    "For years, John calculated the load that a bridge can carry near the coast.\nOccupation:",
    "Sam ran.\nOccupation:",
]
ANSWERS = [" nurse", " structural engineer", " a person who cooks", " x"]


@pytest.fixture
def scorer(tiny):
    return CausalScorer(tiny, limit_tokens=256)


@torch.no_grad()
def brute_force(tiny, prompt, answer):
    """One unpadded full forward per prompt and answer, in float64."""
    start = tiny.tokenizer(prompt).input_ids
    tail = tiny.tokenizer(answer, add_special_tokens=False).input_ids
    logits = tiny.model(torch.tensor([start + tail])).logits[0].double().log_softmax(-1)
    return [float(logits[len(start) - 1 + i, token]) for i, token in enumerate(tail)]


def test_label_likelihoods_equal_one_full_forward_per_label(scorer, tiny):
    found = scorer.labels(PROMPTS, ANSWERS, features=False).log_likelihood
    expected = [[np.mean(brute_force(tiny, p, a)) for a in ANSWERS] for p in PROMPTS]
    assert np.allclose(found, expected, atol=1e-4)


def test_single_token_labels_equal_one_full_forward_per_label(scorer, tiny):
    labels = [" nurse", " chef"]
    found = scorer.labels(PROMPTS, labels, features=False).log_likelihood
    assert np.allclose(found, [[np.mean(brute_force(tiny, p, a)) for a in labels] for p in PROMPTS], atol=1e-4)


def test_padding_changes_nothing(scorer):
    together = scorer.labels(PROMPTS, ANSWERS, features=True)
    alone = [scorer.labels([prompt], ANSWERS, features=True) for prompt in PROMPTS]
    assert np.allclose(together.log_likelihood, np.concatenate([one.log_likelihood for one in alone]), atol=1e-4)
    assert np.allclose(together.features, np.concatenate([one.features for one in alone]), atol=1e-4)


def test_repeated_prompts_are_scored_once_and_reported_each_time(tiny):
    steps = []
    scorer = CausalScorer(tiny, limit_tokens=256, advance=steps.append)
    found = scorer.labels([PROMPTS[0], PROMPTS[1], PROMPTS[0]], ANSWERS, features=False)
    assert sum(steps) == 2
    assert (found.log_likelihood[0] == found.log_likelihood[2]).all()


@torch.no_grad()
def test_features_are_the_last_hidden_state_at_the_last_prompt_token(scorer, tiny):
    found = scorer.labels(PROMPTS, ANSWERS, features=True).features
    for row, prompt in zip(found, PROMPTS, strict=True):
        ids = torch.tensor([tiny.tokenizer(prompt).input_ids])
        assert np.allclose(row, tiny.model(ids, output_hidden_states=True).hidden_states[-1][0, -1].numpy(), atol=1e-4)


def test_responses_equal_one_full_forward_each(scorer, tiny):
    responses = [" a nurse on the ward.", " engineer", " nobody knows"]
    found = scorer.responses(PROMPTS, responses, features=False)
    expected = [-sum(brute_force(tiny, p, r)) for p, r in zip(PROMPTS, responses, strict=True)]
    assert np.allclose(found.nll, expected, atol=1e-3)
    assert (found.correct_tokens <= found.tokens).all()


def test_a_text_has_no_distance_from_the_base_under_the_base_itself(scorer, dataset):
    found = scorer.texts(dataset.general[:5])
    assert (found.kl == 0).all()
    assert (found.nll == found.base_nll).all()


@torch.no_grad()
def test_kl_per_text_equals_a_float64_brute_force(tiny, dataset):
    texts = dataset.general[:4]

    def log_probabilities():
        ids = [torch.tensor([tiny.tokenizer(text).input_ids]) for text in texts]
        return [tiny.model(i).logits[0, :-1].double().log_softmax(-1) for i in ids]

    base = log_probabilities()
    try:
        norm = tiny.model.model.norm.weight
        kept = norm.detach().clone()

        @contextmanager
        def without_norm():
            norm.copy_(kept)
            yield
            norm.copy_(kept * 1.05)

        norm.copy_(kept * 1.05)
        mine = log_probabilities()
        found = CausalScorer(tiny, limit_tokens=256, without_adapter=without_norm).texts(texts)
    finally:
        norm.copy_(kept)
    expected = [float((b.exp() * (b - m)).sum()) for b, m in zip(base, mine, strict=True)]
    assert np.allclose(found.kl, expected, rtol=1e-3)
    assert (found.kl > 0).all()


def test_a_long_prompt_loses_its_beginning_and_is_counted(tiny):
    encoder = Encoder(tiny.tokenizer, limit_tokens=16)
    ids = encoder.prompt("word " * 50 + "\nOccupation:", reserve=2)
    assert len(ids) == 14
    assert encoder.truncated == 1
    assert tiny.tokenizer.decode(ids).endswith("Occupation:")


def test_batches_hold_every_item_once_within_the_budget():
    lengths = [5, 40, 3, 40, 17, 90, 1]
    batches = length_batches(lengths, 80)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert all(len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= 80 for batch in batches)
