"""The cache folder: converted default model, per-machine decisions."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache_dir"]


def cache_dir() -> Path:
    """Return the cache folder: ``BALORA_CACHE``, else ``$XDG_CACHE_HOME/balora-audit``, else ``~/.cache/balora-audit``."""
    explicit = os.environ.get("BALORA_CACHE")
    if explicit:
        return Path(explicit).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base).expanduser() if base else Path.home() / ".cache") / "balora-audit"
