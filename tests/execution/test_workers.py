"""Worker processes that die in every way there is: one outcome each, and the siblings live."""

from __future__ import annotations

import operator
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from cells.genotype.cell import CellGenotype
from controller.random_search import RandomSearch
from controller.strategy import Outcome
from nasnet.execution.engine import InProcess
from nasnet.execution.job import Job, Resources, Result
from nasnet.execution.workers import Workers
from nasnet.reports.terminal import show_retry
from nasnet.runtime.errors import RunError
from nasnet.trials.journal import Journal
from nasnet.trials.retries import RetryingEngine
from nasnet.trials.search import Search
from tests.support.estimators import SPACE, Misbehaving, share
from tests.support.processes import read, wait_for, wait_until_gone, workers_of

ROOT = Path(__file__).parents[2]
DRIVER = """
import sys
from pathlib import Path
from nasnet.execution.workers import Workers
from nasnet.execution.job import Resources
from nasnet.execution.job import Job
from tests.support.estimators import SPACE, Misbehaving

if __name__ == "__main__":
    estimators = {"proxy": Misbehaving({"trial_0": "hang_deaf", "trial_1": "hang_deaf"})}
    engine = Workers(estimators, Resources(), Path(sys.argv[1]), 2)
    engine.submit(Job(0, SPACE.decode((0,) * 10)))
    engine.submit(Job(1, SPACE.decode((0,) * 10)))
    engine.collect(600)
"""
CELL: CellGenotype = SPACE.decode((0,) * 10)


def collect(engine: Workers, seconds: float = 120) -> Result:
    """The next result, which must be the only one."""
    deadline = time.monotonic() + seconds
    while not (results := engine.collect(1.0)):
        assert time.monotonic() < deadline, "no child ended"
    [result] = results
    return result


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Each fault in one of two workers, a well-behaved child after each: the faults' results, and those after them."""
    logs = tmp_path_factory.mktemp("logs")
    faults = ["raise", "diverge", "run_out", "exit_0", "exit_3", "sys_exit", "segfault", "abort", "killed"]
    faults += ["terminated", "allocate"]
    results: dict[str, Result] = {}
    after: dict[str, Result] = {}
    trial_id = 0
    # Apart, for a busy machine may take seconds to allocate what is over the limit.
    for resources, group in ((Resources(memory=1500), faults), (Resources(seconds=4), ["hang", "hang_deaf"])):
        wanted = len(results) + len(group)
        waiting: list[Job] = []
        into: dict[str, tuple[dict[str, Result], str]] = {}
        for fault in group:
            for found in (results, after):
                waiting.append(Job(trial_id, CELL))
                into[waiting[-1].name] = (found, fault)
                trial_id += 1
        misbehaving = Misbehaving({name: fault for name, (found, fault) in into.items() if found is results})
        with Workers({"proxy": misbehaving}, resources, logs, 2) as engine:
            while len(results) < wanted or len(after) < wanted:
                while waiting and engine.free:
                    engine.submit(waiting.pop(0))
                for result in engine.collect(60):
                    found, fault = into[result.job.name]
                    found[fault] = result
    return logs, results, after


@pytest.mark.parametrize(
    ("fault", "outcome", "cause"),
    [
        ("raise", Outcome.CRASHED, "RuntimeError: boom"),
        ("diverge", Outcome.NAN, "the loss was nan at step 3"),
        ("run_out", Outcome.OOM, "Unable to allocate"),
        ("exit_0", Outcome.CRASHED, "exit code 0"),
        ("exit_3", Outcome.CRASHED, "exit code 3"),
        ("sys_exit", Outcome.CRASHED, "SystemExit: 4"),
        ("segfault", Outcome.CRASHED, "SIGSEGV"),
        ("abort", Outcome.CRASHED, "SIGABRT"),
        ("killed", Outcome.LOST, "SIGKILL"),
        ("terminated", Outcome.LOST, "SIGTERM"),
        ("hang", Outcome.TIMEOUT, "not done after 4 s (seconds_per_child)"),
        ("hang_deaf", Outcome.TIMEOUT, "not done after 4 s (seconds_per_child)"),
        ("allocate", Outcome.OOM, "MiB of memory, over memory_per_child=1500"),
    ],
)
def test_every_fault_has_one_outcome_a_cause_and_a_log_and_harms_no_other(outcomes, fault, outcome, cause):
    logs, results, after = outcomes
    result = results[fault]
    assert (result.outcome, result.reward) == (outcome, None)
    assert cause in result.cause
    assert "\n" not in result.cause
    assert "--" not in result.cause
    assert f"about to {fault}" in (logs / f"{result.job.name}.log").read_text()
    unhurt = after[fault]
    assert (unhurt.outcome, unhurt.reward, unhurt.cause) == (Outcome.OK, share(CELL), "")


def test_what_a_child_had_over_its_limit_is_told(outcomes):
    _, results, _ = outcomes
    mib = int(results["allocate"].cause.split()[0].replace(",", ""))
    assert 1500 <= mib < 2200, "the watch looks every 20 ms; a loaded machine may take longer"


def test_traceback_goes_to_the_log_not_to_the_cause(outcomes):
    logs, results, _ = outcomes
    log = (logs / f"{results['raise'].job.name}.log").read_text()
    assert "Traceback" in log
    assert "and more" in log


def test_idle_workers_that_are_killed_are_replaced(tmp_path):
    journal = Journal(tmp_path / "j")
    with Workers({"proxy": Misbehaving({})}, Resources(), tmp_path, 2) as engine:
        retrying = RetryingEngine(engine, journal, retries=1)
        for trial_ids in ((0, 1), (2, 3)):
            for trial_id in trial_ids:
                retrying.submit(Job(trial_id, CELL))
            results: list[Result] = []
            while len(results) < 2:
                results += retrying.collect()
            assert {r.job.trial_id: r.outcome for r in results} == dict.fromkeys(trial_ids, Outcome.OK)
            for pid in workers_of(os.getpid()):
                os.kill(pid, signal.SIGKILL)
                wait_until_gone(pid)


def test_a_worker_killed_in_a_child_costs_that_child_alone_and_it_is_run_again(tmp_path, capsys):
    """Through the search: attempts are journaled, a child that is killed each time is lost, the others are ok."""
    once = tmp_path / "marks"
    once.mkdir()
    runs = {}
    said = {}
    for name, faults, marks in (
        ("once", {"trial_2": "killed", "trial_5": "killed", "trial_6": "terminated"}, once),
        ("always", {"trial_2": "killed"}, None),
    ):
        journal = Journal(tmp_path / name)
        with Workers({"proxy": Misbehaving(faults, marks)}, Resources(), tmp_path / f"logs_{name}", 2) as engine:
            retrying = RetryingEngine(engine, journal, retries=2, report=show_retry)
            Search(SPACE, RandomSearch(SPACE.decisions, 0), journal, retrying, 8, wave=4).run()
        runs[name] = journal
        said[name] = sorted(line.partition(" by someone")[0] for line in capsys.readouterr().out.splitlines())
    runs["never"] = Journal(tmp_path / "never")
    unhurt = RetryingEngine(InProcess({"proxy": Misbehaving({})}), runs["never"])
    Search(SPACE, RandomSearch(SPACE.decisions, 0), runs["never"], unhurt, 8, wave=4).run()
    rewards = {name: {i: t.reward for i, t in journal.trials.items()} for name, journal in runs.items()}
    assert rewards["once"] == rewards["never"]
    assert runs["once"].lost_attempts == {"trial_2": 1, "trial_5": 1, "trial_6": 1}
    assert runs["always"].trials[2].outcome is Outcome.LOST
    assert runs["always"].lost_attempts == {"trial_2": 2}
    assert Journal(tmp_path / "always").lost_attempts == {"trial_2": 2}
    assert {i for i, t in runs["always"].trials.items() if t.outcome is not Outcome.OK} == {2}
    assert said["once"] == [
        "running trial 2 again, attempt 2 of 3: its process was ended by SIGKILL,",
        "running trial 5 again, attempt 2 of 3: its process was ended by SIGKILL,",
        "running trial 6 again, attempt 2 of 3: its process was ended by SIGTERM,",
    ]
    assert said["always"] == [
        f"running trial 2 again, attempt {attempt} of 3: its process was ended by SIGKILL," for attempt in (2, 3)
    ]


@pytest.mark.slow
def test_workers_that_never_come_up_end_the_search_with_a_reason(tmp_path):
    class Unreadable:
        def __reduce__(self):
            return (operator.attrgetter("nothing"), (0,))

        def estimate(self, genotype, name):
            raise AssertionError

    journal = Journal(tmp_path / "j")
    with Workers({"proxy": Unreadable()}, Resources(), tmp_path / "logs", 1) as engine:
        search = Search(SPACE, RandomSearch(SPACE.decisions, 0), journal, RetryingEngine(engine, journal), 5)
        with pytest.raises(RunError, match="no worker process comes up"):
            search.run()
    assert journal.trials == {}


def test_workers_die_with_their_driver(tmp_path):
    """SIGKILL to a driver whose two workers are in the middle of a child each."""
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    driver = subprocess.Popen([sys.executable, str(script), str(tmp_path)], cwd=ROOT, env=environment)
    try:
        wait_for(lambda: all("about to" in read(tmp_path / f"trial_{i}.log") for i in range(2)), 60)
        workers = workers_of(driver.pid)
        assert len(workers) == 2
    finally:
        driver.kill()
        driver.wait()
    for pid in workers:
        wait_until_gone(pid, 5)


def test_a_worker_killed_before_it_has_its_data_stops_nothing(tmp_path):
    """The estimators are larger than a pipe, and the process is killed at every moment of its start."""

    large = Misbehaving({})
    large.ballast = np.zeros(2**20)  # type: ignore[attr-defined]
    journal = Journal(tmp_path / "j")
    rng = np.random.default_rng(0)
    with Workers({"proxy": large}, Resources(), tmp_path, 1) as engine:
        retrying = RetryingEngine(engine, journal, retries=100)
        retrying.submit(Job(0, CELL))

        def worker() -> list[int]:
            assert retrying.collect(0.01) == []
            return workers_of(os.getpid())

        for _ in range(12):
            (pid,) = wait_for(worker, 60)
            moment = time.monotonic() + rng.uniform(0, 0.4)
            while time.monotonic() < moment:
                assert retrying.collect(0.01) == []
            os.kill(pid, signal.SIGKILL)
            wait_until_gone(pid)
        results: list[Result] = []
        while not results:
            results = retrying.collect()
    assert results[0].outcome is Outcome.OK


def test_a_worker_killed_while_it_is_given_its_child_stops_nothing(tmp_path):
    """The moment in which its pool has found it dead and has not yet noted the child: some of 25 shots hit it."""
    over = threading.Event()

    def shoot() -> None:
        shot: set[int] = set()
        while not over.is_set():
            for pid in set(workers_of(os.getpid())) - shot:
                os.kill(pid, signal.SIGKILL)
                shot.add(pid)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    shooter = threading.Thread(target=shoot)
    with Workers({"proxy": Misbehaving({})}, Resources(), tmp_path, 1) as engine:
        shooter.start()
        try:
            for trial_id in range(25):
                job = Job(trial_id, CELL)
                engine.submit(job)
                result = collect(engine, 10)
                assert (result.job, result.outcome) == (job, Outcome.LOST)
        finally:
            over.set()
            shooter.join()
            sys.setswitchinterval(before)
        engine.submit(Job(25, CELL))
        result = collect(engine)
        assert (result.job.trial_id, result.outcome) == (25, Outcome.OK)


@pytest.mark.slow
def test_recycled_workers_go_on(tmp_path):
    with Workers({"proxy": Misbehaving({})}, Resources(children_per_worker=2), tmp_path, 1) as engine:
        for trial_id in range(5):
            engine.submit(Job(trial_id, CELL))
            result = collect(engine)
            assert (result.job.trial_id, result.outcome) == (trial_id, Outcome.OK)
    pids = {read(tmp_path / f"trial_{trial_id}.log").split("process ")[1].split(",")[0] for trial_id in range(5)}
    assert len(pids) == 3


def test_what_is_abandoned_is_never_collected_and_makes_room(tmp_path):
    with Workers({"proxy": Misbehaving({"trial_0": "hang_deaf"})}, Resources(), tmp_path, 1) as engine:
        engine.submit(Job(0, CELL))
        wait_for(lambda: "about to hang_deaf" in read(tmp_path / "trial_0.log"), 120)
        [pid] = workers_of(os.getpid())
        engine.abandon()
        wait_until_gone(pid)
        assert engine.free == 1
        engine.submit(Job(1, CELL))
        result = collect(engine)
    assert (result.job.trial_id, result.outcome, result.reward) == (1, Outcome.OK, share(CELL))
