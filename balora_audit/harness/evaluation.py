"""Running harness tasks, ours or upstream's, on a model that is loaded already: in this process, one model after another.

The harness's own caches stay off: they are not keyed by the model. What is shared between the models of one
`prepare` is what does not depend on them: built tasks with their data, and token ids per tokenizer.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import inspect
import io
import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from balora_audit.errors import AuditError, ConfigurationError, DataError, ModelError, near, unknown_name
from balora_audit.harness.aggregates import items_of, metrics_of
from balora_audit.harness.records import HarnessResult, slice_of
from balora_audit.resources import tasks_path

__all__ = ["Suite", "evaluate", "prepare", "quiet"]

_DEFAULT_NEW_TOKENS = 256
# In float32 a product with a dozen rows or fewer takes another kernel, whose last digits are not those of the whole logits.
_FEWEST_ROWS = 16


def evaluate(
    model: Any,
    tokenizer: Any,
    tasks: str | Sequence[str],
    *,
    include: Sequence[Path | str] = (),
    metadata: Mapping[str, Any] | None = None,
    shots: int | None = None,
    limit: int | None = None,
    chat_template: bool = False,
    batch_size: int = 16,
) -> HarnessResult:
    """Run harness tasks on a loaded model and return aggregates with the evidence behind them, and every item.

    Parameters
    ----------
    model : transformers.PreTrainedModel or peft.PeftModel
        Causal; on its device and in its dtype, which stay as they are.
    tokenizer : transformers.PreTrainedTokenizerBase
        Of the model; a copy is used, since the harness changes padding.
    tasks, include, metadata, shots, limit, chat_template
        As for :func:`prepare`.
    batch_size : int
        Texts per forward pass.

    Raises
    ------
    ConfigurationError, DataError, ModelError
        A task that does not exist, data that cannot be reached or lack a field, a model without what a task needs.
    """
    suite = prepare(tasks, include=include, metadata=metadata, shots=shots, limit=limit, chat_template=chat_template)
    return suite.evaluate(model, tokenizer, batch_size=batch_size)


def prepare(
    tasks: str | Sequence[str],
    *,
    include: Sequence[Path | str] = (),
    metadata: Mapping[str, Any] | None = None,
    shots: int | None = None,
    limit: int | None = None,
    chat_template: bool = False,
    upstream: bool | None = None,
) -> Suite:
    """Build harness tasks once, to be run on several models; a task whose first document cannot be asked is an error here.

    Parameters
    ----------
    tasks : str or sequence of str
        Names of tasks, groups or tags; also comma-separated. A name is never taken for a folder.
    include : sequence of paths
        Folders with task files besides the package's own; they win over tasks of the same name.
    metadata : mapping, optional
        For the ``custom_dataset`` functions, as ``--metadata`` of ``lm_eval``.
    shots : int, optional
        Examples before each question; by default what the task says, else none.
    limit : int, optional
        The first documents of each task only.
    chat_template : bool
        Wrap every prompt in the tokenizer's chat template.
    upstream : bool, optional
        Whether to look among the tasks that ship with the harness; by default only when a name is not found before, for
        reading all of them takes seconds.
    """
    from lm_eval.tasks import TaskManager

    names = [part.strip() for text in ([tasks] if isinstance(tasks, str) else tasks) for part in text.split(",") if part.strip()]
    if not names:
        raise ConfigurationError("no harness task is named")
    if limit is not None and limit < 1:
        raise ConfigurationError(f"limit must be at least 1, got {limit}")
    folders = [str(tasks_path()), *(str(_folder(path)) for path in include)]
    with quiet():
        manager = TaskManager(include_path=folders, include_defaults=bool(upstream), metadata=dict(metadata or {}))
        if upstream is None and not all(name in manager.task_index for name in names):
            manager = TaskManager(include_path=folders, include_defaults=True, metadata=dict(metadata or {}))
    for name in names:
        if name not in manager.task_index:
            raise ConfigurationError(_unknown(name, manager.all_tasks))
    built: dict[str, Any] = {}
    for name in dict.fromkeys(names):
        with quiet():
            built.update(_load(manager, name)["tasks"])
    _check_metadata(metadata or {}, built)
    for name, task in built.items():
        default = task.get_config("num_fewshot")
        task.set_config(key="num_fewshot", value=shots if shots is not None and default != 0 else default or 0)
        task.set_fewshot_seed(seed=0)
        with quiet():
            _ask_one(name, task)
    return Suite(tasks=built, limit=limit, chat_template=chat_template, folders=tuple(map(_folder, include)))


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Built tasks by name; :meth:`evaluate` runs them on one model after another."""

    tasks: dict[str, Any]
    limit: int | None = None
    chat_template: bool = False
    folders: tuple[Path, ...] = ()
    _encodings: list[tuple[Any, dict[tuple[str, str], Any]]] = field(default_factory=list, repr=False)

    @property
    def documents(self) -> int:
        """How many documents the tasks have together, after the limit."""
        return sum(min(len(task.eval_docs), self.limit or len(task.eval_docs)) for task in self.tasks.values())

    @property
    def slices(self) -> dict[str, str]:
        """What an audit calls each task, without the name of a filter."""
        return {name: slice_of(name, str(task.VERSION), task.get_config("num_fewshot")) for name, task in self.tasks.items()}

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over what decides the numbers besides the model and this package's code: documents, tasks, code in `folders`, lm_eval."""
        import lm_eval

        digest = hashlib.sha256(str(lm_eval.__version__).encode())
        for folder in self.folders:
            for path in sorted(folder.rglob("*.py")):
                digest.update(path.read_bytes())
        digest.update(str(self.chat_template).encode())
        for name, task in self.tasks.items():
            documents = list(task.eval_docs)[: self.limit]
            text = json.dumps([name, task.dump_config(), documents], ensure_ascii=False, sort_keys=True, default=repr)
            digest.update(text.encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    def evaluate(self, model: Any, tokenizer: Any, *, batch_size: int = 16) -> HarnessResult:
        """Run the tasks on a model; see :func:`evaluate`."""
        from lm_eval import evaluator

        with quiet():
            wrapped = self._wrapped(model, tokenizer, batch_size)
        self.check(wrapped.max_length, template=bool(getattr(tokenizer, "chat_template", None)))
        training = model.training
        model.eval()
        try:
            with quiet():
                found = evaluator.evaluate(
                    lm=wrapped,
                    task_dict={"tasks": self.tasks},
                    limit=self.limit,
                    bootstrap_iters=0,
                    log_samples=True,
                    apply_chat_template=self.chat_template,
                )
        finally:
            model.train(training)
        return HarnessResult(metrics=metrics_of(found, self.tasks), items=items_of(found), shortened=_shortened(found, self.tasks, wrapped))

    def _wrapped(self, model: Any, tokenizer: Any, batch_size: int) -> Any:
        import torch
        from lm_eval.models.huggingface import HFLM

        known = self._known(tokenizer)
        inner = model.get_base_model() if hasattr(model, "get_base_model") else model
        can_keep = "logits_to_keep" in inspect.signature(inner.forward).parameters

        class Shared(HFLM):  # type: ignore[misc]
            """The harness's model, which does not tokenise a text a second time for the next model, and says what it cut."""

            def __init__(self, **given: Any) -> None:
                super().__init__(**given)
                self.cut: set[tuple[str, str]] = set()
                self.read: dict[tuple[int, ...], int] = {}

            def _encode_pair(self, context: str, continuation: str) -> Any:
                key = (context, continuation)
                if key not in known:
                    known[key] = super()._encode_pair(context, continuation)
                return known[key]

            def _loglikelihood_tokens(self, requests: Any, *more: Any, **given: Any) -> Any:
                self.read = {}
                for key, context, continuation in requests:
                    if len(context) + len(continuation) > self.max_length + 1:
                        self.cut.add(key)
                    row = (context + continuation)[-(self.max_length + 1) : -1]
                    first = len(row) - len(continuation)
                    row = _unpadded(row)
                    self.read[row] = min(first, self.read.get(row, first))
                return super()._loglikelihood_tokens(requests, *more, **given)

            def _model_call(self, inps: Any, attn_mask: Any = None, labels: Any = None) -> Any:
                if attn_mask is not None or labels is not None or not can_keep:
                    return super()._model_call(inps, attn_mask, labels)
                # The harness counts the positions that it reads from the end of the logits. They are named one by one because
                # a model slices by a number, and a product with a slice that is not contiguous is many times slower in bfloat16.
                first = max(0, min(inps.shape[1] - _FEWEST_ROWS, *(self.read.get(_unpadded(row), 0) for row in inps.tolist())))
                with torch.no_grad():
                    return self.model(inps, logits_to_keep=torch.arange(first, inps.shape[1], device=inps.device)).logits

        return Shared(pretrained=model, tokenizer=copy.deepcopy(tokenizer), batch_size=batch_size, backend="causal")

    def _known(self, tokenizer: Any) -> dict[tuple[str, str], Any]:
        for kept, known in self._encodings:
            if kept is tokenizer:
                return known
        self._encodings.append((tokenizer, {}))
        return self._encodings[-1][1]

    def check(self, context: int | None, *, template: bool | None) -> None:
        """Raise for a task that a model with so many tokens of context, and with or without a chat template, cannot be asked.

        None: it is not known yet.
        """
        if self.chat_template and template is False:
            raise ModelError("the chat template is asked for, but the model's tokenizer has none; run without it")
        for name, task in self.tasks.items():
            if getattr(task, "UNSAFE_CODE", False):
                raise ConfigurationError(f"task {name} runs code that the model writes; that is not done here")
            if getattr(task, "MULTIMODAL", False):
                raise ConfigurationError(f"task {name} needs images or sound, and the model reads text only")
            if context is not None and task.get_config("output_type") == "generate_until" and _new_tokens(task) >= context:
                raise ModelError(
                    f"task {name} generates up to {_new_tokens(task)} tokens, and the model's context has {context}: nothing is left "
                    "for the prompt; set generation_kwargs: max_gen_toks in a task file of yours, or leave the task out"
                )


def _unpadded(row: Sequence[int]) -> tuple[int, ...]:
    """Return a row of token ids without the zeros at its end, with which the harness pads."""
    end = len(row)
    while end and row[end - 1] == 0:
        end -= 1
    return tuple(row[:end])


def _new_tokens(task: Any) -> int:
    return int((task.get_config("generation_kwargs") or {}).get("max_gen_toks", _DEFAULT_NEW_TOKENS))


def _shortened(found: Mapping[str, Any], tasks: Mapping[str, Any], wrapped: Any) -> dict[str, int]:
    """Return, by task, how many documents were longer than the model's context: the harness cuts their beginning without a word."""
    counts = {}
    for name, task in tasks.items():
        room = wrapped.max_length - _new_tokens(task) if task.get_config("output_type") == "generate_until" else None
        long = set()
        for sample in found["samples"][name]:
            for first, *others in sample["arguments"]:
                cut = len(wrapped.tok_encode(first)) > room if room is not None else (first, *others[:1]) in wrapped.cut
                if cut:
                    long.add(sample["doc_id"])
        if long:
            counts[name] = len(long)
    return counts


def _check_metadata(metadata: Mapping[str, Any], tasks: Mapping[str, Any]) -> None:
    """Raise for a key that no task of this package takes, where only such tasks run; what others take is not known."""
    from balora_audit.harness import bias_datasets, datasets, published

    functions = [task.get_config("custom_dataset") for task in tasks.values()]
    if not all(str(getattr(function, "__module__", "")).startswith("balora_audit.") for function in functions):
        return
    modules = (bias_datasets, datasets, published)
    ours = [getattr(module, name) for module in modules for name in module.__all__]
    known = sorted(
        {name for function in ours if hasattr(function, "__wrapped__") for name in inspect.signature(function).parameters} - {"_"}
    )
    for name in metadata:
        if name not in known:
            raise unknown_name("key of the task metadata", name, known)


def _ask_one(name: str, task: Any) -> None:
    try:
        task.build_all_requests(limit=1)
    except AuditError:
        raise
    except Exception as error:  # a task may raise anything at all
        raise DataError(f"task {name} cannot ask its first document: {_told(error)}") from error


def _folder(path: Path | str) -> Path:
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise ConfigurationError(f"task folder {folder} does not exist")
    return folder.resolve()


def _unknown(name: str, known: Sequence[str]) -> str:
    if Path(name).is_dir():
        return f"{name!r} is a folder and no task of this name is known; give the folder as include, and name the tasks in it"
    hint = near(name, known, count=3) or "."
    return f"unknown harness task {name!r}{hint} `lm_eval ls tasks` lists upstream's, `balora-audit ls tasks` ours"


def _load(manager: Any, name: str) -> Any:
    try:
        return manager.load([name])
    except AuditError:
        raise
    except Exception as error:  # a task may raise anything at all, upstream's bare Exception included
        raise DataError(f"task {name} cannot be built: {_told(error)}") from error


def _told(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    kind = type(error).__name__
    if isinstance(error, ConnectionError) or kind in ("DatasetNotFoundError", "OfflineModeIsEnabled", "LocalEntryNotFoundError"):
        return (
            f"its data set is neither in the local cache nor can the Hub be reached ({text[:200]}). Run once with the network, or copy "
            "the task's YAML into a folder of yours with dataset_path: json and dataset_kwargs: {data_files: {test: FILE}}, and give "
            "that folder with --task-include of compare (include=, --include_path)"
        )
    return f"{kind}: {text[:400]}"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the harness's notices and bars off the terminal; what matters is raised, or in the result."""
    loggers = [logging.getLogger(name) for name in ("lm_eval", "lm-eval", "datasets")]
    before = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
