"""How much memory a search will take on this machine, and for how many workers that is enough. No TensorFlow."""

from __future__ import annotations

import dataclasses

from nasnet.data.dataset import DataSet
from nasnet.runtime import devices

MIB = 2**20
_DRIVER_MIB = 700
_WORKER_MIB = 820
"""TensorFlow, our code and their threads; measured on digits (docs/distributed.md), whose own bytes are few."""
_ALLOCATED = 1.5
"""What a step holds for each byte that is counted: convolutions have scratch, and memory comes in pieces."""


def weights_memory(parameters: int) -> int:
    """Bytes of so many weights with their gradients and one number each of an optimizer, of 4 bytes."""
    return 3 * 4 * parameters


def lacking(parameters: int) -> str | None:
    """What to train so many weights takes at the least, where this machine has not as much; None where it has.

    With a GPU nothing is said: its memory is another.
    """
    need, free = weights_memory(parameters), devices.memory_available()
    if need <= free or devices.gpus():
        return None
    return f"takes {need / 1e9:,.1f} GB of memory at the least, and {free / 1e9:,.1f} GB are free"


@dataclasses.dataclass(frozen=True)
class MemoryNeed:
    """Bytes that a search takes: of the process that was started, and of each worker."""

    driver: int
    worker: int

    @classmethod
    def of(cls, data: DataSet, child: int, limit: int | None = None) -> MemoryNeed:
        """What follows from the pictures, which each process holds, and from what a child's step counts.

        Args:
            data: the pictures.
            child: bytes of a child's training step, as counted; of a large one.
            limit: MiB at which a worker is ended; None is none.
        """
        pictures = data.train.images.nbytes + data.valid.images.nbytes
        worker = _WORKER_MIB * MIB + pictures + int(_ALLOCATED * child)
        if limit is not None:
            worker = min(worker, limit * MIB)
        # Pictures once more while they are handed to a worker.
        return cls(_DRIVER_MIB * MIB + 2 * pictures, worker)

    def total(self, workers: int) -> int:
        """With so many workers."""
        return self.driver + workers * self.worker

    def fitting(self, workers: int, free: int, already: int = 0) -> int:
        """How many of these workers fit into `free` bytes; one in any case.

        `already` is what this process holds of its own: that is in `free` no more.
        """
        room = free - max(0, self.driver - already)
        return max(1, min(workers, room // self.worker))
