"""A run folder: finished units of work by content address, adapters, and the lock that keeps two runs apart."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from balora_audit.errors import StoreError
from balora_audit.files import write_atomic

__all__ = ["RunStore"]

_MARKERS = ("units", "config.yaml", "audit.json")


class RunStore:
    """Reads and writes one run folder. Every write appears whole or not at all."""

    def __init__(self, folder: Path) -> None:
        if folder.exists() and not folder.is_dir():
            raise StoreError(f"--out {folder} is a file; give a folder")
        if folder.is_dir() and any(folder.iterdir()) and not any((folder / marker).exists() for marker in _MARKERS):
            raise StoreError(f"--out {folder} has files in it that are not a run's; give a new folder or an earlier run's")
        self.folder = folder
        self._units = folder / "units"

    def has(self, key: str) -> bool:
        """Whether a finished unit is there."""
        return (self._units / key / "unit.json").is_file()

    def note(self, key: str) -> dict[str, Any]:
        """Return a unit's record alone, without its arrays; raises `StoreError` when it is damaged."""
        with self._readable(key) as place:
            found = json.loads((place / "unit.json").read_text(encoding="utf-8"))
            if not isinstance(found, dict):
                raise ValueError("unit.json holds no object")
            return found

    def arrays(self, key: str, *, without: Collection[str] = ()) -> dict[str, np.ndarray]:
        """Return a unit's arrays by name, those named in `without` left on the disk; raises `StoreError` when it is damaged."""
        from safetensors import safe_open

        with self._readable(key) as place:
            wanted = [name for name in self.note(key).get("arrays", ()) if name not in without]
            if not wanted:
                return {}
            with safe_open(place / "arrays.safetensors", framework="np") as stored:
                return {name: stored.get_tensor(name) for name in wanted}

    @contextmanager
    def _readable(self, key: str) -> Iterator[Path]:
        """Give a unit's folder; what goes wrong while it is read means that the unit is damaged."""
        from safetensors import SafetensorError

        place = self._units / key
        try:
            yield place
        except (OSError, ValueError, SafetensorError) as error:
            raise StoreError(f"the stored unit {place} is damaged ({error}); delete that folder and run again") from error

    def require_space(self, needed_bytes: int) -> None:
        """Raise `StoreError` when the disk has less room than the run will need."""
        place = self.folder
        while not place.exists():
            place = place.parent
        free = shutil.disk_usage(place).free
        if free < needed_bytes:
            raise StoreError(
                f"not enough disk for --out {self.folder}: about {needed_bytes / 1e9:.1f} GB needed, {free / 1e9:.1f} GB free; free "
                "some, or give another --out"
            )

    def write(self, key: str, record: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None) -> None:
        """Store a finished unit; its record names its arrays."""
        from safetensors.numpy import save

        with self.staged(self._units / key) as temporary:
            if arrays:
                contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
                write_atomic(temporary / "arrays.safetensors", save(contiguous))
            whole = {**record, "arrays": sorted(arrays or ())}
            write_atomic(temporary / "unit.json", json.dumps(whole, ensure_ascii=False, allow_nan=False))

    def forget(self, key: str) -> None:
        """Remove a unit and what there is of it so far."""
        shutil.rmtree(self._units / key, ignore_errors=True)
        shutil.rmtree(self.partial(key), ignore_errors=True)

    def partial(self, key: str) -> Path:
        """Return the folder where a unit that is under way keeps its checkpoint."""
        return self._units / f"{key}.partial"

    @contextmanager
    def staged(self, target: Path) -> Iterator[Path]:
        """Give a temporary folder that takes the place of `target` when the block ends without an error."""
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
        except OSError as error:
            raise StoreError(f"cannot write to {target.parent}: {error.strerror or error}") from error
        try:
            yield temporary
            temporary.chmod(0o755)
            if target.exists():
                shutil.rmtree(target)
            temporary.replace(target)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise StoreError(f"no space left on the disk that holds {self.folder}; free some and run again") from error
            raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run folder for this process; raises `StoreError` when another one has it."""
        import fcntl

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._units.mkdir(exist_ok=True)
            handle = os.open(self.folder / ".lock", os.O_CREAT | os.O_RDWR, 0o644)
        except OSError as error:
            raise StoreError(f"cannot write to --out {self.folder}: {error.strerror or error}") from error
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise StoreError(f"another balora-audit is working in {self.folder}; wait for it, or give another --out") from error
            yield
        finally:
            os.close(handle)
