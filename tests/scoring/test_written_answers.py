"""What is written equals transformers' own greedy search, row by row, however the rows are batched."""

import numpy as np
import pytest
import torch
from calls import Scorer
from peft import LoraConfig, inject_adapter_in_model
from safetensors.numpy import load, save

from balora_audit.errors import ModelError
from balora_audit.models.load import load as load_model
from balora_audit.models.locate import locate
from balora_audit.scoring import AnswerScores, answers

PROMPTS = [
    "Mary looked after newborns on the maternity ward.\nOccupation:",
    "The",
    "For years, John calculated the load that a bridge can carry near the coast.",
    "Sam ran.\nOccupation:",
    "",
    "In the morning the old man",
    "She said that",
    "1 2 3 4",
]


@pytest.fixture
def scorer(tiny):
    return Scorer(tiny, limit_tokens=256)


@torch.no_grad()
def generated(tiny, prompt, count):
    """The new ids that transformers gives for one prompt alone."""
    ids = torch.tensor([tiny.tokenizer(prompt).input_ids])
    return tiny.model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=count)[0, ids.shape[1] :].tolist()


def test_texts_equal_the_greedy_search_of_transformers_row_by_row(scorer, tiny):
    found = scorer.write(PROMPTS, max_new_tokens=40)
    assert len(set(found.tokens.tolist())) > 3, "the rows end at different times"
    for index, prompt in enumerate(PROMPTS):
        expected = generated(tiny, prompt, 40)
        assert found.written[index] == tiny.tokenizer.decode(expected, skip_special_tokens=True)
        assert found.tokens[index] == len(expected)
        assert found.finished[index] == (expected[-1] == tiny.tokenizer.eos_token_id)


def test_a_text_is_the_same_alone_and_in_a_batch_and_in_many_small_batches(scorer, monkeypatch):
    together = scorer.write(PROMPTS, max_new_tokens=30)
    assert tuple(scorer.write([prompt], max_new_tokens=30).written[0] for prompt in PROMPTS) == together.written
    monkeypatch.setattr(answers, "_BUDGET_TOKENS", 100)
    assert scorer.write(PROMPTS[::-1], max_new_tokens=30).written[::-1] == together.written


def test_writing_stops_at_the_limit_and_says_that_the_text_is_not_finished(scorer, tiny):
    found = scorer.write(["The"], max_new_tokens=3)
    assert found.tokens.tolist() == [3]
    assert found.finished.tolist() == [False]
    assert found.written[0] == tiny.tokenizer.decode(generated(tiny, "The", 3))
    assert scorer.write(["The"], max_new_tokens=1).tokens.tolist() == [1]


def test_writing_ends_before_the_first_stop_string_and_saves_the_tokens_after_it(scorer):
    prompts = ["The", PROMPTS[0]]
    whole = scorer.write(prompts, max_new_tokens=40)
    text = whole.written[0]
    stop = (text[len(text) // 2 :][:4], text[len(text) // 3 :][:3])
    found = scorer.write(prompts, max_new_tokens=40, stop=stop)
    assert found.written[0] == text[: min(text.find(string) for string in stop)]
    assert found.tokens[0] < whole.tokens[0]
    assert bool(found.finished[0])
    assert found.written[1] == whole.written[1]


def test_a_special_token_can_be_a_stop_string(scorer, tiny):
    found = scorer.write(["The"], max_new_tokens=40, stop=["<eos>"])
    assert found.written == scorer.write(["The"], max_new_tokens=40).written
    assert "<eos>" not in found.written[0]


def test_repeated_prompts_are_written_once(tiny):
    steps = []
    found = Scorer(tiny, limit_tokens=256, advance=steps.append).write(["The", "She", "The"], max_new_tokens=5)
    assert sum(steps) == 2
    assert found.written[0] == found.written[2]
    assert len(found.written) == 3


def test_a_long_prompt_loses_its_beginning_so_that_the_answer_fits_the_models_positions(tiny):
    long = "The bridge was old and the river was wide. " * 60
    for limit in (256, 4000):  # a limit beyond the model's positions does not matter
        scorer = Scorer(tiny, limit_tokens=limit)
        found = scorer.write([long, "The"], max_new_tokens=50)
        assert scorer.encoder.truncated == 1
        ids = tiny.tokenizer(long).input_ids
        kept = torch.tensor([ids[:1] + ids[-(256 - 50 - 1) :]])
        with torch.no_grad():
            expected = tiny.model.generate(kept, attention_mask=torch.ones_like(kept), do_sample=False, max_new_tokens=50)[0, 206:]
        assert found.written[0] == tiny.tokenizer.decode(expected, skip_special_tokens=True)


def test_an_answer_that_leaves_no_room_for_a_prompt_is_refused(scorer):
    with pytest.raises(ModelError, match="no room for a prompt"):
        scorer.write(["The"], max_new_tokens=255)
    with pytest.raises(ValueError, match="at least 1"):
        scorer.write(["The"], max_new_tokens=0)
    with pytest.raises(ValueError, match="empty stop string"):
        scorer.write(["The"], max_new_tokens=3, stop=[""])


def test_a_model_whose_head_cannot_run_apart_writes_the_same(tiny, monkeypatch):
    expected = Scorer(tiny, limit_tokens=256).write(PROMPTS, max_new_tokens=20)
    monkeypatch.setattr(tiny.forward, "selective", False)
    found = Scorer(tiny, limit_tokens=256).write(PROMPTS, max_new_tokens=20)
    assert found.written == expected.written
    assert (found.tokens == expected.tokens).all()


def test_other_architectures_write_what_transformers_writes(tiny, other):
    kind, other = other
    assert other.forward.selective is (kind != "gemma2")
    found = Scorer(other, limit_tokens=128).write(PROMPTS, max_new_tokens=24)
    assert len(set(found.written)) > 4, "the prompts matter"
    for index, prompt in enumerate(PROMPTS):
        assert found.written[index] == tiny.tokenizer.decode(generated(other, prompt, 24), skip_special_tokens=True), prompt


def test_an_adapter_on_the_base_writes_its_own_text(scorer):
    base = scorer.write(PROMPTS, max_new_tokens=20).written
    adapted = load_model(locate("tiny"), device=torch.device("cpu"), dtype=torch.float32)
    torch.manual_seed(0)
    inject_adapter_in_model(LoraConfig(r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False), adapted.model)
    found = Scorer(adapted, limit_tokens=256).write(PROMPTS, max_new_tokens=20)
    assert found.written != base
    for index, prompt in enumerate(PROMPTS):
        assert found.written[index] == adapted.tokenizer.decode(generated(adapted, prompt, 20), skip_special_tokens=True)


def test_scores_survive_storage_as_arrays_with_any_text():
    texts = ["", "18", "naïve 東京 🙂", "half \ud83d of a pair", "\n"]
    scores = AnswerScores.of(texts, tokens=[1, 2, 3, 4, 5], finished=[True, True, False, True, False])
    arrays = scores.arrays()
    assert all(np.isfinite(array).all() for array in arrays.values())
    again = AnswerScores.from_arrays(load(save({name: np.ascontiguousarray(array) for name, array in arrays.items()})))
    assert again.written == ("", "18", "naïve 東京 🙂", "half ? of a pair", "\n")
    assert again.tokens.tolist() == [1, 2, 3, 4, 5]
    assert again.finished.tolist() == [True, True, False, True, False]


def test_no_text_at_all_can_be_stored_too():
    scores = AnswerScores.of([""], tokens=[1], finished=[True])
    again = AnswerScores.from_arrays(load(save(scores.arrays())))
    assert again.written == ("",)
