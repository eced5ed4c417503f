"""One child to train, what it gets, and how it ended: values that travel between processes. No TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from cells.genotype import CellGenotype
from controller.strategy import Outcome
from nasnet.estimators.estimator import TrainedChild


@dataclasses.dataclass(frozen=True)
class Job:
    """One child to train. `name` is that of its log file and tells its random numbers apart.

    `estimator` names one of the estimators that the workers were started with. The weights of a child come back if its
    reward is above `keep_above`; None is never.
    """

    name: str
    genotype: CellGenotype
    estimator: str = "proxy"
    keep_above: float | None = None


@dataclasses.dataclass(frozen=True)
class Result:
    """How a child ended. `reward` is None unless the outcome is ok; `spent` says what its `seconds` went to.

    `log` is what it wrote, where its log file is on another machine.
    """

    job: Job
    outcome: Outcome
    reward: float | None
    seconds: float
    cause: str = ""
    spent: Mapping[str, float] = dataclasses.field(default_factory=dict)
    child: TrainedChild | None = None
    log: bytes | None = None


@dataclasses.dataclass(frozen=True)
class Resources:
    """What a child may have: threads, MiB, seconds (None: no limit), and how many share a process one after another."""

    cpus: int = 1
    memory: int | None = None
    seconds: float | None = None
    children_per_worker: int = 200
