"""What may be registered under a name, and what is refused with a reason."""

import importlib.metadata

import pytest

from balora_audit import registered as extensions
from balora_audit import vocabulary
from balora_audit.data.perturbations import PERTURBATIONS, Perturbation, perturb
from balora_audit.probes import PROBES
from balora_audit.vocabulary import MetricInfo

INFO = MetricInfo(title="t", unit="share", higher_is_better=None, meaning="m", source="s")


class Foreign:
    name = "foreign"
    summary = "nothing"

    def __init__(self, **parts):
        for part, value in parts.items():
            setattr(self, part, value)

    def requests(self, context):
        return []

    def measure(self, context, scores, base):
        raise NotImplementedError


@pytest.fixture(autouse=True)
def _put_back():
    tables = (PROBES, PERTURBATIONS, vocabulary.METRICS, vocabulary.METRICS_OF, vocabulary.PROBE_TITLES)
    before = [dict(table) for table in tables]
    yield
    for table, kept in zip(tables, before, strict=True):
        table.clear()
        table.update(kept)


def test_a_probe_and_a_kind_of_noise_are_taken():
    assert extensions._take("foreign", Foreign(metrics={"strange": INFO}, title="Foreign things")) == "probe"
    assert vocabulary.METRICS["strange"] == INFO
    assert vocabulary.PROBE_TITLES["foreign"] == "Foreign things"
    noise = Perturbation(name="upper", unit="character", description="shouts", change=lambda units, i, rng: units[i].upper())
    assert extensions._take("upper", noise) == "perturbation"
    assert perturb("upper", "abcdefgh" * 20, severity=5, seed=0, item_id="x").changed > 0


@pytest.mark.parametrize(
    ("name", "thing", "error", "message"),
    [
        ("foreign", object(), TypeError, "neither a Perturbation nor a probe"),
        ("other", Foreign(), ValueError, "differ"),
        ("noise", Foreign(name="noise"), ValueError, "exists already"),
        ("foreign", Foreign(metrics={"accuracy": INFO}), ValueError, "'accuracy' exists already"),
        ("foreign", Foreign(metrics={"strange": "a share"}), TypeError, "no MetricInfo"),
        ("typo", Perturbation(name="typo", unit="word", description="", change=lambda *_: None), ValueError, "exists already"),
        ("other", Perturbation(name="upper", unit="word", description="", change=lambda *_: None), ValueError, "differ"),
    ],
)
def test_what_cannot_be_taken_is_refused_and_leaves_no_trace(name, thing, error, message):
    before = (dict(PROBES), dict(PERTURBATIONS), dict(vocabulary.METRICS))
    with pytest.raises(error, match=message):
        extensions._take(name, thing)
    assert (dict(PROBES), dict(PERTURBATIONS), dict(vocabulary.METRICS)) == before


def test_an_entry_point_that_does_not_load_is_kept_with_its_reason():
    point = importlib.metadata.EntryPoint("missing", "no_such_module_at_all:PROBE", extensions.GROUP)
    found = extensions._register(point)
    assert found.kind is None
    assert "no_such_module_at_all" in found.failure
