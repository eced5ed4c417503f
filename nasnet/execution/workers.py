"""Many worker processes on this machine. No TensorFlow."""

from __future__ import annotations

import queue
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from nasnet.estimators.estimator import Estimator
from nasnet.execution.estimator_server import EstimatorServer
from nasnet.execution.job import Job, Resources, Result
from nasnet.execution.slot import TICK_SECONDS, Slot
from nasnet.runtime.errors import RunError
from nasnet.runtime.files import create_folder

_FAILED_STARTS = 3


class Workers:
    """Worker processes of this machine, each with one child at a time."""

    def __init__(
        self,
        estimators: Mapping[str, Estimator[Any]],
        resources: Resources,
        logs: Path,
        workers: int,
        gpus: list[str] | None = None,
    ) -> None:
        """Starts nothing yet: a worker process comes with its first child.

        Args:
            estimators: what children are scored by, by name. They travel to every worker.
            resources: what a child gets.
            logs: folder of the log files; created.
            workers: how many processes.
            gpus: `CUDA_VISIBLE_DEVICES` of each worker; None leaves it as it is.
        """
        create_folder(logs)
        self._logs = logs
        self._estimators = EstimatorServer(estimators)
        self._slots = [Slot(self._estimators, resources, logs, gpus[i] if gpus else None, i) for i in range(workers)]
        self._wake: queue.SimpleQueue[Slot] = queue.SimpleQueue()

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

    def collect(self, seconds: float) -> list[Result]:
        """See `Engine.collect`. Raises RunError if worker processes fail to start."""
        deadline = time.monotonic() + seconds
        while True:
            results = [result for slot in self._slots if (result := slot.collect()) is not None]
            if sum(slot.failed_starts for slot in self._slots) >= _FAILED_STARTS:
                raise RunError(f"no worker process comes up: {results[-1].cause}; see {self._logs / 'workers.log'}")
            left = deadline - time.monotonic()
            if results or left <= 0:
                return results
            try:
                self._wake.get(timeout=min(left, TICK_SECONDS))
            except queue.Empty:
                continue

    def abandon(self) -> None:
        """See `Engine.abandon`."""
        for slot in self._slots:
            slot.abandon()

    def cancel(self) -> None:
        """See `Engine.cancel`."""
        for slot in self._slots:
            slot.stop()
        self._estimators.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()
