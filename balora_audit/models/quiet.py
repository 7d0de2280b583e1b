"""Keeping the libraries' progress bars off stderr, on a terminal and in a pipe alike: the audit reports its own progress."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["without_bars"]


@contextmanager
def without_bars() -> Iterator[None]:
    """Draw no bar of transformers, the Hub's client or tqdm for the time of a block; what matters is raised.

    Notes
    -----
    The GGUF reader of transformers draws with tqdm itself, which no setting of transformers reaches; hence the other stream.
    """
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
