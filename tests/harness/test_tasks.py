import pytest

from balora_audit.data.biographies import generate
from balora_audit.resources import tasks_path
from balora_audit.scoring import CausalScorer


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_occupation_task_gives_the_audits_own_accuracy_in_the_stock_harness(tiny):
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    found = simple_evaluate(
        model=HFLM(pretrained=tiny.model, tokenizer=tiny.tokenizer, batch_size=16, device="cpu"),
        tasks=["balora"],
        task_manager=TaskManager(include_path=str(tasks_path()), include_defaults=False),
        bootstrap_iters=0,
    )
    data = generate(n_train=8, n_test=128, seed=0)
    scores = CausalScorer(tiny, limit_tokens=256).labels(
        [data.render(e.text) for e in data.test], [" " + name for name in data.label_names], features=False
    )
    expected = sum(int(p) == e.label for p, e in zip(scores.prediction, data.test, strict=True)) / len(data.test)
    assert found["results"]["balora_occupation"]["acc,none"] == pytest.approx(expected)
