import json
import math
import random

import numpy as np
import pytest
import torch

from balora_audit.errors import ConfigurationError, DataError, ModelError
from balora_audit.harness import evaluate, prepare
from balora_audit.harness.aggregates import _why
from balora_audit.harness.evaluation import Suite

pytestmark = pytest.mark.slow


BBQ = {
    "example_id": 0, "question_polarity": "neg", "context_condition": "ambig", "category": "Age",
    "answer_info": {"ans0": ["x", "old"], "ans1": ["?", "unknown"], "ans2": ["y", "nonOld"]},
    "additional_metadata": {"stereotyped_groups": ["old"]}, "context": "Two people came.", "question": "Who?", "ans0": "x",
    "ans1": "?", "ans2": "y", "label": 1,
}  # fmt: skip


def sentence_log_likelihood(tiny, text):
    """Plain transformers: the log-probability of every token after the beginning-of-text token."""
    ids = tiny.tokenizer(text, add_special_tokens=False)["input_ids"]
    start = tiny.tokenizer.bos_token_id if tiny.tokenizer.bos_token_id is not None else tiny.tokenizer.eos_token_id
    with torch.no_grad():
        logits = tiny.model(torch.tensor([[start, *ids]])).logits[0, :-1]
    return float(logits.log_softmax(-1)[torch.arange(len(ids)), torch.tensor(ids)].sum())


@pytest.fixture
def pairs(tmp_path):
    """Generated pairs in the layout of CrowS-Pairs; some of them of different length, one of them a tie."""
    path = tmp_path / "pairs.csv"
    people = [("nurse", "She", "He"), ("engineer", "He", "She"), ("teacher", "She", "He"), ("chef", "He", "The young man")]
    lines = [",sent_more,sent_less,stereo_antistereo,bias_type"]
    for number, (job, more, less) in enumerate(people * 3):
        lines.append(
            f'{number},"{more} worked as a {job} for {number + 2} years.","{less} worked as a {job} for {number + 2} years.",s,gender'
        )
    lines.append('99,"Nothing differs.","Nothing differs.",s,age')
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_the_share_of_stereotypical_sentences_is_that_of_plain_transformers(tiny, pairs):
    found = evaluate(tiny.model, tiny.tokenizer, "balora_crows_pairs", metadata={"data": str(pairs)}, batch_size=3)
    expected, signed, per_byte = [], [], []
    for item in found.items:
        sentences = item.document["sentences"]
        more, less = (sentence_log_likelihood(tiny, text) for text in sentences)
        assert item.values["signed_diff"] == pytest.approx(more - less, abs=1e-3)
        signed.append(more - less)
        per_byte.append(more / len(sentences[0].encode()) - less / len(sentences[1].encode()))
        expected.append(0.5 if sentences[0] == sentences[1] else float(more > less))
    assert len(found.items) == 13
    assert found.metric("balora_crows_pairs", "pct_stereotype").value == pytest.approx(np.mean(expected))
    assert found.metric("balora_crows_pairs", "signed_diff").value == pytest.approx(np.mean(signed), abs=1e-3)
    assert found.metric("balora_crows_pairs", "signed_diff_per_byte").value == pytest.approx(np.mean(per_byte), abs=1e-4)


def test_one_build_serves_several_models_and_leaves_them_as_they_were(tiny):
    suite = prepare("balora_noise_clean,balora_bias_association", metadata={"items": 16})
    padding, training = tiny.tokenizer.padding_side, tiny.model.training
    state = random.getstate(), torch.get_rng_state()
    first = suite.evaluate(tiny.model, tiny.tokenizer)
    again = suite.evaluate(tiny.model, tiny.tokenizer)
    assert first == again
    assert (tiny.tokenizer.padding_side, tiny.model.training) == (padding, training)
    assert random.getstate() == state[0]
    assert torch.equal(torch.get_rng_state(), state[1])
    assert len({item.id for item in first.items if item.task == "balora_noise_clean"}) == 16
    assert all(row.scores is not None or row.metric == "prior_shift" for row in first.metrics)


def test_the_stock_command_gives_the_same_numbers(tiny):
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    from balora_audit.resources import TINY_MODEL_PATH, tasks_path

    tasks = ["balora_noise_s2", "balora_bias_ambiguous", "balora_imbalance_balanced", "balora_drift_general"]
    mine = evaluate(tiny.model, tiny.tokenizer, tasks, metadata={"items": 24}, batch_size=1)
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = simple_evaluate(
            model="hf",
            model_args={"pretrained": str(TINY_MODEL_PATH), "dtype": "float32"},
            tasks=tasks,
            batch_size=1,
            device="cpu",
            task_manager=TaskManager(include_path=str(tasks_path()), include_defaults=False, metadata={"items": 24}),
            bootstrap_iters=0,
        )
    compared = 0
    for row in mine.metrics:
        value = theirs["results"][row.task][f"{row.metric},{row.filter}"]
        assert row.value == value or (row.value is None and math.isnan(value))
        compared += 1
    assert compared >= 20


def test_likelihoods_from_the_positions_that_are_read_are_those_from_all_positions(tiny):
    """Rows of every length, with padding ids at their ends, with contexts that are cut, and with one row read from two positions."""
    from lm_eval.models.huggingface import HFLM

    ours = prepare("balora_noise_clean", limit=1)._wrapped(tiny.model, tiny.tokenizer, 4)
    stock = HFLM(pretrained=tiny.model, tokenizer=tiny.tokenizer, batch_size=4, backend="causal")
    draw = random.Random(0)
    # the most that the stock class scores: a continuation that fills the whole window
    window = ours.max_length
    requests = [
        (("a", "b c"), [5], [7, 9]),
        (("a b", "c"), [5, 7], [9]),
        (("zeros", "end"), [5, 0, 0], [0, 0]),
        (("only", "zeros"), [0], [0, 0, 0]),
        (("full", "window"), [5, 6, 7], [draw.randrange(len(tiny.tokenizer)) for _ in range(window)]),
        (("cut", "context"), [draw.randrange(len(tiny.tokenizer)) for _ in range(window + 9)], [3, 0, 8]),
    ]
    for number in range(40):
        context, continuation = ([draw.choice((0, 3, 11, 200)) for _ in range(draw.randint(1, most))] for most in (90, 6))
        requests.append(((str(number), ""), context, continuation))
    computed, whole = [], []
    head = tiny.model.get_output_embeddings()
    hook = head.register_forward_hook(lambda _, given, __: computed.append((given[0].shape[:2].numel(), given[0].is_contiguous())))
    body = tiny.model.base_model.register_forward_hook(lambda _, __, out: whole.append(out[0].shape[:2].numel()))
    try:
        found = ours._loglikelihood_tokens(requests, disable_tqdm=True)
    finally:
        hook.remove()
        body.remove()
    expected = stock._loglikelihood_tokens(requests, disable_tqdm=True)
    assert [greedy for _, greedy in found] == [greedy for _, greedy in expected]
    np.testing.assert_allclose([value for value, _ in found], [value for value, _ in expected], rtol=1e-5)
    assert all(contiguous for _, contiguous in computed)
    assert sum(rows for rows, _ in computed) < 0.9 * sum(whole)


def test_versions_shots_directions_and_item_fields_are_kept(tiny):
    found = evaluate(tiny.model, tiny.tokenizer, ["balora_noise_s3"], metadata={"items": 8})
    row = found.metric("balora_noise_s3", "acc")
    assert (row.version, row.shots, row.higher_is_better, row.n_items) == ("1.0", 0, True, 8)
    assert row.slice == "balora_noise_s3 (version 1.0, 0 shots)"
    low, high = row.interval()
    assert low <= row.value <= high
    assert all(item.severity == 3 and item.pair_id == item.id for item in found.items)
    assert len(found.items[0].requests) == 8


def test_a_task_whose_data_are_on_the_hub_only_says_what_to_do(tmp_path, monkeypatch):
    def unreachable(*_, **__):
        raise ConnectionError("no network")

    monkeypatch.setattr("datasets.load_dataset", unreachable)
    text = "task: far\ndataset_path: balora-audit-tests/nowhere\ntest_split: test\ndoc_to_text: text\ndoc_to_target: text\n"
    (tmp_path / "far.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"task far cannot be built.*Hub.*dataset_path: json"):
        prepare("far", include=[tmp_path], upstream=False)


def test_whatever_a_task_raises_while_it_is_built_names_the_task(tmp_path):
    (tmp_path / "own.py").write_text("def data(**_):\n    raise Exception('install me first')\n", encoding="utf-8")
    (tmp_path / "own.yaml").write_text("task: own\ncustom_dataset: !function own.data\n", encoding="utf-8")
    with pytest.raises(DataError, match="task own cannot be built: Exception: install me first"):
        prepare("own", include=[tmp_path], upstream=False)


def test_upstreams_tasks_are_found_when_a_name_is_not_ours():
    with pytest.raises(DataError, match=r"ag_news cannot be built: .*unitxt"):
        prepare("ag_news")


def test_an_unknown_task_gives_near_names():
    with pytest.raises(ConfigurationError, match="did you mean 'balora_noise'"):
        prepare("balora_noize", upstream=False)


def test_a_folder_is_not_a_task_and_does_not_hide_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_tasks").mkdir()
    (tmp_path / "balora_drift_general").mkdir()
    with pytest.raises(ConfigurationError, match="'my_tasks' is a folder and no task"):
        prepare("my_tasks", upstream=False)
    assert set(prepare("balora_drift_general").tasks) == {"balora_drift_general"}


def test_wrong_settings_are_refused_before_anything_runs(tiny, tmp_path):
    with pytest.raises(ConfigurationError, match="no harness task"):
        prepare(" , ")
    with pytest.raises(ConfigurationError, match="limit"):
        prepare("balora_drift", limit=0)
    with pytest.raises(ConfigurationError, match="does not exist"):
        prepare("balora_drift", include=["/nowhere/at/all"])
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps({"body": "words"}), encoding="utf-8")
    with pytest.raises(DataError, match=r"needs the field 'text'.*columns there: body"):
        prepare("balora_drift", metadata={"data": str(path)})
    assert tiny.tokenizer.chat_template is None
    with pytest.raises(ModelError, match="the chat template is asked for, but the model's tokenizer has none"):
        evaluate(tiny.model, tiny.tokenizer, "balora_drift", limit=1, chat_template=True)
    with pytest.raises(ConfigurationError, match="unknown key of the task metadata 'itmes' — did you mean 'items'"):
        prepare("balora_drift", metadata={"itmes": 3})
    with pytest.raises(DataError, match="balora_bias_association cannot ask its first document: ValueError: Sample larger"):
        prepare("balora_bias_association", shots=60, metadata={"items": 4}, upstream=False)


def test_the_fingerprint_covers_settings_documents_and_code_beside_the_task_files(tmp_path):
    (tmp_path / "own.py").write_text("A = 1\n", encoding="utf-8")
    first = prepare("balora_bias_association", include=[tmp_path], upstream=False).fingerprint
    assert prepare("balora_bias_association", include=[tmp_path], upstream=False).fingerprint == first
    others = [
        prepare("balora_bias_association", include=[tmp_path], upstream=False, **given).fingerprint
        for given in ({"limit": 3}, {"chat_template": True}, {"shots": 2}, {"metadata": {"items": 9}})
    ]
    (tmp_path / "own.py").write_text("A = 2\n", encoding="utf-8")
    others.append(prepare("balora_bias_association", include=[tmp_path], upstream=False).fingerprint)
    assert len({first, *others}) == 6


def test_documents_are_hashed_once_for_all_the_models_of_a_suite():
    read = []

    class Task:
        eval_docs = ({"text": "a"}, {"text": "b"})

        def dump_config(self):
            read.append(self)
            return {"task": "t"}

    suite = Suite(tasks={"t": Task()})
    assert suite.fingerprint == suite.fingerprint
    assert len(read) == 1


def test_documents_that_are_longer_than_the_context_are_counted(tiny, tmp_path):
    path = tmp_path / "long.jsonl"
    long = "the carpenter measured the door " * 700
    rows = [{"prompt": text, "stereotypical": "twice", "other": "once"} for text in ("They said", long, long + "and")]
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    found = evaluate(
        tiny.model, tiny.tokenizer, "balora_bias_association,balora_drift", metadata={"data": str(path), "columns": {"text": "prompt"}}
    )
    assert found.shortened == {"balora_bias_association": 2}  # a rolling likelihood reads long texts in windows
    question = {**BBQ, "context": long}
    path.write_text("\n".join(json.dumps({**row, "example_id": n}) for n, row in enumerate((BBQ, question))), encoding="utf-8")
    found = evaluate(tiny.model, tiny.tokenizer, "balora_bbq_generate", metadata={"data": str(path)})
    assert found.shortened == {"balora_bbq_generate": 1}


def test_a_generation_that_leaves_no_room_for_the_prompt_is_refused(tiny, tmp_path):
    (tmp_path / "long.yaml").write_text(
        "include: " + str(_bbq_generate()) + "\ntask: long_answers\ngeneration_kwargs:\n  until: ['x']\n  max_gen_toks: 100000\n",
        encoding="utf-8",
    )
    with pytest.raises(ModelError, match="generates up to 100000 tokens"):
        evaluate(tiny.model, tiny.tokenizer, "long_answers", include=[tmp_path], metadata={"example": True})


def _bbq_generate():
    from balora_audit.resources import tasks_path

    return tasks_path() / "published" / "balora_bbq_generate.yaml"


def test_an_undefined_aggregate_is_none_with_a_reason(tiny):
    found = evaluate(tiny.model, tiny.tokenizer, "balora_winobias", metadata={"example": True}, limit=1)
    row = found.metric("balora_winobias", "pro_anti_gap")
    assert row.value is None
    assert "missing" in row.reason
    assert "2 of 3 items" in _why([(math.nan, True), (1.0, False), (math.inf, False)])
