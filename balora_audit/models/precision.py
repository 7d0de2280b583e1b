"""Which device and number format to compute in, decided once per machine and recorded."""

from __future__ import annotations

import json
import platform
import time
from pathlib import Path
from typing import Any

import torch

from balora_audit.errors import ConfigurationError, unknown_name
from balora_audit.files import cache_dir, write_atomic

__all__ = ["DTYPES", "choose_device", "choose_dtype", "cpu_name"]

DTYPES: dict[str, torch.dtype] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
_CLEARLY_FASTER = 1.2
_SMALLEST_WIDTH = 256  # below this, a model is bound by call overhead and bfloat16 gains nothing


def choose_device(wanted: str) -> torch.device:
    """Return the device: ``auto`` takes CUDA, then MPS, then the CPU."""
    if wanted == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise ConfigurationError(f"unknown device {wanted!r}; use auto, cpu, cuda, cuda:0 or mps") from error
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not present.get(device.type, False):
        raise ConfigurationError(f"device {wanted!r} is not available here; use --device cpu, or auto")
    return device


def choose_dtype(wanted: str, device: torch.device, width: int) -> tuple[torch.dtype, str]:
    """Return the number format and the reason for it, in words.

    ``auto`` takes bfloat16 on a GPU that supports it; on a CPU only where a matrix product of the model's width is
    measured to be at least 1.2 times as fast as in float32. The measurement is kept in the cache, so that one machine
    always decides the same way.
    """
    if wanted != "auto":
        if wanted not in DTYPES:
            raise unknown_name("dtype", wanted, ["auto", *DTYPES])
        return DTYPES[wanted], "asked for"
    if device.type == "cuda":
        if torch.cuda.is_bf16_supported():
            return torch.bfloat16, "supported by the GPU"
        return torch.float32, "the GPU has no bfloat16"
    if device.type != "cpu":
        return torch.float32, f"default on {device.type}"
    if width < _SMALLEST_WIDTH:
        return torch.float32, f"the model is narrow ({width}), bfloat16 gains nothing"
    speedup = _measured_speedup(width)
    if speedup >= _CLEARLY_FASTER:
        return torch.bfloat16, f"a matrix product of width {width} ran {speedup:.1f} times as fast as in float32"
    return torch.float32, f"bfloat16 ran {speedup:.1f} times as fast as float32 on this CPU"


def cpu_name() -> str:
    """Return the processor's name as the system gives it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _measured_speedup(width: int) -> float:
    path = cache_dir() / "precision.json"
    key = f"{cpu_name()} | {torch.get_num_threads()} threads | torch {torch.__version__} | width {width}"
    known: dict[str, Any] = {}
    if path.is_file():
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            known = {}  # a damaged cache is measured again
    if isinstance(known.get(key), float):
        return float(known[key])
    speedup = round(_seconds(torch.float32, width) / _seconds(torch.bfloat16, width), 2)
    write_atomic(path, json.dumps({**known, key: speedup}, indent=1))
    return speedup


def _seconds(dtype: torch.dtype, width: int) -> float:
    x_TD = torch.full((512, width), 0.5, dtype=dtype)
    w_FD = torch.full((4 * width, width), 0.25, dtype=dtype)
    best = float("inf")
    for _ in range(7):
        start = time.perf_counter()
        torch.nn.functional.linear(x_TD, w_FD)
        best = min(best, time.perf_counter() - start)
    return best
