"""Peak memory of a stretch of work."""

from __future__ import annotations

from pathlib import Path

import torch

__all__ = ["peak_bytes", "reset_peak"]

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def reset_peak(device: torch.device) -> bool:
    """Start a new peak; return whether :func:`peak_bytes` will mean this stretch alone."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return True
    try:
        _CLEAR.write_text("5", encoding="ascii")  # Linux: resets the peak resident size of this process
    except OSError:
        return False
    return True


def peak_bytes(device: torch.device) -> int | None:
    """Return the peak since :func:`reset_peak`: allocated on a GPU, resident on a CPU; None where the system cannot tell."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if not _STATUS.is_file():
        return None
    for line in _STATUS.read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None
