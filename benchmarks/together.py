"""What an optimiser step costs an adapter that is trained abreast with others, beside one that is trained alone.

    python benchmarks/together.py [--model FOLDER] [--dtypes bfloat16] [--count 4] [--rounds 12] [--lengths 32,64] [--busy]

Both live in one process, each on a base of its own, and take turns on the same batches: in a round the group does one step, and
the one alone does as many as the group has members. The ratio is the median over rounds of the ratio within a round: below 1 the
group is cheaper. Half of the tokens of a batch of 8 rows are prompt, half are answer; the teacher's states are known.
Where other work slows the clock, ``--busy`` takes processor time on one thread instead.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial

import torch
import transformers
from trainer_variants import LEARNING_RATE, MAX_GRAD_NORM, RANK, Setting, loaded, make_batches, rows_of

from balora_audit.config import AdapterConfig, TrainingConfig
from balora_audit.methods import METHODS
from balora_audit.methods.abreast import Abreast
from balora_audit.methods.adapter import attach, target_modules
from balora_audit.methods.low_rank import Factors
from balora_audit.models.load import LoadedModel
from balora_audit.models.locate import locate
from balora_audit.models.precision import cpu_name
from balora_audit.penalties import REGULARIZERS, Penalties
from balora_audit.training.abreast import AbreastTrainer
from balora_audit.training.examples import TrainingRow
from balora_audit.training.fused import Head
from balora_audit.training.loop import Trainer
from balora_audit.training.objective import LanguageObjective
from balora_audit.training.process_group import ProcessGroup
from balora_audit.training.teacher import Teacher

ADAPTER = AdapterConfig(rank=RANK, alpha=RANK)
TRAINING = TrainingConfig(learning_rate=LEARNING_RATE, max_grad_norm=MAX_GRAD_NORM, warmup_share=0.0, decay="constant")
ROWS = 8
MIDDLE, STEPS = 500, 1000  # of the staged schedule: every term has its weight there

Step = Callable[[Sequence[TrainingRow]], object]


def objective(base: LoadedModel, penalties: Penalties | None) -> LanguageObjective:
    """Return the loss, with what is computed once per model computed."""
    linear = base.forward.linear_head  # type: ignore[union-attr]  # the base is a language model
    assert linear is not None
    head = Head(linear.weight, linear.bias)
    _ = head.factor
    return LanguageObjective(base, head, Teacher(base), penalties, ProcessGroup())


def steppers(setting: Setting, name: str, count: int) -> tuple[Step, Step]:
    """Return what does a step of `count` adapters together, and what does a step of one."""
    method = METHODS[name]
    penalties = method.penalties(REGULARIZERS["iclr2026"]["nlg"]) if method.penalties else None  # type: ignore[attr-defined]
    shared, own = loaded(setting), loaded(setting)
    factors: Factors = method.initialise(target_modules(own.model, (), head=own.head), RANK, 1.0, 0)  # type: ignore[attr-defined]
    group = Abreast(attach(shared, method, ADAPTER, 0, factors=lambda: factors), count)  # type: ignore[arg-type]
    one = attach(own, method, ADAPTER, 0, factors=lambda: factors)  # type: ignore[arg-type]
    cpu = torch.device("cpu")
    rates = [LEARNING_RATE * 2**index for index in range(count)]
    together = AbreastTrainer(group, objective(shared, penalties), TRAINING, learning_rates=rates, penalties=penalties, seed=0, device=cpu)
    alone = Trainer(one, objective(own, penalties), TRAINING, learning_rate=LEARNING_RATE, penalties=penalties, seed=0, device=cpu)
    for model in (group.model, one.model):
        model.train()
    return lambda rows: together.step([rows], MIDDLE, STEPS), lambda rows: alone.step([rows], MIDDLE, STEPS)


def measure(
    together: Step, alone: Step, batches: Sequence[Sequence[TrainingRow]], count: int, rounds: int, clock: Callable[[], float]
) -> list[tuple[float, float]]:
    """Return (seconds of a step of one adapter in the group, seconds of a step of one alone) of every round."""
    for rows in batches:  # also fills the teacher's memory
        together(rows)
        alone(rows)
    found = []
    for turn in range(rounds):
        rows = batches[turn % len(batches)]
        seconds = {}
        for step, times in ((together, 1), (alone, count))[:: 1 if turn % 2 else -1]:
            start = clock()
            for _ in range(times):
                step(rows)
            seconds[step] = (clock() - start) / count
        found.append((seconds[together], seconds[alone]))
    return found


def main() -> None:
    """Measure what was asked for and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2", help="built-in name or safetensors folder")
    parser.add_argument("--dtypes", default="bfloat16")
    parser.add_argument("--methods", default="lora,balora")
    parser.add_argument("--lengths", default="32,64", help="tokens of a row")
    parser.add_argument("--count", type=int, default=4, help="adapters in the group")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--busy", action="store_true", help="processor time on one thread")
    chosen = parser.parse_args()
    threads = 1 if chosen.busy else chosen.threads
    timed = partial(measure, count=chosen.count, rounds=chosen.rounds, clock=time.process_time if chosen.busy else time.perf_counter)
    torch.set_num_threads(threads)
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    folder = str(locate(chosen.model).folder)
    print(f"{cpu_name()}, {threads} threads, torch {torch.__version__}; {chosen.count} adapters, r = {RANK}, {chosen.rounds} rounds\n")
    print("| number format | method | batch | alone, s | together, s per adapter | ratio (quartiles) |")
    print("|---|---|---|---:|---:|---:|")
    for dtype in chosen.dtypes.split(","):
        for name in chosen.methods.split(","):
            together, alone = steppers(Setting(folder, dtype), name, chosen.count)
            for length in map(int, chosen.lengths.split(",")):
                batches = [rows_of(batch) for batch in make_batches(folder, ROWS, length, count=2)]
                pairs = timed(together, alone, batches)
                low, middle, high = statistics.quantiles([ours / theirs for ours, theirs in pairs], n=4)
                ours, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
                ratio = f"{middle:.2f} ({low:.2f}–{high:.2f})"
                print(f"| {dtype} | {name} | {ROWS}×{length} | {theirs:.3f} | {ours:.3f} | {ratio} |", flush=True)


if __name__ == "__main__":
    main()
