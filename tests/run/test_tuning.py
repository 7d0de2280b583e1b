"""Tuning: one grid for every method, chosen on validation rows, and nothing trained twice."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from balora_audit.config import resolve
from balora_audit.errors import ConfigurationError, DataError
from balora_audit.interface.api import load
from balora_audit.interface.preview import preview
from balora_audit.run.candidates import Setting, SettingGrid, applied, grid_of
from balora_audit.run.execution import execute
from balora_audit.run.plan import make_plan
from balora_audit.run.tuning import settle
from balora_audit.run.worker import adapter_is_there

RATES = (1e-3, 3e-3)


@pytest.fixture(scope="module")
def config():
    def make(**changes):
        settings = {
            "preset": "smoke",
            "models": ("base", "lora", "balora"),
            "conditions": ("clean",),
            "probes": ("drift",),
            "train_rows": 24,
            "test_rows": 24,
            "validation_rows": 12,
            "training": {"epochs": 1},
            "resamples": 200,
            "numerical_floor": False,
            "tune": True,
            "tuning": {"learning_rate": RATES},
        }
        return resolve({**settings, **changes}, environment={})

    return make


@pytest.fixture(scope="module")
def tuned(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuned")
    return execute(make_plan(config()), folder), folder


def grid(rates=RATES, places=None, budget=None, **others):
    axes = {"learning_rate": rates, **others}
    default = tuple((i, *(0 for _ in others)) for i in range(len(rates)))
    return SettingGrid(axes=axes, relative=False, rounds=(places or default,), budget=budget)


# the grid


def test_the_default_grid_lies_around_the_configured_rate_and_is_one_for_all_methods(config):
    found = grid_of(config(tuning={}))
    rates = [found.setting(place, 99.0).rate for place in found.places]
    assert rates == [9e-4, 3.6e-3, 1.44e-2, 5.76e-2]
    assert not found.relative


def test_methods_with_a_rate_of_their_own_are_tried_around_it(config):
    found = grid_of(config(tuning={}, training={"epochs": 1, "learning_rates": {"balora": 1e-4}}))
    assert [found.setting(place, 1e-4).rate for place in found.places] == [3e-5, 1.2e-4, 4.8e-4, 1.92e-3]


def test_a_grid_for_all_and_a_rate_for_one_are_refused_together(config):
    with pytest.raises(ConfigurationError, match="leave one out"):
        make_plan(config(training={"epochs": 1, "learning_rates": {"balora": 1e-4}}))


def test_larger_grids_are_drawn_from_at_random_and_the_same_for_everyone(config):
    many = {"learning_rate": tuple(10.0**-i for i in range(1, 6)), "rank": (2.0, 4.0, 8.0)}
    first, again = (grid_of(config(tuning=many)) for _ in range(2))
    assert first == again
    assert len(first.places) == len(set(first.places)) == 12
    assert len(grid_of(config(tuning=many, tune_budget=5)).places) == 5


def test_a_budget_below_the_rates_takes_them_evenly(config):
    found = grid_of(config(tuning={"learning_rate": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)}, tune_budget=3))
    assert found.places == ((0,), (2,), (4,))


@given(st.floats(1e-6, 1e-2), st.floats(1.5, 10), st.integers(2, 6))
def test_an_extension_goes_on_by_the_last_step_of_the_grid(first, ratio, count):
    whole = grid(tuple(first * ratio**i for i in range(count)))
    upper = whole.extended([(count - 1,)])
    assert upper.setting((count,), 1.0).rate == pytest.approx(first * ratio**count, rel=1e-5)
    lower = whole.extended([(0,)])
    assert lower.setting((-1,), 1.0).rate == pytest.approx(first / ratio, rel=1e-5)


def test_an_extension_is_for_all_methods_alike_and_stays_within_the_budget():
    assert grid((1, 2, 4)).extended([(1,)]) is None
    assert grid((1, 2, 4)).extended([(0,), (2,), (1,)]).places == ((0,), (1,), (2,), (-1,), (3,))
    assert grid((1, 2, 4), budget=3).extended([(2,)]) is None
    assert grid((1, 2, 4), budget=4).extended([(0,), (2,)]).places == ((0,), (1,), (2,), (-1,))
    assert grid((1,)).extended([(0,)]) is None


def test_a_setting_changes_its_fields_of_the_recipe_and_no_others(config):
    recipe = make_plan(config(tune=False)).recipe
    setting = Setting(place=(0, 0, 0), values=(("learning_rate", 0.5), ("rank", 4.0), ("penalties.consistency", 0.25)))
    found = applied(recipe, setting)
    assert (found.training.learning_rate, found.adapter.rank, found.penalties.consistency) == (0.5, 4, 0.25)
    unchanged = applied(found, Setting(place=(0,), values=(("learning_rate", recipe.training.learning_rate),)))
    assert unchanged.training == recipe.training
    with pytest.raises(ConfigurationError, match=r"rank=2\.5"):
        applied(recipe, Setting(place=(0, 0), values=(("learning_rate", 0.5), ("rank", 2.5))))


@pytest.mark.parametrize(
    ("tuning", "said"),
    [
        ({"lerning_rate": (1e-3,)}, "did you mean 'learning_rate'"),
        ({"learning_rate": ()}, "one or more different numbers"),
        ({"learning_rate": (1e-3, 1e-3)}, "one or more different numbers"),
        ({"learning_rate": (-1e-3, 1e-3)}, "greater than 0"),
        ({"rank": (2.5,)}, "integer"),
        ({"penalties.consistncy": (1.0,)}, "penalties.consistency"),
    ],
)
def test_an_axis_that_cannot_be_tried_is_refused(config, tuning, said):
    with pytest.raises(ConfigurationError, match=said):
        config(tuning=tuning)


# the run


def test_every_candidate_is_on_record_and_the_best_by_validation_is_chosen(tuned):
    record, _ = tuned
    assert record.status == "complete"
    by_method = {}
    for candidate in record.tuning.candidates:
        by_method.setdefault(candidate.method, []).append(candidate)
    assert by_method.keys() == {"lora", "balora"}
    for method, candidates in by_method.items():
        best = min(candidates, key=lambda one: one.validation)
        assert [one.setting for one in candidates if one.chosen] == [best.setting] == [record.tuning.choices[method]]
        assert all(one.ci_low < one.validation < one.ci_high and one.wall_seconds > 0 for one in candidates)
    settings = [{one.setting for one in candidates} for candidates in by_method.values()]
    assert settings[0] == settings[1]


def test_the_chosen_candidate_is_the_clean_run_and_nothing_trains_twice(tuned):
    record, folder = tuned
    trained = [json.loads(path.read_text()) for path in folder.glob("units/train-*/unit.json")]
    assert len(trained) == len(record.tuning.candidates)
    for cell in record.cells:
        if cell.method != "base":
            assert cell.adapter == f"adapters/{cell.method}/clean/seed0"
            assert (folder / cell.adapter / "adapter_model.safetensors").is_file()
    rates = {model.name: model.settings["training"]["learning_rate"] for model in record.models if model.name != "base"}
    assert {name: f"learning_rate={rate:g}" for name, rate in rates.items()} == record.tuning.choices


def test_frontiers_have_every_candidate_with_intervals(tuned):
    record, _ = tuned
    points = [point for point in record.frontiers if point.metric == "kl_per_token"]
    assert {(p.method, p.setting) for p in points} == {(c.method, c.setting) for c in record.tuning.candidates}
    assert all(p.ci_low <= p.value <= p.ci_high and p.skill_low <= p.skill <= p.skill_high for p in points)
    for cell in [cell for cell in record.cells if cell.method != "base"]:
        chosen = next(p for p in points if p.chosen and p.method == cell.method)
        measured = next(m for m in record.measurements if (m.method, m.metric, m.slice) == (cell.method, "kl_per_token", "all"))
        assert chosen.value == measured.value
        assert chosen.skill == next(m.value for m in record.measurements if (m.method, m.metric) == (cell.method, "accuracy"))


def test_frontiers_are_a_frame(tuned):
    record, folder = tuned
    frame = load(folder).frontiers
    assert len(frame) == len(record.frontiers) > 0
    assert set(frame["setting"]) == {c.setting for c in record.tuning.candidates}


def test_flaws_between_tuned_models_are_decided_at_equal_skill(tuned):
    record, _ = tuned
    row = next(row for row in record.comparisons if row.claim == "balora-vs-lora:drift/kl_per_token@clean")
    assert row.at_equal_skill is not None
    assert len(row.single_rates) == len({c.setting for c in record.tuning.candidates})
    assert row.own_best is not None
    skill = next(row for row in record.comparisons if row.claim == "balora-vs-lora:skill/accuracy@clean")
    assert skill.at_equal_skill is None


def test_the_same_command_again_computes_nothing(tuned, config):
    record, folder = tuned
    said = []

    class Listening:
        def say(self, text):
            said.append(text)

        def stage(self, title, total, unit):
            said.append(title)

        def advance(self, steps=1):
            pass

    again = execute(make_plan(config()), folder, progress=Listening())
    assert again == record
    assert said == ["every unit is already there and nothing changed: nothing to compute"]


def test_what_is_found_in_the_store_leads_to_the_same_choice(tuned, config):
    record, folder = tuned
    from balora_audit.run.store import RunStore

    plan = make_plan(config())
    assert not plan.settled
    known = settle(plan, RunStore(folder), lost={})
    assert {method: setting.name for method, setting in known.settings.items()} == record.tuning.choices
    assert settle(plan, RunStore(folder / "elsewhere"), lost={}) is None
    cell = next(cell for cell in known.cells if cell.id.method == "lora")
    assert adapter_is_there(RunStore(folder), cell)


def test_the_preview_counts_the_candidates_and_knows_the_choice_once_it_is_made(tuned, config, tmp_path):
    record, folder = tuned
    before, after = preview(make_plan(config()), tmp_path / "new"), preview(make_plan(config()), folder)
    assert before["tuning"]["candidates"] == 4
    assert before["tuning"]["chosen"] is None
    assert after["tuning"]["chosen"] == record.tuning.choices
    assert after["planned"] == after["cached"] == record.units.planned
    assert after["tuning"]["seconds"] == after["seconds"] == 0
    assert preview(make_plan(config(tune=False)), tmp_path / "new")["tuning"] is None


def test_validation_rows_are_neither_trained_nor_tested_on(config):
    dataset = make_plan(config(seeds=(0, 1))).dataset
    texts = {row.text for row in dataset.validation}
    assert len(dataset.validation) == 12
    for seed in range(20):
        assert texts.isdisjoint(row.text for row in dataset.rows(seed))
    assert texts.isdisjoint(row.text for row in dataset.test)


def test_other_conditions_and_seeds_inherit_the_choice(config):
    plan = make_plan(config(conditions=("clean", "noise:0.3"), seeds=(0, 1)))
    assert {trial.cell.id.condition for trial in plan.trials} == {"clean"}
    assert {trial.cell.id.seed for trial in plan.trials} == {0, 1}
    chosen = {trial.method: trial.setting for trial in plan.trials if trial.setting.rate == RATES[1]}
    for cell in plan.with_settings(chosen).cells:
        assert cell.id.method == "base" or cell.recipe.training.learning_rate == RATES[1]


def test_a_setting_that_changes_nothing_for_a_method_is_no_further_candidate(config):
    plan = make_plan(config(tuning={"learning_rate": RATES, "penalties.consistency": (0.01, 0.1)}))
    count = {name: sum(trial.method == name for trial in plan.trials) for name in ("lora", "balora")}
    assert count == {"lora": 2, "balora": 4}


@pytest.mark.slow
def test_a_candidate_that_diverges_is_recorded_once_and_the_others_go_on(config, tmp_path):
    plan = make_plan(config(models=("base", "lora"), tuning={"learning_rate": (1e-3, 1e30)}, tune_budget=2))
    record = execute(plan, tmp_path)
    assert record.status == "complete"
    good, bad = sorted(record.tuning.candidates, key=lambda one: one.values["learning_rate"])
    assert good.chosen
    assert bad.validation is None
    assert "not finite" in bad.reason
    assert any("1 of" in note and "failed" in note for note in record.tuning.notes)
    assert execute(plan, tmp_path) == record


@pytest.mark.slow
def test_a_method_whose_candidates_all_diverge_is_failed_and_the_base_is_measured(config, tmp_path):
    record = execute(make_plan(config(models=("base", "lora"), tuning={"learning_rate": (1e30, 2e30)}, tune_budget=2)), tmp_path)
    assert record.status == "incomplete"
    cell = next(cell for cell in record.cells if cell.method == "lora")
    assert cell.status == "failed"
    assert "all" in cell.reason
    assert "candidates failed" in cell.reason
    assert any(row.method == "base" and row.value is not None for row in record.measurements)
    assert not record.tuning.choices
    assert {row.verdict for row in record.comparisons if row.claim} == {"error"}


def test_a_grid_of_one_says_that_nothing_was_tuned(config, tmp_path):
    record = execute(make_plan(config(models=("base", "lora"), tuning={"learning_rate": (3e-3,)})), tmp_path)
    assert any("nothing was tuned" in text for text in record.warnings)
    assert len(record.tuning.candidates) == 1


def test_a_best_rate_at_the_end_extends_the_grid_for_all_at_most_twice(config, tmp_path):
    record = execute(make_plan(config(tuning={"learning_rate": (1e-6, 2e-6)})), tmp_path)
    rates = {
        method: sorted(c.values["learning_rate"] for c in record.tuning.candidates if c.method == method) for method in ("lora", "balora")
    }
    assert rates["lora"] == rates["balora"]
    assert 3 <= len(rates["lora"]) <= 6
    for method in ("lora", "balora"):
        best = min((c for c in record.tuning.candidates if c.method == method), key=lambda one: one.validation)
        at_end = best.values["learning_rate"] in (rates[method][0], rates[method][-1])
        assert (
            any("lies at the end of the grid" in note and method in note.lower().replace("-", "") for note in record.tuning.notes) == at_end
        )


def test_too_few_rows_to_choose_on_are_refused_with_a_way_out(config, tmp_path):
    path = tmp_path / "few.csv"
    path.write_text("text,label\n" + "".join(f"text number {i},{'ab'[i % 2]}\n" for i in range(24)))
    with pytest.raises(DataError, match="--no-tune"):
        make_plan(config(data=str(path), prompt="{text}\nAnswer:"))
    assert make_plan(config(data=str(path), prompt="{text}\nAnswer:", tune=False)).trials == ()


def test_users_rows_that_are_chosen_on_leave_every_class_to_train_on(config, tmp_path):
    path = tmp_path / "rows.csv"
    labels = ["a"] * 60 + ["b"] * 30 + ["c"] * 2
    path.write_text("text,label\n" + "".join(f"text number {i},{label}\n" for i, label in enumerate(labels)))
    dataset = make_plan(config(data=str(path), prompt="{text}\nAnswer:")).dataset
    assert {row.label for row in dataset.train} == {0, 1, 2}
    assert 8 <= len(dataset.validation) <= 12
    assert {row.text for row in dataset.validation}.isdisjoint({row.text for row in (*dataset.train, *dataset.test)})


def test_the_battery_is_light(config):
    one = make_plan(config(probes=("noise",), noise={"kinds": ("typo", "swap"), "severities": (1, 3, 5)}))
    assert [key for key in one.trials[0].cell.requests if "@" in key] == ["typo@3"]
    plan = make_plan(
        config(
            frontier={"kinds": 2},
            probes=("noise", "imbalance", "collapse", "drift"),
            noise={"kinds": ("typo", "swap", "ocr", "word_drop"), "severities": (1, 3, 5)},
        )
    )
    trial = plan.trials[0]
    noisy = [key for key in trial.cell.requests if "@" in key]
    assert noisy == ["typo@3", "ocr@3"]
    full = next(cell for cell in plan.cells if cell.id.method == trial.method)
    assert sum(r.size for r in trial.cell.requests.values()) < 0.5 * sum(r.size for r in full.requests.values())
    assert np.all([dataclasses.replace(r).content for r in trial.cell.requests.values()])
