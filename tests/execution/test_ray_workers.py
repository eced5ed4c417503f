"""What is abandoned on a Ray cluster: never collected, its processes gone, and room for others."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.estimators import SPACE, share

ROOT = Path(__file__).parents[2]

# In a process of its own: Ray reads its environment once. The child that is abandoned hears no SIGTERM and never ends.
ONE_CHILD_AN_ACTOR = """
import json, os, sys, time
from pathlib import Path

from bench.hunted import actors
from bench.ray_cluster import LocalCluster
from nasnet.execution.job import Job, Resources
from nasnet.execution.ray_workers import RayWorkers, connect
from tests.support.estimators import SPACE, Misbehaving
from tests.support.processes import read, wait_for, wait_until_gone, workers_of

CELL = SPACE.decode((0,) * 10)

def logs_of(name):
    return "".join(read(path) for path in Path(os.environ["TMPDIR"]).glob(f"nasnet-actor-*/{name}.log"))

def collect(engine):
    deadline = time.monotonic() + 200
    while not (results := engine.collect(1.0)):
        assert time.monotonic() < deadline, "no child ended"
    return [(result.job.name, result.outcome.value, result.reward) for result in results]

if __name__ == "__main__":
    with LocalCluster(1) as cluster:
        connect(cluster.address)
        estimators = {"proxy": Misbehaving({"trial_0": "hang_deaf"})}
        with RayWorkers(cluster.address, estimators, Resources(cpus=1), Path(sys.argv[1]), 1, 0) as engine:
            early = [engine.free]
            engine.abandon()  # nothing runs yet: the actor that comes up is left alone
            wait_for(lambda: engine.collect(1.0) or engine.free, 120)
            [first] = actors(cluster.raylets)
            engine.abandon()  # nothing runs: no actor is ended
            early += [engine.free, list(actors(cluster.raylets)) == [first]]
            engine.submit(Job(0, CELL))
            wait_for(lambda: "about to hang_deaf" in logs_of("trial_0"), 120)
            [child] = workers_of(first)
            engine.abandon()
            abandoned = [engine.free]
            wait_until_gone(first, 60)
            wait_until_gone(child, 60)
            told = wait_for(lambda: engine.collect(1.0) or engine.free, 120)
            engine.submit(Job(1, CELL))
            after = collect(engine)
            found = {"early": early, "abandoned": abandoned, "told": told, "after": after, "free": engine.free}
            print(json.dumps(found))
"""

# Sleeps in two actors with three places each; no result of an abandoned one comes, and the other actor's does.
THREE_CHILDREN_AN_ACTOR = """
import json, sys
from pathlib import Path

from bench.ray_cluster import LocalCluster
from bench.sleepers import Sleepers
from nasnet.execution.job import Job
from nasnet.execution.ray_workers import RayEngine, connect
from tests.support.estimators import SPACE
from tests.support.processes import wait_for

CELL = SPACE.decode((0,) * 10)

def wait_for_free(engine, number):
    told = []
    def enough():
        told.extend(result.job.name for result in engine.collect(0.5))
        return engine.free == number
    wait_for(enough, 120)
    return told

if __name__ == "__main__":
    with LocalCluster(1) as cluster:
        connect(cluster.address)
        import ray
        sleepers = ray.remote(Sleepers).options(num_cpus=0)
        seconds = [600.0]
        engine = RayEngine(lambda: sleepers.remote(seconds[0]), 2, Path(sys.argv[1]), jobs_per_actor=3)
        free, told = [engine.slots], wait_for_free(engine, 6)
        engine.submit(Job(0, CELL))
        free.append(engine.free)
        seconds[0] = 0.001  # of the actors that come
        engine.abandon()
        free.append(engine.free)  # those of the actor that had no child
        told += wait_for_free(engine, 6)
        for trial_id in range(1, 7):
            engine.submit(Job(trial_id, CELL))
        free.append(engine.free)
        told += wait_for_free(engine, 3)
        engine.abandon()
        free.append(engine.free)
        told += wait_for_free(engine, 6)
        print(json.dumps({"free": free, "told": sorted(told)}))
        engine.cancel()
        ray.shutdown()
"""


def run(script: str, folder: Path) -> dict:
    path = folder / "on_ray.py"
    path.write_text(script)
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(path), str(folder / "logs")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment, timeout=600)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_what_is_abandoned_is_never_collected_and_makes_room(tmp_path):
    found = run(ONE_CHILD_AN_ACTOR, tmp_path)
    assert found["early"] == [0, 1, True]
    assert found["abandoned"] == [0], "no place until another actor is up"
    assert found["told"] == 1, "a place, and no result"
    assert found["after"] == [["trial_1", "ok", share(SPACE.decode((0,) * 10))]]
    assert found["free"] == 1
    assert [path.name for path in (tmp_path / "logs").iterdir()] == ["trial_1.log"]


@pytest.mark.slow
def test_actors_without_a_child_are_left_alone_and_places_are_counted(tmp_path):
    """One child of 600 s: its actor is ended, the other's three places stay. Then six children, three of them long."""
    found = run(THREE_CHILDREN_AN_ACTOR, tmp_path)
    assert found["free"] == [6, 5, 3, 0, 3]
    assert len(found["told"]) == 3
    assert set(found["told"]) <= {f"trial_{trial_id}" for trial_id in range(1, 7)}
