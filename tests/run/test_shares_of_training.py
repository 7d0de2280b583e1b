"""Shares of training: further points of a frontier, with units of their own, and nothing trained for them."""

import json
import shutil

import pytest

from balora_audit.config import resolve
from balora_audit.interface.preview import preview
from balora_audit.methods.adapter import Attached
from balora_audit.run import keys
from balora_audit.run.execution import execute
from balora_audit.run.plan import make_plan
from balora_audit.run.store import RunStore
from balora_audit.run.tuning import settle
from balora_audit.run.worker import adapter_is_there

RATES = (1e-3, 3e-3)
SHARES = (0.25, 0.5, 1.0)


@pytest.fixture(scope="module")
def config():
    """Return a function that makes a configuration: 24 rows in batches of 4 are 6 steps."""

    def make(shares=SHARES, **changes):
        settings = {
            "preset": "smoke",
            "models": ("base", "lora"),
            "conditions": ("clean",),
            "probes": ("drift",),
            "train_rows": 24,
            "test_rows": 24,
            "validation_rows": 12,
            "training": {"epochs": 1, "batch_size": 4},
            "resamples": 200,
            "numerical_floor": False,
            "tune": True,
            "tuning": {"learning_rate": RATES},
            "tune_budget": len(RATES),
            "frontier": {"shares": shares},
        }
        return resolve({**settings, **changes}, environment={})

    return make


@pytest.fixture(scope="module")
def shared(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shared")
    return execute(make_plan(config()), folder), folder


def units_in(folder):
    return {path.parent.name: path.read_bytes() for path in folder.glob("units/*/unit.json")}


def test_without_shares_every_unit_is_what_it_was(config, monkeypatch):
    asked, original = [], keys.content_key

    def content_key(kind, parts):
        asked.append(parts)
        return original(kind, parts)

    monkeypatch.setattr(keys, "content_key", content_key)
    plan = make_plan(config((1.0,)))
    assert asked
    assert not any("shares" in parts for parts in asked)
    assert all(trial.states == (trial.cell,) for trial in plan.trials)


def test_every_share_has_units_of_its_own_and_trainings_have_other_keys(config):
    plain, plan = make_plan(config((1.0,))), make_plan(config())
    assert {trial.train_key for trial in plain.trials}.isdisjoint(trial.train_key for trial in plan.trials)
    for trial in plan.trials:
        assert [cell.share for cell in trial.partial] == [0.25, 0.5]
        folders = {cell.folder for cell in trial.states}
        units = [unit for cell in trial.states for unit in cell.score_keys.values()]
        assert len(folders) == 3
        assert len(set(units)) == len(units) == 3 * len(trial.cell.score_keys)
        assert set(units) <= set(plan.unit_keys)
        assert len({cell.train_key for cell in trial.states}) == 1


def test_the_clean_cell_is_the_chosen_candidate(config):
    plan = make_plan(config())
    chosen = plan.trials[1]
    settled = plan.with_settings({chosen.method: chosen.setting})
    cell = next(cell for cell in settled.cells if cell.id.method == "lora")
    assert cell.train_key == chosen.train_key
    assert cell.shares == chosen.cell.shares == (0.25, 0.5)
    assert cell.share == 1


def test_shares_are_points_and_never_chosen(shared):
    record, folder = shared
    assert record.status == "complete"
    assert not record.errors
    points = [point for point in record.frontiers if point.metric == "kl_per_token"]
    assert {(p.setting, p.share) for p in points} == {(c.setting, share) for c in record.tuning.candidates for share in SHARES}
    assert {p.share for p in points if p.chosen} == {1.0}
    joined = {p.setting for p in points if p.joined and p.share == 1}
    assert {p.setting for p in points if p.joined} == joined
    values = {(p.setting, p.share): p.value for p in points}
    assert len(set(values.values())) == len(values)
    trained = [json.loads(path.read_text()) for path in folder.glob("units/train-*/unit.json")]
    assert len(trained) == len(record.tuning.candidates)
    assert all(set(unit["shares"]) == {"0.25", "0.5"} for unit in trained)
    assert not list(folder.glob("units/*.partial"))


def test_the_same_command_again_computes_nothing(shared, config):
    record, folder = shared
    assert execute(make_plan(config()), folder) == record


def test_plan_counts_the_units_of_shares(shared, config):
    _, folder = shared
    found = preview(make_plan(config()), folder)
    assert found["planned"] == found["cached"] == len(found["units"])
    after = [row["unit"] for row in found["units"] if ", share 0.25" in row["unit"]]
    trial = make_plan(config()).trials[0]
    assert len(after) == len(trial.cell.score_keys) * len(RATES)


def test_a_share_whose_files_are_gone_is_trained_again_where_it_is_still_to_be_scored(shared, config, tmp_path):
    record, folder = shared
    shutil.copytree(folder, tmp_path / "copy")
    store, plan = RunStore(tmp_path / "copy"), make_plan(config())
    cell = plan.trials[0].partial[0]
    assert adapter_is_there(store, cell)
    before = units_in(store.folder)
    shutil.rmtree(store.folder / cell.folder)
    assert not adapter_is_there(store, cell)
    assert settle(plan, store, lost={}) is not None  # all of its scores are there
    for unit in cell.score_keys.values():
        store.forget(unit)
    assert settle(plan, store, lost={}) is None
    again = execute(plan, store.folder)
    assert adapter_is_there(store, cell)
    assert units_in(store.folder).keys() == before.keys()
    assert again.frontiers == record.frontiers


def test_a_share_at_which_nothing_was_learned_is_no_point_and_no_error(config, tmp_path, monkeypatch):
    """The first state of a training that is looked at is said to be what it started as."""
    original, looked = Attached.change_norm, []

    def change_norm(self):
        looked.append(self)
        return 0.0 if len(looked) == 1 else original(self)

    monkeypatch.setattr(Attached, "change_norm", change_norm)
    plan = make_plan(config(tuning={"learning_rate": RATES[1:]}, tune_budget=1))
    record = execute(plan, tmp_path)
    assert record.status == "complete"
    assert not record.errors
    assert {point.share for point in record.frontiers} == {0.5, 1.0}
    assert any("no point after 0.25 of the steps: nothing was learned" in note for note in record.tuning.notes)
    assert execute(plan, tmp_path) == record
