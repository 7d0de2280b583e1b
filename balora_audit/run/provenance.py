"""Where a result comes from: versions, hardware, source hash, commit."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["code_hash", "git_commit", "hardware", "versions"]

_PACKAGE = Path(__file__).resolve().parents[1]
_VERSIONED = (
    "balora-audit", "torch", "transformers", "peft", "accelerate", "safetensors", "tokenizers", "numpy", "scipy",
    "scikit-learn", "datasets",
)  # fmt: skip
_SCORED_BY = (
    "config/", "penalties/", "regularizers.py", "data/", "models/", "methods/", "training/", "scoring/", "metrics/weights.py",
)  # fmt: skip


@cache
def code_hash(*, all_code: bool = False) -> str:
    """Return the SHA-256 over the source that decides units of work, or over the whole package's but the report's."""
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        relative = path.relative_to(_PACKAGE).as_posix()
        if relative.startswith("report/") or (not all_code and not relative.startswith(_SCORED_BY)):
            continue
        digest.update(f"{relative}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


@cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that numbers depend on."""
    found = {"python": platform.python_version()}
    for name in _VERSIONED:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def hardware(device: str) -> dict[str, Any]:
    """Return what the run computed on."""
    import psutil
    import torch

    from balora_audit.models.precision import cpu_name

    found: dict[str, Any] = {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.machine()}",
        "device": device,
    }
    if device.startswith("cuda"):
        found["gpu"] = torch.cuda.get_device_name(device)
    return found


def git_commit() -> str | None:
    """Return the commit of the checkout this package runs from, marked when it has changes; None outside a checkout."""
    root = _PACKAGE.parent
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return commit + (" with uncommitted changes" if _git(root, "status", "--porcelain", "--", "balora_audit") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()
