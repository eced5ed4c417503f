"""Where children run: what an engine is, and the two simplest, which are this process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from controller.strategy import Outcome
from nasnet.estimators.estimator import Estimator
from nasnet.execution import worker
from nasnet.execution.job import Job, Result


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

    def collect(self, seconds: float) -> list[Result]:
        """The children that have ended; waits up to `seconds` for the first of them."""
        ...

    def abandon(self) -> None:
        """Ends the children that run; none of them is collected, and others can be submitted."""
        ...

    def cancel(self) -> None:
        """Ends everything that runs, and itself."""
        ...


class InProcess:
    """Runs each child in this process when it is collected: for debugging. Nothing can be limited or killed here."""

    slots = 1

    def __init__(self, estimators: Mapping[str, Estimator[Any]]) -> None:
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

    def collect(self, seconds: float) -> list[Result]:  # noqa: ARG002 - the child is run, however long it takes
        """See `Engine.collect`."""
        if self._job is None:
            return []
        job, self._job = self._job, None
        return [worker.attempt(self._estimators, job)]

    def abandon(self) -> None:
        """See `Engine.abandon`."""
        self._job = None

    def cancel(self) -> None:
        """See `Engine.cancel`."""
        self._job = None


class LookUp(InProcess):
    """Asks estimators that know: nothing is trained, nothing fails, and the seconds are those that the estimate says.

    Loads no TensorFlow.
    """

    def collect(self, seconds: float) -> list[Result]:  # noqa: ARG002 - it is known at once
        """See `Engine.collect`."""
        if self._job is None:
            return []
        job, self._job = self._job, None
        estimate = self._estimators[job.estimator].estimate(job.genotype, job.name)
        return [Result(job, Outcome.OK, estimate.reward, estimate.timing.seconds, timing=estimate.timing)]
