"""Several processes that train one adapter together: rows are shared out, gradients are summed (data parallel).

What is trained is small and kept whole by every process; with FSDP only the frozen base is sharded over them. Every process
computes its part of the very loss that one process would compute, so the sum of the gradients is that of one process.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

__all__ = ["ProcessGroup", "find_process_group"]

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class ProcessGroup:
    """The place of this process among those that work together; a group of one needs no communication."""

    rank: int = 0
    size: int = 1
    fully_sharded: bool = False
    """Whether the frozen base is sharded over the processes (FSDP)."""

    @property
    def is_main(self) -> bool:
        """Whether this process writes results."""
        return self.rank == 0

    def shard(self, rows: Sequence[Item]) -> list[Item]:
        """Return this process's share of a batch; may be empty."""
        return list(rows[self.rank :: self.size])

    def gather_rows(self, rows: Tensor) -> Tensor:
        """Return the rows of all processes, (M_all, …); only this process's own carry a gradient."""
        if self.size == 1:
            return rows
        counts = [torch.zeros(1, dtype=torch.long) for _ in range(self.size)]
        dist.all_gather(counts, torch.tensor([len(rows)]))
        most = max(int(count) for count in counts)
        padded = torch.zeros(most, *rows.shape[1:], dtype=rows.dtype, device=rows.device)
        padded[: len(rows)] = rows.detach()
        parts = [torch.empty_like(padded) for _ in range(self.size)]
        dist.all_gather(parts, padded)
        pieces = [rows if index == self.rank else part[: int(counts[index])] for index, part in enumerate(parts)]
        return torch.cat(pieces)

    def all_reduce(self, tensors: Iterable[Tensor]) -> None:
        """Sum tensors over the processes, in place, in one message."""
        found = list(tensors)
        if self.size == 1 or not found:
            return
        flat = torch.cat([tensor.reshape(-1).float() for tensor in found])
        dist.all_reduce(flat)
        start = 0
        for tensor in found:
            tensor.copy_(flat[start : start + tensor.numel()].view(tensor.shape))
            start += tensor.numel()

    def broadcast(self, value: Any) -> Any:
        """Return the main process's value, in every process."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def all_gather(self, value: Any) -> list[Any]:
        """Return the values of all processes, in every process."""
        if self.size == 1:
            return [value]
        found: list[Any] = [None] * self.size
        dist.all_gather_object(found, value)
        return found

    def assign(self, tasks: Sequence[Item]) -> list[Item]:
        """Return the independent tasks that this process does: its share, or all of them where the base is sharded."""
        return list(tasks) if self.fully_sharded else self.shard(tasks)

    def fully_shard(self, model: nn.Module) -> None:
        """Shard the frozen weights of the model's repeated blocks over the processes (FSDP); the trained ones stay whole."""
        if not self.fully_sharded:
            return
        from torch.distributed.fsdp import FSDPModule, fully_shard

        for block in _blocks(model):
            if isinstance(block, FSDPModule):
                continue  # since an earlier adapter; the new one's parameters are none of its
            kept = {parameter for name, parameter in block.named_parameters() if parameter.requires_grad or "lora_" in name}
            fully_shard(block, ignored_params=kept)


def _blocks(model: nn.Module) -> list[nn.Module]:
    lists = [list(module) for module in model.modules() if isinstance(module, nn.ModuleList) and len(module) > 0]
    return max(lists, key=lambda blocks: sum(p.numel() for block in blocks for p in block.parameters()), default=[])


def find_process_group() -> ProcessGroup:
    """Return the process group that ``accelerate launch`` or ``torchrun`` started this process in; of one, when neither did."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return ProcessGroup()
    from accelerate import PartialState

    state = PartialState(cpu=not torch.cuda.is_available())
    return ProcessGroup(rank=state.process_index, size=state.num_processes, fully_sharded=os.environ.get("ACCELERATE_USE_FSDP") == "true")
