"""Claims at unequal skill: matched, not comparable, or decided; margins that are shares; verdicts that a wobble would change."""

from dataclasses import replace
from typing import cast

import numpy as np
import pytest

from balora_audit.cells import CellId
from balora_audit.comparison.compare import compare_all
from balora_audit.config import AuditConfig
from balora_audit.probes import PROBES, Context, Findings
from balora_audit.probes.noise.labels import NOISY_LABELS
from balora_audit.probes.skill import ACCURACY
from balora_audit.records import Claim, Measurement
from balora_audit.slices import ALL, CLEAN
from balora_audit.stats import ItemScores, Jackknife

CONFIG = AuditConfig(models=("base", "lora", "balora"), resamples=500)
N, COPIES = 400, 4
IDS = tuple(map(str, range(N)))


def findings(probe, **scores):
    return Findings(
        cast(Context, None), PROBES[probe], scores={(name, ALL if name != "accuracy" else CLEAN): s for name, s in scores.items()}
    )


def noise_evidence(right_N, survives_NC):
    """Return what a model gives: right on clean text, and which of its copies are answered correctly."""
    under_N = (right_N[:, None] & survives_NC).mean(axis=1)
    drop = ItemScores.mean_of(IDS, right_N - under_N)
    survived = ItemScores(ids=IDS, numerators=(right_N * under_N)[None], denominators=right_N.astype(float)[None], common=True)
    noise = findings("noise", accuracy_under_noise=ItemScores.mean_of(IDS, under_N), accuracy_drop=drop, survival=survived)
    return {"skill": findings("skill", accuracy=ItemScores.mean_of(IDS, right_N.astype(float))), "noise": noise}


def better_at_every_severity(seed=0):
    """Return evidence of the case where a drop misleads: the candidate is right more often on every copy, and loses more points.

    On the items that both know, both lose one copy in four; the candidate knows more items, so that it has more to lose.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(N)
    known = {"lora": np.isin(np.arange(N), order[:240]), "balora": np.isin(np.arange(N), order[:340])}
    lost = rng.integers(0, COPIES, size=N)
    survives_NC = np.arange(COPIES)[None, :] != lost[:, None]
    return {CellId(model, "clean", 0): noise_evidence(right, survives_NC) for model, right in known.items()}


def claim(metric, probe="noise", slice="all", condition="clean", margin=0.02, higher=True, **more):
    return Claim(
        id=metric, baseline="lora", candidate="balora", condition=condition, probe=probe, metric=metric, slice=slice, margin=margin,
        higher_is_better=higher, **more,
    )  # fmt: skip


def decided(evidence, *claims, **more):
    rows = compare_all(CONFIG, claims, [], evidence, skill=ACCURACY, untrained=frozenset({"base"}), **more)
    return {row.claim: row for row in rows}


def test_a_larger_drop_of_the_better_model_is_decided_at_equal_skill_and_never_contradicted():
    evidence = better_at_every_severity()
    rows = decided(
        evidence,
        claim("accuracy", "skill", "clean"), claim("accuracy_under_noise"), claim("survival"), claim("accuracy_drop", higher=False),
    )  # fmt: skip
    assert rows["accuracy"].verdict == rows["accuracy_under_noise"].verdict == "supported"
    assert rows["accuracy_drop"].delta == pytest.approx(100 / 400 / 4)  # it does lose more points
    assert rows["accuracy_drop"].ci_low > 0.02  # and by its own interval it would be contradicted
    assert rows["survival"].delta == 0
    drop = rows["accuracy_drop"]
    assert drop.verdict == rows["survival"].verdict != "contradicted"
    assert (drop.matched.metric, drop.matched.delta, drop.matched.n_items) == ("survival", 0, 240)
    assert drop.skill_delta == pytest.approx(0.25)
    assert "accuracy on clean test data differs by more than its margin" in drop.reason
    assert rows["accuracy"].matched is None
    assert rows["accuracy"].skill_delta is None


def test_at_equal_skill_a_claim_on_what_follows_from_it_is_decided_on_itself():
    evidence = better_at_every_severity()
    same = {cell: evidence[CellId("lora", "clean", 0)] for cell in evidence}
    row = decided(same, claim("accuracy_drop", higher=False))["accuracy_drop"]
    assert (row.matched, row.skill_delta, row.verdict) == (None, 0, "equivalent")


def kl(value):
    rng = np.random.default_rng(1)
    return findings("drift", kl_per_token=ItemScores.mean_of(IDS, value + 0.01 * rng.normal(size=N)))


def test_what_grows_with_training_is_not_compared_at_unequal_skill_and_has_no_adjusted_p_value():
    evidence = {cell: {**found, "drift": kl(0.1 if cell.method == "lora" else 0.5)} for cell, found in better_at_every_severity().items()}
    row = decided(evidence, claim("kl_per_token", "drift", higher=False))["kl_per_token"]
    assert row.verdict == "not comparable"
    assert row.p_adjusted is None
    assert row.delta == pytest.approx(0.4, abs=0.01)  # the number is there, the verdict is not
    equal = {cell: {**found, "skill": evidence[CellId("lora", "clean", 0)]["skill"]} for cell, found in evidence.items()}
    assert decided(equal, claim("kl_per_token", "drift", higher=False))["kl_per_token"].verdict == "contradicted"
    unknown = {cell: {"drift": found["drift"]} for cell, found in evidence.items()}
    row = decided(unknown, claim("kl_per_token", "drift", higher=False))["kl_per_token"]
    assert (row.verdict, row.skill_delta) == ("not comparable", None)
    assert "was not measured of both" in row.reason


def test_the_change_from_the_base_is_decided_whatever_the_skill():
    evidence = {}
    for cell, found in better_at_every_severity().items():
        evidence[cell._replace(method="base" if cell.method == "lora" else cell.method)] = {
            **found, "drift": kl(0.1 if cell.method == "lora" else 0.5),
        }  # fmt: skip
    given = replace(claim("kl_per_token", "drift", higher=False), baseline="base")
    assert decided(evidence, given)["kl_per_token"].verdict == "contradicted"
    drop = replace(claim("accuracy_drop", higher=False), baseline="base")
    assert decided(evidence, drop)["accuracy_drop"].matched is not None  # a base near chance has nothing to lose


def test_skill_is_that_under_the_control_where_a_condition_has_one():
    clean = better_at_every_severity()
    tail = ItemScores.mean_of(IDS, np.linspace(0, 1, N))
    under = {cell._replace(condition="imbalance:20"): {"imbalance": findings("imbalance", imbalance_cost=tail)} for cell in clean}
    equal = {cell._replace(condition="balanced:20"): clean[CellId("lora", "clean", 0)] for cell in clean}
    unequal = {cell._replace(condition="balanced:20"): found for cell, found in clean.items()}
    given = claim("imbalance_cost", "imbalance", condition="imbalance:20", higher=False)
    controls = {"imbalance:20": "balanced:20"}
    assert decided({**under, **equal}, given, controls=controls)["imbalance_cost"].verdict == "equivalent"
    row = decided({**under, **unequal}, given, controls=controls)["imbalance_cost"]
    assert (row.verdict, row.matched) == ("not comparable", None)  # the matched survival was not measured
    assert "tail_survival was not measured" in row.reason


def rank(value, spread=0.1):
    left_out = value + spread * np.linspace(-1, 1, 16)
    return Jackknife(items=1000, estimate=value, left_out=left_out)


def test_a_margin_that_is_a_share_is_taken_of_the_bases_value():
    skill = better_at_every_severity()[CellId("lora", "clean", 0)]["skill"]
    evidence = {}
    for model, value in (("base", 200.0), ("lora", 190.0), ("balora", 180.0)):
        found = findings("collapse", general_effective_rank=rank(value))
        found.measurements.append(
            Measurement(
                method=model, condition="clean", seed=0, probe="collapse", metric="general_effective_rank", value=value, n=1000,
                higher_is_better=True,
            )
        )  # fmt: skip
        evidence[CellId(model, "clean", 0)] = {"skill": skill, "collapse": found}
    given = claim("general_effective_rank", "collapse", margin=0.04, relative_margin=True)
    row = decided(evidence, given)["general_effective_rank"]
    assert (row.margin, row.verdict) == (pytest.approx(8.0), "contradicted")
    del evidence[CellId("base", "clean", 0)]
    assert decided(evidence, given)["general_effective_rank"].margin == pytest.approx(7.6)  # of the baseline's


def test_a_verdict_closer_to_its_margin_than_the_numerical_floor_is_inconclusive():
    evidence = better_at_every_severity()
    given = claim("accuracy", "skill", "clean")
    low = decided(evidence, given)["accuracy"].ci_low
    near, far = (
        {(CellId("balora", "clean", 0), "skill", "accuracy", CLEAN): change}
        for change in ((low - 0.02) / 2 + 0.001, (low - 0.02) / 2 - 0.001)
    )
    assert decided(evidence, given, floors=far)["accuracy"].verdict == "supported"
    row = decided(evidence, given, floors=near)["accuracy"]
    assert (row.verdict, row.floor) == ("inconclusive", pytest.approx(low - 0.02 + 0.002))
    assert "numerical floor" in row.reason
    other = {(CellId("balora", "noise:0.3", 0), "skill", "accuracy", CLEAN): 1.0}
    assert decided(evidence, given, floors=other)["accuracy"].floor is None


def test_the_detectable_effect_has_the_margin_in_it():
    evidence = better_at_every_severity()
    small, large = (decided(evidence, claim("accuracy", "skill", "clean", margin=margin))["accuracy"] for margin in (0.0, 0.1))
    assert large.detectable == pytest.approx(small.detectable + 0.1)
    half = (small.ci_high - small.ci_low) / 2
    assert small.detectable == pytest.approx(half * (1.96 + 0.8416) / 1.96, rel=0.01)


def test_every_metric_that_is_claimed_by_default_has_a_direction_and_a_margin():
    for probe in PROBES.values():
        for metric in probe.metrics.values():
            assert metric.matched is None or (metric.skill == "follows" and metric.matched in probe.metrics), metric.name
            assert metric.matched is None or probe.metrics[metric.matched].skill == "unrelated", metric.name
    assert NOISY_LABELS.metrics
