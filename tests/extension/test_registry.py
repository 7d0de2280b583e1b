"""What other packages may bring, and what is refused with a reason; nothing that is found stays behind."""

from dataclasses import replace

import pytest

from balora_audit import probes
from balora_audit.config import resolve
from balora_audit.data import perturbations
from balora_audit.data.perturbations import PERTURBATIONS, Perturbation, perturb
from balora_audit.errors import ConfigurationError
from balora_audit.extensions import described
from balora_audit.metric import Metric
from balora_audit.probes import PROBES, Measure, Probe
from balora_audit.probes.noise.labels import ACCURACY
from balora_audit.run.plan import make_plan

STRANGE = Metric(name="strange", title="t", unit="share", higher_is_better=None, meaning="m", source="s")


class Foreign(Measure):
    def __init__(self, *metrics, probe=None):
        self.metrics = metrics
        if probe is not None:
            self.probe = probe

    def measure(self, context, scores, beside, findings):
        raise NotImplementedError


def foreign(*metrics, name="foreign"):
    return Probe(name=name, title="Foreign things", summary="nothing", measures=(Foreign(*metrics),))


def noise(name):
    return Perturbation(name=name, unit="character", description="shouts", change=lambda units, i, rng: units[i].upper())


def failures(found):
    return {origin.name: origin.failure for origin in found.origins if origin.failure is not None}


def test_a_probe_a_measure_and_a_kind_of_noise_are_taken(installed):
    extra = Foreign(replace(STRANGE, name="extra"), probe="noise")
    more = Foreign(replace(STRANGE, name="more"), probe="foreign")
    installed(probe={"foreign": foreign(STRANGE)}, measure={"extra": extra, "more": more}, perturbation={"upper": noise("upper")})
    known = probes.available()
    assert list(known) == [*PROBES, "foreign"]
    assert set(known["foreign"].metrics) == {"strange", "more"}
    assert list(known["noise"].metrics) == [*PROBES["noise"].metrics, "extra"]
    assert known["noise"].measures[:-1] == PROBES["noise"].measures
    assert perturb(perturbations.available()["upper"], "abcdefgh" * 20, severity=5, seed=0, item_id="x").changed > 0
    about = described((*probes.extensions().origins, *perturbations.extensions().origins))
    origin = {"package": "stranger", "version": "1.2"}
    assert about == {"probe": {"foreign": origin}, "measure": {"extra": origin, "more": origin}, "perturbation": {"upper": origin}}


def test_nothing_stays_when_the_package_is_gone(installed):
    installed(
        probe={"foreign": foreign(STRANGE)}, measure={"extra": Foreign(STRANGE, probe="noise")}, perturbation={"upper": noise("upper")}
    )
    probes.available(), perturbations.available()
    installed()
    assert probes.available() == PROBES
    assert perturbations.available() == PERTURBATIONS
    assert "strange" not in PROBES["noise"].metrics


def test_each_call_returns_a_new_value(installed):
    installed()
    probes.available().clear()
    perturbations.available().clear()
    assert probes.available() == PROBES
    assert perturbations.available() == PERTURBATIONS


@pytest.mark.parametrize(
    ("name", "thing", "reason"),
    [
        ("foreign", object(), "TypeError: it is no Probe but a object"),
        ("other", foreign(STRANGE), "ValueError: the probe is called 'foreign' and its entry 'other'"),
        ("noise", foreign(STRANGE, name="noise"), "ValueError: a probe called 'noise' exists already"),
        ("foreign", foreign(replace(ACCURACY, unit="nats")), "ValueError: the metric 'accuracy' exists already, with another meaning"),
        ("foreign", foreign(STRANGE, replace(STRANGE, unit="nats")), "ValueError: the metric 'strange' exists already"),
        ("foreign", foreign("a share"), "TypeError: Foreign.metrics must be a tuple of one Metric or more"),
        ("foreign", foreign(), "TypeError: Foreign.metrics must be a tuple of one Metric or more"),
        ("foreign", replace(foreign(STRANGE), measures=("x",)), "TypeError: 'foreign' is no Measure but a str"),
        ("foreign", ImportError("its own dependency"), "ImportError: its own dependency"),
    ],
)
def test_a_probe_that_cannot_be_taken_is_refused_alone(installed, name, thing, reason):
    installed(probe={name: thing, "zebra": foreign(replace(STRANGE, name="striped"), name="zebra")})
    found = probes.extensions()
    assert reason in failures(found)[name]
    assert list(found.things) == ["zebra"]
    assert {**probes.available(), "zebra": None} == {**PROBES, "zebra": None}


@pytest.mark.parametrize(
    ("thing", "reason"),
    [
        (object(), "TypeError: 'bad' is no Measure but a object"),
        (Foreign(STRANGE), "TypeError: Foreign.probe does not name the probe that it joins"),
        (Foreign(STRANGE, probe="nosie"), "ValueError: there is no probe 'nosie' that it could join"),
        (Foreign(ACCURACY, probe="noise"), "ValueError: the probe 'noise' measures 'accuracy' already"),
        (Foreign(replace(ACCURACY, unit="nats"), probe="drift"), "ValueError: the metric 'accuracy' exists already, with another meaning"),
    ],
)
def test_a_measure_that_cannot_join_is_refused_alone(installed, thing, reason):
    installed(measure={"bad": thing, "good": Foreign(STRANGE, probe="drift")})
    found = probes.extensions()
    assert reason in failures(found)["bad"]
    assert list(found.things) == ["drift"]
    assert "strange" in found.things["drift"].metrics


@pytest.mark.parametrize(
    ("name", "thing", "reason"),
    [
        ("upper", "AB", "TypeError: it is no Perturbation but a str"),
        ("typo", noise("typo"), "ValueError: a perturbation called 'typo' exists already"),
        ("other", noise("upper"), "ValueError: the kind of noise is called 'upper' and its entry 'other'"),
        ("a@1", noise("a@1"), "ValueError: a slice of kind"),
        ("clean", noise("clean"), "ValueError: a slice of kind"),
    ],
)
def test_a_kind_of_noise_that_cannot_be_taken_is_refused_alone(installed, name, thing, reason):
    installed(perturbation={name: thing, "zoom": noise("zoom")})
    found = perturbations.extensions()
    assert reason in failures(found)[name]
    assert list(found.things) == ["zoom"]


def test_two_packages_that_mean_different_things_by_one_name_do_not_both_enter(installed):
    installed(probe={"a": foreign(STRANGE, name="a"), "b": foreign(replace(STRANGE, unit="nats"), name="b")})
    found = probes.extensions()
    assert list(found.things) == ["a"]
    assert "'strange' exists already" in failures(found)["b"]


def test_the_same_record_may_be_shared_between_probes(installed):
    installed(probe={"a": foreign(STRANGE, ACCURACY, name="a"), "b": foreign(STRANGE, name="b")})
    assert list(probes.extensions().things) == ["a", "b"]
    assert PROBES["imbalance"].metrics["accuracy"] is PROBES["noise"].metrics["accuracy"]


def test_what_could_not_be_used_is_an_error_only_where_it_is_asked_for(installed):
    installed(probe={"broken": ImportError("its own dependency"), "noise": ImportError("again")})
    settings = {"preset": "smoke", "models": ("base",), "conditions": ("clean",)}
    plan = make_plan(resolve({**settings, "probes": ("noise",)}, environment={}))
    assert "the probe 'broken' (stranger) was left out: ImportError: its own dependency" in plan.warnings
    with pytest.raises(ConfigurationError, match=r"the probe 'broken' comes with the package stranger 1\.2, .* its own dependency"):
        make_plan(resolve({**settings, "probes": ("broken",)}, environment={}))
