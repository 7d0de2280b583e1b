"""The teacher's states on disk: safetensors files in the cache folder, one folder per model and number format.

A folder's name is a hash over all that the states depend on, and every file repeats it: a cache of another model cannot be
read by mistake. The whole is bounded in bytes, oldest files out first.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from balora_audit.files import cache_dir, write_atomic

__all__ = ["TeacherCache"]


class TeacherCache:
    """Reads and writes the states of one model.

    Parameters
    ----------
    identity : mapping
        What the states depend on: model fingerprint, number format, device, versions.
    limit_bytes : int
        Bound of all models' files together.
    say : callable
        Told when a file is not what it should be; it is then removed and its rows are computed again.
    writes : bool
        False in a process that only reads.
    """

    def __init__(
        self, identity: Mapping[str, Any], *, limit_bytes: int, say: Callable[[str], None] = lambda _: None, writes: bool = True
    ) -> None:
        self._key = hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode()).hexdigest()[:32]
        self._folder = cache_dir() / "teacher" / self._key
        self._limit = limit_bytes
        self._say = say
        self._writes = writes
        self._where: dict[str, Path] | None = None

    def read(self, key: str) -> Tensor | None:
        """Return the states of a row, or None."""
        from safetensors import SafetensorError, safe_open

        place = self._index().get(key)
        if place is None:
            return None
        try:
            with safe_open(place, framework="pt") as stored:
                found: Tensor = stored.get_tensor(key)
                return found
        except (OSError, SafetensorError, KeyError) as error:
            self._discard(place, str(error))
            return None

    def write(self, states: Mapping[str, Tensor]) -> None:
        """Keep the states of rows in one new file, and remove the oldest files where the whole has become too large."""
        from safetensors.torch import save

        size = sum(state.nbytes for state in states.values())
        if not states or size > self._limit or not self._writes:
            return
        name = hashlib.sha256("".join(sorted(states)).encode()).hexdigest()[:16]
        path = self._folder / f"{name}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        tensors = {key: state.detach().to("cpu", copy=True).contiguous() for key, state in states.items()}
        write_atomic(path, save(tensors, metadata={"identity": self._key}))
        self._index().update(dict.fromkeys(states, path))
        self._shrink(keep=path)

    def _index(self) -> dict[str, Path]:
        if self._where is None:
            self._where = {}
            for path in sorted(self._folder.glob("*.safetensors")):
                self._where.update(dict.fromkeys(self._keys(path), path))
        return self._where

    def _keys(self, path: Path) -> list[str]:
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="pt") as stored:
                if (stored.metadata() or {}).get("identity") == self._key:
                    return list(stored.keys())
            self._discard(path, "it belongs to another model")
        except (OSError, SafetensorError) as error:
            self._discard(path, str(error))
        return []

    def _discard(self, path: Path, reason: str) -> None:
        self._say(f"the teacher's cache {path.name} is not usable ({reason}): its rows are computed again")
        path.unlink(missing_ok=True)
        if self._where is not None:
            self._where = {key: place for key, place in self._where.items() if place != path}

    def _shrink(self, *, keep: Path) -> None:
        files = [(path.stat().st_mtime, path.stat().st_size, path) for path in self._folder.parent.rglob("*.safetensors")]
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if total <= self._limit:
                break
            if path != keep:
                path.unlink(missing_ok=True)
                total -= size
                if self._where is not None:
                    self._where = {key: place for key, place in self._where.items() if place != path}
