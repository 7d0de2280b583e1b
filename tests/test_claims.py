"""Claims: the user's own, the default set, and their hash."""

from dataclasses import replace

import pytest

from balora_audit.config import resolve
from balora_audit.errors import AuditError
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
