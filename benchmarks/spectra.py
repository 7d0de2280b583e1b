"""Spectra and alignment of a tall feature matrix, beside one product XᵀX, in time and memory.

    python benchmarks/spectra.py [--rows 100000] [--dimensions 2048] [--rounds 3] [--json FILE]

X is float32, made once. Beside the spectrum (triangular factor in float64, block by block, then its singular values) stand three ways
to multiply XᵀX: in float32 at once, which keeps too few digits for small singular values; in float64 block by block by a
symmetric product; and in float64 block by block by a general product. Rounds alternate; medians are printed, as are the ratios
and the peak memory of the process. The alignment (CKA) is that of X with a second matrix, whose blocks are made from X's on the
way, outside the timed parts.
"""

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dgemm, dsyrk

from balora_audit.metrics import OF_SINGULAR_VALUES, iso_score_of, singular_values, streamed_cka
from balora_audit.metrics.streamed import BLOCK_ROWS

Array = NDArray[np.float32]


def features(rows: int, dimensions: int) -> Array:
    """Return features with a falling spectrum and a mean far from 0, made block by block."""
    rng = np.random.default_rng(0)
    scale = (np.arange(1, dimensions + 1) ** -0.5).astype(np.float32)
    x = np.empty((rows, dimensions), np.float32)
    for start in range(0, rows, BLOCK_ROWS):
        block = x[start : start + BLOCK_ROWS]
        rng.standard_normal(out=block, dtype=np.float32)
        block *= scale
        block += 1
    return x


def float32_at_once(x: Array) -> object:
    """One call, all in float32."""
    return x.T @ x


def float64_symmetric(x: Array) -> object:
    """Blocks in float64, one triangle."""
    total = np.zeros((x.shape[1],) * 2, order="F")
    for start in range(0, len(x), BLOCK_ROWS):
        total = dsyrk(1.0, x[start : start + BLOCK_ROWS].astype(np.float64).T, beta=1.0, c=total, overwrite_c=1)
    return total


def float64_general(x: Array) -> object:
    """Blocks in float64, the whole square."""
    total = np.zeros((x.shape[1],) * 2, order="F")
    for start in range(0, len(x), BLOCK_ROWS):
        block = x[start : start + BLOCK_ROWS].astype(np.float64)
        total = dgemm(1.0, block.T, block.T, beta=1.0, c=total, trans_b=True, overwrite_c=1)
    return total


def spectrum(x: Array) -> object:
    """All measures of the spectrum, as the collapse probe takes them."""
    sigma = singular_values(x)
    return {**{name: of(sigma) for name, of in OF_SINGULAR_VALUES.items()}, "iso_score": iso_score_of(sigma, x.shape[1])}


class Alignment:
    """CKA of X with a matrix that is made from it block by block; making it is not counted."""

    def __init__(self, dimensions: int) -> None:
        self.scale = np.linspace(0.5, 2, dimensions, dtype=np.float32)
        self.uncounted = 0.0

    def __call__(self, x: Array) -> object:
        """Return the alignment."""
        self.uncounted = 0.0
        return streamed_cka(self._pairs(x))

    def _pairs(self, x: Array) -> Iterator[tuple[Array, Array]]:
        for start in range(0, len(x), BLOCK_ROWS):
            begun = time.perf_counter()
            block = x[start : start + BLOCK_ROWS]
            other = np.tanh(block * self.scale)
            self.uncounted += time.perf_counter() - begun
            yield block, other


def main() -> None:
    """Time everything in turn and print ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dimensions", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    x = features(chosen.rows, chosen.dimensions)
    alignment = Alignment(chosen.dimensions)
    ways: dict[str, Callable[[Array], object]] = {
        "XᵀX float32": float32_at_once,
        "XᵀX float64 symmetric": float64_symmetric,
        "XᵀX float64 general": float64_general,
        "spectrum": spectrum,
        "alignment": alignment,
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(chosen.rounds):
        for name, way in ways.items():
            begun = time.perf_counter()
            way(x)
            times[name].append(time.perf_counter() - begun - (alignment.uncounted if way is alignment else 0.0))
    medians = {name: statistics.median(values) for name, values in times.items()}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{chosen.rows:,} × {chosen.dimensions:,} float32 ({x.nbytes / 1e9:.2f} GB), {chosen.rounds} rounds, peak {peak:.2f} GB")
    print(f"{'':24} {'seconds':>8}  " + "  ".join(f"per {name}" for name in list(ways)[:3]))
    for name, median in medians.items():
        ratios = "  ".join(f"{median / medians[other]:{len(other) + 4}.2f}" for other in list(ways)[:3])
        print(f"{name:24} {median:8.2f}  {ratios}")
    if chosen.json is not None:
        chosen.json.write_text(json.dumps({"seconds": times, "peak_gb": peak, "rows": chosen.rows, "dimensions": chosen.dimensions}))


if __name__ == "__main__":
    main()
