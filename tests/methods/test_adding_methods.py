"""A new method or kind of score is one file and one line in a table; a method from another package needs no line at all."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import balora_audit
from balora_audit import methods
from balora_audit.errors import ConfigurationError
from balora_audit.run.code import code_hash
from balora_audit.run.execution import execute
from balora_audit.run.plan import make_plan

PACKAGE = Path(balora_audit.__file__).resolve().parent

METHOD = '''"""LoRA whose A starts at normal numbers."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import nn

from balora_audit.methods.lora import LORA
from balora_audit.methods.low_rank import Factors


def normal_factors(modules: Mapping[str, nn.Linear], rank: int, scaling: float, seed: int) -> Factors:
    """Return A ~ N(0, 1/r²) and B = 0 for every module, from one seeded generator."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: (torch.randn(rank, module.in_features, generator=generator) / rank, torch.zeros(module.out_features, rank))
        for name, module in modules.items()
    }


NORMAL_LORA = replace(
    LORA,
    name="normal_lora",
    title="LoRA, normal A",
    summary="low-rank update, normal A and zero B",
    initialisation="A normal, B zero",
    initialise=normal_factors,
)
'''

KIND = '''"""How many tokens a prompt has."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from balora_audit.scoring.reader import Reader
from balora_audit.scoring.request import ScoreRequest
from balora_audit.scoring.scores import ScoreKind, Scores


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthScores(Scores):
    tokens: NDArray[np.int64]

    def columns(self, request):
        return {"tokens": self.tokens.tolist()}


def _score(request: ScoreRequest, reader: Reader) -> LengthScores:
    return LengthScores(tokens=np.array([len(reader.encoder.prompt(text)) for text in request.texts]))


LENGTHS = ScoreKind(scores=LengthScores, score=_score)
'''


@pytest.fixture
def copied(tmp_path):
    """A copy of the package, to which files and lines may be added."""
    folder = tmp_path / "balora_audit"
    shutil.copytree(PACKAGE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def add(folder, module, name, table, record, text):
    """Write a module and enter it in a table."""
    (folder / f"{module}.py").write_text(text, encoding="utf-8")
    init = folder / "__init__.py"
    before = init.read_text(encoding="utf-8")
    start = f"{table}: dict"
    rows = before[before.index(start) :].partition("{\n")[0] + "{\n"
    line = f'        "{name}": "balora_audit.{folder.name}.{module}:{record}",\n'
    init.write_text(before.replace(rows, rows + line), encoding="utf-8")


def python(copied, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(copied.parent)}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=environment, cwd=copied.parent)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_method_is_one_file_and_one_line(copied):
    add(copied / "methods", "normal", "normal_lora", "METHODS", "NORMAL_LORA", METHOD)
    assert "normal_lora\tlow-rank update, normal A and zero B" in python(copied, "-m", "balora_audit", "ls", "methods")


@pytest.mark.slow
def test_a_kind_of_score_is_one_file_and_one_line(copied, tmp_path):
    add(copied / "scoring", "lengths", "lengths", "KINDS", "LENGTHS", KIND)
    code = """if True:
        import json, sys
        from pathlib import Path
        import balora_audit, torch
        from balora_audit.models.encode import Encoder
        from balora_audit.models.load import load
        from balora_audit.models.locate import locate
        from balora_audit.models.placed import Placed
        from balora_audit.run.code import code_hash
        from balora_audit.run.store import RunStore
        from balora_audit.run.scores import read_scores
        from balora_audit.scoring import KINDS, Reader, ScoreRequest, score
        base = load(locate("tiny"), device=torch.device("cpu"), dtype=torch.float32)
        request = ScoreRequest(key="set", kind="lengths", ids=("a",), texts=("Anna painted the harbour.",))
        found = score(request, Reader(placed=Placed(base=base), encoder=Encoder(base.tokenizer, 64)))
        store = RunStore(Path(sys.argv[1]))
        store.write("score-1", {"kind": "lengths"}, found.arrays())
        again = read_scores(store, "score-1").columns(request)
        expected = len(base.tokenizer(request.texts[0]).input_ids)
        print(json.dumps([balora_audit.__file__, again, len(code_hash(KINDS["lengths"].module)), expected]))
    """
    file, columns, length, expected = json.loads(python(copied, "-c", code, str(tmp_path / "run")))
    assert Path(file).parent == copied
    assert columns == {"tokens": [expected]}
    assert length == 64


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package with one method that works, one that fails and one whose name is taken, as pip would leave it."""
    site = tmp_path / "site"
    about = site / "audit_normal-0.1.0.dist-info"
    about.mkdir(parents=True)
    (site / "audit_normal.py").write_text(METHOD, encoding="utf-8")
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: audit-normal\nVersion: 0.1.0\n", encoding="utf-8")
    entries = ["normal_lora = audit_normal:NORMAL_LORA", "lora = audit_normal:NORMAL_LORA", "nobody = audit_normal:Mapping"]
    (about / "entry_points.txt").write_text("\n".join(["[balora_audit.methods]", *entries, ""]), encoding="utf-8")
    monkeypatch.syspath_prepend(str(site))
    yield site
    sys.modules.pop("audit_normal", None)
    code_hash.cache_clear()


def test_a_method_of_another_package_is_listed_and_found_without_any_line_here(installed):
    assert list(methods.available()) == [*methods.METHODS, "normal_lora"]
    assert methods.find_methods(["base", "normal_lora"])["normal_lora"].title == "LoRA, normal A"
    assert "normal_lora" not in methods.METHODS
    found = {origin.name: origin for origin in methods.extensions().origins}
    assert (found["normal_lora"].package, found["normal_lora"].version, found["normal_lora"].failure) == ("audit-normal", "0.1.0", None)
    assert "exists already" in found["lora"].failure
    assert "not a balora_audit.methods.Method" in found["nobody"].failure


def test_a_method_that_cannot_be_used_is_an_error_only_where_it_is_asked_for(installed):
    methods.find_methods(["lora"])  # the built-in one; nothing replaces it
    for name in ("nobody", "nobody[+cr]"):
        with pytest.raises(ConfigurationError, match=r"'nobody' comes with the package audit-normal 0\.1\.0"):
            methods.find_methods([name])


def test_a_method_of_another_package_takes_penalties(installed):
    found = methods.find_methods(["normal_lora", "normal_lora[+cr+svdr]"])["normal_lora[+cr+svdr]"]
    assert found.title == "LoRA, normal A + consistency and spectral"
    assert (found.start, found.terms) == ("normal_lora", {"consistency", "spectral"})


@pytest.mark.slow
def test_a_method_of_another_package_is_trained_scored_and_known_by_its_source(installed, small_config, tmp_path):
    config = small_config(models=("base", "lora", "normal_lora"), conditions=("clean",), probes=("drift",))
    plan = make_plan(config)
    record = execute(plan, tmp_path / "run")
    assert record.status == "complete", record.errors
    kl = {row.method: row.value for row in record.measurements if row.metric == "kl_per_token"}
    assert 0 < kl["normal_lora"] != kl["lora"]
    (installed / "audit_normal.py").write_text(METHOD + "# another start\n", encoding="utf-8")
    code_hash.cache_clear()
    keys = [{cell.context.method: cell.train_key for cell in made.cells} for made in (plan, make_plan(config))]
    assert [name for name in keys[0] if keys[0][name] != keys[1][name]] == ["normal_lora"]
