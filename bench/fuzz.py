"""Does anything that is fed to this program break it?

    python bench/fuzz.py                      # 2,000 cases
    python bench/fuzz.py --cases=200 --seed=3
    python bench/fuzz.py --only=journal       # of one kind, or of several: a,b; --show prints what was said

Every file that this program reads, and its flags, are mutated (bench/mutations.py) and given to what reads them: a
whole command where that is quick, the reader itself where a command would go on to train. A case must end well or in
one line (UserError, RunError, a flag's error). Counted are `tracebacks`: any other exception, a message of several
lines, or a process that died; `hangs`: more than 10 s of computing, or a minute, or more than 2 GB of memory;
`escapes`: a file written outside of the workdir, or left half written in it. Cases run in processes of their own; one
that hangs is the end of its.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import importlib
import io
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.fuzzed import SEEDS, TARGETS, write_seeds
from bench.machine import machine
from bench.mutations import mutated

SECONDS, BYTES = 10.0, 2 * 10**9
WALL_SECONDS = 60.0
"""After these it hangs, computing or not. On a machine that does much else, what takes a second takes ten."""
_TICK, _PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
_IMPORTED = tuple(
    f"nasnet.modes.{name}"
    for name in ("train", "searched.run", "compared.compare", "trained.tune", "trained.evaluate", "trained.predict")
)


@dataclasses.dataclass(frozen=True)
class Case:
    """What is mutated, by which draws; `seeds` is where the whole files lie."""

    number: int
    target: str
    seed: int
    seeds: str


def run_case(case: Case) -> tuple[str, str]:
    """How a case ended, "fine" or what is counted, and what it said."""
    from nasnet.runtime.errors import RunError, UserError

    rng, target = random.Random(case.seed), TARGETS[case.target]
    with tempfile.TemporaryDirectory() as place:
        there = Path(place) / "there"
        shutil.copytree(case.seeds, there)
        if target.file is not None:
            path = there / target.file
            path.write_bytes(mutated(path.read_bytes(), rng))
            argument: object = there
        else:
            assert target.line is not None
            argument = target.line(rng)
        before = _files(Path(place))
        os.chdir(there / "work")
        said = io.StringIO()
        ended, line = "fine", "ok"
        try:
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                target.read(argument)
        except (UserError, RunError) as error:
            line = str(error)
            if "\n" in line or len(line) > 2500:
                ended = "tracebacks"
        except (Exception, SystemExit) as error:
            ended, line = "tracebacks", "".join(traceback.format_exception(error)[-6:])
        finally:
            os.chdir("/")
        if "Traceback (most recent call last)" in said.getvalue():
            ended, line = "tracebacks", said.getvalue()
        if escaped := _escaped(Path(place), there / "work", before):
            ended, line = "escapes", f"{escaped}: {line}"
    return ended, line


def _files(place: Path) -> dict[Path, tuple[int, int]]:
    found = (path for path in place.rglob("*") if path.is_file())
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in found}


def _escaped(place: Path, work: Path, before: dict[Path, tuple[int, int]]) -> str:
    """A file outside of the workdir that is new or another; or one in it that is left of a half-written one."""
    for path, was in _files(place).items():
        half = path.name.startswith(".") and str(os.getpid()) in path.name
        if half or (before.get(path) != was and not path.is_relative_to(work)):
            return str(path.relative_to(place))
    return ""


class _Fork:
    """A copy of this process, in which TensorFlow is imported and has not started."""

    def __init__(self) -> None:
        self._pipe, theirs = multiprocessing.Pipe()
        self._pid = os.fork()
        if self._pid == 0:
            self._pipe.close()
            with contextlib.suppress(EOFError, OSError):
                while True:
                    theirs.send(run_case(theirs.recv()))
            os._exit(0)
        theirs.close()

    def run(self, case: Case) -> tuple[tuple[str, str], bool]:
        """As `run_case`, and whether it is still there."""
        try:
            self._pipe.send(case)
            return self._pipe.recv(), True
        except (EOFError, OSError):
            return ("tracebacks", f"the process died ({self.end()})"), False

    def end(self) -> int:
        """Waits until it has ended; returns its exit code, below zero for a signal."""
        self._pipe.close()
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])


def _serve(pipe: Connection) -> None:
    """Runs cases in forks of this process: most of them in one, those that start TensorFlow their own way in others."""
    from nasnet.runtime.environment import import_keras, set_variables

    set_variables()
    import_keras()
    for name in _IMPORTED:
        importlib.import_module(name)
    pipe.send("ready")
    fork = _Fork()
    while (case := pipe.recv()) is not None:
        if TARGETS[case.target].own_process:
            own = _Fork()
            found, there = own.run(case)
            if there:
                own.end()
        else:
            found, there = fork.run(case)
            fork = fork if there else _Fork()
        pipe.send(found)


def _forks(pid: int | None) -> list[int]:
    try:
        return [int(of) for of in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:  # it is gone
        return []


def _seconds(pid: int | None) -> float:
    """What a process, its forks, and those that have ended took of a core."""
    ticks = 0
    for each in (pid, *_forks(pid)):
        with contextlib.suppress(OSError):
            of_it = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, of_it[11:15] if each == pid else of_it[11:13]))
    return ticks / _TICK


def _bytes(pid: int | None) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except OSError:
        return 0


class Runner:
    """Runs cases in a process of its own, watched."""

    def __init__(self, serve: Callable[[Connection], None] = _serve) -> None:
        self._serve = serve
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=self._serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        self._pipe.recv()

    def run(self, case: Case) -> tuple[str, str]:
        """As `run_case`; a case that hangs or dies is the end of its process."""
        if not self._process.is_alive():
            self.close()
            self._start()
        self._pipe.send(case)
        started, before = time.monotonic(), _seconds(self._process.pid)
        while not self._pipe.poll(0.05):
            taken = max(map(_bytes, [self._process.pid, *_forks(self._process.pid)]))
            wall, computed = time.monotonic() - started, _seconds(self._process.pid) - before
            if wall > WALL_SECONDS or computed > SECONDS or taken > BYTES:
                how = f"{wall:.0f} s, {computed:.0f} of them computing, {taken / 1e9:.1f} GB"
                self._kill()
                return "hangs", how
        try:
            return self._pipe.recv()
        except EOFError:
            self._process.join()
            return "tracebacks", f"the process died ({self._process.exitcode})"

    def close(self) -> None:
        """Ends the process."""
        self._kill()
        self._pipe.close()

    def _kill(self) -> None:
        forks = _forks(self._process.pid)
        self._process.kill()
        self._process.join()
        for pid in forks:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def fuzz(cases: int, seed: int, only: Sequence[str] = (), show: bool = False) -> Counter[str]:
    """Runs so many cases, drawn alike for the same seed; prints each that is counted."""
    rng, found = random.Random(seed), Counter({"cases": cases, "tracebacks": 0, "hangs": 0, "escapes": 0})
    weights = {name: target.weight for name, target in TARGETS.items() if not only or name in only}
    with tempfile.TemporaryDirectory() as place:
        write_seeds(Path(place) / SEEDS)
        runner = Runner()
        try:
            for number in range(cases):
                case = Case(
                    number,
                    rng.choices([*weights], [*weights.values()])[0],
                    rng.getrandbits(48),
                    str(Path(place) / SEEDS),
                )
                ended, said = runner.run(case)
                if ended != "fine":
                    found[ended] += 1
                if show or ended != "fine":
                    print(f"{number} {case.target} {case.seed}: {ended}: {said}", flush=True)
        finally:
            runner.close()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help=f"some of {','.join(TARGETS)}")
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args()
    only = options.only.split(",") if options.only else []
    if unknown := sorted(set(only) - set(TARGETS)):
        parser.error(f"--only={','.join(unknown)}: expected some of {','.join(TARGETS)}")
    print(machine())
    found = fuzz(options.cases, options.seed, only, options.show)
    print("RESULT fuzz " + " ".join(f"{name}={number}" for name, number in found.items()))
    return int(any(number for name, number in found.items() if name != "cases"))


if __name__ == "__main__":
    sys.exit(main())
