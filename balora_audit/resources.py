"""Where the files that ship with the project are found.

A wheel carries ``tasks/`` and ``reports/templates/`` under ``balora_audit/_data/``; a checkout has them at
its top level. An editable install can leave a stale ``_data`` folder behind in site-packages, so the
repository that holds this very file is asked first.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["SCHEMA_PATH", "TINY_MODEL_PATH", "tasks_path", "templates_path"]

_PACKAGE = Path(__file__).resolve().parent

TINY_MODEL_PATH = _PACKAGE / "assets" / "tiny-llama"
"""The small Llama-architecture model of the ``smoke`` preset, pre-trained by ``scripts/pretrain_tiny.py``."""

SCHEMA_PATH = _PACKAGE / "assets" / "audit.schema.json"
"""JSON Schema of ``audit.json``."""


def tasks_path() -> Path:
    """Return the folder to give to ``lm_eval --include_path``."""
    return _find("tasks", "tasks")


def templates_path() -> Path:
    """Return the folder of the report's Jinja2 templates."""
    return _find("reports/templates", "templates")


def _find(in_repository: str, in_wheel: str) -> Path:
    repository = _PACKAGE.parent
    candidates = [_PACKAGE / "_data" / in_wheel]
    if (repository / "pyproject.toml").is_file():
        candidates.insert(0, repository / in_repository)
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    looked = " and ".join(str(candidate) for candidate in candidates)
    raise FileNotFoundError(f"the folder {in_repository!r} is missing: looked at {looked}; reinstall balora-audit")
