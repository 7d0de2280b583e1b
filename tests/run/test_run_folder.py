"""What a run keeps on disk: legal names, damage that is said, scores that are read when they are asked for."""

import gc
import json
import weakref

import numpy as np
import pytest

from balora_audit import compare
from balora_audit.errors import StoreError, UnitError
from balora_audit.run import measuring
from balora_audit.run.execution import execute
from balora_audit.run.plan import make_plan
from balora_audit.run.scores import FEATURES, StoredScores, read_scores
from balora_audit.run.store import RunStore
from balora_audit.run.worker import Worker
from balora_audit.scoring import LabelScores, TextScores

TEXTS = TextScores(kl=np.zeros(2), nll=np.ones(2), base_nll=np.ones(2), tokens=np.array([3, 4]))
LABELS = LabelScores(log_likelihood=np.zeros((2, 3)), features=np.ones((2, 5), np.float32), layer_features=np.ones((2, 4, 5), np.float32))


@pytest.fixture
def store(tmp_path):
    found = RunStore(tmp_path / "run")
    found.write("score-texts", {"kind": "texts", "truncated": 0, "cut": 0}, TEXTS.arrays())
    found.write("score-labels", {"kind": "labels", "truncated": 0, "cut": 0}, LABELS.arrays())
    return found


def place(store, name, unit="score-texts"):
    return store.folder / "units" / unit / name


def test_stored_scores_are_read_on_first_use_and_features_may_stay_on_the_disk(store, monkeypatch):
    scores = StoredScores(store, {"general": "score-texts", "test": "score-labels"}, without=FEATURES)
    read = []
    monkeypatch.setattr(
        RunStore, "arrays", lambda self, key, *, without=(), was=RunStore.arrays: (read.append(key), was(self, key, without=without))[1]
    )
    assert (list(scores), len(scores), "test" in scores, "other" in scores) == (["general", "test"], 2, True, False)
    assert read == []
    assert scores["test"].features is None
    assert scores["test"].layer_features is None
    assert read == ["score-labels"]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("unit.json", b"{"),
        ("unit.json", b"[]"),
        ("unit.json", b'{"kind": "letters", "truncated": 0, "cut": 0, "arrays": []}'),
        ("unit.json", b'{"kind": "labels", "truncated": 0, "cut": 0, "arrays": ["kl"]}'),
        ("unit.json", None),
        ("arrays.safetensors", b"oops"),
        ("arrays.safetensors", None),
    ],
)
def test_damage_to_stored_scores_is_a_store_error_that_names_the_unit(store, name, data):
    if data is None:
        place(store, name).unlink()
    else:
        place(store, name).write_bytes(data)
    with pytest.raises(StoreError, match="score-texts"):
        read_scores(store, "score-texts")


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["train", "score"])
def test_a_damaged_unit_stops_a_run_with_a_word_on_what_to_do(small_config, tmp_path, unit):
    plan = make_plan(small_config(conditions=("clean",), models=("base", "lora"), probes=("drift",)))
    execute(plan, tmp_path)
    (tmp_path / "audit.json").unlink()
    damaged = next(path for path in sorted((tmp_path / "units").glob(f"{unit}-*/unit.json")))
    damaged.write_text("{}", encoding="utf-8")
    with pytest.raises(StoreError, match=r"(damaged|unknown kind).*delete"):
        execute(plan, tmp_path)


@pytest.mark.slow
def test_names_in_a_run_folder_are_legal_on_every_file_system(small_config, tmp_path):
    config = small_config(conditions=("clean", "imbalance:20+noise:0.1"), models=("base", "balora[-cr]"), probes=("drift",))
    record = execute(make_plan(config), tmp_path)
    names = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")]
    assert not [name for name in names if set(name) & set('<>:"|?*\\')]
    assert (tmp_path / "adapters/balora[-cr]/imbalance-20+noise-0.1/seed0/adapter_config.json").is_file()
    assert all((tmp_path / row.evidence).is_file() for row in record.measurements if row.evidence)


@pytest.mark.slow
def test_a_set_that_cannot_be_scored_is_named_and_costs_only_what_is_measured_on_it(small_config, tmp_path, monkeypatch):
    plan = make_plan(small_config(conditions=("clean",), models=("base", "lora", "balora")))
    lora = next(cell for cell in plan.cells if cell.id.method == "lora")
    original = Worker.score

    def score(self, unit, request, placed):
        if unit == lora.score_keys["typo@5"]:
            raise UnitError("out of memory while scoring the set 'typo@5'")
        original(self, unit, request, placed)

    monkeypatch.setattr(Worker, "score", score)
    record = execute(plan, tmp_path)
    assert record.status == "incomplete"
    assert [(f.unit, f.stage, f.method, f.condition) for f in record.errors] == [(lora.score_keys["typo@5"], "score", "lora", "clean")]
    measured = {(row.method, row.probe) for row in record.measurements}
    assert ("lora", "noise") not in measured
    assert {("lora", "drift"), ("lora", "imbalance"), ("lora", "collapse"), ("balora", "noise")} <= measured
    verdicts = {(row.candidate, row.baseline, row.probe): row for row in record.comparisons if row.claim}
    assert verdicts["lora", "base", "noise"].verdict == "error"
    assert "out of memory" in verdicts["lora", "base", "noise"].reason
    assert verdicts["lora", "base", "collapse"].verdict != "error"
    monkeypatch.undo()
    again = execute(plan, tmp_path)
    assert again.status == "complete"
    assert again.units.completed == again.units.planned == record.units.completed + 1


@pytest.mark.slow
def test_features_of_two_models_at_most_are_held_while_measuring(small_config, tmp_path, monkeypatch):
    plan = make_plan(
        small_config(conditions=("clean",), seeds=(0, 1), models=("base", "lora", "balora"), probes=("collapse",), layers="all")
    )
    seen: dict[int, weakref.ref[StoredScores]] = {}
    held = []

    class Counted(StoredScores):
        def __getitem__(self, key):
            found = super().__getitem__(key)
            if getattr(found, "layer_features", None) is not None:
                gc.collect()
                seen[id(self)] = weakref.ref(self)
                held.append(sum(reference() is not None for reference in seen.values()))
            return found

    monkeypatch.setattr(measuring, "StoredScores", Counted)
    monkeypatch.setattr(type(plan.probes["collapse"]), "across", lambda self, cells: [])
    execute(plan, tmp_path)
    assert len(plan.cells) == 6
    assert 1 <= max(held) <= 2


@pytest.mark.slow
def test_only_the_main_process_renders(small_config, tmp_path, monkeypatch):
    config = small_config(conditions=("clean",), models=("base",), probes=("drift",))
    monkeypatch.setenv("RANK", "1")
    compare(config, out=tmp_path)
    assert (tmp_path / "audit.json").is_file()
    assert not (tmp_path / "report.html").exists()
    monkeypatch.setenv("RANK", "0")
    compare(config, out=tmp_path)
    assert (tmp_path / "report.html").is_file()


@pytest.mark.slow
def test_answers_to_every_kind_of_noise_are_shown(small_config, tmp_path):
    config = small_config(
        conditions=("clean",), models=("base",), probes=("noise",), noise={"kinds": ("typo", "ocr", "word_drop"), "severities": (2, 5)}
    )
    record = execute(make_plan(config), tmp_path)
    assert [(table.probe, table.title) for table in record.samples] == [
        ("skill", "Answers to the clean test texts"),
        *(("noise", f"Answers under {kind}@5") for kind in ("typo", "ocr", "word_drop")),
    ]
    page = (compare(config, out=tmp_path).folder / "report.html").read_text(encoding="utf-8")
    assert all(f"Answers under {kind}@5" in page for kind in ("typo", "ocr", "word_drop"))
    assert json.loads((tmp_path / "audit.json").read_text(encoding="utf-8"))["samples"]
