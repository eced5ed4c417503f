"""An engine that runs again what was taken away from another one. No TensorFlow."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from controller.strategy import Outcome
from nasnet.estimators.estimator import Timing
from nasnet.execution.engine import Engine
from nasnet.execution.job import Job, Result
from nasnet.runtime.signals import Stopping

_POLL_SECONDS = 0.5


@dataclasses.dataclass(frozen=True)
class Retry:
    """A child that is run again: why, and as which attempt of how many, the first run being attempt 1."""

    job: Job
    cause: str
    attempt: int
    attempts: int


class Attempts(Protocol):
    """What keeps count of the attempts that were lost, such as a `Journal`."""

    lost_attempts: Counter[str]

    def lose_attempt(self, child: str, cause: str) -> None:
        """Counts one of a child."""
        ...


class RetryingEngine:
    """An `Engine` around an engine. A child that was taken away is run again, `retries` times, and is then lost.

    Attributes:
        timing: where the seconds of all children went that ended for good.
    """

    def __init__(
        self,
        engine: Engine,
        journal: Attempts,
        *,
        retries: int = 3,
        stopping: Stopping | None = None,
        stop_seconds: float = 10.0,
        report: Callable[[Retry], None] = lambda _: None,
    ) -> None:
        """Starts nothing.

        Args:
            engine: what runs the children.
            journal: counts the attempts that were lost, those of earlier processes too.
            retries: how often a child is run again.
            stopping: looked at while waiting.
            stop_seconds: how long children may go on after that, to end by themselves.
            report: told of each child that is run again, when it is.
        """
        self._engine, self._journal, self._retries, self._report = engine, journal, retries, report
        self._stopping, self._stop_seconds = stopping or Stopping(), stop_seconds
        self._again: list[Retry] = []
        self._running: dict[str, tuple[Job, float]] = {}
        self.timing = Timing()

    @property
    def free(self) -> int:
        """See `Engine.free`. None once it is to stop."""
        return 0 if self._stopping.requested else self._engine.free - len(self._again)

    @property
    def slots(self) -> int:
        """See `Engine.slots`."""
        return self._engine.slots

    def submit(self, job: Job) -> None:
        """See `Engine.submit`."""
        self._engine.submit(job)
        self._running[job.name] = job, time.monotonic()

    def collect(self, seconds: float = _POLL_SECONDS) -> list[Result]:
        """The children that ended for good. Waits `seconds` for one; where there is none, the answer is empty.

        Raises:
            Stopped: once a signal came, and the children have ended or had their time to.
        """
        while self._again and self._engine.free and not self._stopping.requested:
            retry = self._again.pop(0)
            self.submit(retry.job)
            self._report(retry)
        if self._stopping.requested and (not self._running or self._stopping.seconds > self._stop_seconds):
            self.cancel()
            raise self._stopping.stopped()
        results = self._engine.collect(seconds)
        for result in results:
            self._running.pop(result.job.name, None)
        final = [result for result in results if not self._is_run_again(result)]
        for result in final:
            self.timing += result.timing + Timing(other=result.seconds - result.timing.seconds)
        return final

    def abandon(self) -> None:
        """See `Engine.abandon`. What waits to be run again is forgotten too."""
        self._engine.abandon()
        self._again.clear()
        self._running.clear()

    def running(self) -> dict[str, float]:
        """The children that run, by name, and for how many seconds each has."""
        now = time.monotonic()
        return {name: now - since for name, (_, since) in dict(self._running).items()}

    def at_work(self) -> list[tuple[str, float]]:
        """The children that run, as a person calls them (`Job.said`), and for how many seconds each has, oldest first.

        May be called by another thread.
        """
        now = time.monotonic()
        running = sorted(dict(self._running).values(), key=lambda child: child[1])
        return [(job.said, now - since) for job, since in running]

    def running_seconds(self) -> tuple[float, ...]:
        """For each child that runs, for how many seconds it has."""
        return tuple(self.running().values())

    def cancel(self) -> None:
        """See `Engine.cancel`."""
        self._engine.cancel()

    def _is_run_again(self, result: Result) -> bool:
        name = result.job.name
        if result.outcome is not Outcome.LOST or self._journal.lost_attempts[name] >= self._retries:
            return False
        self._journal.lose_attempt(name, result.cause)
        attempt = self._journal.lost_attempts[name] + 1
        self._again.append(Retry(result.job, result.cause, attempt, self._retries + 1))
        return True
