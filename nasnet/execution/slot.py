"""One worker process at a time: a child goes in, a result comes out, whatever becomes of it. No TensorFlow."""

from __future__ import annotations

import json
import multiprocessing
import os
import queue
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from pebble import ProcessPool

from nasnet.execution import worker
from nasnet.execution.diagnosis import Failure, failure, silent_failure
from nasnet.execution.estimator_server import EstimatorServer
from nasnet.execution.job import Job, Resources, Result
from nasnet.execution.worker import WorkerSettings
from nasnet.runtime.signals import Stopping

TICK_SECONDS = 0.25
_VANISHED_SECONDS = 1.0


class Slot:
    """One worker process at a time, in a Pebble pool of its own.

    One pool a worker, because the workers of one pool share a pipe and its lock: one that is killed while it holds
    them takes its siblings along. A slot whose process died starts afresh, pipe, lock and all.
    """

    def __init__(
        self,
        estimators: EstimatorServer,
        resources: Resources,
        logs: Path,
        gpus: str | None = None,
        index: int = 0,
    ) -> None:
        """Starts nothing yet: the worker process comes with the first child.

        Args:
            estimators: where the worker fetches what children are scored by.
            resources: what a child gets.
            logs: folder of the log files, and of the status file that the worker writes.
            gpus: `CUDA_VISIBLE_DEVICES` of the worker; None leaves it as it is.
            index: tells the slots of a folder apart.
        """
        self._estimators, self._resources, self._logs, self._gpus = estimators, resources, logs, gpus
        self._status_path = logs / f".worker_{index}.json"
        self.failed_starts = 0  # one after the other, each for a reason of its own and not killed from outside
        self._job: Job | None = None
        self._future: Future[Result] | None = None
        self._submitted = self._vanished = 0.0
        self._pool = self._fresh_pool()

    @property
    def busy(self) -> bool:
        """Whether a child runs here."""
        return self._job is not None

    def submit(self, job: Job, wake: queue.SimpleQueue[Any]) -> None:
        """Starts a child; `wake` is put this slot when `collect` has something to tell."""
        assert self._job is None
        try:
            future = self._schedule(job)
        except (RuntimeError, OSError):  # the idle worker died, and took its pool along
            self._replace()
            try:
                future = self._schedule(job)
            except (RuntimeError, OSError) as error:  # so did the next one, or it could not be started
                future = Future()
                future.set_exception(error)
        self._job, self._future, self._submitted, self._vanished = job, future, time.monotonic(), 0.0
        future.add_done_callback(lambda _: wake.put(self))

    def collect(self) -> Result | None:
        """How the child ended, None while it runs."""
        if self._job is None or self._future is None:
            return None
        if self._future.done():
            result, normal = self._end(self._job, self._future)
        elif (silent := self._silent_end(self._job)) is not None:
            result, normal = silent, False
        else:
            return None
        self._job = self._future = None
        if not normal:
            self._replace()
        return result

    def run(self, job: Job, stopping: Stopping | None = None) -> Result:
        """Runs a child to its end. Raises Stopped, with the child still under way, once `stopping` is requested."""
        wake: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.submit(job, wake)
        while (result := self.collect()) is None:
            if stopping is not None and stopping.requested:
                raise stopping.stopped()
            try:
                wake.get(timeout=TICK_SECONDS)
            except queue.Empty:
                continue
        return result

    def abandon(self) -> None:
        """Ends the child that runs, if one does, with its process; it is never collected."""
        if self._job is not None:
            self._job = self._future = None
            self._replace()

    def stop(self) -> None:
        """Ends the worker process."""
        self._stop_pool()
        self._status_path.unlink(missing_ok=True)

    def _schedule(self, job: Job) -> Future[Result]:
        return self._pool.schedule(worker.run, (job,), timeout=self._resources.seconds)

    def _status(self) -> dict[str, Any]:
        try:
            return json.loads(self._status_path.read_text())
        except FileNotFoundError:
            return {}

    def _fresh_pool(self) -> ProcessPool:
        resources = self._resources
        self._status_path.unlink(missing_ok=True)  # what the worker before said
        settings = WorkerSettings(
            self._logs,
            self._status_path,
            resources.cpus,
            resources.memory,
            self._gpus,
            parent=os.getpid(),
            address=self._estimators.address,
            key=self._estimators.key,
        )
        context = multiprocessing.get_context("spawn")  # a fork would copy TensorFlow's threads half
        return ProcessPool(1, resources.children_per_worker, worker.start, (settings,), context)

    def _replace(self) -> None:
        self._stop_pool()
        self._pool = self._fresh_pool()

    def _stop_pool(self) -> None:
        self._pool.stop()
        self._pool.join()

    def _silent_end(self, job: Job) -> Result | None:
        """How the child ended if Pebble does not report it, which it has been given time for; None if it may yet."""
        found = silent_failure(job, self._status(), pool_active=self._pool.active)
        if found is None:
            self._vanished = 0.0
            return None
        self._vanished = self._vanished or time.monotonic()
        return self._failed(job, found) if time.monotonic() - self._vanished > _VANISHED_SECONDS else None

    def _end(self, job: Job, future: Future[Result]) -> tuple[Result, bool]:
        """The result, and whether the worker goes on."""
        try:
            result = future.result()
        except Exception as error:
            found = failure(error, job, self._status(), self._resources.seconds)
            self.failed_starts += found.at_start
            return self._failed(job, found), False
        self.failed_starts = 0
        return result, True

    def _failed(self, job: Job, found: Failure) -> Result:
        return Result(job, found.outcome, None, time.monotonic() - self._submitted, found.cause)
