"""What it takes to add something: one new file and one changed line here, or another package and no change here."""

import difflib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import balora_audit

pytestmark = pytest.mark.slow

PACKAGE = Path(balora_audit.__file__).resolve().parent


class Added:
    """A copy of the package in which something was added, and what that took."""

    def __init__(self, root, new_files, changed_lines):
        self.root = root
        self.new_files = new_files
        self.changed_lines = changed_lines

    def run(self, code, **environment):
        """Run Python where the copy is the package; return what it prints."""
        settings = {**os.environ, "PYTHONPATH": str(self.root), "PYTHONDONTWRITEBYTECODE": "1", **environment}
        command = [sys.executable, "-W", "error::DeprecationWarning", "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=settings, cwd=self.root)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def added(tmp_path: Path, files: dict[str, str], lines: dict[str, tuple[str, str]]) -> Added:
    """Copy the package, write new files into it and insert single lines, and count what differs from the original.

    Parameters
    ----------
    files : dict
        Path below the package → text of a file that is new.
    lines : dict
        Path below the package → (pattern of the line after which to insert, the line); the pattern must match one line.
    """
    root = tmp_path / "copy"
    copy = root / "balora_audit"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in ("tasks", "reports"):
        (root / folder).symlink_to(PACKAGE.parent / folder)
    for name, text in files.items():
        assert not (copy / name).exists(), f"{name} is not new"
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text(text, encoding="utf-8")
    for name, (after, line) in lines.items():
        before = (copy / name).read_text(encoding="utf-8").splitlines()
        places = [number for number, text in enumerate(before, start=1) if re.search(after, text)]
        assert len(places) == 1, f"{after!r} matches {len(places)} lines of {name}"
        (copy / name).write_text("\n".join([*before[: places[0]], line, *before[places[0] :]]) + "\n", encoding="utf-8")
    return Added(root, *_difference(copy))


def _difference(copy: Path) -> tuple[int, int]:
    """Return how many files are new and how many lines of others were added or taken away."""
    names = {path.relative_to(copy) for path in copy.rglob("*.py")}
    known = {path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py")}
    changed = 0
    for name in names & known:
        texts = [(folder / name).read_text(encoding="utf-8").splitlines() for folder in (PACKAGE, copy)]
        changed += sum(line[:2] in ("+ ", "- ") for line in difflib.ndiff(*texts)) if texts[0] != texts[1] else 0
    assert known <= names
    return len(names - known), changed


SHOUT = '''"""Everything is shouted."""

from balora_audit.data.perturbations.perturbation import Perturbation

SHOUT = Perturbation(name="shout", unit="character", description="a letter is shouted", change=lambda units, i, rng: units[i].upper())
'''
LENGTH = '''"""How long are the texts?"""

import numpy as np

from balora_audit.metric import Metric
from balora_audit.probes import Measure, Probe

TEXT_LENGTH = Metric(
    name="text_length", title="length of the texts", unit="number", higher_is_better=None, meaning="Mean characters.", source="here"
)


class Length(Measure):
    """Characters of the test texts."""

    metrics = (TEXT_LENGTH,)

    def measure(self, context, scores, beside, findings):
        """Add the mean."""
        ids = [example.id for example in context.dataset.test]
        findings.mean("text_length", np.array([len(example.text) for example in context.dataset.test]), ids)


LENGTHS = Length()
LENGTH = Probe(name="length", title="Length", summary="characters of the texts", measures=(LENGTHS,))
'''
RUN = """
import tempfile
from pathlib import Path
from balora_audit.config import resolve
from balora_audit.interface.listing import catalogue
from balora_audit.run.execution import execute
from balora_audit.run.plan import make_plan

settings = {"preset": "smoke", "models": ("base",), "conditions": ("clean",), "probes": ("noise",), "train_rows": 8, "test_rows": 8,
            "noise": {"kinds": ("typo",), "severities": (5,)}, "resamples": 200} | CHANGES
record = execute(make_plan(resolve(settings, environment={})), Path(tempfile.mkdtemp()))
rows = {(row.probe, row.metric, row.slice): row.value for row in record.measurements}
"""


def test_a_kind_of_noise_is_one_file_and_one_line(tmp_path):
    table = {"data/perturbations/__init__.py": ('"contraction": ', '        "shout": "balora_audit.data.perturbations.shout:SHOUT",')}
    here = added(tmp_path, {"data/perturbations/shout.py": SHOUT}, table)
    assert (here.new_files, here.changed_lines) == (1, 1)
    code = RUN.replace("CHANGES", "{'noise': {'kinds': ('shout',), 'severities': (5,)}}")
    said = here.run(code + "print(catalogue('perturbations')['shout']); print(rows['noise', 'realised_rate', 'shout@5'] > 0)")
    assert said.splitlines() == ["a letter is shouted (per character)", "True"]


def test_a_probe_with_a_metric_of_its_own_is_one_file_and_one_line(tmp_path):
    table = {"probes/__init__.py": ('"harness": "', '        "length": "balora_audit.probes.length:LENGTH",')}
    here = added(tmp_path, {"probes/length.py": LENGTH}, table)
    assert (here.new_files, here.changed_lines) == (1, 1)
    code = RUN.replace("CHANGES", "{'probes': ('length',)}")
    said = here.run(code + "print(rows['length', 'text_length', 'all'] > 10); print([(m.name, m.title) for m in record.metrics][-1])")
    assert said.splitlines() == ["True", "('text_length', 'length of the texts')"]


def test_a_metric_that_joins_a_probe_is_one_file_and_one_line(tmp_path):
    table = {"probes/drift/__init__.py": ('"retention": "', '                "length": "balora_audit.probes.drift.length:LENGTHS",')}
    here = added(tmp_path, {"probes/drift/length.py": LENGTH}, table)
    assert (here.new_files, here.changed_lines) == (1, 1)
    code = RUN.replace("CHANGES", "{'probes': ('drift',)}")
    said = here.run(code + "print(rows['drift', 'text_length', 'all'] > 10); print(record.probes[4].metrics[-1])")
    assert said.splitlines() == ["True", "text_length"]


METHOD = '''"""LoRA by another name."""

from dataclasses import replace

from balora_audit.methods.lora import LORA

TWIN = replace(LORA, name="twin", title="Twin", summary="LoRA once more")
'''
PENALTY = '''"""The mean square of the logits."""

from pydantic import Field

from balora_audit.penalties.penalty import Penalty
from balora_audit.penalties.settings import Frozen


class SmallnessSettings(Frozen):
    smallness: float = Field(default=0.0, ge=0, description="λ of the smallness term")


class Smallness(Penalty[SmallnessSettings]):
    name, abbreviation, settings, published = "smallness", "sm", SmallnessSettings, {}

    def staged(self, step, steps):
        return 1.0

    def value(self, student_MV, teacher_MV, settings):
        return student_MV.square().mean()


SMALLNESS = Smallness()
'''
KIND = '''"""How many characters a prompt has."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from balora_audit.scoring.scores import ScoreKind, Scores


@dataclass(frozen=True, slots=True, kw_only=True)
class CharacterScores(Scores):
    count: NDArray[np.int64]


def _score(request, reader):
    return CharacterScores(count=np.array([len(text) for text in request.texts]))


CHARACTERS = ScoreKind(scores=CharacterScores, score=_score)
'''
SECTION = '''"""What is new."""

from balora_audit.report.blocks import Note
from balora_audit.report.builder import SectionBuilder

NEWS = SectionBuilder(name="news", title="News", blocks=lambda reader: (Note(text="nothing new"),))
'''
CONDITION = '''"""Only some of the rows."""

from dataclasses import replace

from balora_audit.data.conditions.noise import NOISE

SHARE = replace(NOISE, name="share", summary="a share of something")
'''


@pytest.mark.parametrize(
    ("file", "text", "table", "after", "line", "code", "says"),
    [
        (
            "methods/twin.py", METHOD, "methods/__init__.py", '"full": "', '        "twin": "balora_audit.methods.twin:TWIN",',
            "from balora_audit.methods import find_methods; print(find_methods(['twin'])['twin'].title)", "Twin",
        ),
        (
            "penalties/smallness.py", PENALTY, "penalties/__init__.py", '"spectral": "',
            '        "smallness": "balora_audit.penalties.smallness:SMALLNESS",',
            "from balora_audit.config import resolve; from balora_audit.methods import find_methods; "
            "print(find_methods(['balora[-sm]'])['balora[-sm]'].title); "
            "print(resolve({'penalties': {'smallness': 0.5}}, environment={}).penalties_for('nlg').weight('smallness'))",
            "BA-LoRA without smallness\n0.5",
        ),
        (
            "scoring/characters.py", KIND, "scoring/__init__.py", '"weights": "',
            '        "characters": "balora_audit.scoring.characters:CHARACTERS",',
            "from balora_audit.scoring import ScoreRequest, score; "
            "print(score(ScoreRequest(key='k', kind='characters', ids=('a',), texts=('four',)), None).count)", "[4]",
        ),
        (
            "report/sections/news.py", SECTION, "report/sections/__init__.py", '"limits": "',
            '        "news": "balora_audit.report.sections.news:NEWS",',
            "from balora_audit.report.sections import available; print(available()['news'].title)", "News",
        ),
        (
            "data/conditions/share.py", CONDITION, "data/conditions/__init__.py", '"noise": "',
            '        "share": "balora_audit.data.conditions.share:SHARE",',
            "from balora_audit.data.conditions import parse; print(parse('share:0.5'))", "share:0.5",
        ),
    ],
    ids=["method", "penalty", "score kind", "section", "condition"],
)  # fmt: skip
def test_it_is_one_file_and_one_line(tmp_path, file, text, table, after, line, code, says):
    here = added(tmp_path, {file: text}, {table: (after, line)})
    assert (here.new_files, here.changed_lines) == (1, 1)
    assert here.run(code) == says


def test_an_option_is_one_line(tmp_path):
    field = '    patience_ratio: float = Field(default=0.5, gt=0, description="how much better is better")'
    here = added(tmp_path, {}, {"config/training.py": ("^    patience: ", field)})
    assert (here.new_files, here.changed_lines) == (0, 1)
    said = here.run(
        "from balora_audit.config import resolve; from typer.testing import CliRunner; from balora_audit.interface.cli import app; "
        "print(resolve({}, environment={'BALORA_TRAINING__PATIENCE_RATIO': '0.25'}).training.patience_ratio); "
        "print('--training.patience-ratio' in CliRunner().invoke(app, ['compare', '--help']).stdout)"
    )
    assert said.splitlines() == ["0.25", "True"]


def test_from_another_package_nothing_here_changes(tmp_path):
    here = added(tmp_path, {}, {})
    assert (here.new_files, here.changed_lines) == (0, 0)
    stranger = tmp_path / "site"
    about = stranger / "stranger-1.0.dist-info"
    about.mkdir(parents=True)
    (stranger / "shout.py").write_text(SHOUT, encoding="utf-8")
    (stranger / "length.py").write_text(LENGTH + 'LENGTHS_OF_NOISE = Length()\nLENGTHS_OF_NOISE.probe = "noise"\n', encoding="utf-8")
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n", encoding="utf-8")
    (about / "entry_points.txt").write_text(
        "[balora_audit.probes]\nlength = length:LENGTH\n[balora_audit.measures]\nlength = length:LENGTHS_OF_NOISE\n"
        "[balora_audit.perturbations]\nshout = shout:SHOUT\n",
        encoding="utf-8",
    )
    code = RUN.replace("CHANGES", "{'probes': ('noise', 'length'), 'noise': {'kinds': ('shout',), 'severities': (5,)}}")
    code += (
        "print(all(rows[probe, 'text_length', 'all'] > 10 for probe in ('noise', 'length')), rows['noise', 'realised_rate', 'shout@5'] > 0)"
    )
    assert here.run(code, PYTHONPATH=os.pathsep.join([str(here.root), str(stranger)])) == "True True"
