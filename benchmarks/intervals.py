"""How long the paired bootstrap of 100 claims with 10,000 resamples takes: ``python benchmarks/intervals.py``."""

from __future__ import annotations

import time

import numpy as np

from balora_audit.stats import ItemScores, paired


def main() -> None:
    """Measure on 100 pairs of means over 128 items, one seed."""
    rng = np.random.default_rng(0)
    ids = tuple(map(str, range(128)))
    claims = [(ItemScores.mean_of(ids, rng.random(128)), ItemScores.mean_of(ids, rng.random(128))) for _ in range(100)]
    started = time.perf_counter()
    for candidate, baseline in claims:
        paired([candidate], [baseline], n_resamples=10_000)
    print(f"10,000 resamples × 100 claims of 128 items: {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
