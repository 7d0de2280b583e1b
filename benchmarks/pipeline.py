"""Seconds and peak memory per stage of the main job, and what a second, fully cached run costs.

    python benchmarks/pipeline.py [--preset smoke|quick] [--models base,lora,balora]

One process, a fresh run folder, then the same command again. Figures of one machine are not those of another: compare the
shares, and the ratios between methods.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

from balora_audit.config import resolve
from balora_audit.report import render
from balora_audit.run.execution import execute
from balora_audit.run.plan import make_plan


def main() -> None:
    """Run the pipeline twice and print where the time went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="smoke", choices=("smoke", "quick"))
    parser.add_argument("--models", default="base,lora,balora")
    chosen = parser.parse_args()
    config = resolve({"preset": chosen.preset, "models": tuple(chosen.models.split(","))})
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        start = time.perf_counter()
        plan = make_plan(config)
        planned = time.perf_counter() - start
        record = execute(plan, out)
        computed = time.perf_counter()
        render(out)
        rendered = time.perf_counter() - computed
        total = time.perf_counter() - start
        again = time.perf_counter()
        execute(make_plan(config), out)
        cached = time.perf_counter() - again
    stages = {"plan": planned, **record.provenance["stage_seconds"], "render": rendered}
    print(f"preset {chosen.preset}, {chosen.models}, {record.provenance['dtype']['used']}, {len(plan.unit_keys)} units")
    print(f"{'stage':12} {'seconds':>8} {'share':>7}")
    for name, seconds in stages.items():
        print(f"{name:12} {seconds:8.1f} {100 * seconds / total:6.1f}%")
    print(f"{'total':12} {total:8.1f}")
    print(f"second run   {cached:8.1f} ({100 * cached / total:.1f}% of the first)")
    print(f"peak memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")
    print("\ntraining     seconds/step  relative  peak GB")
    trained = [cell for cell in record.cells if cell.steps and cell.condition == "clean" and cell.wall_seconds]
    for cell in trained:
        step = cell.wall_seconds / cell.steps
        first = trained[0].wall_seconds / trained[0].steps
        print(f"{cell.method:12} {step:12.3f} {step / first:9.2f} {(cell.peak_memory_bytes or 0) / 1e9:8.2f}")


if __name__ == "__main__":
    main()
