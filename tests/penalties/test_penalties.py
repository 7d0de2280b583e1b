"""The penalties as records: what the table, the settings, the presets and the schedules say."""

import pytest

from balora_audit.config import resolve
from balora_audit.errors import ConfigurationError
from balora_audit.penalties import PENALTIES, REGULARIZERS, Penalties, active, needs_teacher

PUBLISHED = {  # METHODS §2
    ("iclr2026", "nlg"): {
        "consistency": 0.025, "diversity": 0.005, "spectral": 0.005, "temperature": 2.0, "top_k": 20, "k": 10, "norm": "fro",
        "schedule": "staged", "consistency_form": "kl", "diversity_form": "entropy",
    },
    ("iclr2026", "nlu"): {
        "consistency": 0.15, "diversity": 0.03, "spectral": 0.03, "temperature": 2.0, "top_k": None, "k": 5, "norm": "nuclear",
        "schedule": "constant", "consistency_form": "kl", "diversity_form": "covariance",
    },
    ("paper-v1", "nlg"): {
        "consistency": 1e-4, "diversity": 3e-4, "spectral": 1e-4, "temperature": 1.0, "top_k": None, "k": 3, "norm": "nuclear",
        "schedule": "constant", "consistency_form": "kl", "diversity_form": "entropy",
    },
    ("paper-v1", "nlu"): {
        "consistency": 1e-4, "diversity": 4e-4, "spectral": 1e-4, "temperature": 1.0, "top_k": None, "k": 3, "norm": "nuclear",
        "schedule": "constant", "consistency_form": "mse", "diversity_form": "covariance",
    },
}  # fmt: skip


@pytest.mark.parametrize(("preset", "family"), PUBLISHED)
def test_the_presets_are_the_published_settings(preset, family):
    assert REGULARIZERS[preset][family].model_dump() == PUBLISHED[preset, family]


@pytest.mark.parametrize("name", PENALTIES)
def test_a_penalty_is_called_like_its_weight_and_is_off_unless_set(name):
    penalty = PENALTIES[name]
    assert penalty.name == name
    assert penalty.settings().model_dump()[name] == 0
    assert Penalties().weight(name) == 0


def test_no_two_penalties_share_a_setting_or_an_abbreviation():
    fields = [field for penalty in PENALTIES.values() for field in penalty.settings.model_fields]
    assert sorted([*fields, "schedule"]) == sorted(Penalties.model_fields)
    assert len({penalty.abbreviation for penalty in PENALTIES.values()}) == len(PENALTIES)


def test_only_penalties_of_positive_weight_are_active():
    assert list(active({"spectral": 0.1, "diversity": 0.0, "consistency": 0.2})) == ["consistency", "spectral"]
    assert active({}) == {}
    assert needs_teacher({"consistency": 0.1})
    assert not needs_teacher({"diversity": 0.1, "spectral": 0.1})


def test_the_staged_schedule_ramps_as_published():
    penalties, steps = REGULARIZERS["iclr2026"]["nlg"], 1001
    at = {share: penalties.weights_at(round(share * (steps - 1)), steps) for share in (0.0, 0.19, 0.225, 0.3, 1.0)}
    assert at[0.0]["consistency"] == pytest.approx(0.025)
    assert at[1.0]["consistency"] == pytest.approx(0.0025)
    assert at[0.19]["diversity"] == at[0.19]["spectral"] == 0
    assert 0 < at[0.225]["diversity"] < 0.005
    assert at[0.3]["diversity"] == pytest.approx(0.005)
    assert at[0.3]["spectral"] == pytest.approx(0.005)


def test_a_constant_schedule_keeps_the_weights():
    penalties = REGULARIZERS["paper-v1"]["nlg"]
    assert penalties.weights_at(7, 10) == penalties.weights == {"consistency": 1e-4, "diversity": 3e-4, "spectral": 1e-4}


def test_ablations_keep_the_shape_of_what_they_leave_out():
    preset = REGULARIZERS["iclr2026"]["nlg"]
    kept = preset.only(["diversity"])
    assert kept.weights == {"consistency": 0.0, "diversity": 0.005, "spectral": 0.0}
    assert kept.model_dump(exclude={*PENALTIES}) == preset.model_dump(exclude={*PENALTIES})
    assert preset.only(PENALTIES) == preset


def test_settings_are_overridden_one_by_one():
    config = resolve({"penalties": {"consistency": 0.05, "top_k": "10"}}, environment={})
    found, preset = config.penalties_for("nlg"), REGULARIZERS["iclr2026"]["nlg"]
    assert found == preset.model_copy(update={"consistency": 0.05, "top_k": 10})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"consistancy": 0.1}, r"unknown setting 'penalties\.consistancy' .* did you mean 'penalties\.consistency'"),
        ({"top_k": 1}, r"penalties\.top_k = 1 .*greater than or equal to 2"),
        ({"norm": "max"}, r"unknown penalties\.norm 'max'"),
        ({"diversity": -0.1}, r"penalties\.diversity = -0\.1"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_by_name(changes, says):
    with pytest.raises(ConfigurationError, match=says):
        resolve({"penalties": changes}, environment={})


@pytest.mark.parametrize(
    ("weights", "options", "expected"),
    [
        (
            {"spectral": 0.1},
            {"rows": 32, "outputs": 3, "regression": False},
            ["uses k = 2 and not 5, which leaves out none of the singular values of 3 classes"],
        ),
        ({"spectral": 0.1}, {"rows": 32, "outputs": 9, "regression": False}, []),
        (
            {"spectral": 0.1},
            {"rows": 4, "outputs": 900, "regression": False},
            ["uses k = 3 and not 5, which leaves out none of the singular values of a usual batch of 4 rows"],
        ),
        ({"consistency": 0.1, "diversity": 0.1}, {"rows": 32, "outputs": 3, "regression": False}, []),
        ({"consistency": 0.1, "spectral": 0.1}, {"rows": 32, "outputs": 1, "regression": True}, ["consistency alone is used"]),
        ({"spectral": 0.1}, {"rows": 32, "outputs": 1, "regression": True}, ["of the regularizers, none is used"]),
    ],
)
def test_remarks_say_what_a_small_head_leaves_of_the_penalties(weights, options, expected):
    found = Penalties(k=5, **weights).remarks(**options)
    assert len(found) == len(expected)
    assert all(part in remark for part, remark in zip(expected, found, strict=True))
