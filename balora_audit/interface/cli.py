"""The command line: parse, call, print, exit code. Imports nothing heavy until a command runs."""

from __future__ import annotations

import os
import shlex
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from balora_audit.errors import AuditError
from balora_audit.interface.flags import Flags, SettingsCommand, configuration, with_settings
from balora_audit.interface.listing import CATALOGUE
from balora_audit.interface.outcome import echo_json, print_result, reported, with_json_usage_errors

__all__ = ["app", "main"]

DEFAULT_OUT = Path("audit-run")
_EXIT_INCOMPLETE = 3
_WIDE = {"max_content_width": 140}

app = typer.Typer(
    name="balora-audit",
    help="Audits fine-tuned language models: what did fine-tuning inherit or amplify, and which method does it least?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
tasks_app = typer.Typer(help="lm-evaluation-harness tasks that ship with the package.", no_args_is_help=True)
app.add_typer(tasks_app, name="tasks")

Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="the run folder")]
ConfigFile = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="YAML file with any of these settings")]
AsJson = Annotated[bool, typer.Option("--json", help="print exactly one JSON object to stdout")]
Quiet = Annotated[bool, typer.Option("--quiet", help="no progress")]
Verbose = Annotated[bool, typer.Option("--verbose", help="library messages and tracebacks")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="a run folder")]


@app.command(cls=SettingsCommand, context_settings=_WIDE)
@with_settings
def compare(
    flags: Flags,
    out: Out = DEFAULT_OUT,
    config: ConfigFile = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="recompute every unit of this run")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Fine-tune, probe and compare; write audit.json and report.html (the main job)."""
    with reported(as_json=as_json, verbose=verbose):
        settings = configuration(flags, config)
        from balora_audit.interface.terminal import progress_for

        leads = int(os.environ.get("RANK", "0")) == 0  # of the processes that `accelerate launch` started, one speaks
        with progress_for(sys.stderr, quiet=quiet or as_json or not leads) as progress:
            from balora_audit.report import render
            from balora_audit.run.execution import execute
            from balora_audit.run.plan import make_plan

            _quieten(verbose)
            plan = make_plan(settings, say=progress.say)
            record = execute(plan, out, progress=progress, fresh=fresh, command=_command())
            if not leads:
                return
            report = render(out)
        print_result(record, out, report, as_json=as_json)
        if record.status != "complete":
            raise typer.Exit(_EXIT_INCOMPLETE)


@app.command(cls=SettingsCommand, context_settings=_WIDE)
@with_settings
def plan(
    flags: Flags,
    out: Out = DEFAULT_OUT,
    config: ConfigFile = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Print what compare would do: units, what is there already, costs measured on this machine; loads no weights."""
    with reported(as_json=as_json, verbose=verbose):
        settings = configuration(flags, config)
        from balora_audit.interface.preview import preview, print_preview
        from balora_audit.run.plan import make_plan

        _quieten(verbose)
        found = preview(make_plan(settings, convert=False, say=lambda text: None if as_json else typer.echo(text, err=True)), out)
        if as_json:
            echo_json(found)
        else:
            print_preview(found)


@app.command()
def render(run: RunFolder, out: Annotated[Path | None, typer.Option("--out", metavar="FILE")] = None) -> None:
    """Render RUN/audit.json to HTML; needs no model."""
    with reported():
        from balora_audit.report import render as render_run

        typer.echo(render_run(run, out))


@app.command()
def tables(
    run: RunFolder,
    kind: Annotated[str, typer.Option("--kind", metavar="comparisons|measurements")] = "comparisons",
    format: Annotated[str, typer.Option("--format", metavar="markdown|latex")] = "markdown",
) -> None:
    """Print the comparisons or measurements of RUN with their intervals; needs no model."""
    with reported():
        from balora_audit.export.tables import table
        from balora_audit.records import read

        typer.echo(table(read(run), kind, format), nl=False)


@app.command("ls")
def list_things(kind: Annotated[str, typer.Argument(metavar="|".join(CATALOGUE))]) -> None:
    """List what there is to choose from, one line each."""
    with reported():
        from balora_audit.interface.listing import catalogue

        for name, summary in catalogue(kind).items():
            typer.echo(f"{name}\t{summary}")


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Check this environment: packages, devices, disk, caches; say what is missing and how to get it."""
    with reported(as_json=as_json):
        from dataclasses import asdict

        from balora_audit.files import cache_dir
        from balora_audit.interface.doctor import collect

        checks = collect(cache_dir())
        if as_json:
            echo_json({"checks": [asdict(check) for check in checks]})
            return
        for check in checks:
            typer.echo(f"{check.status:8} {check.name:22} {check.detail}")
            if check.way_out:
                typer.echo(f"{'':8} {'':22} → {check.way_out}")


@app.command()
def calibrate(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="where the page, its figures and numbers go")] = Path("docs"),
    audits: Annotated[int, typer.Option("--audits", metavar="N", min=2, help="simulated audits per cell")] = 400,
    seed: Annotated[int, typer.Option("--seed", metavar="S", min=0)] = 0,
    fast: Annotated[bool, typer.Option("--fast", help="150 items with 1 and 3 seeds only, and at most 40 audits")] = False,
    as_json: AsJson = False,
) -> None:
    """Check the statistics on simulated audits with a known truth: coverage, false verdicts, power."""
    with reported(as_json=as_json):
        from balora_audit.comparison.calibration import calibrate as run
        from balora_audit.comparison.calibration import write
        from balora_audit.comparison.calibration.page import lines
        from balora_audit.interface.terminal import progress_for

        with progress_for(sys.stderr, quiet=as_json) as progress:
            found = run(min(audits, 40) if fast else audits, seed, progress, fast=fast)
        paths = write(found, out)
        if as_json:
            echo_json(found)
        else:
            typer.echo("\n".join([*lines(found), *(f"written: {path}" for path in paths)]))


@tasks_app.command("path")
def tasks_path() -> None:
    """Print the folder to give to `lm_eval --include_path`."""
    with reported():
        from balora_audit.resources import tasks_path as find

        typer.echo(find())


@tasks_app.command("validate")
def tasks_validate(
    folder: Annotated[Path | None, typer.Argument(metavar="FOLDER", help="task files to check; by default the package's own")] = None,
    as_json: AsJson = False,
) -> None:
    """Read every task file strictly and build every task; print what is wrong as FILE:LINE, exit 2 if anything is."""
    with reported(as_json=as_json):
        from balora_audit.harness.validation import validate
        from balora_audit.resources import tasks_path as find

        found = validate(folder if folder is not None else find())
        if as_json:
            wrong = [{"file": str(p.path), "line": p.line, "message": p.message} for p in found.problems]
            echo_json({"tasks": found.tasks, "groups": list(found.groups), "problems": wrong})
        else:
            for problem in found.problems:
                typer.echo(f"error: {problem}", err=True)
            typer.echo(f"{len(found.tasks)} tasks and {len(found.groups)} groups are good; {len(found.problems)} problems")
        if found.problems:
            raise typer.Exit(AuditError.exit_code)


def main() -> None:
    """Run the command line; with ``--json``, a wrong flag is one JSON object too."""
    run = partial(app, prog_name="balora-audit")
    if "--json" in sys.argv[1:]:
        with_json_usage_errors(run)
    else:
        run()


def _command() -> str:
    return shlex.join(["balora-audit", *sys.argv[1:]])


def _quieten(verbose: bool) -> None:
    """Keep the libraries' own bars and notices off the terminal; ours say what matters."""
    if verbose:
        return
    import logging
    import warnings

    import transformers.utils.logging as transformers_logging

    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
