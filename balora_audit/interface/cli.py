"""The command line: parse, call, print, exit code. Imports nothing heavy until a command runs."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from balora_audit.errors import AuditError

if TYPE_CHECKING:
    from balora_audit.config import AuditConfig
    from balora_audit.records import AuditRecord

__all__ = ["app", "main"]

DEFAULT_OUT = Path("audit-run")
_EXIT_INCOMPLETE = 3
_EXIT_INTERRUPTED = 130

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

Text = Annotated[str | None, typer.Option(metavar="TEXT")]


def _option(field: str, *, metavar: str, name: str | None = None) -> Any:
    """Declare a flag of ``compare`` and ``plan``; its help is the one obvious place for what it means."""
    return typer.Option(name or f"--{field.replace('_', '-')}", metavar=metavar, help=_HELP[field])


_HELP = {
    "model": "built-in name (ls models), local folder, .gguf file or Hub id",
    "revision": "revision of a Hub model or data set",
    "data": "'biographies', a file (.csv .tsv .jsonl .parquet), a folder with train and test files, or a Hub data set",
    "test_data": "file with the test rows, when --data is a file; otherwise a stratified part of it is set aside",
    "columns": "where roles are found: text=sentence,label=label,group=gender; numbers for files without a header row",
    "label_names": "names that the model answers with, in class order (Bad,Good), or by value (0=Bad,1=Good)",
    "prompt": "prompt template with one {text}; the answer follows it",
    "train_rows": "training rows used at most",
    "test_rows": "test rows used at most",
    "models": "methods to compare, comma-separated (ls methods); also balora[-cr] and NAME=PATH for an adapter trained elsewhere",
    "head": "auto, lm (answer with text) or classifier (a classification head)",
    "baseline": "compare with this model only (default: base and lora)",
    "conditions": "what is done to the training data: clean, noise:0.3, imbalance:20, correlate:0.9, joined by '+'",
    "probes": "noise, imbalance, collapse, drift",
    "tasks": "tasks of lm-evaluation-harness to run on every model, ours (ls tasks) or upstream's",
    "task_metadata": 'JSON object for the tasks\' data functions, such as {"items": 64}',
    "task_include": "folders with task files of your own (tasks validate), comma-separated",
    "task_shots": "examples before each question of a task; default: what the task says, else none",
    "task_chat_template": "wrap the prompts of tasks in the model's chat template",
    "preset": "smoke, quick, standard or full (ls presets)",
    "seeds": "training seeds, comma-separated; claims about a method need three or more",
    "regularizers": "BA-LoRA's settings: iclr2026 or paper-v1",
    "layers": "layers whose features are measured too: numbers (0 is the embeddings), or all",
    "general": "file of general text for knowledge drift (.txt with blank lines between texts, or a table with a text column)",
    "swaps": "file of identity terms to swap for counterfactuals (.csv, .tsv or .json pairs)",
    "margins": "smallest difference that matters, METRIC=δ, comma-separated or repeated",
    "ci": "confidence level of intervals",
    "limit": "use at most N training and N test rows, for a trial",
    "device": "auto, cpu, cuda, cuda:0 or mps",
    "dtype": "auto, float32, bfloat16 or float16",
    "trust_remote_code": "run code that comes with the model",
}


def _settings(
    model: Annotated[str | None, _option("model", metavar="MODEL")] = None,
    data: Annotated[str | None, _option("data", metavar="DATA")] = None,
    models: Annotated[str | None, _option("models", metavar="A,B,…")] = None,
    baseline: Annotated[str | None, _option("baseline", metavar="MODEL")] = None,
    conditions: Annotated[str | None, _option("conditions", metavar="A,B,…")] = None,
    probes: Annotated[str | None, _option("probes", metavar="A,B,…")] = None,
    tasks: Annotated[str | None, _option("tasks", metavar="A,B,…")] = None,
    task_metadata: Annotated[str | None, _option("task_metadata", metavar="JSON")] = None,
    task_include: Annotated[str | None, _option("task_include", metavar="DIR,…")] = None,
    task_shots: Annotated[str | None, _option("task_shots", metavar="N")] = None,
    task_chat_template: Annotated[bool | None, typer.Option("--task-chat-template", help=_HELP["task_chat_template"])] = None,
    preset: Annotated[str | None, _option("preset", metavar="NAME")] = None,
    seeds: Annotated[str | None, _option("seeds", metavar="0,1,…")] = None,
    regularizers: Annotated[str | None, _option("regularizers", metavar="NAME")] = None,
    margins: Annotated[list[str] | None, _option("margins", metavar="METRIC=δ", name="--margin")] = None,
    ci: Annotated[str | None, _option("ci", metavar="LEVEL")] = None,
    head: Annotated[str | None, _option("head", metavar="KIND")] = None,
    columns: Annotated[str | None, _option("columns", metavar="ROLE=COLUMN,…")] = None,
    label_names: Annotated[str | None, _option("label_names", metavar="A,B,…")] = None,
    prompt: Annotated[str | None, _option("prompt", metavar="TEMPLATE")] = None,
    test_data: Annotated[str | None, _option("test_data", metavar="FILE")] = None,
    general: Annotated[str | None, _option("general", metavar="FILE")] = None,
    swaps: Annotated[str | None, _option("swaps", metavar="FILE")] = None,
    layers: Annotated[str | None, _option("layers", metavar="0,6,…")] = None,
    train_rows: Annotated[str | None, _option("train_rows", metavar="N")] = None,
    test_rows: Annotated[str | None, _option("test_rows", metavar="N")] = None,
    revision: Annotated[str | None, _option("revision", metavar="REVISION")] = None,
    limit: Annotated[str | None, _option("limit", metavar="N")] = None,
    device: Annotated[str | None, _option("device", metavar="DEVICE")] = None,
    dtype: Annotated[str | None, _option("dtype", metavar="FORMAT")] = None,
    trust_remote_code: Annotated[bool | None, typer.Option("--trust-remote-code", help=_HELP["trust_remote_code"])] = None,
) -> None:
    """Hold the flags that ``compare`` and ``plan`` share."""


Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="the run folder")]
ConfigFile = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="YAML file with any of these settings")]
AsJson = Annotated[bool, typer.Option("--json", help="print exactly one JSON object to stdout")]
Quiet = Annotated[bool, typer.Option("--quiet", help="no progress")]
Verbose = Annotated[bool, typer.Option("--verbose", help="library messages and tracebacks")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="a run folder")]


def _with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the shared flags in front of its own; it receives those that the user gave as ``flags``."""
    import functools
    import inspect

    shared = inspect.signature(_settings, eval_str=True).parameters
    own = [parameter for name, parameter in inspect.signature(command, eval_str=True).parameters.items() if name != "flags"]

    @functools.wraps(command)
    def wrapper(**given: Any) -> None:
        flags = {name: given.pop(name) for name in shared}
        command(flags={name: value for name, value in flags.items() if value is not None}, **given)

    wrapper.__signature__ = inspect.Signature([*shared.values(), *own])  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in (*shared.values(), *own)}
    return wrapper


@app.command()
@_with_settings
def compare(
    flags: dict[str, Any],
    out: Out = DEFAULT_OUT,
    config: ConfigFile = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="recompute every unit of this run")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Fine-tune, probe and compare; write audit.json and report.html (the main job)."""
    with _reported(as_json=as_json, verbose=verbose):
        settings = _resolve(flags, config)
        from balora_audit.interface.terminal import progress_for

        leads = int(os.environ.get("RANK", "0")) == 0  # of the processes that `accelerate launch` started, one speaks
        with progress_for(sys.stderr, quiet=quiet or as_json or not leads) as progress:
            from balora_audit.report import render
            from balora_audit.run.execute import execute
            from balora_audit.run.plan import make_plan

            _quieten(verbose)
            plan = make_plan(settings, say=progress.say)
            record = execute(plan, out, progress=progress, fresh=fresh, command=_command())
            if not leads:
                return
            report = render(out)
        _print_result(record, out, report, as_json=as_json)
        if record.status != "complete":
            raise typer.Exit(_EXIT_INCOMPLETE)


@app.command()
@_with_settings
def plan(
    flags: dict[str, Any],
    out: Out = DEFAULT_OUT,
    config: ConfigFile = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Print what compare would do: units, what is there already, costs measured on this machine; loads no weights."""
    with _reported(as_json=as_json, verbose=verbose):
        settings = _resolve(flags, config)
        from balora_audit.interface.preview import preview, print_preview
        from balora_audit.run.plan import make_plan

        _quieten(verbose)
        found = preview(make_plan(settings, convert=False, say=lambda text: _note(text, quiet=as_json)), out)
        if as_json:
            _echo_json(found)
        else:
            print_preview(found)


@app.command()
def render(run: RunFolder, out: Annotated[Path | None, typer.Option("--out", metavar="FILE")] = None) -> None:
    """Render RUN/audit.json to HTML; needs no model."""
    with _reported(as_json=False, verbose=False):
        from balora_audit.report import render as render_run

        typer.echo(render_run(run, out))


@app.command()
def tables(
    run: RunFolder,
    kind: Annotated[str, typer.Option("--kind", metavar="comparisons|measurements")] = "comparisons",
    format: Annotated[str, typer.Option("--format", metavar="markdown|latex")] = "markdown",
) -> None:
    """Print the comparisons or measurements of RUN with their intervals; needs no model."""
    with _reported(as_json=False, verbose=False):
        from balora_audit.export.tables import table
        from balora_audit.records import read

        typer.echo(table(read(run), kind, format), nl=False)


@app.command("ls")
def list_things(kind: Annotated[str, typer.Argument(metavar="models|methods|conditions|perturbations|probes|tasks|presets")]) -> None:
    """List what there is to choose from, one line each."""
    with _reported(as_json=False, verbose=False):
        from balora_audit.interface.listing import catalogue

        for name, summary in catalogue(kind).items():
            typer.echo(f"{name}\t{summary}")


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Check this environment: packages, devices, disk, caches; say what is missing and how to get it."""
    with _reported(as_json=as_json, verbose=False):
        from dataclasses import asdict

        from balora_audit.files import cache_dir
        from balora_audit.interface.doctor import collect

        checks = collect(cache_dir())
        if as_json:
            _echo_json({"checks": [asdict(check) for check in checks]})
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
    with _reported(as_json=as_json, verbose=False):
        from balora_audit.comparison.calibration import calibrate as run
        from balora_audit.comparison.calibration import write
        from balora_audit.comparison.calibration.page import lines
        from balora_audit.interface.terminal import progress_for

        with progress_for(sys.stderr, quiet=as_json) as progress:
            found = run(min(audits, 40) if fast else audits, seed, progress, fast=fast)
        paths = write(found, out)
        if as_json:
            _echo_json(found)
        else:
            typer.echo("\n".join([*lines(found), *(f"written: {path}" for path in paths)]))


@tasks_app.command("path")
def tasks_path() -> None:
    """Print the folder to give to `lm_eval --include_path`."""
    with _reported(as_json=False, verbose=False):
        from balora_audit.resources import tasks_path as find

        typer.echo(find())


@tasks_app.command("validate")
def tasks_validate(
    folder: Annotated[Path | None, typer.Argument(metavar="FOLDER", help="task files to check; by default the package's own")] = None,
    as_json: AsJson = False,
) -> None:
    """Read every task file strictly and build every task; print what is wrong as FILE:LINE, exit 2 if anything is."""
    with _reported(as_json=as_json, verbose=False):
        from balora_audit.harness.validation import validate
        from balora_audit.resources import tasks_path as find

        found = validate(folder if folder is not None else find())
        if as_json:
            wrong = [{"file": str(p.path), "line": p.line, "message": p.message} for p in found.problems]
            _echo_json({"tasks": found.tasks, "groups": list(found.groups), "problems": wrong})
        else:
            for problem in found.problems:
                typer.echo(f"error: {problem}", err=True)
            typer.echo(f"{len(found.tasks)} tasks and {len(found.groups)} groups are good; {len(found.problems)} problems")
        if found.problems:
            raise typer.Exit(AuditError.exit_code)


def main() -> None:
    """Run the command line; with ``--json``, a wrong flag is one JSON object too."""
    if "--json" not in sys.argv[1:]:
        app(prog_name="balora-audit")
        return
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            app(prog_name="balora-audit")
    except SystemExit as error:
        usage = said.getvalue()
        if usage.startswith("Usage:"):
            _echo_json({"status": "error", "exit_code": error.code, "error": usage.strip().splitlines()[-1]})
        raise
    finally:
        sys.stderr.write(said.getvalue())


def _resolve(flags: dict[str, Any], config: Path | None) -> AuditConfig:
    from balora_audit.config import resolve, split_value

    given: dict[str, Any] = {}
    for name, value in flags.items():
        text = ",".join(value) if isinstance(value, list) else value
        given[name] = split_value(name, text) if isinstance(text, str) else text
    return resolve(given, file=config)


class _reported:
    """Turn errors into one message and the right exit code; with --json, into one JSON object."""

    def __init__(self, *, as_json: bool, verbose: bool) -> None:
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
            _echo_json({"status": "error", "exit_code": code, "error": message})
        else:
            typer.echo(f"error: {message}", err=True)
        raise typer.Exit(code)


def _print_result(record: AuditRecord, out: Path, report: Path, *, as_json: bool) -> None:
    from balora_audit.interface.terminal import print_verdicts, summary

    if as_json:
        _echo_json(summary(record, out, report))
        return
    print_verdicts(record)
    for failure in record.errors:
        typer.echo(f"failed: {failure.method}, {failure.condition}, seed {failure.seed}: {failure.message}", err=True)
    typer.echo(f"report: {report}")


def _echo_json(value: dict[str, Any]) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, allow_nan=False))


def _note(text: str, *, quiet: bool) -> None:
    if not quiet:
        typer.echo(text, err=True)


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
