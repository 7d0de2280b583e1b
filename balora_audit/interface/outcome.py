"""How a command ends: its result or its error, in lines or as one JSON object, and its exit code."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from balora_audit.errors import AuditError

if TYPE_CHECKING:
    from balora_audit.records import AuditRecord

__all__ = ["echo_json", "print_result", "reported", "with_json_usage_errors"]

_EXIT_INTERRUPTED = 130


class reported:
    """Turn errors into one message and the right exit code; with --json, into one JSON object."""

    def __init__(self, *, as_json: bool = False, verbose: bool = False) -> None:
        self.as_json, self.verbose = as_json, verbose

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, KeyboardInterrupt):
            self._fail("interrupted; finished units are kept, the same command continues", _EXIT_INTERRUPTED)
        if isinstance(error, AuditError) and not self.verbose:
            self._fail(str(error), error.exit_code)
        if isinstance(error, OSError) and not self.verbose:
            self._fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}", AuditError.exit_code)

    def _fail(self, message: str, code: int) -> NoReturn:
        if self.as_json:
            echo_json({"status": "error", "exit_code": code, "error": message})
        else:
            typer.echo(f"error: {message}", err=True)
        raise typer.Exit(code)


def with_json_usage_errors(run: Callable[[], None]) -> None:
    """Run a command line that was given ``--json``: what typer says about a wrong one becomes one JSON object too."""
    messages = io.StringIO()
    try:
        with contextlib.redirect_stderr(messages):
            run()
    except SystemExit as error:
        usage = messages.getvalue()
        if usage.startswith(("Usage:", "Error:")):
            message = usage.strip().splitlines()[-1].removeprefix("Error: ")
            echo_json({"status": "error", "exit_code": error.code, "error": message})
        raise
    finally:
        sys.stderr.write(messages.getvalue())


def echo_json(value: dict[str, Any]) -> None:
    """Print one JSON object to stdout; numbers are finite or null."""
    typer.echo(json.dumps(value, ensure_ascii=False, allow_nan=False))


def print_result(record: AuditRecord, out: Path, report: Path, *, as_json: bool) -> None:
    """Print the verdicts, what failed and where the report is."""
    from balora_audit.interface.terminal import print_verdicts, summary

    if as_json:
        echo_json(summary(record, out, report))
        return
    print_verdicts(record)
    for failure in record.errors:
        typer.echo(f"failed: {failure.method}, {failure.condition}, seed {failure.seed}: {failure.message}", err=True)
    typer.echo(f"report: {report}")
