import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from balora_audit.data.biographies import generate
from balora_audit.resources import TINY_MODEL_PATH

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tokenizer():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(TINY_MODEL_PATH)


@pytest.fixture(scope="module")
def model():
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(TINY_MODEL_PATH, dtype=torch.float32).eval()


def test_it_is_a_llama_small_enough_to_ship(model):
    assert model.config.model_type == "llama"
    assert (TINY_MODEL_PATH / "model.safetensors").stat().st_size <= 4_000_000
    assert sum(parameter.numel() for parameter in model.parameters()) <= 1_000_000


@pytest.mark.parametrize("text", ["Anna read a book.\nOccupation: nurse", "Kraków — naïve 東京", "tabs\tand  spaces"])
def test_any_text_survives_the_tokenizer(tokenizer, text):
    ids = tokenizer(text).input_ids
    assert ids[0] == tokenizer.bos_token_id
    assert len({tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id}) == 3
    assert tokenizer.decode(ids, skip_special_tokens=True) == text


@torch.no_grad()
def predictions(model, tokenizer, dataset):
    answers = [tokenizer(f" {name}", add_special_tokens=False).input_ids for name in dataset.label_names]
    found = []
    for item in dataset.test:
        prompt = tokenizer(dataset.render(item.text)).input_ids
        scores = []
        for answer in answers:
            logits_TV = model(input_ids=torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
            scores.append(-float(torch.nn.functional.cross_entropy(logits_TV, torch.tensor(answer), reduction="sum")))
        found.append(int(np.argmax(scores)))
    return np.array(found)


def test_zero_shot_beats_chance_and_leaves_room_for_fine_tuning(model, tokenizer):
    dataset = generate(n_test=200, seed=0)
    right = int((predictions(model, tokenizer, dataset) == np.array([item.label for item in dataset.test])).sum())
    assert binomtest(right, 200, 1 / 8, alternative="greater").pvalue < 1e-3
    assert right / 200 < 0.7
