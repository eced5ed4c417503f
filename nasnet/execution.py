"""Where children run: in this process, or in worker processes of this machine. On many machines: `nasnet.cluster`."""

from __future__ import annotations

import queue
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, Self

from controller.strategy import Outcome
from nasnet import worker
from nasnet.config import RunError
from nasnet.estimate import Estimator
from nasnet.slot import TICK_SECONDS, ChildLimits, Slot
from nasnet.worker import Ended, Job


class Engine(Protocol):
    """Runs children. Each one that is submitted is collected once, however it ended.

    A child that is `lost` was taken away from outside; whether it is submitted again is the caller's business.
    """

    @property
    def slots(self) -> int:
        """How many children can run at the same time."""
        ...

    @property
    def free(self) -> int:
        """How many more children can start now."""
        ...

    def submit(self, job: Job) -> None:
        """Starts a child. Only while `free` is above 0."""
        ...

    def collect(self, seconds: float) -> list[Ended]:
        """The children that have ended; waits up to `seconds` for the first of them."""
        ...

    def cancel(self) -> None:
        """Ends everything that runs."""
        ...


class InProcess:
    """Runs each child in this process when it is collected: for debugging. Nothing can be limited or killed here."""

    slots = 1

    def __init__(self, estimators: Mapping[str, Estimator]) -> None:
        self._estimators = estimators
        self._job: Job | None = None

    @property
    def free(self) -> int:
        """See `Engine.free`."""
        return int(self._job is None)

    def submit(self, job: Job) -> None:
        """See `Engine.submit`."""
        assert self._job is None
        self._job = job

    def collect(self, seconds: float) -> list[Ended]:  # noqa: ARG002 - the child is run, however long it takes
        """See `Engine.collect`."""
        if self._job is None:
            return []
        job, self._job = self._job, None
        return [worker.attempt(self._estimators, job)]

    def cancel(self) -> None:
        """See `Engine.cancel`."""
        self._job = None


class Workers:
    """Worker processes of this machine, each with one child at a time."""

    def __init__(
        self,
        estimators: Mapping[str, Estimator],
        limits: ChildLimits,
        logs: Path,
        workers: int,
        gpus: list[str] | None = None,
    ) -> None:
        """Starts nothing yet: a worker process comes with its first child.

        Args:
            estimators: what children are scored by, by name. They travel to every worker.
            limits: what a child may have.
            logs: folder of the log files; created.
            workers: how many processes.
            gpus: `CUDA_VISIBLE_DEVICES` of each worker; None leaves it as it is.
        """
        logs.mkdir(parents=True, exist_ok=True)
        self._logs = logs
        self._slots = [Slot(estimators, limits, logs, gpus[i] if gpus else None, i) for i in range(workers)]
        self._wake: queue.SimpleQueue[Slot] = queue.SimpleQueue()
        self._came_up = False
        self._failed_starts = 0

    @property
    def slots(self) -> int:
        """See `Engine.slots`."""
        return len(self._slots)

    @property
    def free(self) -> int:
        """See `Engine.free`."""
        return sum(not slot.busy for slot in self._slots)

    def submit(self, job: Job) -> None:
        """See `Engine.submit`."""
        next(slot for slot in self._slots if not slot.busy).submit(job, self._wake)

    def collect(self, seconds: float) -> list[Ended]:
        """See `Engine.collect`. Raises RunError if no worker process comes up at all."""
        deadline = time.monotonic() + seconds
        while True:
            came_up = any(slot.ready for slot in self._slots) if not self._came_up else True
            ended = [ended for slot in self._slots if (ended := slot.collect()) is not None]
            self._came_up = came_up or any(end.outcome is not Outcome.LOST for end in ended)
            self._check_starts(ended)
            left = deadline - time.monotonic()
            if ended or left <= 0:
                return ended
            try:
                self._wake.get(timeout=min(left, TICK_SECONDS))
            except queue.Empty:
                continue

    def cancel(self) -> None:
        """See `Engine.cancel`."""
        for slot in self._slots:
            slot.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()

    def _check_starts(self, ended: list[Ended]) -> None:
        if self._came_up:
            return
        self._failed_starts += len(ended)
        if self._failed_starts >= 3 * len(self._slots):
            raise RunError(f"no worker process comes up ({ended[-1].cause}); see {self._logs / 'workers.log'}")
