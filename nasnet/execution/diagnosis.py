"""How a child ended whose worker process did not say so itself. No TensorFlow."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Mapping
from typing import Any

from pebble import ProcessExpired

from controller.strategy import Outcome
from nasnet.execution.job import Job
from nasnet.runtime.devices import alive

_FROM_OUTSIDE = {signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1}

Status = Mapping[str, Any]
"""What a worker last wrote to its status file (`nasnet.execution.worker`); empty where it wrote nothing."""


@dataclasses.dataclass(frozen=True)
class Failure:
    """An outcome and its cause; `at_start` where the worker could not start, for a reason of its own."""

    outcome: Outcome
    cause: str
    at_start: bool = False


def failure(error: Exception, job: Job, status: Status, seconds: float | None) -> Failure:
    """What the error means that the pool has in place of a result.

    Args:
        error: Pebble's.
        job: the child.
        status: the worker's.
        seconds: those that the child had.
    """
    if isinstance(error, TimeoutError):
        return Failure(Outcome.TIMEOUT, f"not done after {seconds:g} s (seconds_per_child)")
    if isinstance(error, ProcessExpired):
        return _death(error.exitcode, job, status)
    # The pool broke: its worker died before it took the child, or with half an answer in the pipe.
    if failed := status.get("failed"):
        return Failure(Outcome.LOST, f"its worker process could not start ({failed})", at_start=True)
    return Failure(Outcome.LOST, f"its worker process died ({type(error).__name__}: {error})")


def silent_failure(job: Job, status: Status, *, pool_active: bool) -> Failure | None:
    """What became of the child where the pool will report nothing; None while it may."""
    if not pool_active:
        # It broke between two of its steps: it takes a child that it never runs. So it does where a worker is killed as
        # soon as it is there.
        return Failure(Outcome.LOST, "its worker process died before it took the child")
    if status.get("job") == job.name and not alive(status["pid"]):
        return Failure(Outcome.CRASHED, "its process ended with exit code 0")
    return None


def _death(code: int | None, job: Job, status: Status) -> Failure:
    """What an exit code means; who ended the process decides."""
    if status.get("job") == job.name and "outcome" in status:
        return Failure(Outcome(status["outcome"]), status["cause"])
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        if -code in _FROM_OUTSIDE:
            cause = f"its process was ended by {name}, by someone or by the kernel for want of memory"
            return Failure(Outcome.LOST, cause)
        return Failure(Outcome.CRASHED, f"its process died of {name}")
    return Failure(Outcome.CRASHED, f"its process ended with exit code {code}")
