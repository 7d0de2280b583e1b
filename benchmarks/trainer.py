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
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from published import Batch, verify
from trainer_tables import memory_table, speed_table, sweep_table
from trainer_variants import (
    CLASSIFIERS,
    RANK,
    VARIANTS,
    Runner,
    Setting,
    arguments,
    classifier_setting,
    make_batches,
    make_labelled,
    plain_model,
)

from balora_audit.models.locate import locate
from balora_audit.models.precision import cpu_name
from balora_audit.training.memory import peak_bytes, reset_peak

WIDE = 131_072
LENGTHS = ((8, 64), (8, 128), (4, 256), (2, 512))
"""(B, T) of the sweep: the batch shrinks with the length so that the published procedure fits into memory."""


def alternate(runners: dict[str, Runner], batches: Sequence[Batch], rounds: int) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Return (variant → seconds per round, variant → task loss at step 0). The first pass over the batches is not timed."""
    first: dict[str, float] = {}
    for batch in batches:  # also fills the teacher's memory
        for name, runner in runners.items():
            loss = runner.step(batch)
            first.setdefault(name, loss)
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


def check_equal(first: dict[str, float], tolerance: float) -> None:
    """Refuse to compare unequals: at step 0 a LoRA adapter is nothing, so both trainers must report one loss."""
    for name in set(first) & {"lora", "pissa", "balora-warm", "balora-cold"}:
        if "plain" in first and abs(first[name] - first["plain"]) > tolerance * abs(first["plain"]):
            raise SystemExit(f"not the same task: at step 0 the loss of {name} is {first[name]:.6f}, of plain {first['plain']:.6f}")


def ratio(seconds: dict[str, list[float]], name: str, other: str) -> dict[str, float]:
    """Return median and quartiles over the rounds of the ratio within a round."""
    shares = [mine / theirs for mine, theirs in zip(seconds[name], seconds[other], strict=True)]
    low, middle, high = statistics.quantiles(shares, n=4)
    return {"median": middle, "low": low, "high": high}


def summary(seconds: dict[str, list[float]], first: dict[str, float] | None = None, *, tolerance: float = 1e-3) -> dict[str, Any]:
    """Return, per variant, the seconds of a step, the loss at step 0 and the ratios to plain LoRA and to the published way."""
    if first is not None:
        check_equal(first, tolerance)
    return {
        name: {
            "seconds": statistics.median(values),
            "fastest": min(values),
            **({"first_loss": first[name]} if first is not None else {}),
            **{other: ratio(seconds, name, other) for other in ("plain", "published") if other in seconds},
        }
        for name, values in seconds.items()
    }


def speed(setting: Setting, names: Sequence[str], batches: Sequence[Batch], rounds: int) -> dict[str, Any]:
    """Return the speed of causal-LM variants under one setting."""
    return summary(*alternate({name: VARIANTS[name][1](setting) for name in names}, batches, rounds))


def classification(dtype: str, rounds: int) -> dict[str, Any]:
    """Return the speed of the classifiers: MiniLM, batch 32×48."""
    setting = classifier_setting(dtype)
    runners = {name: build(setting) for name, (_, build) in CLASSIFIERS.items()}
    # plain LoRA computes the loss of a bfloat16 model from bfloat16 logits: two digits, where ours keeps the head in float32
    return summary(*alternate(runners, make_labelled(setting, 32, 48), rounds), tolerance=1e-3 if dtype == "float32" else 2e-2)


def sweep(folder: str, dtype: str, rounds: int) -> list[dict[str, Any]]:
    """Return the ratios for two vocabularies and four lengths; the models are built once per vocabulary."""
    names = ("plain", "balora-warm", "balora-cold", "published")
    own = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))["vocab_size"]
    found = []
    for vocabulary in (own, WIDE):
        setting = Setting(folder, dtype, None if vocabulary == own else vocabulary)
        runners = {name: VARIANTS[name][1](setting) for name in names}
        for rows, length in LENGTHS:
            seconds, _ = alternate(runners, make_batches(folder, rows, length, count=2), rounds)
            found.append({"vocabulary": vocabulary, "rows": rows, "length": length, **summary(seconds)})
            print(f"V {vocabulary}, {rows}×{length} done", file=sys.stderr)
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


def check_driven(setting: Setting, batches: Sequence[Batch]) -> None:
    """Print how the driven step compares with ``Trainer.train``; refuse to go on when it is another procedure."""
    found = verify(lambda: plain_model(setting), arguments(), batches)
    print(f"Trainer.train and the driven step: losses differ by {found['difference']:.1e} (relative) at most,")
    print(f"{found['train']:.3f} s a step in train(), {found['driven']:.3f} s driven\n")
    if found["difference"] > 1e-4:
        raise SystemExit("the driven step is not the Trainer's")


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
    parser.add_argument("--nlu", action="store_true", help="also the classifiers")
    parser.add_argument("--verify", action="store_true", help="first compare the driven step with Trainer.train")
    parser.add_argument("--json", type=Path, help="write everything measured to this file")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")  # PEFT and transformers out of step
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    folder = str(locate(chosen.model).folder)
    batches = make_batches(folder, 8, 64)
    dtypes, names = chosen.dtypes.split(","), [name for name in chosen.variants.split(",") if name]
    if chosen.variant:
        print(json.dumps(memory_of(Setting(folder, dtypes[0]), chosen.variant, batches)))
        return
    print(f"{cpu_name()}, {chosen.threads} threads, torch {torch.__version__}; r = {RANK}, {chosen.rounds} rounds\n")
    record: dict[str, Any] = {"cpu": cpu_name(), "threads": chosen.threads, "torch": torch.__version__, "rounds": chosen.rounds}
    if chosen.verify:
        check_driven(Setting(folder, dtypes[0]), batches)
    for dtype in dtypes:
        setting = Setting(folder, dtype)
        part = record.setdefault(dtype, {})
        if names and not chosen.only_memory:
            part["speed"] = speed(setting, names, batches, chosen.rounds)
            print(speed_table(f"{dtype}, SmolLM2-135M, 8×64", part["speed"], VARIANTS), flush=True)
        gc.collect()
        if chosen.memory or chosen.only_memory:
            part["memory"] = memory_apart(setting, names, chosen.threads)
            print(memory_table(dtype, part["memory"], VARIANTS), flush=True)
        if chosen.nlu:
            part["classification"] = classification(dtype, 3 * chosen.rounds)
            print(speed_table(f"{dtype}, MiniLM classifier, 32×48", part["classification"], CLASSIFIERS), flush=True)
        if chosen.sweep:
            part["sweep"] = sweep(folder, dtype, max(4, chosen.rounds // 3))
            print(sweep_table(dtype, part["sweep"]), flush=True)
    if chosen.json:
        chosen.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
