"""One worker process at a time: a child goes in, an outcome comes out, whatever becomes of it. No TensorFlow."""

from __future__ import annotations

import json
import multiprocessing
import os
import queue
import signal
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from pebble import ProcessExpired, ProcessPool

from controller.strategy import Outcome
from nasnet.execution import worker
from nasnet.execution.estimator_server import EstimatorServer
from nasnet.execution.job import Job, Resources, Result
from nasnet.execution.worker import WorkerSettings
from nasnet.runtime.devices import alive

TICK_SECONDS = 0.25
_FROM_OUTSIDE = {signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
_VANISHED_SECONDS = 1.0


class Slot:
    """One worker process at a time, in a Pebble pool of its own.

    One pool a worker, because the workers of one pool share a pipe and its lock: one that is killed while it holds
    them takes its siblings along. A slot whose process died starts afresh, pipe, lock and all.
    """

    def __init__(
        self,
        estimators: EstimatorServer,
        limits: Resources,
        logs: Path,
        gpus: str | None = None,
        index: int = 0,
    ) -> None:
        self._estimators, self._limits, self._logs, self._gpus = estimators, limits, logs, gpus
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
            ended, normal = self._end(self._job, self._future)
        elif (silent := self._silent_end(self._job)) is not None:
            ended, normal = silent, False
        else:
            return None
        self._job = self._future = None
        if not normal:
            self._replace()
        return ended

    def run(self, job: Job) -> Result:
        """Runs a child to its end."""
        wake: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.submit(job, wake)
        while (ended := self.collect()) is None:
            try:
                wake.get(timeout=TICK_SECONDS)
            except queue.Empty:
                continue
        return ended

    def stop(self) -> None:
        """Ends the worker process."""
        self._stop_pool()
        self._status_path.unlink(missing_ok=True)

    def _schedule(self, job: Job) -> Future[Result]:
        return self._pool.schedule(worker.run, (job,), timeout=self._limits.seconds)

    def _status(self) -> dict[str, Any]:
        try:
            return json.loads(self._status_path.read_text())
        except FileNotFoundError:
            return {}

    def _fresh_pool(self) -> ProcessPool:
        limits = self._limits
        self._status_path.unlink(missing_ok=True)  # what the worker before said
        settings = WorkerSettings(
            self._logs,
            self._status_path,
            limits.cpus,
            limits.memory,
            self._gpus,
            parent=os.getpid(),
            address=self._estimators.address,
            key=self._estimators.key,
        )
        context = multiprocessing.get_context("spawn")  # a fork would copy TensorFlow's threads half
        return ProcessPool(1, limits.children_per_worker, worker.start, (settings,), context)

    def _replace(self) -> None:
        self._stop_pool()
        self._pool = self._fresh_pool()

    def _stop_pool(self) -> None:
        self._pool.stop()
        self._pool.join()

    def _silent_end(self, job: Job) -> Result | None:
        """How the child ended if Pebble does not report it, which it has been given time for; None if it may yet."""
        status = self._status()
        if not self._pool.active:
            # The pool broke between two of its steps: it takes a child that it never runs. So it does where a worker is
            # killed as soon as it is there.
            silent = self._failed(job, Outcome.LOST, "its worker process died before it took the child")
        elif status.get("job") == job.name and not alive(status["pid"]):
            silent = self._failed(job, Outcome.CRASHED, "its process ended with exit code 0")
        else:
            self._vanished = 0.0
            return None
        self._vanished = self._vanished or time.monotonic()
        return silent if time.monotonic() - self._vanished > _VANISHED_SECONDS else None

    def _end(self, job: Job, future: Future[Result]) -> tuple[Result, bool]:
        try:
            ended = future.result()
            self.failed_starts = 0
            return ended, True
        except TimeoutError:
            cause = f"not done after --seconds_per_child={self._limits.seconds:g}"
            return self._failed(job, Outcome.TIMEOUT, cause), False
        except ProcessExpired as error:
            outcome, cause = self._died(job, error.exitcode)
            return self._failed(job, outcome, cause), False
        except Exception as error:
            # The pool broke: its worker died before it took the child, or with half an answer in the pipe.
            cause = f"its worker process died ({type(error).__name__}: {error})"
            if failed := self._status().get("failed"):
                self.failed_starts += 1
                cause = f"its worker process could not start ({failed})"
            return self._failed(job, Outcome.LOST, cause), False

    def _died(self, job: Job, code: int | None) -> tuple[Outcome, str]:
        status = self._status()
        if status.get("job") == job.name and "outcome" in status:
            return Outcome(status["outcome"]), status["cause"]
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            if -code in _FROM_OUTSIDE:
                return Outcome.LOST, f"its process was ended by {name}, by someone or by the kernel for want of memory"
            return Outcome.CRASHED, f"its process died of {name}"
        return Outcome.CRASHED, f"its process ended with exit code {code}"

    def _failed(self, job: Job, outcome: Outcome, cause: str) -> Result:
        return Result(job, outcome, None, time.monotonic() - self._submitted, cause)
