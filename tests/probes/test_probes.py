"""Probes on planted scores: what was put in comes out, with the right sign, and nothing is found where nothing is."""

import numpy as np
import pytest

from balora_audit.config import resolve
from balora_audit.data.biographies import generate
from balora_audit.data.conditions import apply, parse
from balora_audit.probes import PROBES
from balora_audit.probes.collapse import joint_tsne
from balora_audit.probes.evidence import Context
from balora_audit.scoring import LabelScores, TextScores

DATA = generate(n_train=160, n_test=80, seed=3, correlation=0.8)
CONFIG = resolve({"preset": "smoke", "resamples": 300, "noise": {"kinds": ("typo", "ocr"), "severities": (1, 3)}}, environment={})
GOLD = np.array([e.label for e in DATA.test])


def context(condition="clean", dataset=DATA):
    parsed = parse(condition)
    done = apply(dataset, parsed, 0)
    flipped = {i: (c["clean"], c["noisy"]) for i, c in done.changed.get("flipped", {}).items()}
    return Context(config=CONFIG, dataset=dataset, method="m", condition=parsed, seed=0, train=done.train, flipped=flipped)


def answering(labels, features=None):
    scores = np.full((len(labels), 8), -5.0)
    scores[np.arange(len(labels)), labels] = -0.1
    return LabelScores(log_likelihood=scores, features=features)


def wrong_at(share, seed=0):
    labels = GOLD.copy()
    hit = np.random.default_rng(seed).permutation(len(labels))[: round(share * len(labels))]
    labels[hit] = (labels[hit] + 1) % 8
    return labels


def values(findings):
    return {(m.metric, m.slice): m.value for m in findings.measurements}


def test_the_noise_probe_recovers_planted_accuracies_and_flips():
    here = context()
    scores = {request.key: answering(GOLD) for request in PROBES["noise"].requests(here)}
    scores |= {"typo@1": answering(wrong_at(0.1)), "typo@3": answering(wrong_at(0.3)), "ocr@3": answering(wrong_at(0.2))}
    found = values(PROBES["noise"].measure(here, scores, scores))
    assert found["accuracy", "clean"] == 1
    assert [found["accuracy", s] for s in ("typo@1", "typo@3", "ocr@1", "ocr@3")] == pytest.approx([0.9, 0.7, 1.0, 0.8])
    assert found["flip_rate", "typo@3"] == pytest.approx(0.3)
    assert found["accuracy_drop", "all"] == pytest.approx(0.15)
    assert found["relative_drop", "typo"] == pytest.approx(0.2)
    assert found["severity_area", "typo"] == pytest.approx((0.5 * (1 + 0.9) + 1.0 * (0.9 + 0.7)) / 3)
    rates = [found["realised_rate", f"typo@{s}"] for s in (1, 3)]
    assert 0 < rates[0] < rates[1] < 0.1


def test_mce_is_one_against_itself_and_undefined_without_a_base():
    here = context()
    scores = {request.key: answering(wrong_at(0.2)) for request in PROBES["noise"].requests(here)}
    assert values(PROBES["noise"].measure(here, scores, scores))["mce", "all"] == pytest.approx(1)
    alone = PROBES["noise"].measure(here, scores, None)
    assert [m.reason for m in alone.measurements if m.metric == "mce"] == ["the base model is not part of this audit"]


def test_memorisation_separates_a_parrot_from_a_robust_model():
    here = context("noise:0.3")
    ids = next(r for r in PROBES["noise"].requests(here) if r.key == "flipped").ids
    pairs = np.array([here.flipped[i] for i in ids])
    for column, expected in ((1, (1.0, 0.0)), (0, (0.0, 1.0))):
        scores = {"test": answering(GOLD), "flipped": answering(pairs[:, column])}
        found = values(PROBES["noise"].measure(here, scores, None))
        assert (found["memorisation", "all"], found["recovered_true", "all"]) == expected


def test_the_imbalance_probe_finds_a_lost_class_and_its_third():
    here = context("imbalance:20")
    labels = np.where(GOLD == 7, 0, GOLD)  # the rarest class is never answered
    scores = {"test": answering(labels), "counterfactual": answering(GOLD[[e.counterfactual is not None for e in DATA.test]])}
    found = values(PROBES["imbalance"].measure(here, scores, None))
    assert found["recall", "class=artist"] == found["worst_class_recall", "all"] == 0
    assert found["balanced_accuracy", "all"] == pytest.approx(7 / 8)
    assert found["tail_recall", "all"] == pytest.approx(0.5)
    assert found["head_recall", "all"] == 1
    assert found["prior_shift", "all"] > 0


def test_a_planted_gender_gap_is_found_and_none_is_found_where_there_is_none():
    female = np.array([e.group == "female" for e in DATA.test])
    twins = np.array([e.counterfactual is not None for e in DATA.test])
    labels = np.where(female & (GOLD == 2), 0, GOLD)
    scores = {"test": answering(labels), "counterfactual": answering(GOLD[twins])}
    found = values(PROBES["imbalance"].measure(context(), scores, None))
    assert found["tpr_gap", "class=engineer"] == pytest.approx(-1)
    assert found["tpr_gap", "class=nurse"] == 0
    assert found["tpr_gap_rms", "all"] == pytest.approx(np.sqrt(1 / 8))
    assert found["counterfactual_flip_rate", "all"] == pytest.approx((female & (GOLD == 2)).sum() / twins.sum())
    level = {"test": answering(GOLD), "counterfactual": answering(GOLD[twins])}
    clean = values(PROBES["imbalance"].measure(context(), level, None))
    assert clean["tpr_gap_rms", "all"] == clean["counterfactual_flip_rate", "all"] == clean["counterfactual_shift", "all"] == 0


def test_features_projected_to_rank_three_are_found_and_healthy_ones_are_not():
    rng = np.random.default_rng(0)
    healthy = rng.normal(size=(80, 40)).astype(np.float32)
    flat = (healthy[:, :3] @ rng.normal(size=(3, 40))).astype(np.float32)
    base = {"test": answering(GOLD, healthy)}
    for features, low, high in ((flat, 1, 3.001), (healthy, 30, 40)):
        findings = PROBES["collapse"].measure(context(), {"test": answering(GOLD, features)}, base)
        row = next(m for m in findings.measurements if m.metric == "effective_rank")
        assert low <= row.value <= high
        assert row.ci_low <= row.value <= row.ci_high
    same = values(PROBES["collapse"].measure(context(), base, base))
    assert same["cka_to_base", "all"] == pytest.approx(1)


def test_constant_features_are_not_measured_and_never_zero():
    scores = {"test": answering(GOLD, np.ones((80, 5), np.float32))}
    findings = PROBES["collapse"].measure(context(), scores, scores)
    assert findings.measurements
    assert all(m.value is None and "rank 0" in m.reason for m in findings.measurements)


def test_drift_adds_up_the_texts_by_token():
    count = len(DATA.general)
    rng = np.random.default_rng(0)
    kl, tokens, base_nll = rng.random(count), rng.integers(5, 30, count), rng.random(count) * 50
    texts = TextScores(kl=kl, nll=base_nll + 0.1 * tokens, base_nll=base_nll, tokens=tokens)
    scores, base = {"general": texts, "test": answering(wrong_at(0.25))}, {"test": answering(wrong_at(0.5))}
    found = values(PROBES["drift"].measure(context(), scores, base))
    assert found["kl_per_token", "all"] == pytest.approx(kl.sum() / tokens.sum())
    assert found["perplexity_ratio", "all"] == pytest.approx(np.exp(0.1))
    assert found["gained", "all"] == pytest.approx(0.5)  # 20 of the 40 items the base gets wrong


def test_the_joint_tsne_puts_every_model_on_the_same_items():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(8, 12)) * 8
    x = centres[GOLD] + rng.normal(size=(80, 12))
    found = joint_tsne(DATA, [("a", x), ("b", x + 0.01)], seed=0)
    assert [len(found[name]["x"]) for name in ("a", "b")] == [80, 80]
    assert found["a"]["label"] == [DATA.label_names[c] for c in GOLD]
    points = np.array([found["a"]["x"], found["a"]["y"]]).T
    distances = np.linalg.norm(points[:, None] - points[None], axis=2) + 1e9 * np.eye(80)
    assert (GOLD[distances.argmin(axis=1)] == GOLD).mean() > 0.9  # planted classes stay together
    assert joint_tsne(DATA, [("a", x), ("b", x + 0.01)], seed=0) == found
