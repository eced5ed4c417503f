"""Does a search lose anything when what it runs on is killed?

    python bench/kill.py                                  # 100 shots, Pebble: about a quarter of an hour on two cores
    python bench/kill.py --shots=10                       # short
    python bench/kill.py --engine=ray --shots=20          # a Ray cluster of three nodes on this machine's loopback

A search of small but real children (`train.py --mode=search --workers=2 --deterministic`) is run whole. Then the same
command is run again in another folder and shot at: SIGKILL at random moments to

- driver: the `train.py` process; the same command is started again. Within 5 s all of its processes must be gone,
  the others are counted as orphans;
- worker: any worker process, or on Ray any actor, whether it starts up, idles or runs a child;
- child: a worker process that runs a child at this moment;
- node (Ray only): all processes of a node other than the head; another node is started in its place.

At the end the two searches are compared. `lost=` counts trials that never ended or ended as lost. `doubled=` counts
children with two records in the journal, and children that were started again after the journal had their end.
`different=` counts trials whose tokens, log-probabilities, outcome or reward are not those of the search that nobody
shot at, and finalists and winners that are not. All must be 0.

When a shot comes is drawn: so many trials after the last one, from none to twice an even share, and within a second of
that. Shots that are drawn close together hit what is just starting up. There are twice as many trials as shots, so that
the search outlives them; one that does not is an error. `--retries` is the number of shots: a child may be hit again
each time it is run again, which is no reason to give it up where somebody shoots on purpose; with 3, one in some
thousand children would be lost.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.hunted import POLL_SECONDS, WORKERS, Hunted, actors, child_name, child_of
from bench.machine import machine
from bench.ray_cluster import LocalCluster

TARGETS = ("driver", "worker", "child")
GONE_SECONDS = 5.0
_UNHURT = 12  # trials at the end that no shot is meant for
_UNHURT_BY_NODE = 60  # more of them for each shot at a node: the other node goes on while Ray notices, 3 to 20 s


@dataclasses.dataclass(frozen=True)
class Result:
    """What became of a search that was shot at; see the module for what counts."""

    shots: Counter[str]
    orphans: int
    lost: int
    doubled: int
    different: int


def next_due(progress: int, trials: int, rest: list[str], rng: random.Random) -> int:
    """How many trials shall have ended when the next of the remaining shots is due."""
    room = trials - _UNHURT - rest.count("node") * _UNHURT_BY_NODE - progress
    return progress + rng.randint(0, max(0, 2 * room // len(rest)))


def fire(search: Hunted, target: str, rng: random.Random) -> str | None:
    """SIGKILL to a target as soon as there is one. Says what was hit; None if the search is over."""
    if target == "driver":
        search.driver.kill()
        search.driver.wait()
        return f"driver {search.driver.pid}"
    if target == "node":
        cluster = search.cluster
        assert cluster is not None
        nodes = search.wait(lambda: sorted(set(actors(cluster.raylets[1:]).values())), "node with an actor")
        if nodes is None:
            return None
        node = rng.choice(nodes)
        cluster.kill_node(node)
        begun = time.monotonic()
        # Ray lets an actor wait for 30 s on a node that has just come up. So the other nodes take over first.
        search.wait(lambda: len(actors(cluster.raylets)) == WORKERS, "actor elsewhere")
        seconds = time.monotonic() - begun
        cluster.add_node()
        return f"node of raylet {node}, its actor elsewhere after {seconds:.1f} s"
    while True:
        wanted = search.workers if target == "worker" else lambda: [pid for pid in search.workers() if child_of(pid)]
        found = search.wait(wanted, target)
        if found is None:
            return None
        pid = rng.choice(found)
        child = child_of(pid)
        if target == "child" and child is None:
            continue  # it has just ended
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        return f"{target} {pid}, {f'running {child}' if child else 'starting or idle, or an actor'}"


def orphans_of(search: Hunted) -> tuple[int, float]:
    """How many processes outlive their killed driver by 5 s, and how long the last of them took to go."""
    start = time.monotonic()
    while search.belongings() and time.monotonic() - start < GONE_SECONDS:
        time.sleep(POLL_SECONDS)
    return len(search.belongings()), time.monotonic() - start


def hunt(search: Hunted, shots: dict[str, int], seed: int) -> tuple[Counter[str], int]:
    """Shoots at a search until it is over. Returns the shots that hit something, and the orphans."""
    rng = random.Random(seed)
    hits: Counter[str] = Counter()
    orphans, begun = 0, time.monotonic()
    targets = [target for target, number in shots.items() for _ in range(number)]
    rng.shuffle(targets)
    for index, target in enumerate(targets):
        due = next_due(search.progress, search.trials, targets[index:], rng)
        search.wait(lambda due=due: search.progress >= due, f"end of trial {due}")
        at = time.monotonic() + rng.uniform(0, 1)
        search.wait(lambda at=at: time.monotonic() >= at, "moment")
        if search.over() or (hit := fire(search, target, rng)) is None:
            break
        hits[target] += 1
        gone = ""
        if target == "driver":
            left, waited = orphans_of(search)
            orphans += left
            gone = f"; {left} orphans, the last process gone after {waited:.2f} s"
            search.look()
            search.start()
        print(f"{time.monotonic() - begun:6.1f} s  shot {hits.total():3d}/{len(targets)}  "
              f"{search.progress:3d}/{search.trials} trials  {hit}{gone}", flush=True)  # fmt: skip
    finish(search)
    return hits, orphans


def finish(search: Hunted) -> None:
    """Waits for the end of a search."""
    while not search.over():
        ended = len(search.records)
        search.wait(lambda ended=ended: len(search.records) > ended, "record or end")
    search.look()


def compare(whole: Hunted, shot: Hunted) -> tuple[int, int, int]:
    """How many trials were lost, doubled and different. Says which."""
    ends = {r["trial_id"]: r["outcome"] for r in shot.records if r["kind"] == "trial"}
    lost = [i for i in range(shot.trials) if ends.get(i, "lost") == "lost"]
    ours, theirs = (_facts(search) for search in (whole, shot))
    different = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
    doubled = shot.doubled()
    for what, names in (("lost", lost), ("doubled", doubled), ("different", different)):
        if names:
            print(f"{what}: {names}")
    return len(lost), len(doubled), len(different)


def _facts(search: Hunted) -> dict[str, object]:
    """What must be the same in two searches: of each trial its proposal and its end, the finalists, the winner."""
    facts: dict[str, Any] = {}
    for record in search.records:
        kept = {key: value for key, value in record.items() if key not in ("kind", "seconds", "time", "cause")}
        if record["kind"] in ("proposal", "trial"):
            facts.setdefault(f"trial_{record['trial_id']}", {})[record["kind"]] = kept
        elif record["kind"] == "finalist":
            facts[child_name(record) or ""] = kept
    winner = json.loads((search.workdir / "best" / "genotype.json").read_text())
    return {**facts, "winner": winner}


def shoot(
    folder: Path,
    shots: int = 10,
    targets: tuple[str, ...] = TARGETS,
    seed: int = 0,
    cluster: LocalCluster | None = None,
    node_shots: int = 0,
) -> Result:
    """Runs a search whole, then once more under fire, and compares. Prints a line a shot; leaves no process.

    Args:
        folder: where both searches work; an empty one.
        shots: how many, drawn evenly over the targets.
        targets: some of `TARGETS`.
        seed: of the searches and of the moments.
        cluster: what the children run on; None is worker processes of this machine.
        node_shots: shots at whole nodes of the cluster, beside the others.

    Raises:
        RuntimeError: if a search ends with another exit code than 0, or before all shots were fired.
        TimeoutError: if nothing happens for five minutes.
    """
    numbers = {target: shots // len(targets) + (i < shots % len(targets)) for i, target in enumerate(targets)}
    if node_shots:
        numbers["node"] = node_shots
    trials = 2 * shots + _UNHURT + node_shots * _UNHURT_BY_NODE
    started: list[Hunted] = []
    try:
        for name in ("whole", "shot"):
            begun = time.monotonic()
            started.append(Hunted(folder, name, trials, sum(numbers.values()), seed, cluster))
            hits, orphans = hunt(started[-1], numbers if name == "shot" else {}, seed)
            print(f"{name}: {trials} trials in {time.monotonic() - begun:.0f} s", flush=True)
        if hits.total() < sum(numbers.values()):
            raise RuntimeError(f"the search was over after {hits.total()} of {sum(numbers.values())} shots")
        return Result(hits, orphans, *compare(*started))
    finally:
        for search in started:
            search.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shots", type=int, default=100, help="drawn evenly over the targets")
    parser.add_argument("--targets", default=",".join(TARGETS))
    parser.add_argument("--engine", choices=["pebble", "ray"], default="pebble")
    parser.add_argument(
        "--node_shots", type=int, default=3, help="with --engine=ray, at whole nodes, beside the others"
    )
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args()
    targets = tuple(flags.targets.split(","))
    if not set(targets) <= set(TARGETS):
        parser.error(f"--targets={flags.targets}: some of {','.join(TARGETS)}")

    print(machine("tensorflow", "keras", "pebble", *(["ray"] if flags.engine == "ray" else [])), flush=True)
    folder = Path(tempfile.mkdtemp(prefix="nasnet-kill-"))
    try:
        if flags.engine == "ray":
            with LocalCluster(3) as cluster:
                result = shoot(folder, flags.shots, targets, flags.seed, cluster, flags.node_shots)
        else:
            result = shoot(folder, flags.shots, targets, flags.seed)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"orphans {result.orphans}; {', '.join(f'{number} {target}' for target, number in result.shots.items())}")
    print(f"RESULT kill shots={result.shots.total()} lost={result.lost} doubled={result.doubled} "
          f"different={result.different}")  # fmt: skip
    sys.exit(int(any((result.orphans, result.lost, result.doubled, result.different))))


if __name__ == "__main__":
    main()
