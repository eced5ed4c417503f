"""A real search under fire: the short version of bench/kill.py, on worker processes and on a Ray cluster."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.kill import shoot
from tests.support.slow import some_now

ROOT = Path(__file__).parents[2]

# In a process of its own: Ray reads its environment once. Prints which addresses anything of the search listens on.
ON_RAY = """
import json, os, subprocess, sys
from pathlib import Path
from bench.hunted import actors, processes
from bench.ray_cluster import LocalCluster

def listening(pids):
    inodes = set()
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                target = os.readlink(link)
            except OSError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                yield fields[1].split(":")[0]

if __name__ == "__main__":
    with LocalCluster(2) as cluster:
        command = [sys.executable, "train.py", "--mode=search", f"--cluster={cluster.address}", *sys.argv[1:]]
        search = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        addresses, killed = set(), 0
        for line in search.stdout:
            print(line, end="", file=sys.stderr)
            if line.startswith("trial "):
                found = actors(cluster.raylets)
                if not killed:
                    addresses |= set(listening([search.pid, *found, *processes(cluster.mark)]))
                    killed = min(found)
                    os.kill(killed, 9)
        print(json.dumps({"code": search.wait(), "killed": killed, "addresses": sorted(addresses)}))
"""
LOOPBACK = {"0100007F", "0" * 24 + "01000000", "0000000000000000FFFF00000100007F"}


@pytest.mark.parametrize("shots", some_now([4, 10], slow=[10]))
def test_shots_at_driver_worker_and_child_lose_and_change_nothing(shots, tmp_path):
    result = shoot(tmp_path, shots=shots)
    assert result.shots.total() == shots
    assert min(result.shots[target] for target in ("driver", "worker", "child")) >= shots // 3
    assert (result.orphans, result.lost, result.doubled, result.different) == (0, 0, 0, 0)


def test_a_killed_ray_actor_costs_nothing_and_nothing_listens_beyond_loopback(tmp_path):
    script = tmp_path / "on_ray.py"
    script.write_text(ON_RAY)
    workdir = tmp_path / "run"
    tiny = ["--blocks=1", "--filters=2", "--steps=2", "--batch_size=16", "--trials=8", "--update_trials=4"]
    rest = ["--deterministic", "--finalists=0", "--final_filters=2", "--final_epochs=1"]
    command = [sys.executable, str(script), *tiny, *rest, f"--workdir={workdir}"]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["code"] == 0, done.stderr
    assert found["killed"]
    assert found["addresses"]
    assert set(found["addresses"]) <= LOOPBACK
    records = [json.loads(line) for line in (workdir / "journal.jsonl").read_text().splitlines()]
    assert sorted(r["trial_id"] for r in records if r["kind"] == "trial") == list(range(8))
    assert {r["outcome"] for r in records if r["kind"] == "trial"} == {"ok"}
    attempts = [r for r in records if r["kind"] == "attempt"]
    assert len(attempts) <= 1
    assert all("Actor" in attempt["cause"] for attempt in attempts)
    assert all((workdir / "logs" / f"trial_{i}.log").stat().st_size for i in range(8))
