"""Files: written whole or not at all, known by their content, and where the cache is."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

__all__ = ["cache_dir", "hash_files", "sha256_of", "write_atomic"]


def write_atomic(path: Path, data: str | bytes) -> None:
    """Write a file so that it is either the old one or the whole new one: temporary file, fsync, rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    payload = data.encode("utf-8") if isinstance(data, str) else data
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(payload)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_files(folder: Path) -> dict[str, str]:
    """Return file name → SHA-256 for the files directly in a folder."""
    return {path.name: sha256_of(path) for path in sorted(folder.iterdir()) if path.is_file()}


def cache_dir() -> Path:
    """Return the cache folder: ``BALORA_CACHE``, else ``$XDG_CACHE_HOME/balora-audit``, else ``~/.cache/balora-audit``."""
    explicit = os.environ.get("BALORA_CACHE")
    if explicit:
        return Path(explicit).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base).expanduser() if base else Path.home() / ".cache") / "balora-audit"
