"""Children that sleep, for `bench/scale.py`: what an actor runs in place of a training."""

from __future__ import annotations

import asyncio
import time
import zlib

import numpy as np

from cells.genotype.cell import CellGenotype
from cells.genotype.chain import ChainGenotype
from controller.strategy import Outcome
from nasnet.execution.job import Job, Result

SIGMA = 0.5  # of the log of a child's length: one in six takes 1.6 times the median or more
NOISE = 0.05


def lengths(rng: np.random.Generator, mean: float, number: int) -> np.ndarray:
    """Log-normal lengths `[number]` of children, in seconds."""
    return rng.lognormal(np.log(mean) - SIGMA**2 / 2, SIGMA, number)


def worth(genotype: object) -> float:
    """What a genotype decides of its reward, 0 to 1.

    Of cells, the share of separable convolutions among the operations; of a chain, the share of layers after the first
    that read the first.
    """
    if isinstance(genotype, CellGenotype):
        blocks = (*genotype.normal.blocks, *genotype.reduction.blocks)
        operations = [operation for block in blocks for operation in (block.left_op, block.right_op)]
        return sum("separable" in operation for operation in operations) / len(operations)
    assert isinstance(genotype, ChainGenotype)
    return sum(0 in layer.inputs for layer in genotype.layers[1:]) / max(1, len(genotype.layers) - 1)


class Sleepers:
    """What `RayEngine` takes for an actor: `ready()` and `run(job) -> Result`, many jobs at a time."""

    def __init__(self, mean_seconds: float) -> None:
        self._mean_seconds = mean_seconds
        self._spans: list[tuple[float, float]] = []

    async def ready(self) -> None:
        """Returns once the actor is there."""

    async def run(self, job: Job) -> Result:
        """A child: a sleep, and a reward that the genotype decides."""
        begun = time.monotonic()
        rng = np.random.default_rng(zlib.crc32(job.name.encode()))
        await asyncio.sleep(lengths(rng, self._mean_seconds, 1)[0])
        ended = time.monotonic()
        self._spans.append((begun, ended))
        return Result(job, Outcome.OK, worth(job.genotype) + NOISE * rng.normal(), ended - begun)

    async def spans(self) -> list[tuple[float, float]]:
        """Beginning and end of every child, by a clock that all processes of this machine share."""
        return self._spans


def idle_share(spans: list[tuple[float, float]], slots: int, begun: float) -> float:
    """The share of slot-seconds without a child, from `begun` to the start of the last child."""
    last = max(start for start, _ in spans)
    busy = sum(max(0.0, min(end, last) - max(start, begun)) for start, end in spans)
    return 1 - busy / (slots * (last - begun))


class Nowhere:
    """An engine for a search that has nothing left to run."""

    slots = free = 0

    def submit(self, job: Job) -> None:
        raise AssertionError(f"{job.name} was run again")

    def abandon(self) -> None:
        pass

    def collect(self, seconds: float) -> list[Result]:
        raise AssertionError(f"waited {seconds} s for nothing")

    def cancel(self) -> None:
        pass
