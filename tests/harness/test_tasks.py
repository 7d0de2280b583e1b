import pytest

from balora_audit.data.biographies import generate
from balora_audit.models.encode import Encoder
from balora_audit.models.placed import Placed
from balora_audit.resources import tasks_path
from balora_audit.scoring import Reader, ScoreRequest, score

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def run(tiny, tasks, *, metadata=None, **options):
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    return simple_evaluate(
        model=HFLM(pretrained=tiny.model, tokenizer=tiny.tokenizer, batch_size=16, device="cpu"),
        tasks=tasks,
        task_manager=TaskManager(include_path=str(tasks_path()), include_defaults=False, metadata=metadata),
        bootstrap_iters=0,
        **options,
    )


def test_the_clean_task_gives_the_audits_own_accuracy_in_the_stock_harness(tiny):
    found = run(tiny, ["balora_noise_clean"])
    data = generate(n_train=8, n_test=128, seed=0)
    prompts, ids = tuple(data.render(e.text) for e in data.test), tuple(e.id for e in data.test)
    request = ScoreRequest(key="test", kind="labels", ids=ids, texts=prompts, labels=data.label_names)
    scores = score(request, Reader(placed=Placed(base=tiny), encoder=Encoder(tiny.tokenizer, 256)))
    expected = sum(int(p) == e.label for p, e in zip(scores.prediction, data.test, strict=True)) / len(data.test)
    assert found["results"]["balora_noise_clean"]["acc,none"] == pytest.approx(expected)


def test_every_task_runs_in_the_stock_harness_and_keeps_its_items_fields(tiny):
    found = run(tiny, ["balora", "balora_published", "balora_bbq_generate"], metadata={"items": 12, "example": True})
    names = [f"balora_noise_{name}" for name in ("clean", "s1", "s2", "s3", "s4", "s5")]
    names += ["balora_imbalance_balanced", "balora_bias_pairs", "balora_bias_association", "balora_bias_ambiguous"]
    names += ["balora_drift_general", "balora_crows_pairs", "balora_bbq", "balora_bbq_generate", "balora_winogender", "balora_winobias"]
    assert set(found["samples"]) == set(names)
    for name in names:
        revised = ("balora_bbq", "balora_bbq_generate", "balora_crows_pairs", "balora_winogender", "balora_winobias")
        assert found["versions"][name] == (1.1 if name in revised else 1.0)
        assert set(found["higher_is_better"][name].values()) <= {True, False}
        for sample in found["samples"][name]:
            assert {"pair_id", "group", "severity"} <= set(sample["doc"])
    assert found["samples"]["balora_noise_s3"][0]["doc"]["severity"] == 3


def test_a_prompt_pair_is_scored_as_one_answer_after_two_prompts(tiny):
    found = run(tiny, ["balora_bias_pairs"], metadata={"items": 16})
    for sample in found["samples"]["balora_bias_pairs"]:
        (first, answer), (second, other) = sample["arguments"]
        assert answer == other == " " + sample["doc"]["answer"]
        assert [first, second] == sample["doc"]["contexts"]
