"""Claims: the user's own, the default set, and their hash."""

from dataclasses import replace

import pytest

from balora_audit.config import resolve
from balora_audit.errors import AuditError, ConfigurationError
from balora_audit.records import claims_hash
from balora_audit.run.plan import make_plan


def claimed(*claims):
    settings = {"preset": "smoke", "models": ("base", "lora"), "conditions": ("clean",)}
    return make_plan(resolve({**settings, "claims": claims}), convert=False)


def test_declared_claims_replace_the_default_set():
    plan = claimed({"metric": "retained", "candidate": "lora", "margin": 0.1, "direction": "lower"})
    (claim,) = plan.claims
    assert (claim.probe, claim.baseline, claim.condition, claim.margin, claim.higher_is_better) == ("drift", "base", "clean", 0.1, False)
    assert len(claimed().claims) > 1


def test_any_edit_changes_the_hash_and_the_run():
    one, other = (claimed({"metric": "retained", "candidate": "lora", "margin": margin}) for margin in (0.1, 0.2))
    assert claims_hash(one.claims) != claims_hash(other.claims)
    assert one.run_key != other.run_key
    assert claims_hash(one.claims) == claims_hash([replace(claim) for claim in one.claims])
    many = claimed().claims
    assert claims_hash(many) == claims_hash(many[::-1])


@pytest.mark.parametrize(
    ("claim", "word"),
    [
        ({"metric": "acuracy", "candidate": "lora"}, "acuracy"),
        ({"metric": "accuracy", "candidate": "pissa"}, "pissa"),
        ({"metric": "accuracy", "candidate": "base"}, "itself"),
        ({"metric": "accuracy", "candidate": "lora", "condition": "noise:0.3"}, "noise:0.3"),
        ({"metric": "retained", "candidate": "lora"}, "margin"),
        ({"metric": "accuracy", "candidate": "lora", "margin": -1}, "margin"),
        ({"metric": "realised_rate", "candidate": "lora", "margin": 0.1}, "direction"),
    ],
)
def test_a_claim_that_cannot_be_decided_is_refused_before_the_run(claim, word):
    with pytest.raises(AuditError, match=word):
        claimed(claim)


def test_a_claim_declared_twice_is_refused():
    claim = {"metric": "accuracy", "candidate": "lora", "slice": "clean"}
    with pytest.raises(AuditError, match="twice"):
        claimed(claim, claim)


def claim_of(metric, slice, condition="clean", probe=None, **more):
    given = {"metric": metric, "candidate": "lora", "slice": slice, "condition": condition, "probe": probe, "margin": 0.1, **more}
    settings = {
        "preset": "smoke", "models": ("base", "lora", "pissa"), "conditions": ("clean", "noise:0.3", "imbalance:20"), "train_rows": 64,
        "test_rows": 64, "layers": (0, 2), "noise": {"kinds": ("typo", "word_drop"), "severities": (1, 5)}, "claims": (given,),
    }  # fmt: skip
    return make_plan(resolve(settings, environment={}), convert=False).claims[0]


@pytest.mark.parametrize(
    ("metric", "slice", "more"),
    [
        ("accuracy", "typo@5", {}),
        ("accuracy_drop", "word_drop", {}),
        ("recall", "class=nurse", {"condition": "imbalance:20"}),
        ("accuracy", "group=female", {"probe": "imbalance"}),
        ("counterfactual_flip_rate", "group=male", {}),
        ("effective_rank", "layer=2", {"direction": "higher"}),
        ("accuracy", "clean", {}),
        ("memorisation", "all", {"condition": "noise:0.3"}),
        ("memorisation", "flips=noise:0.3", {}),
        ("intruder_dimensions", "module=q_proj", {"baseline": "pissa"}),
    ],
)
def test_a_claim_can_be_about_any_part_that_is_measured(metric, slice, more):
    claim = claim_of(metric, slice, **more)
    assert claim.slice == slice
    assert claim.id.endswith("" if slice in ("all", "clean") else f"#{slice}")


def test_a_claim_on_a_metric_of_the_clean_texts_alone_needs_no_slice():
    claim = claim_of("accuracy", "all")
    assert (claim.probe, claim.slice) == ("skill", "clean")


@pytest.mark.parametrize(
    ("metric", "slice", "more", "message"),
    [
        (
            "accuracy",
            "typo@2",
            {},
            r"accuracy of skill under clean: unknown slice 'typo@2'. Valid: clean",
        ),
        ("accuracy", "typo@2", {"probe": "noise"}, r"accuracy of noise under clean: unknown slice 'typo@2' — did you mean 'typo@\d'\?"),
        ("accuracy", "swap@5", {}, "unknown slice 'swap@5'"),
        ("accuracy", "typo@5", {"condition": "noise:0.3"}, "Valid: clean$"),
        ("recall", "class=nruse", {}, "did you mean 'class=nurse'"),
        ("recall", "nurse", {}, "Valid: class=nurse, class=teacher"),
        ("accuracy", "group=other", {"probe": "imbalance"}, "Valid: group=female, group=male"),
        ("effective_rank", "layer=1", {}, "did you mean 'layer=.'. Valid: all, layer=0, layer=2"),
        ("memorisation", "all", {}, "did you mean|Valid: flips=noise:0.3"),
        (
            "accuracy_drop",
            "all",
            {"condition": "noise:0.3"},
            "does not measure accuracy_drop of 'lora' under condition noise:0.3; there it",
        ),
        ("recall", "class=nurse", {"condition": "noise:0.3"}, "there it measures nothing"),
        ("weight_change", "all", {}, "does not measure weight_change of 'base'"),
        ("exact_match", "clean", {}, "does not measure exact_match"),
        ("accuracy", "clean", {"probe": "drift"}, "the probe 'drift': unknown metric 'accuracy'"),
        ("accuracy", "clean", {"probe": "nosie"}, "'nosie' is not among the probes"),
    ],
)
def test_a_part_that_cannot_be_measured_is_refused_with_those_that_can(metric, slice, more, message):
    with pytest.raises(ConfigurationError, match=message):
        claim_of(metric, slice, **{"direction": "lower", **more})
