"""A fourth penalty is one new file and its line in the table: everything else finds it there.

The package is copied, so that its table can be edited; a process of its own imports the copy.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import balora_audit
from balora_audit.resources import tasks_path, templates_path

SHRINKAGE = '''
"""Shrinkage: the mean square of the logits."""

from pydantic import Field

from balora_audit.penalties.courses import late_ramp
from balora_audit.penalties.penalty import Penalty
from balora_audit.penalties.settings import Frozen


class ShrinkageSettings(Frozen):
    shrinkage: float = Field(default=0.0, ge=0)
    centre: float = 0.0


class Shrinkage(Penalty[ShrinkageSettings]):
    name = "shrinkage"
    abbreviation = "l2"
    settings = ShrinkageSettings
    published = {}

    def staged(self, step, steps):
        return late_ramp(step, steps)

    def value(self, student_MV, teacher_MV, settings):
        return (student_MV - settings.centre).square().mean()


SHRINKAGE = Shrinkage()
'''

MODELS = ("base", "pissa", "balora", "balora[-l2]", "balora[l2]")


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A folder with a copy of the package whose table has a fourth penalty."""
    folder = tmp_path_factory.mktemp("package")
    copy = folder / "balora_audit"
    shutil.copytree(Path(balora_audit.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__", "_data"))
    shutil.copytree(tasks_path(), copy / "_data" / "tasks")
    shutil.copytree(templates_path(), copy / "_data" / "templates")
    (copy / "penalties" / "shrinkage.py").write_text(SHRINKAGE, encoding="utf-8")
    table = copy / "penalties" / "__init__.py"
    lines = []
    for line in table.read_text(encoding="utf-8").splitlines():
        lines.append(line)
        if line.startswith('        "spectral": '):
            lines.append('        "shrinkage": "balora_audit.penalties.shrinkage:SHRINKAGE",')
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def run(package, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(package)}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env=environment, cwd=package, check=False, timeout=300
    )


@pytest.fixture(scope="module")
def audit(package):
    """The record of a run of the copy with every kind of model that the new penalty concerns."""
    settings = {
        "preset": "smoke", "models": MODELS, "train_rows": 80, "test_rows": 24, "conditions": ("clean",), "probes": ("drift",),
        "training": {"epochs": 2, "batch_size": 8}, "resamples": 200, "penalties": {"shrinkage": 0.001, "centre": 0.5},
    }  # fmt: skip
    (package / "audit.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(settings))), encoding="utf-8")
    done = run(package, "-m", "balora_audit", "compare", "--config", "audit.yaml", "--out", "run", "--json")
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((package / "run" / "audit.json").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_it_is_trained_logged_and_left_out_by_its_abbreviation(audit):
    losses = {cell["method"]: set(cell["losses"]) for cell in audit["cells"]}
    three = {"consistency", "diversity", "spectral"}
    assert losses["balora"] == {"total", "task", "shrinkage"} | three
    assert losses["balora[-l2]"] == {"total", "task"} | three
    assert losses["balora[l2]"] == {"total", "task", "shrinkage"}


@pytest.mark.slow
def test_it_changes_what_is_trained(audit):
    curves = {series["method"]: series["columns"] for series in audit["series"] if series["name"] == "losses"}
    with_it, without = curves["balora[l2]"]["task"], curves["pissa"]["task"]
    # its weight is still 0; the logits are summed up another way, and a loss near 0 carries the float32 rounding of logits of about 10
    assert with_it[:4] == pytest.approx(without[:4], rel=1e-5, abs=10 * 2**-23)
    assert with_it[-1] != pytest.approx(without[-1], rel=1e-4)


@pytest.mark.slow
def test_its_weight_takes_its_own_course(audit):
    """20 steps, staged: 0 for the first 20 % of them, full after another 5 %."""
    curves = next(series["columns"] for series in audit["series"] if (series["name"], series["method"]) == ("losses", "balora[l2]"))
    assert [value is None for value in curves["shrinkage"]] == [step <= 4 for step in range(20)]
    for total, task, term in list(zip(curves["total"], curves["task"], curves["shrinkage"], strict=True))[5:]:
        assert total == pytest.approx(task + 0.001 * term, rel=1e-6)


@pytest.mark.slow
def test_its_settings_are_recorded_with_the_others(audit):
    settings = {model["name"]: model["settings"].get("regularizers") for model in audit["models"]}
    assert (settings["balora"]["shrinkage"], settings["balora"]["centre"]) == (0.001, 0.5)
    assert (settings["balora[-l2]"]["shrinkage"], settings["balora[-l2]"]["consistency"]) == (0.0, 0.025)


def test_presets_that_do_not_name_it_leave_it_off(package):
    code = "from balora_audit.penalties import REGULARIZERS as r; print({f.shrinkage for p in r.values() for f in p.values()})"
    done = run(package, "-c", code)
    assert done.stdout.strip() == "{0.0}", done.stderr


def test_a_wrong_abbreviation_is_answered_with_all_of_them(package):
    code = "from balora_audit.methods import find_methods; find_methods(['balora[-l3]'])"
    assert "the terms are cr, dr, svdr, l2" in run(package, "-c", code).stderr
