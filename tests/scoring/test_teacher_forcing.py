from contextlib import contextmanager

import numpy as np
import pytest
import torch
from calls import Scorer

from balora_audit.errors import ModelError
from balora_audit.models.encode import Encoder, length_batches, pad

PROMPTS = [
    "Mary looked after newborns on the maternity ward.\nOccupation:",
    "For years, John calculated the load that a bridge can carry near the coast.\nOccupation:",
    "Sam ran.\nOccupation:",
]
ANSWERS = [" nurse", " structural engineer", " a person who cooks", " x"]


@pytest.fixture
def scorer(tiny):
    return Scorer(tiny, limit_tokens=256)


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
    scorer = Scorer(tiny, limit_tokens=256, advance=steps.append)
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
        found = Scorer(tiny, limit_tokens=256, disabled=without_norm).texts(texts)
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


def brute_force_labels(tiny, encoder_limit, prompts, answers):
    """One unpadded full forward per (item, label); prompts are cut as documented: BOS stays, the beginning goes."""
    longest = max(len(tiny.tokenizer(a, add_special_tokens=False).input_ids) for a in answers)
    found = []
    for prompt in prompts:
        start = tiny.tokenizer(prompt).input_ids
        room = encoder_limit - longest
        if len(start) > room:
            start = start[:1] + start[len(start) - room + 1 :]
        row = []
        for answer in answers:
            tail = tiny.tokenizer(answer, add_special_tokens=False).input_ids
            with torch.no_grad():
                logits = tiny.model(torch.tensor([start + tail])).logits[0].double().log_softmax(-1)
            row.append(np.mean([float(logits[len(start) - 1 + i, token]) for i, token in enumerate(tail)]))
        found.append(row)
    return np.array(found)


@pytest.mark.parametrize(
    "answers",
    [
        [" engine", " engineer", " engineering"],
        [" engineering", " engineer"],
        [" nurse", " structural engineer", " structural engineering", " x"],
        [" structural", " structural engineer"],
    ],
)
def test_labels_that_begin_alike_equal_one_full_forward_each(scorer, tiny, answers):
    tokens = [tiny.tokenizer(a, add_special_tokens=False).input_ids for a in answers]
    assert any(a != b and b[: len(a)] == a for a in tokens for b in tokens), "one label must begin another"
    found = scorer.labels(PROMPTS, answers, features=False).log_likelihood
    np.testing.assert_allclose(found, brute_force_labels(tiny, 256, PROMPTS, answers), atol=1e-4)


def test_other_architectures_score_labels_as_one_full_forward_each(other):
    """Among them two whose attention window is narrower than the prompts, which differ in length."""
    kind, model = other
    answers = [" nurse", " structural engineer", " structural engineering"]
    found = Scorer(model, limit_tokens=128).labels(PROMPTS, answers, features=False).log_likelihood
    np.testing.assert_allclose(found, brute_force_labels(model, 128, PROMPTS, answers), atol=1e-4, err_msg=kind)


def test_the_order_of_the_labels_changes_nothing_but_the_columns(scorer):
    answers = [" engine", " engineer", " engineering", " nurse"]
    forward = scorer.labels(PROMPTS, answers, features=False).log_likelihood
    backward = scorer.labels(PROMPTS, answers[::-1], features=False).log_likelihood
    np.testing.assert_allclose(forward, backward[:, ::-1], atol=1e-5)


def test_empty_and_blank_prompts_have_likelihoods_too(scorer, tiny):
    prompts = ["", " ", "  \n", PROMPTS[0], "\n\n\n"]
    found = scorer.labels(prompts, ANSWERS, features=True)
    np.testing.assert_allclose(found.log_likelihood, brute_force_labels(tiny, 256, prompts, ANSWERS), atol=1e-4)
    assert np.isfinite(found.features).all()
    assert scorer.encoder.truncated == 0


def test_empty_and_blank_texts_have_no_distance_and_count_their_tokens(scorer):
    found = scorer.texts(["", " ", "\n \n", "a b"])
    assert found.tokens[0] == 0
    assert found.nll[0] == found.kl[0] == 0
    assert (found.tokens[1:] > 0).all()
    assert (found.nll[1:] > 0).all()


def test_a_prompt_that_is_too_long_is_scored_by_its_end(tiny):
    scorer = Scorer(tiny, limit_tokens=24)
    prompts = ["The bridge was old and the river was wide. " * 5 + PROMPTS[0], PROMPTS[2]]
    found = scorer.labels(prompts, ANSWERS, features=False).log_likelihood
    assert scorer.encoder.truncated == 1
    np.testing.assert_allclose(found, brute_force_labels(tiny, 24, prompts, ANSWERS), atol=1e-4)
    elsewhere = Scorer(tiny, limit_tokens=24).labels(["Another start. " * 9 + prompts[0], prompts[1]], ANSWERS, features=False)
    np.testing.assert_allclose(found, elsewhere.log_likelihood, atol=1e-5)


def test_many_responses_equal_a_float64_sum_over_one_full_forward_each(scorer, tiny, dataset):
    texts = [text[:cut] for text, cut in zip(dataset.general[:24], range(60, 300, 10), strict=True)]
    prompts = [PROMPTS[index % 3] for index in range(len(texts))]
    found = scorer.responses(prompts, [" " + text for text in texts], features=True)
    assert found.tokens.sum() > 256, "more than one call of the head"
    for index, (prompt, text) in enumerate(zip(prompts, texts, strict=True)):
        start, tail = tiny.tokenizer(prompt).input_ids, tiny.tokenizer(" " + text, add_special_tokens=False).input_ids
        with torch.no_grad():
            output = tiny.model(torch.tensor([start + tail]), output_hidden_states=True)
        logits = output.logits[0, len(start) - 1 : -1].double()
        expected = torch.nn.functional.cross_entropy(logits, torch.tensor(tail), reduction="sum")
        assert found.nll[index] == pytest.approx(float(expected), rel=1e-5)
        assert found.tokens[index] == len(tail)
        assert found.correct_tokens[index] == int((logits.argmax(-1) == torch.tensor(tail)).sum())
        np.testing.assert_allclose(found.features[index], output.hidden_states[-1][0, len(start) - 1].numpy(), atol=1e-4)


def test_one_row_at_a_time_gives_the_same_response_scores(scorer, tiny):
    """The former way, one call of the head per row of one batch, to 1e-6 of each sum."""
    responses = [" a nurse on the ward.", " engineer", " nobody knows what he did there"]
    found = scorer.responses(PROMPTS, responses, features=False)
    starts = [scorer.encoder.prompt(prompt) for prompt in PROMPTS]
    answers = [scorer.encoder.answer(response) for response in responses]
    order = sorted(range(3), key=lambda i: -len(starts[i] + answers[i]))
    ids, mask = pad([starts[i] + answers[i][:-1] for i in order], tiny.device)
    with torch.no_grad():
        done = tiny.forward.run(ids, mask)
        for row, index in enumerate(order):
            read = torch.zeros_like(mask, dtype=torch.bool)
            read[row, len(starts[index]) - 1 : len(starts[index]) - 1 + len(answers[index])] = True
            nll = torch.nn.functional.cross_entropy(tiny.forward.logits(done, read), torch.tensor(answers[index]), reduction="sum")
            assert found.nll[index] == pytest.approx(float(nll), rel=1e-6)


def test_repeated_pairs_are_scored_once_and_a_long_response_is_cut_and_counted(tiny):
    steps = []
    scorer = Scorer(tiny, limit_tokens=32, advance=steps.append)
    responses = [" nurse", " nurse", " engineer" + " engineer" * 30]
    found = scorer.responses([PROMPTS[2]] * 3, responses, features=False)
    assert sum(steps) == 2
    assert found.nll[0] == found.nll[1]
    assert found.tokens.tolist() == [1, 1, 16]
    assert scorer.encoder.cut_responses == 1
    assert scorer.encoder.truncated == 0


@torch.no_grad()
def test_layer_features_are_the_models_own_hidden_states_at_the_last_prompt_token(scorer, tiny):
    layers = (0, 2, 4, 1)
    labels = scorer.labels([*PROMPTS, PROMPTS[0]], ANSWERS, features=True, layers=layers)
    responses = scorer.responses(PROMPTS, [" a nurse.", " x", " engineer there"], features=False, layers=layers)
    assert labels.layer_features.shape == (4, 4, 128)
    assert labels.layer_features.dtype == responses.layer_features.dtype == np.float32
    for index, prompt in enumerate(PROMPTS):
        states = tiny.model(torch.tensor([tiny.tokenizer(prompt).input_ids]), output_hidden_states=True).hidden_states
        expected = np.stack([states[layer][0, -1].numpy() for layer in layers])
        np.testing.assert_allclose(labels.layer_features[index], expected, atol=1e-4)
        np.testing.assert_allclose(responses.layer_features[index], expected, atol=1e-4)
    assert (labels.layer_features[3] == labels.layer_features[0]).all()
    assert (labels.layer_features[:, 2] == labels.features).all(), "the last depth lies behind the final norm"


def test_layers_cost_nothing_and_change_nothing_where_none_is_asked_for(scorer):
    plain = scorer.labels(PROMPTS, ANSWERS, features=True)
    assert plain.layer_features is None
    asked = scorer.labels(PROMPTS, ANSWERS, features=True, layers=(3,))
    assert (plain.log_likelihood == asked.log_likelihood).all()
    assert (plain.features == asked.features).all()


@pytest.mark.parametrize("layer", [-1, 5])
def test_a_layer_that_is_not_there_is_refused(scorer, layer):
    with pytest.raises(ModelError, match=f"no layer {layer}: this model has 0 .* to 4"):
        scorer.labels(PROMPTS, ANSWERS, features=False, layers=(1, layer))
