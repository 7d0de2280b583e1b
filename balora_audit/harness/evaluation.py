"""Running harness tasks, ours or upstream's, on a model that is loaded already: in this process, one model after another.

The harness's own caches stay off: they are not keyed by the model. What is shared between the models of one
`prepare` is what does not depend on them: built tasks with their data, and token ids per tokenizer.
"""

from __future__ import annotations

import contextlib
import copy
import difflib
import hashlib
import io
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from balora_audit.errors import AuditError, ConfigurationError, DataError, ModelError
from balora_audit.harness.aggregates import items_of, metrics_of
from balora_audit.harness.records import HarnessResult
from balora_audit.resources import tasks_path

__all__ = ["Suite", "evaluate", "prepare", "quiet"]

_DEFAULT_NEW_TOKENS = 256


def evaluate(
    model: Any,
    tokenizer: Any,
    tasks: str | Sequence[str],
    *,
    include: Sequence[Path | str] = (),
    metadata: Mapping[str, Any] | None = None,
    shots: int | None = None,
    limit: int | None = None,
    batch_size: int = 16,
    chat_template: bool = False,
) -> HarnessResult:
    """Run harness tasks on a loaded model and return aggregates with the evidence behind them, and every item.

    Parameters
    ----------
    model : transformers.PreTrainedModel or peft.PeftModel
        Causal; on its device and in its dtype, which stay as they are.
    tokenizer : transformers.PreTrainedTokenizerBase
        Of the model; a copy is used, since the harness changes padding.
    tasks, include, metadata, shots, limit
        As for :func:`prepare`.
    batch_size : int
        Texts per forward pass.
    chat_template : bool
        Wrap every prompt in the tokenizer's chat template.

    Raises
    ------
    ConfigurationError, DataError, ModelError
        A task that does not exist, data that cannot be reached or lack a field, a model without what a task needs.
    """
    suite = prepare(tasks, include=include, metadata=metadata, shots=shots, limit=limit)
    return suite.evaluate(model, tokenizer, batch_size=batch_size, chat_template=chat_template)


def prepare(
    tasks: str | Sequence[str],
    *,
    include: Sequence[Path | str] = (),
    metadata: Mapping[str, Any] | None = None,
    shots: int | None = None,
    limit: int | None = None,
    upstream: bool | None = None,
) -> Suite:
    """Build harness tasks once, to be run on several models.

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
    for task in built.values():
        default = task.get_config("num_fewshot")
        task.set_config(key="num_fewshot", value=shots if shots is not None and default != 0 else default or 0)
        task.set_fewshot_seed(seed=0)
    return Suite(tasks=built, limit=limit)


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Built tasks by name; :meth:`evaluate` runs them on one model after another."""

    tasks: dict[str, Any]
    limit: int | None = None
    _encodings: list[tuple[Any, dict[tuple[str, str], Any]]] = field(default_factory=list, repr=False)

    @property
    def documents(self) -> int:
        """How many documents the tasks have together, after the limit."""
        return sum(min(len(task.eval_docs), self.limit or len(task.eval_docs)) for task in self.tasks.values())

    @property
    def fingerprint(self) -> str:
        """SHA-256 over all that decides the numbers but the model: documents, task files, our code and the harness's version."""
        import lm_eval

        digest = hashlib.sha256(str(lm_eval.__version__).encode())
        for folder in ("harness", "metrics"):
            for path in sorted((Path(__file__).resolve().parent.parent / folder).glob("*.py")):
                digest.update(path.read_bytes())
        for name, task in self.tasks.items():
            documents = list(task.eval_docs)[: self.limit]
            text = json.dumps([name, task.dump_config(), documents], ensure_ascii=False, sort_keys=True, default=repr)
            digest.update(text.encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    def evaluate(self, model: Any, tokenizer: Any, *, batch_size: int = 16, chat_template: bool = False) -> HarnessResult:
        """Run the tasks on a model; see :func:`evaluate`."""
        from lm_eval import evaluator

        if chat_template and not getattr(tokenizer, "chat_template", None):
            raise ModelError("chat_template is on, but the model's tokenizer has no chat template; run without it")
        with quiet():
            wrapped = self._wrapped(model, tokenizer, batch_size)
        self._check(wrapped)
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
                    apply_chat_template=chat_template,
                )
        finally:
            model.train(training)
        return HarnessResult(metrics=metrics_of(found, self.tasks), items=items_of(found))

    def _wrapped(self, model: Any, tokenizer: Any, batch_size: int) -> Any:
        from lm_eval.models.huggingface import HFLM

        known = self._known(tokenizer)

        class Shared(HFLM):  # type: ignore[misc]
            """The harness's model, which does not tokenise a text a second time for the next model."""

            def _encode_pair(self, context: str, continuation: str) -> Any:
                key = (context, continuation)
                if key not in known:
                    known[key] = super()._encode_pair(context, continuation)
                return known[key]

        return Shared(pretrained=model, tokenizer=copy.deepcopy(tokenizer), batch_size=batch_size, backend="causal")

    def _known(self, tokenizer: Any) -> dict[tuple[str, str], Any]:
        for kept, known in self._encodings:
            if kept is tokenizer:
                return known
        self._encodings.append((tokenizer, {}))
        return self._encodings[-1][1]

    def _check(self, wrapped: Any) -> None:
        for name, task in self.tasks.items():
            if getattr(task, "UNSAFE_CODE", False):
                raise ConfigurationError(f"task {name} runs code that the model writes; that is not done here")
            if getattr(task, "MULTIMODAL", False):
                raise ConfigurationError(f"task {name} needs images or sound, and the model reads text only")
            if task.get_config("output_type") == "generate_until":
                wanted = (task.get_config("generation_kwargs") or {}).get("max_gen_toks", _DEFAULT_NEW_TOKENS)
                if int(wanted) >= wrapped.max_length:
                    raise ModelError(
                        f"task {name} generates up to {wanted} tokens, and the model's context has {wrapped.max_length}: nothing is left "
                        "for the prompt; set generation_kwargs: max_gen_toks in a task file of yours, or leave the task out"
                    )


def _folder(path: Path | str) -> Path:
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise ConfigurationError(f"task folder {folder} does not exist")
    return folder.resolve()


def _unknown(name: str, known: Sequence[str]) -> str:
    if Path(name).is_dir():
        return f"{name!r} is a folder and no task of this name is known; give the folder as include, and name the tasks in it"
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f" — did you mean {', '.join(map(repr, near))}?" if near else "."
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
            "that folder as include"
        )
    return f"{kind}: {text[:400]}"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the harness's notices and bars off the terminal; what matters is raised, or in the result."""
    loggers = [logging.getLogger(name) for name in ("lm_eval", "lm-eval", "datasets")]
    before = [logger.level for logger in loggers]
    import warnings

    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
