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
import contextlib
import dataclasses
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.machine import machine
from bench.ray_cluster import MARK, LocalCluster

ROOT = Path(__file__).parent.parent
TARGETS = ("driver", "worker", "child")
TINY = ("--blocks=2", "--filters=2", "--steps=3", "--batch_size=64", "--update_trials=4", "--final_filters=2")
SHORT_END = ("--finalists=1", "--finalist_steps=3", "--finalist_seeds=1", "--final_epochs=1")
GONE_SECONDS = 5.0
_POLL_SECONDS = 0.02
_DEADLINE_SECONDS = 300.0  # Ray may take a minute to notice that a node is gone
_WORKERS = 2
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


def processes(mark: str) -> dict[int, str]:
    """The processes whose environment bears this mark, with their command lines; not those that ended."""
    found: dict[int, str] = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (path / "environ").read_bytes():
                found[int(path.name)] = _command(path)
        except OSError:
            continue  # it ended, or belongs to someone else
    return found


def actors(raylets: list[int]) -> dict[int, int]:
    """The actors of a Ray cluster: their processes, each with its raylet's. (Ray overwrites their environment.)"""
    found: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if parent in raylets and _command(path).startswith("ray::SlotActor"):
                found[int(path.name)] = parent
        except OSError:
            continue
    return found


def child_of(worker: int) -> str | None:
    """The child that a worker process runs now: what its output goes to tells."""
    try:
        log = Path(os.readlink(f"/proc/{worker}/fd/1"))
    except OSError:
        return None
    return log.stem if re.fullmatch(r"(trial|finalist)_[0-9_]+\.log", log.name) else None


def _command(process: Path) -> str:
    return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")


class Hunted:
    """A search that is started again when it is killed, and what can be seen of it from outside."""

    def __init__(
        self, folder: Path, name: str, trials: int, retries: int, seed: int, cluster: LocalCluster | None
    ) -> None:
        self.workdir, self.trials, self.cluster = folder / name, trials, cluster
        self._output = folder / f"{name}.txt"
        self.mark = uuid.uuid4().hex
        where = [f"--cluster={cluster.address}"] if cluster else []
        self._command = [sys.executable, str(ROOT / "train.py"), "--mode=search", f"--workdir={self.workdir}"]
        self._command += [*TINY, *SHORT_END, *where, f"--workers={_WORKERS}", "--deterministic", f"--retries={retries}"]
        self._command += [f"--trials={trials}", f"--seed={seed}"]
        # What a killed process leaves in its temporary folder goes with ours.
        self._environment = {**os.environ, "TMPDIR": str(folder), MARK: self.mark}
        self._read = 0
        self.records: list[dict[str, Any]] = []
        self._runs: dict[str, int] = {}
        self.start()

    def start(self) -> None:
        """Starts the driver."""
        with open(self._output, "ab") as output:
            self.driver = subprocess.Popen(self._command, cwd=ROOT, env=self._environment, stdout=output, stderr=output)

    @property
    def progress(self) -> int:
        """How many trials have ended."""
        return sum(record["kind"] == "trial" for record in self.records)

    def over(self) -> bool:
        """Whether the search came to its end. Raises RuntimeError if it ended in another way than it should."""
        code = self.driver.poll()
        if code not in (None, 0):
            last = "\n".join(self._output.read_text().splitlines()[-8:])
            raise RuntimeError(f"the search ended with exit code {code}, unasked:\n{last}")
        return code == 0

    def look(self) -> None:
        """Reads what is new in the journal; of children that have ended, how often they had been started by then."""
        path = self.workdir / "journal.jsonl"
        if not path.exists():
            return
        with open(path, "rb") as file:
            file.seek(self._read)
            whole = file.read().rpartition(b"\n")[0]
        if not whole:
            return
        self._read += len(whole) + 1
        for record in map(json.loads, whole.splitlines()):
            self.records.append(record)
            if (name := _child(record)) is not None:
                self._runs.setdefault(name, self._starts(name))

    def _starts(self, name: str) -> int:
        log = self.workdir / "logs" / f"{name}.log"
        return len(re.findall(rf"^{name} in process", log.read_text(), re.MULTILINE)) if log.exists() else 0

    def doubled(self) -> list[str]:
        """The children with two ends, or with a run that began after their end was in the journal."""
        ends = Counter(name for record in self.records if (name := _child(record)) is not None)
        return [name for name, number in ends.items() if number > 1 or self._starts(name) > self._runs[name]]

    def wait(self, condition: Callable[[], Any], what: str) -> Any:  # noqa: ANN401 - what the condition is
        """Waits until a condition holds and returns what it is; None if the search is over before."""
        deadline = time.monotonic() + _DEADLINE_SECONDS
        while not (value := condition()):
            self.look()
            if self.over():
                return None
            if time.monotonic() > deadline:
                raise TimeoutError(f"no {what} in {_DEADLINE_SECONDS:.0f} s, at trial {self.progress} of {self.trials}")
            time.sleep(_POLL_SECONDS)
        return value

    def workers(self) -> list[int]:
        """The worker processes, and on Ray the actors too."""
        marked = processes(self.cluster.mark if self.cluster else self.mark)
        found = [pid for pid, command in marked.items() if "spawn_main" in command]
        return sorted([*found, *(actors(self.cluster.raylets) if self.cluster else ())])

    def belongings(self) -> list[int]:
        """What must not outlive the driver."""
        if self.cluster:
            return self.workers()
        return sorted(set(processes(self.mark)) - {self.driver.pid})

    def stop(self) -> None:
        """Ends whatever still runs."""
        self.driver.kill()
        self.driver.wait()
        for pid in self.belongings():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _child(record: dict[str, Any]) -> str | None:
    if record["kind"] == "trial":
        return f"trial_{record['trial_id']}"
    return f"finalist_{record['trial_id']}_{record['start']}" if record["kind"] == "finalist" else None


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
        search.wait(lambda: len(actors(cluster.raylets)) == _WORKERS, "actor elsewhere")
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
        time.sleep(_POLL_SECONDS)
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
        kept = {key: value for key, value in record.items() if key not in ("kind", "seconds", "cause")}
        if record["kind"] in ("proposal", "trial"):
            facts.setdefault(f"trial_{record['trial_id']}", {})[record["kind"]] = kept
        elif record["kind"] == "finalist":
            facts[_child(record) or ""] = kept
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
