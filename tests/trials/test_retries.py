"""What is run again, and how long a child may go on after a signal. An engine whose children end as they are told."""

from __future__ import annotations

import math
import signal

import pytest

from cells.zoo.cells import NASNET_A
from controller.strategy import Outcome
from nasnet.execution.job import Job, Result
from nasnet.runtime.signals import Stopped, Stopping
from nasnet.trials.journal import Journal
from nasnet.trials.retries import RetryingEngine


class Told:
    """An engine of two slots. `endings` has, for each look at it, the outcomes of the oldest children that run."""

    slots = 2

    def __init__(self, endings):
        self.endings, self.jobs, self.submitted, self.cancelled = endings, [], [], False

    @property
    def free(self):
        return self.slots - len(self.jobs)

    def submit(self, job):
        assert self.free > 0
        self.jobs.append(job)
        self.submitted.append(job.name)

    def collect(self, seconds):
        outcomes = self.endings.pop(0) if self.endings else []
        return [Result(self.jobs.pop(0), outcome, None, 1.0, "killed") for outcome in outcomes]

    def abandon(self):
        self.jobs.clear()

    def cancel(self):
        self.cancelled = True


def test_what_waits_to_be_run_again_has_its_slot_and_is_lost_after_its_last_attempt(tmp_path):
    told, retried = Told([[Outcome.LOST]] * 3), []
    engine = RetryingEngine(told, Journal(tmp_path / "j"), retries=2, report=retried.append)
    job = Job(7, NASNET_A, 0, "finalist")
    engine.submit(job)
    assert engine.free == 1
    assert engine.collect() == []
    assert (told.free, engine.free) == (2, 1)  # one of both is for it
    assert retried == []  # it is not yet
    assert engine.collect() == []
    [result] = engine.collect()
    assert (result.job, result.outcome) == (job, Outcome.LOST)
    assert told.submitted == ["finalist_7_0"] * 3
    assert [(retry.job, retry.cause, retry.attempt, retry.attempts) for retry in retried] == [
        (job, "killed", 2, 3),
        (job, "killed", 3, 3),
    ]
    assert engine.free == 2


def test_what_is_abandoned_is_not_run_again_either(tmp_path):
    """Or a search that has enough would train a trial among its finalists."""
    told = Told([[Outcome.LOST]])
    engine = RetryingEngine(told, Journal(tmp_path / "j"))
    engine.submit(Job(0, NASNET_A))
    engine.submit(Job(1, NASNET_A))
    assert engine.collect() == []  # the first waits to be run again, the second runs
    engine.abandon()
    assert (engine.free, engine.running(), engine.at_work()) == (2, {}, [])
    assert engine.collect() == []
    assert told.submitted == ["trial_0", "trial_1"]


def test_asked_to_stop_it_lets_children_end_and_runs_nothing_again(tmp_path):
    told = Told([[], [Outcome.LOST], [], [Outcome.TIMEOUT]])
    with Stopping() as stopping:
        engine = RetryingEngine(told, Journal(tmp_path / "j"), stopping=stopping, stop_seconds=math.inf)
        engine.submit(Job(0, NASNET_A))
        engine.submit(Job(1, NASNET_A))
        signal.raise_signal(signal.SIGTERM)
        found = [result for _ in range(4) for result in engine.collect()]
        assert [(result.job.name, result.outcome) for result in found] == [("trial_1", Outcome.TIMEOUT)]
        assert (told.submitted, told.cancelled) == (["trial_0", "trial_1"], False)
        with pytest.raises(Stopped):
            engine.collect()
    assert told.cancelled


def test_asked_to_stop_it_does_not_wait_for_longer_than_it_may(tmp_path):
    told = Told([])
    with Stopping() as stopping:
        engine = RetryingEngine(told, Journal(tmp_path / "j"), stopping=stopping, stop_seconds=1e-6)
        engine.submit(Job(0, NASNET_A))
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Stopped):
            _ = [engine.collect() for _ in range(1000)]
    assert told.cancelled
