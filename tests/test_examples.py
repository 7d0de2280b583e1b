"""Every example in a docstring gives what it says."""

import doctest
import importlib
from pathlib import Path

import pytest

import balora_audit

PACKAGE = Path(balora_audit.__file__).resolve().parent
FILES = sorted(path for path in PACKAGE.rglob("*.py") if ">>> " in path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_examples_hold(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    module = importlib.import_module(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0
