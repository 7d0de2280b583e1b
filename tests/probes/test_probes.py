"""Probes on planted scores: what was put in comes out, with the right sign, and nothing is found where nothing is."""

import json
from dataclasses import replace

import numpy as np
import pytest
from planted import DATA, GOLD, PLACE, answered, answering, changed_at, context, generation, measure, reasons, values, wrong_at

from balora_audit.metrics import demographic_parity_difference, equalized_odds_difference
from balora_audit.probes import PROBES, Beside
from balora_audit.probes.collapse.projection import joint_tsne, usable_perplexities
from balora_audit.probes.noise.copies import changed
from balora_audit.scoring import TextScores, WeightScores


def test_the_noise_probe_recovers_planted_accuracies_and_flips():
    here = context()
    planted = {"typo@1": changed_at(here, "typo", 1, 8), "typo@3": changed_at(here, "typo", 3, 24), "ocr@3": changed_at(here, "ocr", 3, 16)}
    scores = answered(PROBES["noise"].requests(here), **planted)
    found = values(PROBES["noise"].measure(here, scores, Beside(base=scores)))
    assert found["accuracy_under_noise", "typo"] == pytest.approx(0.8)
    assert [found["accuracy", s] for s in ("typo@1", "typo@3", "ocr@1", "ocr@3")] == pytest.approx([0.9, 0.7, 1.0, 0.8])
    assert found["flip_rate", "typo@3"] == pytest.approx(0.3)
    assert found["accuracy_drop", "all"] == pytest.approx(0.15)
    assert found["relative_drop", "typo"] == pytest.approx(0.2)
    assert found["severity_area", "typo"] == pytest.approx((0.5 * (1 + 0.9) + 1.0 * (0.9 + 0.7)) / 3)
    rates = [found["realised_rate", f"typo@{s}"] for s in (1, 3)]
    assert 0 < rates[0] < rates[1] < 0.1


def test_mce_is_one_against_itself_and_undefined_without_a_base():
    here = context()
    scores = answered(PROBES["noise"].requests(here), all=wrong_at(0.2))
    assert values(PROBES["noise"].measure(here, scores, Beside(base=scores)))["mce", "all"] == pytest.approx(1)
    alone = PROBES["noise"].measure(here, scores)
    assert [m.reason for m in alone.measurements if m.metric == "mce"] == ["the base model is not part of this audit"]


def test_memorisation_separates_a_parrot_from_a_robust_model():
    here = context("noise:0.3")
    ids = next(r for r in PROBES["noise"].requests(here) if r.key == "flipped").ids
    pairs = np.array([here.flipped[i] for i in ids])
    for column, expected in ((1, (1.0, 0.0)), (0, (0.0, 1.0))):
        scores = {"test": answering(GOLD), "flipped": answering(pairs[:, column])}
        found = values(PROBES["noise"].measure(here, scores))
        assert (found["memorisation", "all"], found["recovered_true", "all"]) == expected


def test_the_imbalance_probe_finds_a_lost_class_and_its_third():
    here = context("imbalance:20")
    labels = np.where(GOLD == 7, 0, GOLD)  # the rarest class is never answered
    scores = {"test": answering(labels), "counterfactual": answering(GOLD[[e.counterfactual is not None for e in DATA.test]])}
    found = values(measure("imbalance", here, scores))
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
    found = values(measure("imbalance", context(), scores))
    assert found["tpr_gap", "class=engineer"] == pytest.approx(-1)
    assert found["tpr_gap", "class=nurse"] == 0
    assert found["tpr_gap_rms", "all"] == pytest.approx(np.sqrt(1 / 8))
    assert found["counterfactual_flip_rate", "all"] == pytest.approx((female & (GOLD == 2)).sum() / twins.sum())
    level = {"test": answering(GOLD), "counterfactual": answering(GOLD[twins])}
    clean = values(measure("imbalance", context(), level))
    assert clean["tpr_gap_rms", "all"] == clean["counterfactual_flip_rate", "all"] == clean["counterfactual_shift", "all"] == 0


def test_features_projected_to_rank_three_are_found_and_healthy_ones_are_not():
    rng = np.random.default_rng(0)
    healthy = rng.normal(size=(80, 40)).astype(np.float32)
    flat = (healthy[:, :3] @ rng.normal(size=(3, 40))).astype(np.float32)
    base = {"test": answering(GOLD, healthy)}
    for features, low, high in ((flat, 1, 3.001), (healthy, 30, 40)):
        findings = measure("collapse", context(), {"test": answering(GOLD, features)}, Beside(base=base))
        row = next(m for m in findings.measurements if m.metric == "effective_rank")
        assert low <= row.value <= high
        assert row.ci_low <= row.value <= row.ci_high
    same = values(measure("collapse", context(), base, Beside(base=base)))
    assert same["cka_to_base", "all"] == pytest.approx(1)


def test_constant_features_are_not_measured_and_never_zero():
    scores = {"test": answering(GOLD, np.ones((80, 5), np.float32))}
    findings = measure("collapse", context(), scores, Beside(base=scores))
    of_items = [m for m in findings.measurements if not m.metric.startswith("general")]
    assert of_items
    assert all(m.value is None and "rank 0" in m.reason for m in of_items)


def test_drift_adds_up_the_texts_by_token():
    count = len(DATA.general)
    rng = np.random.default_rng(0)
    kl, tokens, base_nll = rng.random(count), rng.integers(5, 30, count), rng.random(count) * 50
    texts = TextScores(kl=kl, nll=base_nll + 0.1 * tokens, base_nll=base_nll, tokens=tokens)
    scores, base = {"general": texts, "test": answering(wrong_at(0.25))}, {"test": answering(wrong_at(0.5))}
    found = values(PROBES["drift"].measure(context(), scores, Beside(base=base)))
    assert found["kl_per_token", "all"] == pytest.approx(kl.sum() / tokens.sum())
    assert found["perplexity_ratio", "all"] == pytest.approx(np.exp(0.1))
    assert found["gained", "all"] == pytest.approx(0.5)  # 20 of the 40 items the base gets wrong


def test_the_joint_tsne_puts_every_model_on_the_same_items():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(8, 12)) * 8
    x = centres[GOLD] + rng.normal(size=(80, 12))
    found = joint_tsne(DATA, [("a", x), ("b", x + 0.01)], perplexity=20, seed=0)
    assert [len(found[name]["x"]) for name in ("a", "b")] == [80, 80]
    assert found["a"]["label"] == [DATA.label_names[c] for c in GOLD]
    points = np.array([found["a"]["x"], found["a"]["y"]]).T
    distances = np.linalg.norm(points[:, None] - points[None], axis=2) + 1e9 * np.eye(80)
    assert (GOLD[distances.argmin(axis=1)] == GOLD).mean() > 0.9  # planted classes stay together
    assert joint_tsne(DATA, [("a", x), ("b", x + 0.01)], perplexity=20, seed=0) == found


def test_agreement_among_copies_is_planted_and_found():
    here = context()
    requests = PROBES["noise"].requests(here)
    assert values(PROBES["noise"].measure(here, answered(requests)))["consistency", "all"] == 1
    # half of the items answered wrongly in one of two copies of a kind, and of four in all
    found = values(PROBES["noise"].measure(here, answered(requests, **{"typo@1": changed_at(here, "typo", 1, 40)})))
    assert found["consistency", "typo"] == pytest.approx(0.5)
    assert found["consistency", "all"] == pytest.approx((1 + 3 / 6) / 2)


def test_a_copy_that_equals_its_text_is_not_scored_again_and_keeps_its_answer():
    here = context()
    requests = {request.key: request for request in PROBES["noise"].requests(here)}
    ids, texts = changed(here, "typo", 1)
    assert 0 < len(ids) < len(DATA.test)
    assert requests["typo@1"].ids == ids
    known = {e.id: e.text for e in DATA.test}
    assert all(text != known[item] for item, text in zip(ids, texts, strict=True))
    labels = wrong_at(0.5)
    found = values(PROBES["noise"].measure(here, answered(requests.values(), **{"test": labels, "typo@1": GOLD})))
    rows = np.isin([e.id for e in DATA.test], ids)
    assert found["flip_rate", "typo@1"] == pytest.approx(((labels != GOLD) & rows).mean())
    assert found["accuracy", "typo@1"] == pytest.approx((rows | (labels == GOLD)).mean())


def test_a_model_trained_on_clean_labels_answers_the_items_that_others_mislabel():
    noisy = context("noise:0.3")
    here = context(flipped_elsewhere={"noise:0.3": noisy.flipped})
    request = next(r for r in PROBES["noise"].requests(here) if r.key == "flips=noise:0.3")
    assert set(request.ids) == set(noisy.flipped)
    true = np.array([noisy.flipped[item][0] for item in request.ids])
    scores = answered(PROBES["noise"].requests(here)) | {request.key: answering(true)}
    found = values(PROBES["noise"].measure(here, scores))
    assert (found["memorisation", "flips=noise:0.3"], found["recovered_true", "flips=noise:0.3"]) == (0, 1)


def test_noise_that_cannot_touch_the_texts_is_not_measured_instead_of_harmless():
    texts = ("老教师耐心地解释。", "Старый учитель терпеливо объяснил.")
    test = tuple(replace(e, text=texts[i % 2], counterfactual=None) for i, e in enumerate(DATA.test))
    here = context(dataset=replace(DATA, test=test))
    assert [r.key for r in PROBES["noise"].requests(here)] == ["test"]
    found = PROBES["noise"].measure(here, {"test": answering(GOLD)})
    why = "this kind of noise applies to none of the texts"
    assert reasons(found)["accuracy_under_noise", "typo"] == reasons(found)["accuracy_under_noise", "ocr"] == why
    assert {("accuracy_under_noise", "all"), ("survival", "all")} <= reasons(found).keys()
    assert values(found)["applicable_texts", "typo"] == 0
    assert not any(metric == "accuracy" and "@" in slice for metric, slice in values(found))


def test_written_answers_are_matched_and_lose_under_noise_what_was_planted():
    here, scores = generation(lambda i, key: f"... #### {i}" if key == "written:clean" or i % 4 else "no idea")
    assert sorted(key for key in scores if key.startswith("written")) == ["written:clean", "written:ocr@3", "written:typo@3"]
    found = values(PROBES["noise"].measure(here, scores))
    assert found["exact_match", "clean"] == 1
    hit = {kind: sum(PLACE[item] % 4 == 0 for item in changed(here, kind, 3)[0]) / 80 for kind in ("typo", "ocr")}
    assert hit["typo"] > 0.2
    assert found["exact_match", "typo@3"] == pytest.approx(1 - hit["typo"])
    assert found["exact_match_drop", "all"] == pytest.approx((hit["typo"] + hit["ocr"]) / 2)


def test_without_an_extractor_exact_match_is_not_measured():
    here, scores = generation(lambda i, key: "")
    found = PROBES["noise"].measure(replace(here, extractor=None), scores)
    assert "extractor" in reasons(found)["exact_match", "clean"]


def test_differences_between_groups_are_fairlearns():
    group = np.array([e.group for e in DATA.test])
    labels = np.where((group == "female") & (GOLD % 2 == 0), 0, wrong_at(0.2))
    twins = np.array([e.counterfactual is not None for e in DATA.test])
    scores = {"test": answering(labels), "counterfactual": answering(GOLD[twins])}
    found = values(measure("imbalance", context(), scores))
    known = np.isin(group, ("female", "male"))
    y, p, g = GOLD[known], labels[known], group[known]
    assert found["equalized_odds_difference", "all"] == pytest.approx(equalized_odds_difference(y, p, g))
    assert found["demographic_parity_difference", "all"] == pytest.approx(demographic_parity_difference(y, p, g))


def test_counterfactual_flips_are_told_apart_by_class_and_group():
    twins = [e for e in DATA.test if e.counterfactual is not None]
    swapped = np.array([(e.label + (e.group == "female" and e.label == 2)) % 8 for e in twins])
    found = values(measure("imbalance", context(), {"test": answering(GOLD), "counterfactual": answering(swapped)}))
    women = np.array([e.group == "female" for e in twins])
    engineers = np.array([e.label == 2 for e in twins])
    assert found["counterfactual_flip_rate", "class=engineer"] == pytest.approx(women[engineers].mean())
    assert found["counterfactual_flip_rate", "group=female"] == pytest.approx(engineers[women].mean())
    assert found["counterfactual_flip_rate", "group=male"] == found["counterfactual_flip_rate", "class=nurse"] == 0


def regrouped(groups):
    test = tuple(replace(e, group=group, counterfactual=None) for e, group in zip(DATA.test, groups, strict=True))
    return context(dataset=replace(DATA, test=test))


def test_a_group_of_four_is_reported_and_never_ranked():
    groups = ["b"] * 4 + ["c"] * 30 + ["d"] * 46
    labels = GOLD.copy()
    labels[:4] = (labels[:4] + 1) % 8  # the small group is always wrong
    found = values(measure("imbalance", regrouped(groups), {"test": answering(labels)}))
    assert found["accuracy", "group=b"] == 0
    assert found["worst_group_accuracy", "all"] == 1
    assert found["equalized_odds_difference", "all"] == 0


@pytest.mark.parametrize(
    ("groups", "why"), [([None] * 80, "no groups"), (["a"] * 80, "one group only"), (["a"] * 76 + ["b"] * 4, "at least 5")]
)
def test_one_group_is_not_measured(groups, why):
    found = reasons(measure("imbalance", regrouped(groups), {"test": answering(GOLD)}))
    for metric in ("worst_group_accuracy", "tpr_gap_rms", "equalized_odds_difference", "demographic_parity_difference"):
        assert why in found[metric, "all"]


def test_one_class_in_the_test_set_has_no_class_geometry():
    test = tuple(replace(e, label=3) for e in DATA.test)
    here = context(dataset=replace(DATA, test=test))
    x = np.random.default_rng(0).normal(size=(80, 10)).astype(np.float32)
    found = reasons(measure("collapse", here, {"test": answering(np.full(80, 3), x)}))
    assert all("one class only" in found[metric, "all"] for metric in ("nc1", "silhouette", "knn_accuracy"))


def test_layers_are_measured_apart_and_a_constant_one_is_not():
    rng = np.random.default_rng(1)
    wide = rng.normal(size=(80, 20))
    narrow = wide[:, :2] @ rng.normal(size=(2, 20))
    depths = np.stack([np.ones((80, 20)), narrow, wide], axis=1).astype(np.float32)
    scores = {"test": replace(answering(GOLD, wide.astype(np.float32)), layer_features=depths)}
    found = measure("collapse", context(layers=(0, 5, 9)), scores, Beside(base=scores))
    assert all("rank 0" in reasons(found)[metric, "layer=0"] for metric in ("effective_rank", "iso_score", "cka_to_base"))
    measured = values(found)
    assert measured["effective_rank", "layer=5"] <= 2.001 < 10 < measured["effective_rank", "layer=9"]
    assert measured["effective_rank", "layer=9"] == pytest.approx(measured["effective_rank", "all"])
    assert measured["principal_angle_to_base", "layer=9"] == 0
    assert all(m.value is None or np.isfinite(m.value) for m in found.measurements)


def test_few_items_and_features_with_zeros_are_said_not_computed():
    few = replace(DATA, test=DATA.test[:4])
    x = np.random.default_rng(2).normal(size=(4, 30)).astype(np.float32)
    x[0] = 0
    scores = {"test": answering(GOLD[:4], x)}
    found = measure("collapse", context(dataset=few), scores, Beside(base=scores))
    why = reasons(found)
    assert "too few for 5 neighbours" in why["knn_accuracy", "all"] or "single test item" in why["knn_accuracy", "all"]
    assert "all zero" in why["anisotropy", "all"]
    assert "too few for subspaces" in why["principal_angle_to_base", "all"]
    assert values(found)["effective_rank", "all"] <= 3.001  # four items, centred


def test_weight_changes_are_averaged_by_kind_of_module():
    names = ["layers.0.q_proj", "layers.0.dense", "layers.1.q_proj"]
    found = WeightScores(
        modules=np.frombuffer(json.dumps(names).encode(), np.uint8),
        norm=np.array([10.0, 10.0, 10.0]),
        change_norm=np.array([1.0, 0.0, 3.0]),
        change_sigma=np.array([[1.0, 0.0], [0.0, 0.0], [3 / 2**0.5, 3 / 2**0.5]]),
        examined=np.array([0, 2]),
        likeness=np.array([[0.9, 0.4], [0.2, 0.1]]),
    )
    x = np.random.default_rng(0).normal(size=(80, 6)).astype(np.float32)
    measured = values(measure("collapse", context(), {"test": answering(GOLD, x), "weights": found}))
    assert measured["weight_change", "all"] == pytest.approx(0.4 / 3)
    assert measured["weight_change", "module=q_proj"] == pytest.approx(0.2)
    assert measured["weight_change_rank", "all"] == pytest.approx(1.5)  # 1 and 2; the module that did not change has no rank
    assert measured["weight_change_rank", "module=0.dense"] is None
    assert measured["intruder_dimensions", "all"] == pytest.approx(1.5)


def test_what_the_base_knew_is_retained_or_lost_and_nothing_else():
    here = context()
    base, mine = answering(wrong_at(0.5, seed=1)), answering(wrong_at(0.3, seed=2))
    texts = TextScores(kl=np.ones(48), nll=np.ones(48), base_nll=np.ones(48), tokens=np.full(48, 9))
    found = values(PROBES["drift"].measure(here, {"test": mine, "general": texts}, Beside(base={"test": base})))
    known = base.prediction == GOLD
    assert found["lost", "all"] == pytest.approx((mine.prediction != GOLD)[known].mean())
    assert found["retained", "all"] + found["lost", "all"] == pytest.approx(1)


@pytest.mark.parametrize(("points", "expected"), [(3, ()), (4, (1.0,)), (31, (10.0,)), (61, (20.0, 10.0)), (400, (30.0, 10.0))])
def test_a_perplexity_never_exceeds_what_the_points_allow(points, expected):
    assert usable_perplexities((30.0, 10.0), points) == expected
