"""Mutations of every file that is read and of flags end well or in one line (bench/fuzz.py; 2,000 by hand)."""

from __future__ import annotations

import os
import random
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from bench.fuzz import Case, Runner, fuzz, run_case
from bench.fuzzed import TARGETS, Target, write_seeds
from bench.mutations import mutated
from nasnet.runtime.errors import UserError


def test_no_case_ends_in_a_traceback_a_hang_or_elsewhere(capsys):
    found = fuzz(200, seed=14)
    said = capsys.readouterr().out
    assert found == {"cases": 200, "tracebacks": 0, "hangs": 0, "escapes": 0}, said


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    """Cases work in copies of it."""
    folder = tmp_path_factory.mktemp("fuzz") / "seeds"
    write_seeds(folder)
    return folder


def _escape(folder: Path) -> None:
    (folder / "escaped").touch()


def _two_lines(_: Path) -> None:
    raise UserError("one\ntwo")


def _overflow(_: Path) -> None:
    raise OverflowError("not a line")


def test_what_it_counts_is_seen(seeds, monkeypatch, tmp_path):
    """Each kind of fault, by a reader that has it; and every whole file is read without a word."""
    monkeypatch.chdir(tmp_path)
    for read, ended in ((_escape, "escapes"), (_two_lines, "tracebacks"), (_overflow, "tracebacks")):
        monkeypatch.setitem(TARGETS, "faulty", Target("recipe.json", read))
        assert run_case(Case(0, "faulty", 0, str(seeds)))[0] == ended
    monkeypatch.setitem(TARGETS, "faulty", Target("recipe.json", lambda _: None))
    assert run_case(Case(0, "faulty", 0, str(seeds))) == ("fine", "ok")
    for name, target in TARGETS.items():
        if target.file is not None:
            monkeypatch.setattr("bench.fuzz.mutated", lambda content, _: content)
            assert run_case(Case(0, name, 0, str(seeds))) == ("fine", "ok"), name


def test_the_same_seed_makes_the_same_mutations(seeds):
    content = (seeds / "search" / "journal.jsonl").read_bytes()
    made = [[mutated(content, random.Random(seed)) for seed in range(20)] for _ in range(2)]
    assert made[0] == made[1]
    assert len(set(made[0])) > 15


def _never(pipe: Connection) -> None:
    pipe.send("ready")
    pipe.recv()
    pipe.recv()


def _computes(pipe: Connection) -> None:
    """In a fork of it, as most cases are run."""
    pipe.send("ready")
    pipe.recv()
    if not os.fork():
        while True:
            pass
    os.wait()


def _dies(pipe: Connection) -> None:
    pipe.send("ready")
    pipe.recv()


@pytest.mark.parametrize(
    ("serve", "ended", "wall"), [(_never, "hangs", 0.5), (_computes, "hangs", 300.0), (_dies, "tracebacks", 300.0)]
)
def test_a_case_that_never_ends_or_is_its_process_s_end_is_counted(serve, ended, wall, monkeypatch):
    monkeypatch.setattr("bench.fuzz.WALL_SECONDS", wall)
    monkeypatch.setattr("bench.fuzz.SECONDS", 0.2)
    runner = Runner(serve)
    try:
        assert runner.run(Case(0, "folder", 0, ""))[0] == ended
    finally:
        runner.close()
