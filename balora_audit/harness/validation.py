"""A strict check of a folder of task files: what the harness skips in silence, or meets in the middle of a run, is an error here."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from balora_audit.errors import AuditError, DataError, near
from balora_audit.harness.evaluation import quiet

__all__ = ["Problem", "Validated", "validate"]

_IGNORED = {"__pycache__", ".ipynb_checkpoints"}
_STRUCTURE = {"include", "tag", "task_list", "class", "group"}
_DOCUMENTS = 256
_METRIC_KEYS = {"metric", "aggregation", "higher_is_better", "hf_evaluate"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong, and where: the line is the first one that it is about, counted from 1."""

    path: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated:
    """What a folder holds, and what is wrong with it; ``tasks`` maps each task that was built to its number of documents."""

    tasks: dict[str, int]
    groups: tuple[str, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class _File:
    """A task file as read: its own keys with their lines, and what it is together with the files it includes."""

    path: Path
    lines: dict[str, int]
    whole: dict[str, Any]

    def line(self, key: str) -> int:
        return self.lines.get(key, 1)


class _Reader(yaml.SafeLoader):
    """Reads a task file without following ``!function``; every tag of that kind is kept with its line."""


@dataclass(frozen=True, slots=True)
class _Function:
    name: str
    line: int
    folder: Path


def validate(folder: Path | str) -> Validated:
    """Read every task file below a folder and build every task in it.

    Reported are files that do not parse, unknown and repeated keys, functions and included files that are missing, names used
    twice, members of groups that do not exist, a missing version or direction of a metric, tasks that cannot be built or whose
    ``process_results`` fails or leaves out a metric. A task whose data function takes ``example`` is built with that.

    Raises
    ------
    DataError
        The folder does not exist or holds no task file.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise DataError(f"task folder {root} does not exist")
    paths = sorted(path for path in root.rglob("*.yaml") if not _IGNORED & set(path.parts))
    if not paths:
        raise DataError(f"task folder {root} has no .yaml file")
    problems: list[Problem] = []
    files: list[_File] = []
    for path in paths:
        found = _read(path, problems)
        if found is not None:
            files.append(found)
    names: dict[str, _File] = {}
    for file in files:
        _check_contents(file, problems)
        _check_name(file, names, problems)
    for file in files:
        _check_group(file, names, problems)
    broken = {problem.path for problem in problems}
    tasks = {}
    for name, file in names.items():
        if "group" in file.whole or "class" in file.whole or file.path in broken:
            continue
        count = _build(root, name, file, problems)
        if count is not None:
            tasks[name] = count
    groups = tuple(name for name, file in names.items() if "group" in file.whole)
    return Validated(tasks=tasks, groups=groups, problems=tuple(sorted(set(problems), key=lambda p: (str(p.path), p.line, p.message))))


def _read(path: Path, problems: list[Problem]) -> _File | None:
    """Return a file with its includes merged in, as the harness does; None when it cannot be read."""
    lines, own = _parse(path, problems)
    if own is None:
        return None
    _check_keys(path, lines, own, problems)
    whole: dict[str, Any] = {}
    includes = own.get("include", [])
    for name in includes if isinstance(includes, list) else [includes]:
        target = path.parent / str(name)
        if not target.is_file():
            problems.append(Problem(path=path, line=lines.get("include", 1), message=f"included file {name!r} does not exist"))
            return None
        if target.resolve() == path.resolve():
            problems.append(Problem(path=path, line=lines.get("include", 1), message="the file includes itself"))
            return None
        included = _read(target, problems)
        if included is None:
            return None
        whole.update({key: value for key, value in included.whole.items() if key != "task_list"})
    return _File(path, lines, {**whole, **{key: value for key, value in own.items() if key != "include"}})


def _parse(path: Path, problems: list[Problem]) -> tuple[dict[str, int], dict[str, Any] | None]:
    reader: type[_Reader] = type("Reader", (_Reader,), {})

    def function(loader: yaml.SafeLoader, node: yaml.Node) -> _Function:
        found = _Function(str(node.value), node.start_mark.line + 1, path.parent)
        message = _missing(found)
        if message is not None:
            problems.append(Problem(path=path, line=found.line, message=message))
        return found

    reader.add_constructor("!function", function)
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=reader)
        found = yaml.load(text, Loader=reader)  # a SafeLoader with one tag more
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or str(error)
        problems.append(Problem(path=path, line=mark.line + 1 if mark else 1, message=f"not YAML: {what}"))
        return {}, None
    except UnicodeDecodeError as error:
        problems.append(Problem(path=path, line=1, message=f"not UTF-8: {error.reason} at byte {error.start}"))
        return {}, None
    if not isinstance(found, dict) or not isinstance(node, yaml.MappingNode):
        problems.append(Problem(path=path, line=1, message="a task file is a mapping of keys to values"))
        return {}, None
    lines: dict[str, int] = {}
    for key, line in _keys(node):
        if key in lines:
            problems.append(Problem(path=path, line=line, message=f"the key {key!r} is there twice; the first, line {lines[key]}, is lost"))
        lines[key] = line
    return lines, {str(key): value for key, value in found.items()}


def _keys(node: yaml.MappingNode) -> Iterator[tuple[str, int]]:
    for key, _ in node.value:
        yield str(key.value), key.start_mark.line + 1


def _missing(function: _Function) -> str | None:
    from lm_eval.tasks._yaml_loader import _import_func_in_yml

    try:
        found = _import_func_in_yml(function.name, function.folder)
    except Exception as error:  # noqa: BLE001 -- importing a user's module may raise anything; all of it is what is reported
        return f"!function {function.name}: {type(error).__name__}: {error}"
    return None if callable(found) else f"!function {function.name} is {type(found).__name__}, not a function"


def _known_keys(whole: Mapping[str, Any]) -> set[str]:
    from lm_eval.config.group import GroupConfig
    from lm_eval.config.task import TaskConfig

    keys = {field.name for field in fields(TaskConfig)} | _STRUCTURE
    return keys | {field.name for field in fields(GroupConfig)} if "group" in whole else keys


def _check_keys(path: Path, lines: Mapping[str, int], own: Mapping[str, Any], problems: list[Problem]) -> None:
    known = _known_keys(own)
    for key, line in lines.items():
        if key not in known:
            problems.append(Problem(path=path, line=line, message=f"unknown key {key!r}{near(key, sorted(known))}"))


def _check_contents(file: _File, problems: list[Problem]) -> None:
    metadata = file.whole.get("metadata")
    if not isinstance(metadata, dict) or metadata.get("version") is None:
        problems.append(Problem(path=file.path, line=file.line("metadata"), message="metadata has no version; results cannot be compared"))
    if "group" in file.whole:
        return
    metrics = file.whole.get("metric_list") or []
    for number, metric in enumerate(metrics if isinstance(metrics, list) else [metrics]):
        _check_metric(file, number, metric, problems)


def _check_metric(file: _File, number: int, metric: Any, problems: list[Problem]) -> None:
    line = file.line("metric_list")
    if not isinstance(metric, dict) or "metric" not in metric:
        problems.append(Problem(path=file.path, line=line, message=f"metric_list, entry {number + 1}: needs the key 'metric'"))
        return
    name = metric["metric"].name if isinstance(metric["metric"], _Function) else metric["metric"]
    for key in ("aggregation", "higher_is_better"):
        if key not in metric:
            problems.append(Problem(path=file.path, line=line, message=f"metric {name!r} does not say its {key}"))
    if file.whole.get("process_results") is not None:
        for key in sorted(set(metric) - _METRIC_KEYS):
            message = f"metric {name!r}: unknown key {key!r} (process_results is set, so that nothing reads it)"
            problems.append(Problem(path=file.path, line=line, message=message))


def _check_name(file: _File, names: dict[str, _File], problems: list[Problem]) -> None:
    key = "group" if "group" in file.whole else "task"
    name = file.whole.get(key)
    if not isinstance(name, str) or not name:
        problems.append(Problem(path=file.path, line=file.line(key), message="the file names neither a task nor a group"))
    elif name in names:
        other = names[name].path
        problems.append(
            Problem(path=file.path, line=file.line(key), message=f"the name {name!r} is taken by {other}; this file is ignored")
        )
    else:
        names[name] = file


def _check_group(file: _File, names: Mapping[str, _File], problems: list[Problem]) -> None:
    if "group" not in file.whole:
        return
    tags = {tag for other in names.values() for tag in _as_list(other.whole.get("tag"))}
    for member in _as_list(file.whole.get("task")):
        name = member.get("task", member.get("group")) if isinstance(member, dict) else member
        inline = isinstance(member, dict) and len(member) > 1
        if name not in names and name not in tags and not inline and not _is_upstream(str(name)):
            message = f"group {file.whole['group']!r}: no task or group {name!r}{near(str(name), sorted(names))}"
            problems.append(Problem(path=file.path, line=file.line("task"), message=message))


def _as_list(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]


def _is_upstream(name: str) -> bool:
    return name in _upstream()


@cache
def _upstream() -> frozenset[str]:
    from lm_eval.tasks import TaskManager

    with quiet():
        return frozenset(TaskManager().all_tasks)


def _build(root: Path, name: str, file: _File, problems: list[Problem]) -> int | None:
    """Build a task and score its first document; return its number of documents, or None and the problem."""
    from lm_eval.tasks import TaskManager

    data = file.whole.get("custom_dataset")
    try:
        with quiet():
            manager = TaskManager(
                include_path=str(root), include_defaults=False, metadata={"example": True} if _takes_example(data) else None
            )
            task = manager.load([name])["tasks"][name]
            _score(task)
            return len(task.eval_docs)
    except Exception as error:  # noqa: BLE001 -- a task may raise anything at all while it is built; all of it is what is reported
        text = str(error) if isinstance(error, AuditError) else f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        line = file.line("custom_dataset" if "custom_dataset" in file.lines else "task")
        problems.append(Problem(path=file.path, line=line, message=f"task {name!r} cannot be built: {text}"))
        return None


def _takes_example(function: Any) -> bool:
    from lm_eval.tasks._yaml_loader import _import_func_in_yml

    if not isinstance(function, _Function):
        return False
    return "example" in inspect.signature(_import_func_in_yml(function.name, function.folder)).parameters


def _score(task: Any) -> None:
    """Send documents through the task as a model would, and check that every listed metric comes out of one of them."""
    task.set_config(key="num_fewshot", value=task.get_config("num_fewshot") or 0)
    task.set_fewshot_seed(seed=0)
    task.build_all_requests(limit=_DOCUMENTS)
    kind = task.get_config("output_type")
    single: dict[str, Any] = {"generate_until": "an answer", "loglikelihood_rolling": -10.0}
    requests = Counter(instance.doc_id for instance in task.instances)
    seen: set[str] = set()
    for number, count in requests.items():
        found = task.process_results(task.eval_docs[number], [single.get(kind, (-float(i + 1), False)) for i in range(count)])
        if not isinstance(found, dict):
            raise ValueError(f"process_results returned {type(found).__name__}, not metrics by name")
        seen |= set(found)
    lost = sorted(set(task.aggregation()) - seen)
    if lost:
        raise ValueError(f"no document gives the listed metric {lost[0]!r}; they give {', '.join(sorted(seen))}")
