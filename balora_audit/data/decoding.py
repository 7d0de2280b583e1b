"""Bytes of users' files to text: UTF-8 and nothing else, so that no character is guessed."""

from __future__ import annotations

from pathlib import Path

from balora_audit.errors import DataError

__all__ = ["decoded"]


def decoded(path: Path) -> str:
    """Return the text of a file in UTF-8, without a byte order mark.

    Raises
    ------
    DataError
        The file cannot be read, or is not UTF-8; the message says at which byte and in which row.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"data file {path} cannot be read: {error.strerror or error}") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data[: error.start].count(b"\n") + 1
        raise DataError(
            f"{path} is not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start} (row {row}); convert it, for example "
            "with `iconv -f latin1 -t utf-8`"
        ) from error
