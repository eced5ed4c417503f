"""Children under way: what a search asks its engine for, with what was taken away run again. No TensorFlow."""

from __future__ import annotations

from controller.strategy import Outcome
from nasnet.execution.engine import Engine
from nasnet.execution.job import Job, Result
from nasnet.runtime.signals import Stopping
from nasnet.trials.journal import Journal

_POLL_SECONDS = 0.5


class Children:
    """Children under way. What was taken away from outside is run again, `retries` times, and is then lost."""

    def __init__(
        self,
        engine: Engine,
        journal: Journal,
        *,
        retries: int = 3,
        stopping: Stopping | None = None,
        stop_seconds: float = 10.0,
    ) -> None:
        """`stopping` is looked at while waiting; `stop_seconds` is how long it lets children end by themselves."""
        self._engine, self._journal, self._retries = engine, journal, retries
        self._stopping, self._stop_seconds = stopping or Stopping(), stop_seconds
        self._again: list[Job] = []
        self._running = 0

    @property
    def free(self) -> int:
        """How many more children can start now."""
        return 0 if self._stopping.requested else self._engine.free - len(self._again)

    @property
    def slots(self) -> int:
        """How many children can run at the same time."""
        return self._engine.slots

    def submit(self, job: Job) -> None:
        """Starts a child. Only while `free` is above 0."""
        self._engine.submit(job)
        self._running += 1

    def collect(self, seconds: float = _POLL_SECONDS) -> list[Result]:
        """The children that ended for good. Waits `seconds` for one; where there is none, the answer is empty.

        Raises:
            Stopped: once a signal came, and the children have ended or had their time to.
        """
        while self._again and self._engine.free and not self._stopping.requested:
            self.submit(self._again.pop(0))
        if self._stopping.requested and (not self._running or self._stopping.seconds > self._stop_seconds):
            self._engine.cancel()
            raise self._stopping.stopped()
        ended = self._engine.collect(seconds)
        self._running -= len(ended)
        return [end for end in ended if not self._is_run_again(end)]

    def _is_run_again(self, ended: Result) -> bool:
        name = ended.job.name
        if ended.outcome is not Outcome.LOST or self._journal.lost_attempts[name] >= self._retries:
            return False
        self._journal.lose_attempt(name, ended.cause)
        self._again.append(ended.job)
        return True
