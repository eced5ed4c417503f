"""A search that bench/kill.py shoots at: its processes, and what its journal and its logs tell from outside."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.ray_cluster import MARK, LocalCluster

ROOT = Path(__file__).parent.parent
WORKERS = 2
POLL_SECONDS = 0.02
TINY = ("--blocks=1", "--filters=2", "--steps=3", "--batch_size=64", "--update_trials=4", "--final_filters=2")
SHORT_END = ("--finalists=1", "--finalist_steps=3", "--finalist_seeds=1", "--final_epochs=1", "--baselines=none")
_DEADLINE_SECONDS = 300.0  # Ray may take a minute to notice that a node is gone


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


def child_name(record: dict[str, Any]) -> str | None:
    """The child whose end a record of the journal is; None for other records."""
    if record["kind"] == "trial":
        return f"trial_{record['trial_id']}"
    return f"finalist_{record['trial_id']}_{record['start']}" if record["kind"] == "finalist" else None


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
        self._command += [*TINY, *SHORT_END, *where, f"--workers={WORKERS}", "--deterministic", f"--retries={retries}"]
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
            if (name := child_name(record)) is not None:
                self._runs.setdefault(name, self._starts(name))

    def _starts(self, name: str) -> int:
        log = self.workdir / "logs" / f"{name}.log"
        return len(re.findall(rf"^{name} in process", log.read_text(), re.MULTILINE)) if log.exists() else 0

    def doubled(self) -> list[str]:
        """The children with two ends, or with a run that began after their end was in the journal."""
        ends = Counter(name for record in self.records if (name := child_name(record)) is not None)
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
            time.sleep(POLL_SECONDS)
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
