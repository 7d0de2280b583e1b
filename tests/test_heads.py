"""Encoders, decoders with a head, regression, peers and imported adapters: the main job on small real models."""

import json
import math
import shutil

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from sklearn.linear_model import LogisticRegression
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer, BertConfig, BertModel

from balora_audit.errors import ConfigurationError, ModelError
from balora_audit.methods import find_methods
from balora_audit.methods.adapter import loaded
from balora_audit.methods.imported import bring_in
from balora_audit.models.encode import Encoder
from balora_audit.models.load import HeadSpec, load
from balora_audit.models.locate import locate
from balora_audit.models.placed import Placed
from balora_audit.resources import TINY_MODEL_PATH
from balora_audit.run.execution import execute
from balora_audit.run.plan import make_plan
from balora_audit.run.scores import read_scores
from balora_audit.run.store import RunStore
from balora_audit.scoring import Reader, ScoreRequest, score
from balora_audit.training.head_initialisation import probe_head

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def encoder_folder(tmp_path_factory):
    """A small BERT with random weights and the shipped model's tokenizer."""
    folder = tmp_path_factory.mktemp("encoder")
    tokenizer = AutoTokenizer.from_pretrained(TINY_MODEL_PATH)
    torch.manual_seed(0)
    model = BertModel(
        BertConfig(
            vocab_size=len(tokenizer), hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96,
            max_position_embeddings=128, pad_token_id=0,
        )
    )  # fmt: skip
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def run(config, folder):
    record = execute(make_plan(config), folder)
    assert record.status == "complete", record.errors
    return record


@pytest.mark.parametrize("teacher_head", ["probe", "init"])
def test_an_encoder_is_audited_from_base_to_balora(encoder_folder, small_config, tmp_path, teacher_head):
    config = small_config(
        model=str(encoder_folder), models=("base", "lora", "pissa", "balora"), conditions=("clean", "noise:0.3"),
        training={"epochs": 2, "teacher_head": teacher_head},
    )  # fmt: skip
    record = run(config, tmp_path)
    cells = {(cell.method, cell.condition): cell for cell in record.cells}
    terms = cells["balora", "clean"].losses
    assert {"task", "consistency", "diversity", "spectral"} <= set(terms)
    assert all(math.isfinite(value) for value in terms.values())
    curves = next(s.columns for s in record.series if s.name == "losses" and s.method == "balora" and s.condition == "clean")
    assert len(curves["step"]) == cells["balora", "clean"].steps
    assert any(m.metric == "kl_per_token" and "no distribution over words" in m.reason for m in record.measurements)
    assert not [claim for claim in record.claims if claim.metric == "kl_per_token"]
    assert {m.method for m in record.measurements if m.metric == "effective_rank" and m.value} == set(config.models)


def test_a_saved_classifier_gives_the_same_scores_with_plain_peft(encoder_folder, small_config, tmp_path):
    config = small_config(model=str(encoder_folder), models=("base", "pissa"), conditions=("clean",), probes=("drift",))
    plan = make_plan(config)
    execute(plan, tmp_path)
    cell = next(cell for cell in plan.cells if cell.context.method == "pissa")
    stored = read_scores(RunStore(tmp_path), cell.score_keys["test"])
    classes = len(plan.dataset.label_names)
    model = AutoModelForSequenceClassification.from_pretrained(encoder_folder, num_labels=classes)
    model = PeftModel.from_pretrained(model, str(tmp_path / "adapters/pissa/clean/seed0")).eval()
    tokenizer = AutoTokenizer.from_pretrained(encoder_folder)
    for index in (0, 7):
        ids = torch.tensor([tokenizer(plan.dataset.test[index].text).input_ids])
        with torch.no_grad():
            expected = model(input_ids=ids).logits.double().log_softmax(-1)[0].numpy()
        # log-probabilities of −60 are given in float32, whose digits end before 1e-4 of them
        np.testing.assert_allclose(stored.log_likelihood[index], expected, atol=1e-4, rtol=1e-5)


def test_the_base_of_a_classifier_is_a_probe_on_its_frozen_features(encoder_folder, small_config, tmp_path):
    config = small_config(model=str(encoder_folder), models=("base",), conditions=("clean",), probes=("collapse",))
    plan = make_plan(config)
    execute(plan, tmp_path)
    scores = read_scores(RunStore(tmp_path), plan.cells[0].score_keys["test"])
    base = load(plan.model, device=torch.device("cpu"), dtype=torch.float32, head=plan.recipe.head)
    tokenizer = base.tokenizer
    features = []
    with torch.no_grad():
        for example in plan.dataset.test[:5]:
            out = base.model.bert(input_ids=torch.tensor([tokenizer(example.text).input_ids]))
            features.append(out.pooler_output[0].numpy())
    np.testing.assert_allclose(scores.features[:5], np.stack(features), atol=1e-5)


def test_a_decoder_takes_a_head_too(small_config, tmp_path):
    config = small_config(head="classifier", models=("base", "lora", "balora"), conditions=("clean",), probes=("noise", "collapse"))
    record = run(config, tmp_path)
    assert {cell.method for cell in record.cells} == {"base", "lora", "balora"}


def test_regression_is_trained_with_the_terms_that_exist(encoder_folder, small_config, tmp_path):
    rng = np.random.default_rng(0)
    words = ["door", "river", "painted", "house", "apple", "stone"]
    lines = []
    for index in range(60):
        count = int(rng.integers(1, 8))
        lines.append({"text": " ".join(["river"] * count + [str(rng.choice(words)), f"number {index}"]), "target": count / 2})
    path = tmp_path / "numbers.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    config = small_config(
        model=str(encoder_folder), data=str(path), models=("base", "lora", "balora"), conditions=("clean",), training={"epochs": 3}
    )
    record = run(config, tmp_path / "run")
    terms = next(cell.losses for cell in record.cells if cell.method == "balora")
    assert set(terms) == {"total", "task", "consistency"}
    values = {m.method: m.value for m in record.measurements if m.metric == "unexplained_variance" and m.slice == "clean"}
    assert set(values) == {"base", "lora", "balora"}
    assert any(claim.metric == "unexplained_rise" for claim in record.claims)


def test_generation_needs_a_language_model(encoder_folder, small_config, tmp_path):
    path = tmp_path / "qa.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"q {i}", "response": "yes"}) + "\n" for i in range(20)), encoding="utf-8")
    with pytest.raises(ConfigurationError, match="writes no text"):
        make_plan(small_config(model=str(encoder_folder), data=str(path), conditions=("clean",)))


@pytest.mark.parametrize("intercept", [True, False])
def test_the_probe_equals_sklearn_on_the_same_standardised_features(intercept):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 6)) * [1, 2, 3, 4, 5, 0] + 1
    y = (x[:, 0] + rng.normal(size=90) > 1).astype(int) + (x[:, 1] > 2)
    weight, bias = probe_head(x, y, 3, regression=False, intercept=intercept)
    z = (x - x.mean(0) * intercept) / np.where(x.std(0) > 1e-6, x.std(0), np.inf)
    found = x @ weight.double().numpy().T + bias.double().numpy()
    agree = []
    for strength in (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0):
        expected = LogisticRegression(C=1 / strength, max_iter=2000, fit_intercept=intercept).fit(z, y).decision_function(z)
        agree.append(np.abs(found - expected).max())
    assert min(agree) < 1e-3
    assert bool((bias == 0).all()) is not intercept


def test_peers_and_ablations_run_by_name_and_leave_the_base_alone(small_config, tmp_path):
    names = ("base", "lora", "dora", "rslora", "olora", "full", "balora[-cr]", "balora[svdr]")
    training = {"epochs": 1, "learning_rates": {"full": 3e-4}}
    config = small_config(models=names, conditions=("clean",), probes=("collapse", "drift"), training=training)
    record = run(config, tmp_path)
    losses = {cell.method: set(cell.losses) for cell in record.cells}
    assert losses["balora[-cr]"] == {"total", "task", "diversity", "spectral"}
    assert losses["balora[svdr]"] == {"total", "task", "spectral"}
    kl = {m.method: m.value for m in record.measurements if m.metric == "kl_per_token"}
    assert all(kl[name] > 0 for name in names[1:])
    assert kl["base"] == 0


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("balora[-xx]", "the terms are cr, dr, svdr"),
        ("balora[]", "the terms are"),
        ("lora[-cr]", "'lora' has no cr to leave out"),
        ("mine=nowhere", "no adapter_config.json"),
        ("lora=nowhere", "a method's own name"),
        ("a b=nowhere", "letters, digits"),
    ],
)
def test_a_wrong_model_list_is_refused(spec, says):
    with pytest.raises(ConfigurationError, match=says):
        find_methods(["base", spec])


def fill(model, size=0.05):
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".lora_" in name:
                parameter.add_(size * torch.randn(parameter.shape, generator=generator))


@pytest.mark.parametrize("start", [True, "pissa", "olora"])
def test_an_adapter_trained_elsewhere_gives_its_own_logits_here(tiny, tmp_path, start):
    """Unconverted PiSSA and OLoRA adapters work only on a base that PEFT has rewritten; ours is untouched."""
    model = AutoModelForCausalLM.from_pretrained(TINY_MODEL_PATH, dtype=torch.float32)
    targets = ["q_proj", "v_proj", "down_proj"]
    theirs = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules=targets, init_lora_weights=start))
    fill(theirs)
    theirs.save_pretrained(tmp_path / "theirs")
    ids = torch.tensor([tiny.tokenizer("Anna painted the harbour.").input_ids])
    with torch.no_grad():
        expected = theirs.eval()(ids).logits
    notes = bring_in(tiny, tmp_path / "theirs", tmp_path / "ours")
    assert any("converted from" in note for note in notes) is (start is not True)
    fresh = AutoModelForCausalLM.from_pretrained(TINY_MODEL_PATH, dtype=torch.float32)
    with torch.no_grad():
        found = PeftModel.from_pretrained(fresh, str(tmp_path / "ours")).eval()(ids).logits
    assert float((found - expected).abs().max()) <= 1e-3 * float(expected.abs().max())


@pytest.mark.filterwarnings("ignore::UserWarning")  # what PEFT says about adapters on tied heads
def test_an_adapter_on_the_head_itself_is_scored_with_it(tiny, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(TINY_MODEL_PATH, dtype=torch.float32)
    theirs = get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj", "lm_head"]))
    fill(theirs, 0.2)
    theirs.save_pretrained(tmp_path / "theirs")
    bring_in(tiny, tmp_path / "theirs", tmp_path / "ours")
    prompts, answers = ["Anna painted the"], [" house", " river"]
    with loaded(tiny, tmp_path / "ours"):
        request = ScoreRequest(key="set", kind="labels", ids=("a",), texts=tuple(prompts), labels=("house", "river"))
        found = score(request, Reader(placed=Placed(base=tiny), encoder=Encoder(tiny.tokenizer, 64))).log_likelihood[0]
    ids = tiny.tokenizer(prompts[0]).input_ids
    for answer, value in zip(answers, found, strict=True):
        tail = tiny.tokenizer(answer, add_special_tokens=False).input_ids
        with torch.no_grad():
            logp = theirs.eval()(torch.tensor([ids + tail])).logits[0].log_softmax(-1)
        expected = float(torch.stack([logp[len(ids) - 1 + i, token] for i, token in enumerate(tail)]).mean())
        assert value == pytest.approx(expected, rel=1e-3)


def test_an_adapter_trained_elsewhere_is_audited_beside_the_others(tiny, small_config, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(TINY_MODEL_PATH, dtype=torch.float32)
    theirs = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"]))
    fill(theirs)
    theirs.save_pretrained(tmp_path / "mine")
    config = small_config(models=("base", "lora", f"mine={tmp_path / 'mine'}"), conditions=("clean", "noise:0.3"), seeds=(0, 1))
    record = run(config, tmp_path / "run")
    assert {cell.condition for cell in record.cells if cell.method == "mine"} == {"clean"}
    assert any(claim.candidate == "mine" for claim in record.claims)
    assert not [c for c in record.claims if "mine" in (c.candidate, c.baseline) and c.condition != "clean"]
    decided = {row.metric: row for row in record.comparisons if row.candidate == "mine" and row.baseline == "base" and row.claim}
    assert all(row.verdict != "error" and row.delta is not None for row in decided.values()), decided


def test_adapters_that_cannot_be_audited_are_refused(tiny, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(TINY_MODEL_PATH, dtype=torch.float32)
    theirs = get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj"], init_lora_weights="pissa_niter_4"))
    theirs.save_pretrained(tmp_path / "random")
    with pytest.raises(ModelError, match="cannot be repeated"):
        bring_in(tiny, tmp_path / "random", tmp_path / "out")
    config = json.loads((tmp_path / "random/adapter_config.json").read_text(encoding="utf-8"))
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled/adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    (tmp_path / "pickled/adapter_model.bin").write_bytes(b"x")
    with pytest.raises(ModelError, match="a pickle"):
        bring_in(tiny, tmp_path / "pickled", tmp_path / "out")
    (tmp_path / "biased").mkdir()
    shutil.copy(tmp_path / "random/adapter_model.safetensors", tmp_path / "biased")
    (tmp_path / "biased/adapter_config.json").write_text(json.dumps({**config, "bias": "all"}), encoding="utf-8")
    with pytest.raises(ModelError, match="bias: all"):
        bring_in(tiny, tmp_path / "biased", tmp_path / "out")
    other = load(locate("tiny"), device=torch.device("cpu"), dtype=torch.float32)
    other.model.model.layers[0].self_attn.q_proj = torch.nn.Linear(128, 64)
    with pytest.raises(ModelError, match="another base"):
        bring_in(other, tmp_path / "random", tmp_path / "out")


def test_a_head_cannot_be_asked_for_where_numbers_need_one():
    assert HeadSpec().family == "nlg"
    assert HeadSpec(kind="classifier", outputs=3).family == "nlu"


def test_dropout_does_not_go_with_an_anchored_start(small_config, tmp_path):
    config = small_config(models=("base", "pissa"), conditions=("clean",), adapter={"dropout": 0.1})
    with pytest.raises(ConfigurationError, match="dropout"):
        make_plan(config)


def test_a_rank_and_modules_that_do_not_fit_are_refused_before_anything_is_computed(small_config):
    with pytest.raises(ConfigurationError, match="rank 500 is larger"):
        make_plan(small_config(models=("base", "lora"), adapter={"rank": 500}))
    with pytest.raises(ConfigurationError, match="q_proj"):
        make_plan(small_config(models=("base", "lora"), adapter={"target_modules": ("query",)}))


def test_full_fine_tuning_in_a_coarse_format_is_refused(small_config):
    with pytest.raises(ConfigurationError, match="float32"):
        make_plan(small_config(models=("base", "full"), dtype="bfloat16"))
