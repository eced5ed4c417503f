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

from cells.genotype import CellGenotype
from controller.random_search import RandomSearch
from controller.strategy import Outcome
from nasnet.execution.engine import InProcess
from nasnet.execution.job import Job, Resources, Result
from nasnet.execution.workers import Workers
from nasnet.runtime.errors import RunError
from nasnet.trials.journal import Journal
from nasnet.trials.retries import Children
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
    estimators = {"proxy": Misbehaving({"a": "hang_deaf", "b": "hang_deaf"})}
    engine = Workers(estimators, Resources(), Path(sys.argv[1]), 2)
    engine.submit(Job("a", SPACE.decode((0,) * 10)))
    engine.submit(Job("b", SPACE.decode((0,) * 10)))
    engine.collect(600)
"""
CELL: CellGenotype = SPACE.decode((0,) * 10)


def collect(engine: Workers, number: int, seconds: float = 120) -> dict[str, Result]:
    ended: dict[str, Result] = {}
    deadline = time.monotonic() + seconds
    while len(ended) < number:
        assert time.monotonic() < deadline, f"only {sorted(ended)} ended"
        ended |= {end.job.name: end for end in engine.collect(1.0)}
    return ended


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Each fault in one of two workers, a well-behaved child after each."""
    logs = tmp_path_factory.mktemp("logs")
    faults = ["raise", "diverge", "run_out", "exit_0", "exit_3", "sys_exit", "segfault", "abort", "killed"]
    faults += ["terminated", "allocate"]
    ended: dict[str, Result] = {}
    # Apart, for a busy machine may take seconds to allocate what is over the limit.
    for limits, group in ((Resources(memory=1500), faults), (Resources(seconds=4), ["hang", "hang_deaf"])):
        waiting = [name for fault in group for name in (fault, f"after_{fault}")]
        wanted = len(ended) + len(waiting)
        with Workers({"proxy": Misbehaving({f: f for f in group})}, limits, logs, 2) as engine:
            while len(ended) < wanted:
                while waiting and engine.free:
                    engine.submit(Job(waiting.pop(0), CELL))
                ended |= {end.job.name: end for end in engine.collect(60)}
    return logs, ended


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
        ("hang", Outcome.TIMEOUT, "--seconds_per_child=4"),
        ("hang_deaf", Outcome.TIMEOUT, "--seconds_per_child=4"),
        ("allocate", Outcome.OOM, "--memory_per_child=1500"),
    ],
)
def test_every_fault_has_one_outcome_a_cause_and_a_log_and_harms_no_other(outcomes, fault, outcome, cause):
    logs, ended = outcomes
    end = ended[fault]
    assert (end.outcome, end.reward) == (outcome, None)
    assert cause in end.cause
    assert "\n" not in end.cause
    assert f"about to {fault}" in (logs / f"{fault}.log").read_text()
    after = ended[f"after_{fault}"]
    assert (after.outcome, after.reward, after.cause) == (Outcome.OK, share(CELL), "")


def test_what_a_child_had_over_its_limit_is_told(outcomes):
    _, ended = outcomes
    mib = int(ended["allocate"].cause.split()[0])
    assert 1500 <= mib < 2200, "the watch looks every 20 ms; a loaded machine may take longer"


def test_traceback_goes_to_the_log_not_to_the_cause(outcomes):
    logs, _ = outcomes
    assert "Traceback" in (logs / "raise.log").read_text()
    assert "and more" in (logs / "raise.log").read_text()


def test_idle_workers_that_are_killed_are_replaced(tmp_path):
    journal = Journal(tmp_path / "j")
    with Workers({"proxy": Misbehaving({})}, Resources(), tmp_path, 2) as engine:
        children = Children(engine, journal, retries=1)
        for round_ in range(2):
            names = {f"child_{round_}_{slot}" for slot in range(2)}
            for name in names:
                children.submit(Job(name, CELL))
            ended: list[Result] = []
            while len(ended) < 2:
                ended += children.collect()
            assert {end.job.name: end.outcome for end in ended} == dict.fromkeys(names, Outcome.OK)
            for pid in workers_of(os.getpid()):
                os.kill(pid, signal.SIGKILL)
                wait_until_gone(pid)


def test_a_worker_killed_in_a_child_costs_that_child_alone_and_it_is_run_again(tmp_path):
    """Through the search: attempts are journaled, a child that is killed each time is lost, the others are ok."""
    once = tmp_path / "marks"
    once.mkdir()
    runs = {}
    for name, faults, marks in (
        ("once", {"trial_2": "killed", "trial_5": "killed", "trial_6": "terminated"}, once),
        ("always", {"trial_2": "killed"}, None),
    ):
        journal = Journal(tmp_path / name)
        with Workers({"proxy": Misbehaving(faults, marks)}, Resources(), tmp_path / f"logs_{name}", 2) as engine:
            children = Children(engine, journal, retries=2)
            Search(SPACE, RandomSearch(SPACE.decisions, 0), journal, children, 8, wave=4).run()
        runs[name] = journal
    runs["never"] = Journal(tmp_path / "never")
    unhurt = Children(InProcess({"proxy": Misbehaving({})}), runs["never"])
    Search(SPACE, RandomSearch(SPACE.decisions, 0), runs["never"], unhurt, 8, wave=4).run()
    rewards = {name: {i: t.reward for i, t in journal.trials.items()} for name, journal in runs.items()}
    assert rewards["once"] == rewards["never"]
    assert runs["once"].lost_attempts == {"trial_2": 1, "trial_5": 1, "trial_6": 1}
    assert runs["always"].trials[2].outcome is Outcome.LOST
    assert runs["always"].lost_attempts == {"trial_2": 2}
    assert Journal(tmp_path / "always").lost_attempts == {"trial_2": 2}
    assert {i for i, t in runs["always"].trials.items() if t.outcome is not Outcome.OK} == {2}


@pytest.mark.slow
def test_workers_that_never_come_up_end_the_search_with_a_reason(tmp_path):
    class Unreadable:
        def __reduce__(self):
            return (operator.attrgetter("nothing"), (0,))

        def estimate(self, genotype, name):
            raise AssertionError

    journal = Journal(tmp_path / "j")
    with Workers({"proxy": Unreadable()}, Resources(), tmp_path / "logs", 1) as engine:
        search = Search(SPACE, RandomSearch(SPACE.decisions, 0), journal, Children(engine, journal), 5)
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
        wait_for(lambda: all("about to" in read(tmp_path / f"{name}.log") for name in "ab"), 60)
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
        children = Children(engine, journal, retries=100)
        children.submit(Job("child", CELL))

        def worker() -> list[int]:
            assert children.collect(0.01) == []
            return workers_of(os.getpid())

        for _ in range(12):
            (pid,) = wait_for(worker, 60)
            moment = time.monotonic() + rng.uniform(0, 0.4)
            while time.monotonic() < moment:
                assert children.collect(0.01) == []
            os.kill(pid, signal.SIGKILL)
            wait_until_gone(pid)
        ended: list[Result] = []
        while not ended:
            ended = children.collect()
    assert ended[0].outcome is Outcome.OK


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
            for number in range(25):
                engine.submit(Job(f"child_{number}", CELL))
                assert collect(engine, 1, 10)[f"child_{number}"].outcome is Outcome.LOST
        finally:
            over.set()
            shooter.join()
            sys.setswitchinterval(before)
        engine.submit(Job("unhurt", CELL))
        assert collect(engine, 1)["unhurt"].outcome is Outcome.OK


@pytest.mark.slow
def test_recycled_workers_go_on(tmp_path):
    with Workers({"proxy": Misbehaving({})}, Resources(children_per_worker=2), tmp_path, 1) as engine:
        for number in range(5):
            engine.submit(Job(f"child_{number}", CELL))
            assert collect(engine, 1)[f"child_{number}"].outcome is Outcome.OK
    pids = {read(tmp_path / f"child_{number}.log").split("process ")[1].split(",")[0] for number in range(5)}
    assert len(pids) == 3
