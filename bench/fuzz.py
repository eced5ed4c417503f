"""Does anything that is fed to this program break it?

    python bench/fuzz.py                      # 2,000 cases
    python bench/fuzz.py --cases=200 --seed=3
    python bench/fuzz.py --only=journal       # of one kind of file; --show prints what each case said

Every file that this program reads, and its flags, are mutated (bench/mutations.py) and given to what reads them: a
whole command where that is quick, the reader itself where a command would go on to train. A case must end well or in
one line (UserError, RunError, a flag's error). Counted are `tracebacks`: any other exception, a message of several
lines, or a process that died; `hangs`: more than 10 s, or more than 2 GB of memory; `escapes`: a file written outside
of the workdir, or left half written in it. Cases run in a process of their own; one that hangs is the end of it.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.fuzzed import SEEDS, TARGETS, flag_names_of_all, write_seeds
from bench.machine import machine
from bench.mutations import command_line, mutated

SECONDS, BYTES = 10.0, 2 * 10**9
_PAGE = os.sysconf("SC_PAGE_SIZE")


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
            argument = command_line(flag_names_of_all(), ("count", "table", "report"), rng)
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


def _serve(pipe: Connection) -> None:
    from nasnet.runtime.environment import import_keras, set_variables

    set_variables()
    import_keras()
    pipe.send("ready")
    while (case := pipe.recv()) is not None:
        pipe.send(run_case(case))


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
        started = time.monotonic()
        while not self._pipe.poll(0.05):
            pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
            if time.monotonic() - started > SECONDS or pages * _PAGE > BYTES:
                how = f"{time.monotonic() - started:.0f} s, {pages * _PAGE / 1e9:.1f} GB"
                self._process.kill()
                self._process.join()
                return "hangs", how
        try:
            return self._pipe.recv()
        except EOFError:
            self._process.join()
            return "tracebacks", f"the process died ({self._process.exitcode})"

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.join()
        self._pipe.close()


def fuzz(cases: int, seed: int, only: str | None = None, show: bool = False) -> Counter[str]:
    """Runs so many cases, drawn alike for the same seed; prints each that is counted."""
    rng, found = random.Random(seed), Counter({"cases": cases, "tracebacks": 0, "hangs": 0, "escapes": 0})
    names = [name for name in TARGETS for _ in range(TARGETS[name].weight) if only in (None, name)]
    with tempfile.TemporaryDirectory() as place:
        write_seeds(Path(place) / SEEDS)
        runner = Runner()
        try:
            for number in range(cases):
                case = Case(number, rng.choice(names), rng.getrandbits(48), str(Path(place) / SEEDS))
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
    parser.add_argument("--only", choices=sorted(TARGETS))
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args()
    print(machine())
    found = fuzz(options.cases, options.seed, options.only, options.show)
    print("RESULT fuzz " + " ".join(f"{name}={number}" for name, number in found.items()))
    return int(any(number for name, number in found.items() if name != "cases"))


if __name__ == "__main__":
    sys.exit(main())
