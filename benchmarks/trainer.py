"""What a training step costs: this package's trainer beside transformers.Trainer + PEFT LoRA and BA-LoRA as published.

    python benchmarks/trainer.py [--model FOLDER] [--dtypes float32,bfloat16] [--rounds 20] [--memory] [--sweep] [--verify]

All variants live in one process and take turns step by step on the same batches; a ratio is the median over rounds of the
ratio within a round, so that what else the machine does falls on all alike. Half of the tokens of a batch are prompt, half
are answer. Peak memory is resident memory, each variant alone in a fresh process. Figures of one machine are not those of
another; ratios travel better.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from accelerate import Accelerator
from published import Batch, PublishedTrainer, adapted, stepper, training_arguments
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainerCallback

from balora_audit.config import REGULARIZERS, AdapterConfig
from balora_audit.data.general_text import held_out, pretraining
from balora_audit.methods import METHODS
from balora_audit.methods.adapter import attach, target_modules
from balora_audit.methods.method import Factors
from balora_audit.models.encode import pad
from balora_audit.models.forward import CausalForward
from balora_audit.models.locate import locate
from balora_audit.models.precision import cpu_name
from balora_audit.training.examples import TrainingRow
from balora_audit.training.loss import assemble
from balora_audit.training.memory import peak_bytes, reset_peak
from balora_audit.training.teacher import Teacher, read_mask

RANK = 16
LEARNING_RATE = 1e-4
MAX_GRAD_NORM = 1.0
BATCHES = 4
WIDE = 131_072
LENGTHS = ((8, 64), (8, 128), (4, 256), (2, 512))
"""(B, T) of the sweep: the batch shrinks with the length so that the published procedure fits into memory."""
TARGETS = {
    ("balora-warm", "plain"): 1.10,
    ("balora-cold", "plain"): 1.45,
    ("balora-warm", "published"): 0.50,
}
MEMORY_TARGETS = {("balora-warm", "plain"): 1.05, ("balora-warm", "published"): 0.75}


@dataclass(frozen=True, slots=True)
class Setting:
    """What every variant of a run shares."""

    folder: str
    dtype: str
    vocabulary: int | None = None


@dataclass(slots=True)
class Runner:
    """A variant, ready: one full optimiser step on a batch → task loss; what to do, untimed, before each step."""

    step: Callable[[Batch], float]
    before: Callable[[], None] = lambda: None


def base(setting: Setting) -> Any:
    """Return the base model in memory of its own: weights mapped from the file would be counted, or not, by chance."""
    model = AutoModelForCausalLM.from_pretrained(setting.folder, dtype=getattr(torch, setting.dtype), use_safetensors=True)
    if setting.vocabulary is not None:
        torch.manual_seed(0)
        model.resize_token_embeddings(setting.vocabulary, mean_resizing=False)
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()
    return model.requires_grad_(False)


def plain(setting: Setting) -> Runner:
    """transformers.Trainer + PEFT LoRA, with the defaults of both."""
    torch.manual_seed(0)
    model = adapted(base(setting), RANK, initialisation=True)
    return Runner(stepper(Trainer(model=model, args=_arguments())))


def as_published(setting: Setting) -> Runner:
    """BA-LoRA as published: PiSSA through PEFT, a second model as the teacher."""
    torch.manual_seed(0)
    model = adapted(base(setting), RANK, initialisation="pissa_niter_4")
    trainer = PublishedTrainer(model=model, args=_arguments(), teacher=base(setting))
    whole = stepper(trainer)

    def step(batch: Batch) -> float:
        whole(batch)
        return trainer.task

    return Runner(step)


_factors: dict[tuple[str, str, str], Factors] = {}


def ours(method: str, setting: Setting, *, forget: bool = False) -> Runner:
    """This package's trainer with all terms at full weight; `forget` empties the teacher's memory before every step."""
    device = torch.device("cpu")
    model = base(setting)
    forward = CausalForward(model)
    settings = AdapterConfig(rank=RANK, alpha=RANK)
    chosen = METHODS[method]
    key = (setting.folder, setting.dtype, chosen.initialisation)
    if key not in _factors:
        _factors[key] = chosen.initialise(target_modules(model, ()), settings, 0)  # type: ignore[misc]
    peft_model, _ = attach(model, chosen, settings, 0, factors=lambda: _factors[key])
    accelerator = Accelerator(cpu=True, mixed_precision="no")
    trainable = [parameter for parameter in peft_model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=LEARNING_RATE, weight_decay=0.0)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)
    peft_model, optimizer, scheduler = accelerator.prepare(peft_model, optimizer, scheduler)
    peft_model.train()
    penalties = chosen.penalties(REGULARIZERS["iclr2026"]) if chosen.penalties else None
    weights = (penalties.consistency, penalties.diversity, penalties.spectral) if penalties else (0.0, 0.0, 0.0)
    teacher = Teacher(forward, device)

    def step(batch: Batch) -> float:
        rows = _rows(batch)
        ids_BT, mask_BT = pad([row.inputs for row in rows], device)
        read_BT = read_mask(rows, ids_BT.shape[1], device)
        targets_M = torch.tensor([target for row in rows for target in row.targets], device=device)
        teacher_MV = teacher.logits(peft_model, rows) if weights[0] > 0 else None
        student_MV = forward.logits(forward.run(ids_BT, mask_BT), read_BT)
        loss = assemble(student_MV, targets_M, teacher_MV=teacher_MV, penalties=penalties, weights=weights)
        values = {"total": float(loss.total.detach()), **{n: float(t.detach()) for n, t in loss.terms.items()}}
        if not all(math.isfinite(value) for value in values.values()):
            raise FloatingPointError(f"the loss is not finite: {values}")
        accelerator.backward(loss.total)
        accelerator.clip_grad_norm_(trainable, MAX_GRAD_NORM)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad(set_to_none=True)
        return values["task"]

    def before() -> None:
        if forget:
            teacher._states.clear()
            teacher._bytes = 0

    return Runner(step, before)


VARIANTS: dict[str, tuple[str, Callable[[Setting], Runner]]] = {
    "plain": ("transformers.Trainer + PEFT LoRA", plain),
    "lora": ("lora", lambda setting: ours("lora", setting)),
    "pissa": ("pissa", lambda setting: ours("pissa", setting)),
    "balora-warm": ("balora, teacher cached", lambda setting: ours("balora", setting)),
    "balora-cold": ("balora, teacher computed", lambda setting: ours("balora", setting, forget=True)),
    "published": ("BA-LoRA as published", as_published),
}


def _arguments() -> Any:
    return training_arguments(tempfile.gettempdir(), learning_rate=LEARNING_RATE, max_grad_norm=MAX_GRAD_NORM)


def make_batches(folder: str, rows: int, length: int, count: int = BATCHES) -> list[Batch]:
    """Return batches of English text: the first half of every row is prompt, the second half is answer."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    wanted = count * rows * length
    text = " ".join((*held_out(), *pretraining(wanted // 8, seed=0)))
    ids_CBT = torch.tensor(tokenizer(text, verbose=False).input_ids[:wanted]).view(count, rows, length)
    made = []
    for ids_BT in ids_CBT:
        labels_BT = ids_BT.clone()
        labels_BT[:, : length // 2] = -100
        made.append({"input_ids": ids_BT, "attention_mask": torch.ones_like(ids_BT), "labels": labels_BT})
    return made


_encoded: dict[int, list[TrainingRow]] = {}


def _rows(batch: Batch) -> list[TrainingRow]:
    """Return a batch as this package's rows; encoding is done once, as the Trainer's collator is not timed either."""
    if id(batch) not in _encoded:
        rows = []
        for index, (ids_T, labels_T) in enumerate(zip(batch["input_ids"].tolist(), batch["labels"].tolist(), strict=True)):
            prompt = labels_T.count(-100)
            rows.append(TrainingRow(id=str(index), inputs=tuple(ids_T[:-1]), first_read=prompt - 1, targets=tuple(ids_T[prompt:])))
        _encoded[id(batch)] = rows
    return _encoded[id(batch)]


def alternate(runners: dict[str, Runner], batches: Sequence[Batch], rounds: int) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Return (variant → seconds per round, variant → task loss at step 0). The first pass over the batches is not timed."""
    first: dict[str, float] = {}
    for batch in batches:  # also fills the teacher's memory
        for name, runner in runners.items():
            first.setdefault(name, runner.step(batch)) if name not in first else runner.step(batch)
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    names = list(runners)
    for turn in range(rounds):
        batch = batches[turn % len(batches)]
        for name in names[turn % len(names) :] + names[: turn % len(names)]:  # nobody always runs after the same neighbour
            runners[name].before()
            start = time.perf_counter()
            runners[name].step(batch)
            seconds[name].append(time.perf_counter() - start)
    return seconds, first


def check_equal(first: dict[str, float]) -> None:
    """Refuse to compare unequals: at step 0 a LoRA adapter is nothing, so both trainers must report one loss."""
    for name in set(first) & {"lora", "pissa", "balora-warm", "balora-cold"}:
        if "plain" in first and abs(first[name] - first["plain"]) > 1e-3 * abs(first["plain"]):
            raise SystemExit(f"not the same task: at step 0 the loss of {name} is {first[name]:.6f}, of plain {first['plain']:.6f}")


def ratio(seconds: dict[str, list[float]], name: str, other: str) -> dict[str, float]:
    """Return median and quartiles over the rounds of the ratio within a round."""
    shares = [mine / theirs for mine, theirs in zip(seconds[name], seconds[other], strict=True)]
    low, middle, high = statistics.quantiles(shares, n=4)
    return {"median": middle, "low": low, "high": high}


def measure(setting: Setting, names: Sequence[str], batches: Sequence[Batch], rounds: int) -> dict[str, Any]:
    """Return the speed of variants under one setting."""
    return _summary(*alternate({name: VARIANTS[name][1](setting) for name in names}, batches, rounds))


def _summary(seconds: dict[str, list[float]], first: dict[str, float]) -> dict[str, Any]:
    check_equal(first)
    return {
        name: {
            "seconds": statistics.median(values),
            "fastest": min(values),
            "first_loss": first[name],
            **{other: ratio(seconds, name, other) for other in ("plain", "published") if other in seconds},
        }
        for name, values in seconds.items()
    }


def sweep(folder: str, dtype: str, rounds: int) -> list[dict[str, Any]]:
    """Return the ratios for two vocabularies and four lengths; the models are built once per vocabulary."""
    names = ("plain", "balora-warm", "balora-cold", "published")
    found = []
    for vocabulary in (None, WIDE):
        setting = Setting(folder, dtype, vocabulary)
        runners = {name: VARIANTS[name][1](setting) for name in names}
        for rows, length in LENGTHS:
            seconds, _ = alternate(runners, make_batches(folder, rows, length, count=2), rounds)
            size = vocabulary or json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))["vocab_size"]
            found.append({"vocabulary": size, "rows": rows, "length": length, **_summary(seconds, {name: math.nan for name in names})})
            print(f"  V {size}, {rows}×{length} done", file=sys.stderr)
        del runners
        gc.collect()
    return found


def memory_of(setting: Setting, name: str, batches: Sequence[Batch]) -> dict[str, int | None]:
    """Return the peak and the idle resident bytes of one variant; meant for a process of its own."""
    runner = VARIANTS[name][1](setting)
    for batch in batches:
        runner.before()
        runner.step(batch)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what the set-up freed does not belong to training
    cpu = torch.device("cpu")
    if not reset_peak(cpu):
        return {"peak": None, "idle": None}
    idle = peak_bytes(cpu)
    for batch in [*batches, *batches]:
        runner.before()
        runner.step(batch)
    return {"peak": peak_bytes(cpu), "idle": idle}


def memory_apart(setting: Setting, names: Sequence[str], threads: int) -> dict[str, dict[str, int | None]]:
    """Return variant → peak and idle bytes, each measured in its own process."""
    found = {}
    for name in names:
        command = [sys.executable, __file__, "--model", setting.folder, "--dtypes", setting.dtype, "--threads", str(threads)]
        done = subprocess.run([*command, "--memory", "--variant", name], check=True, stdout=subprocess.PIPE, text=True)
        found[name] = json.loads(done.stdout.splitlines()[-1])
    return found


class _Clock(TrainerCallback):
    """Notes when each step of ``Trainer.train`` begins and ends."""

    def __init__(self) -> None:
        self.begun: list[float] = []
        self.ended: list[float] = []

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self.begun.append(time.perf_counter())

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.ended.append(time.perf_counter())


def verify(setting: Setting, batches: Sequence[Batch]) -> None:
    """Compare `stepper` with ``Trainer.train`` itself on the same rows: the same losses, and about the same time."""
    from transformers.trainer_pt_utils import SequentialSampler

    class Ordered(Trainer):
        def _get_train_sampler(self, *_: Any) -> Any:
            return SequentialSampler(rows)

    rows = [{name: values[index] for name, values in batch.items()} for batch in batches for index in range(len(batch["input_ids"]))]
    torch.manual_seed(0)
    arguments = _arguments()
    arguments.per_device_train_batch_size, arguments.num_train_epochs = len(batches[0]["input_ids"]), 2
    arguments.logging_strategy, arguments.logging_steps = "steps", 1
    clock = _Clock()
    whole = Ordered(model=adapted(base(setting), RANK, initialisation=True), args=arguments, train_dataset=rows, callbacks=[clock])
    whole.train()
    theirs = [entry["loss"] for entry in whole.state.log_history if "loss" in entry]
    loop = statistics.median(end - begin for begin, end in zip(clock.begun, clock.ended, strict=True))
    runner, losses, seconds = plain(setting), [], []
    for batch in [*batches, *batches]:
        start = time.perf_counter()
        losses.append(runner.step(batch))
        seconds.append(time.perf_counter() - start)
    worst = max(abs(a - b) / abs(b) for a, b in zip(losses, theirs, strict=True))
    print(f"Trainer.train and the driven step, {len(losses)} steps: losses differ by {worst:.1e} (relative) at most;")
    print(f"{loop:.3f} s a step in train(), {statistics.median(seconds):.3f} s driven\n")
    if worst > 1e-4:
        raise SystemExit("the driven step is not the Trainer's")


def _cell(share: dict[str, float] | None, target: float | None) -> str:
    if share is None:
        return "–"
    text = f"{share['median']:.2f} ({share['low']:.2f}–{share['high']:.2f})"
    return text if target is None else f"{text}, {'≤' if share['median'] <= target else 'misses'} {target:.2f}"


def speed_table(dtype: str, found: dict[str, Any]) -> str:
    """Return the Markdown table of step times."""
    lines = [f"**{dtype}**, 8×64", "", "| variant | s/step | × plain LoRA | × published | loss at step 0 |", "|---|---|---|---|---|"]
    for name, row in found.items():
        cells = [_cell(row.get(other), TARGETS.get((name, other))) for other in ("plain", "published")]
        lines.append(f"| {VARIANTS[name][0]} | {row['seconds']:.3f} | {cells[0]} | {cells[1]} | {row['first_loss']:.4f} |")
    return "\n".join([*lines, ""])


def memory_table(dtype: str, found: dict[str, dict[str, int | None]]) -> str:
    """Return the Markdown table of peak memory."""
    lines = [f"**{dtype}**, resident memory", "", "| variant | idle MB | peak MB | × plain LoRA | × published |", "|---|---|---|---|---|"]
    for name, row in found.items():
        cells = []
        for other in ("plain", "published"):
            mine, theirs = row["peak"], found.get(other, {}).get("peak")
            target = MEMORY_TARGETS.get((name, other))
            text = f"{mine / theirs:.2f}" if mine and theirs else "–"
            cells.append(f"{text}, {'≤' if mine / theirs <= target else 'misses'} {target}" if target and mine and theirs else text)
        lines.append(f"| {VARIANTS[name][0]} | {(row['idle'] or 0) / 1e6:.0f} | {(row['peak'] or 0) / 1e6:.0f} | {cells[0]} | {cells[1]} |")
    return "\n".join([*lines, ""])


def sweep_table(dtype: str, found: list[dict[str, Any]]) -> str:
    """Return the Markdown table of ratios over vocabulary and length."""
    lines = [
        f"**{dtype}**, sweep", "",
        "| V | batch | plain s/step | warm × plain | cold × plain | warm × published |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for row in found:
        warm, cold = row["balora-warm"], row["balora-cold"]
        lines.append(
            f"| {row['vocabulary']} | {row['rows']}×{row['length']} | {row['plain']['seconds']:.2f} | {warm['plain']['median']:.2f} | "
            f"{cold['plain']['median']:.2f} | {warm['published']['median']:.2f} |"
        )
    return "\n".join([*lines, ""])


def main() -> None:
    """Measure what was asked for and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2", help="built-in name or safetensors folder")
    parser.add_argument("--dtypes", default="float32,bfloat16")
    parser.add_argument("--variants", default=",".join(VARIANTS))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory", action="store_true", help="also peak memory, each variant in its own process")
    parser.add_argument("--only-memory", action="store_true", help="peak memory and no times")
    parser.add_argument("--variant", choices=tuple(VARIANTS), help="with --memory: measure this one here and print JSON")
    parser.add_argument("--sweep", action="store_true", help="also the ratios over vocabulary and length")
    parser.add_argument("--verify", action="store_true", help="first compare the driven step with Trainer.train")
    parser.add_argument("--json", type=Path, help="write everything measured to this file")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")  # PEFT and transformers out of step
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    folder = str(locate(chosen.model).folder)
    batches = make_batches(folder, 8, 64)
    dtypes, names = chosen.dtypes.split(","), chosen.variants.split(",")
    if chosen.variant:
        print(json.dumps(memory_of(Setting(folder, dtypes[0]), chosen.variant, batches)))
        return
    print(f"{cpu_name()}, {chosen.threads} threads, torch {torch.__version__}; r = {RANK}, {chosen.rounds} rounds\n")
    record: dict[str, Any] = {"cpu": cpu_name(), "threads": chosen.threads, "torch": torch.__version__, "rounds": chosen.rounds}
    if chosen.verify:
        verify(Setting(folder, dtypes[0]), batches)
    for dtype in dtypes:
        setting = Setting(folder, dtype)
        part = record.setdefault(dtype, {})
        if not chosen.only_memory:
            part["speed"] = measure(setting, names, batches, chosen.rounds)
            print(speed_table(dtype, part["speed"]), flush=True)
        gc.collect()
        if chosen.memory or chosen.only_memory:
            part["memory"] = memory_apart(setting, names, chosen.threads)
            print(memory_table(dtype, part["memory"]), flush=True)
        if chosen.sweep:
            part["sweep"] = sweep(folder, dtype, max(4, chosen.rounds // 3))
            print(sweep_table(dtype, part["sweep"]), flush=True)
    if chosen.json:
        chosen.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
