"""The scorer of models with a head, on a small encoder and on the shipped decoder: layers, lost ends, odd texts."""

import numpy as np
import pytest
import torch
from calls import Scorer
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

from balora_audit.errors import ModelError
from balora_audit.models.classifier import ClassifierForward
from balora_audit.models.load import HeadSpec, LoadedModel, load
from balora_audit.models.locate import locate
from balora_audit.resources import TINY_MODEL_PATH

TEXTS = ["The nurse was late.", "A", "The river near the old bridge was wide and the people were glad of it.", "Sam ran."]
LAYERS = (0, 2, 1)


@pytest.fixture(scope="module")
def encoder():
    """A small BERT with random weights, a head of three classes and the shipped model's tokenizer."""
    tokenizer = AutoTokenizer.from_pretrained(TINY_MODEL_PATH)
    torch.manual_seed(0)
    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=len(tokenizer), hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96,
            max_position_embeddings=128, pad_token_id=0, num_labels=3, initializer_range=0.2,
        )
    ).eval()  # fmt: skip
    forward = ClassifierForward(model, 3)
    cpu = torch.device("cpu")
    return LoadedModel(model=model, tokenizer=tokenizer, forward=forward, device=cpu, dtype=torch.float32, weights="", limit_tokens=128)


@pytest.fixture(scope="module")
def decoder():
    return load(locate("tiny"), device=torch.device("cpu"), dtype=torch.float32, head=HeadSpec(kind="classifier", outputs=3))


@pytest.mark.parametrize(("name", "token"), [("encoder", 0), ("decoder", -1)])
@pytest.mark.parametrize("kind", ["labels", "numbers"])
@torch.no_grad()
def test_layer_features_are_the_models_own_states_at_the_token_that_the_head_reads(request, name, token, kind):
    loaded = request.getfixturevalue(name)
    scorer = Scorer(loaded, limit_tokens=128)
    found = getattr(scorer, kind)([*TEXTS, TEXTS[1]], features=True, layers=LAYERS)
    assert found.layer_features.shape[:2] == (5, 3)
    assert found.layer_features.dtype == np.float32
    for index, text in enumerate([*TEXTS, TEXTS[1]]):
        output = loaded.model(torch.tensor([loaded.tokenizer(text).input_ids]), output_hidden_states=True)
        expected = np.stack([output.hidden_states[layer][0, token].numpy() for layer in LAYERS])
        np.testing.assert_allclose(found.layer_features[index], expected, atol=1e-4)
    if kind == "labels":
        expected = torch.cat([loaded.model(torch.tensor([loaded.tokenizer(text).input_ids])).logits for text in TEXTS])
        np.testing.assert_allclose(found.log_likelihood[:4], expected.double().log_softmax(-1).numpy(), atol=1e-4)
    plain = getattr(scorer, kind)(TEXTS, features=True)
    assert plain.layer_features is None
    np.testing.assert_allclose(plain.features, found.features[:4], atol=1e-5)


def test_a_layer_that_is_not_there_is_refused(encoder):
    with pytest.raises(ModelError, match=r"no layer 3: this model has 0 \(embeddings\) to 2"):
        Scorer(encoder, limit_tokens=128).labels(TEXTS, features=False, layers=(3,))


@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_a_text_that_is_too_long_loses_its_end_and_is_counted(request, name):
    loaded = request.getfixturevalue(name)
    scorer = Scorer(loaded, limit_tokens=16)
    start = "The river near the old bridge was wide and the people were glad of it. "
    found = scorer.labels([start + "One end.", start + "Another, longer end of the text.", "Short."], features=True)
    assert scorer.encoder.truncated == 2
    np.testing.assert_allclose(found.log_likelihood[0], found.log_likelihood[1], atol=1e-5)
    assert np.abs(found.log_likelihood[0] - found.log_likelihood[2]).max() > 1e-3
    with torch.no_grad():
        ids = torch.tensor([loaded.tokenizer(start).input_ids[:16]])
        expected = loaded.model(ids).logits[0].double().log_softmax(-1).numpy()
    np.testing.assert_allclose(found.log_likelihood[0], expected, atol=1e-4)


@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_empty_and_blank_texts_are_scored(request, name):
    loaded = request.getfixturevalue(name)
    found = Scorer(loaded, limit_tokens=128).labels(["", " ", "\n \n", "A text."], features=True, layers=(0, 1))
    assert np.isfinite(found.log_likelihood).all()
    assert np.isfinite(found.layer_features).all()
    np.testing.assert_allclose(np.exp(found.log_likelihood).sum(axis=1), 1, atol=1e-9)


def test_padding_changes_nothing(encoder):
    scorer = Scorer(encoder, limit_tokens=128)
    together = scorer.labels(TEXTS, features=True, layers=LAYERS)
    for index, text in enumerate(TEXTS):
        alone = scorer.labels([text], features=True, layers=LAYERS)
        np.testing.assert_allclose(together.log_likelihood[index], alone.log_likelihood[0], atol=1e-4)
        np.testing.assert_allclose(together.layer_features[index], alone.layer_features[0], atol=1e-4)
