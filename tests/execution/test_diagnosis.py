"""What is said of a child by how its process ended. No worker is started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from pebble import ProcessExpired

from cells.zoo.cells import NASNET_A
from controller.strategy import Outcome
from nasnet.execution.diagnosis import Failure, failure, silent_failure
from nasnet.execution.job import Job

JOB = Job(7, NASNET_A)
OOM = {"outcome": "oom", "cause": "no memory"}


def died(code):
    return ProcessExpired("gone", code=code)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_who_ended_a_process_from_outside_costs_the_child_nothing(number):
    found = failure(died(-number), JOB, {"job": "trial_7"}, None)
    assert found.outcome is Outcome.LOST
    assert found.cause.startswith(f"its process was ended by {number.name}, ")


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (-signal.SIGSEGV, "its process died of SIGSEGV"),
        (-signal.SIGABRT, "its process died of SIGABRT"),
        (3, "its process ended with exit code 3"),
    ],
)
def test_what_ended_by_itself_has_crashed(code, cause):
    assert failure(died(code), JOB, {"job": "trial_7"}, None) == Failure(Outcome.CRASHED, cause)


def test_what_a_worker_said_counts_for_the_child_that_it_said_it_of():
    """A worker has many children one after another; its last word may be of the one before."""
    assert failure(died(-9), JOB, {"job": "trial_7", **OOM}, None) == Failure(Outcome.OOM, "no memory")
    assert failure(died(-9), JOB, {"job": "trial_6", **OOM}, None).outcome is Outcome.LOST
    assert failure(died(3), JOB, {"job": "finalist_7_0", **OOM}, None).outcome is Outcome.CRASHED


def test_time_that_ran_out_says_how_much_there_was():
    found = failure(TimeoutError(), JOB, {"job": "trial_7", **OOM}, 2.5)
    assert found == Failure(Outcome.TIMEOUT, "not done after 2.5 s (seconds_per_child)")


def test_a_start_that_failed_is_told_from_a_death():
    found = failure(RuntimeError("broken"), JOB, {"failed": "ImportError: boom"}, None)
    assert found == Failure(Outcome.LOST, "its worker process could not start (ImportError: boom)", at_start=True)
    found = failure(RuntimeError("broken"), JOB, {"job": "trial_7"}, None)
    assert found == Failure(Outcome.LOST, "its worker process died (RuntimeError: broken)")


def test_a_silent_end_is_seen_where_the_process_that_took_this_child_is_gone():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        gone = process.pid
    for status, ended in (
        ({}, False),
        ({"job": "trial_7", "pid": os.getpid()}, False),
        ({"job": "trial_6", "pid": gone}, False),  # the one before; this child's worker is on its way
        ({"job": "trial_7", "pid": gone}, True),
    ):
        found = silent_failure(JOB, status, pool_active=True)
        assert found == (Failure(Outcome.CRASHED, "its process ended with exit code 0") if ended else None), status
    assert silent_failure(JOB, {}, pool_active=False).outcome is Outcome.LOST
