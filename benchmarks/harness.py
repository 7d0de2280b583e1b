"""Harness tasks for several adapters of one base: the stock ``lm_eval`` once per adapter against one process.

    python benchmarks/harness.py [--model tiny|smollm2|FOLDER] [--adapters 4] [--tasks balora] [--limit 12] [--dtype float32] [--json FILE]

Both ways load the base, build the tasks and score every adapter, with the same batch size and dtype, on the CPU; the stock way does
all of it once per adapter, in a process of its own. The number of aggregates that differ at all is printed beside the ratio.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from balora_audit.harness import prepare
from balora_audit.models.locate import locate
from balora_audit.resources import tasks_path

_BATCH = 16


def adapters(folder: Path, model: Path, count: int) -> list[Path]:
    """Save LoRA adapters whose B is random, so that each changes the model in its own way."""
    found = []
    for number in range(count):
        base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
        torch.manual_seed(number)
        adapted = get_peft_model(base, LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", init_lora_weights="gaussian"))
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.01)
        found.append(folder / f"adapter{number}")
        adapted.save_pretrained(str(found[-1]))
    return found


def stock(model: Path, adapter: Path, tasks: str, limit: int, dtype: str, out: Path) -> dict[str, float]:
    """Run the stock command; return its aggregates."""
    command = [sys.executable, "-m", "lm_eval", "--model", "hf", "--device", "cpu", "--batch_size", str(_BATCH), "--limit", str(limit)]
    command += ["--model_args", f"pretrained={model},peft={adapter},dtype={dtype}", "--include_path", str(tasks_path())]
    command += ["--tasks", tasks, "--output_path", str(out)]
    subprocess.run(command, check=True, capture_output=True)
    (written,) = out.rglob("results*.json")
    results = json.loads(written.read_text(encoding="utf-8"))["results"]
    return {f"{task}/{name}": value for task, found in results.items() for name, value in found.items() if isinstance(value, int | float)}


def together(model: Path, folders: list[Path], tasks: str, limit: int, dtype: str) -> list[dict[str, float | None]]:
    """Run the same tasks on one base with one adapter after another."""
    suite = prepare(tasks, limit=limit)
    tokenizer = AutoTokenizer.from_pretrained(model)
    base = AutoModelForCausalLM.from_pretrained(model, dtype=getattr(torch, dtype))
    found = []
    for folder in folders:
        adapted = PeftModel.from_pretrained(base, str(folder)).eval()
        result = suite.evaluate(adapted, tokenizer, batch_size=_BATCH)
        found.append({f"{row.task}/{row.metric},{row.filter}": row.value for row in result.metrics})
        base = adapted.unload()
    return found


def main() -> None:
    """Measure and print one line, or write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--adapters", type=int, default=4)
    parser.add_argument("--tasks", default="balora")
    parser.add_argument("--limit", type=int, default=12)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    model = locate(given.model).folder
    with tempfile.TemporaryDirectory() as name:
        folders = adapters(Path(name), model, given.adapters)
        started = time.perf_counter()
        theirs = [stock(model, folder, given.tasks, given.limit, given.dtype, folder / "out") for folder in folders]
        middle = time.perf_counter()
        ours = together(model, folders, given.tasks, given.limit, given.dtype)
        ended = time.perf_counter()
    pairs = [(mine[key], found[key]) for mine, found in zip(ours, theirs, strict=True) for key in mine.keys() & found.keys()]
    found = {
        "stock_seconds": round(middle - started, 1),
        "together_seconds": round(ended - middle, 1),
        "ratio": round((middle - started) / (ended - middle), 2),
        "aggregates": len(pairs),
        "differ": sum(mine != other and not (mine is None and other != other) for mine, other in pairs),
    }
    print(json.dumps(found))
    if given.json:
        given.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
