"""The name of a cell, and of the folder and file that belong to it: one type, one printer, one parser."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import NamedTuple

__all__ = ["CellId"]


class CellId(NamedTuple):
    """Method × condition × seed.

    Examples
    --------
    >>> cell = CellId("lora", "imbalance:20+noise:0.3", 1)
    >>> str(cell), str(cell.folder), cell.file_stem
    ('lora, imbalance:20+noise:0.3, seed 1', 'lora/imbalance-20+noise-0.3/seed1', 'lora-imbalance-20+noise-0.3-seed1')
    >>> CellId.of_folder(cell.folder) == cell
    True
    """

    method: str
    condition: str
    seed: int

    def __str__(self) -> str:
        return f"{self.method}, {self.condition}, seed {self.seed}"

    @property
    def folder(self) -> PurePosixPath:
        """Where its adapter lies below ``adapters/``; legal on every file system, so a condition's colon is a hyphen."""
        return PurePosixPath(self.method, self.condition.replace(":", "-"), f"seed{self.seed}")

    @property
    def file_stem(self) -> str:
        """What its files are called."""
        return "-".join(self.folder.parts)

    @classmethod
    def of_folder(cls, folder: PurePosixPath) -> CellId:
        """Return the cell of a folder that :attr:`folder` gave."""
        method, condition, seed = folder.parts[-3:]
        kinds = (part.partition("-") for part in condition.split("+"))
        return cls(method, "+".join(f"{kind}:{dose}" if dose else kind for kind, _, dose in kinds), int(seed.removeprefix("seed")))
