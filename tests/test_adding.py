"""What it takes to add something: one new file and one changed line here, or another package and no change here."""

import difflib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import balora_audit

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

from __future__ import annotations

from balora_audit.data.perturbations.perturbation import Perturbation

SHOUT = Perturbation(name="shout", unit="character", description="a letter is shouted", change=lambda units, i, rng: units[i].upper())
'''


def test_a_kind_of_noise_is_one_file_and_one_line(tmp_path):
    here = added(
        tmp_path,
        {"data/perturbations/shout.py": SHOUT},
        {
            "data/perturbations/__init__.py": (
                r'^    "contraction": CONTRACTION,$',
                '    "shout": __import__("balora_audit.data.perturbations.shout", fromlist=["SHOUT"]).SHOUT,',
            )
        },
    )
    assert (here.new_files, here.changed_lines) == (1, 1)
