"""The block below a search's lines, on a real terminal: what a person sees at any time, and what is left at the end."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from rich.console import Console

from cells.spaces.nasnet import NASNetSpace
from controller.random_search import RandomSearch
from controller.strategy import Outcome, Proposal, Trial
from nasnet.execution.job import Job
from nasnet.reports.live import _Block
from nasnet.trials.journal import Journal
from nasnet.trials.retries import RetryingEngine
from nasnet.trials.search import Search, SearchProgress

ROOT = Path(__file__).parents[2]
SEARCH = """
import sys, time
sys.path.insert(0, sys.argv[1])
from cells.spaces.nasnet import NASNetSpace
from controller.random_search import RandomSearch
from controller.strategy import Outcome
from nasnet.execution.job import Result
from nasnet.reports.live import live_block
from nasnet.reports.terminal import show_trial
from nasnet.runtime.console import be_quiet, say
from nasnet.runtime.signals import Stopped, Stopping
from nasnet.trials.journal import Journal
from nasnet.trials.retries import RetryingEngine
from nasnet.trials.search import Search
from pathlib import Path

class Two:  # children at a time, of 0.2 seconds; every third fails
    slots = 2

    def __init__(self):
        self.jobs = []

    @property
    def free(self):
        return 2 - len(self.jobs)

    def submit(self, job):
        self.jobs.append(job)

    def collect(self, seconds):
        time.sleep(0.2)
        number = self.jobs[0].trial_id
        fails = number % 3 == 2
        outcome, reward = (Outcome.NAN, None) if fails else (Outcome.OK, number / 100)
        return [Result(self.jobs.pop(0), outcome, reward, 0.25, "x" * fails)]

    def cancel(self):
        self.jobs.clear()

def report(progress):
    show_trial(progress)
    say("[red]" + "x" * 90 + "[/red] :smile: 1.5")
    if sys.argv[3] == "crash" and progress.done == 4:
        raise ZeroDivisionError("crashed")

if sys.argv[3] == "quiet":
    be_quiet()
with Stopping() as stopping:
    journal = Journal(Path(sys.argv[2]))
    engine = RetryingEngine(Two(), journal, stopping=stopping)
    space = NASNetSpace(1)
    drawn, trials = RandomSearch(space.decisions, 0), int(sys.argv[4])
    search = Search(space, drawn, journal, engine, trials, report=report, repeat_cells=True)
    say("before")
    try:
        with live_block(search):
            search.run()
    except Stopped as stopped:
        say(str(stopped))
        sys.exit(stopped.code)
    say("after")
"""
STEP = re.compile(r"\x1b\[(\??\d*(?:;\d+)*)([A-Za-z])")


class Screen:
    """What a terminal shows: as much of ECMA-48 as comes, and an error for the rest."""

    def __init__(self, columns: int) -> None:
        self.columns, self.rows, self.row, self.column = columns, [""], 0, 0
        self.hidden = False

    def feed(self, text: str) -> None:
        place = 0
        while place < len(text):
            if found := STEP.match(text, place):
                self._step(*found.groups())
                place = found.end()
                continue
            sign = text[place]
            place += 1
            if sign == "\r":
                self.column = 0
            elif sign == "\n":
                self._down()
            else:
                assert sign != "\x1b", text[place : place + 20]
                if self.column == self.columns:
                    self.column = 0
                    self._down()
                line = self.rows[self.row].ljust(self.column)
                self.rows[self.row] = line[: self.column] + sign + line[self.column + 1 :]
                self.column += 1

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append("")

    def _step(self, number: str, kind: str) -> None:
        if kind == "A":
            self.row -= int(number or 1)
            assert self.row >= 0
        elif kind == "K":
            assert number == "2"
            self.rows[self.row] = ""
        elif kind in "hl":
            self.hidden = self.hidden or (number, kind) == ("?25", "l")
        else:
            assert kind == "m", f"{number}{kind}"

    @property
    def text(self) -> list[str]:
        return [row.rstrip() for row in self.rows]


def shown(tmp_path, columns=100, kind="whole", trials=8, until=None, send=None, **environment):
    """Every look at the screen of a search in a terminal, the exit code, and whether the terminal is as it was."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    before = termios.tcgetattr(follower)
    command = [sys.executable, "-c", SEARCH, str(ROOT), str(tmp_path / "journal"), kind, str(trials)]
    variables = {**os.environ, "TERM": "xterm-256color", **environment}
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
        variables.pop(name, None) if name not in environment else None
    process = subprocess.Popen(command, stdin=follower, stdout=follower, stderr=subprocess.PIPE, env=variables)
    screen, looks, whole = Screen(columns), [], b""
    os.close(follower)
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:  # the process has gone
            break
        if not part:
            break
        whole += part
        screen = Screen(columns)
        screen.feed(whole.decode(errors="ignore"))
        looks.append(screen.text)
        if until is not None and any(until in line for line in screen.text):
            process.send_signal(send)
            until = None
    same = termios.tcgetattr(leader) == before
    os.close(leader)
    complaint = process.communicate()[1].decode()
    return looks, screen, whole, process.returncode, same, complaint


def wrapped(lines, columns):
    """As a terminal breaks them."""
    return [line[at : at + columns] for line in lines for at in range(0, max(len(line), 1), columns)]


def lines_of(tmp_path, trials):
    """What the search says where there is no terminal."""
    command = [sys.executable, "-c", SEARCH, str(ROOT), str(tmp_path / "plain"), "whole", str(trials)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert "\x1b" not in done.stdout
    assert done.stderr == ""
    return done.stdout.splitlines()


def same_lines(found, wanted, columns):
    while found and not found[-1]:
        found = found[:-1]
    assert found == [line.rstrip() for line in wrapped(wanted, columns)]


def test_the_block_stands_below_the_lines_and_is_gone_at_the_end(tmp_path):
    looks, screen, whole, code, same, complaint = shown(tmp_path, trials=6)
    assert (code, complaint, same, screen.hidden) == (0, "", True, False)
    same_lines(screen.text, lines_of(tmp_path, 6), 100)
    assert b"\x1b[" in whole
    middle = [look for look in looks if any(line.startswith("trials 3/6 ") for line in look)]
    assert middle
    block = middle[-1][[line.startswith("trials 3/6 ") for line in middle[-1]].index(True) :]
    assert re.fullmatch("trials 3/6 [━╺╸]{40}", block[0])
    assert block[1:3] == ["best 0.0100 (trial 1)", "ok 2  nan 1"]
    assert re.fullmatch(r"  0:0\d  trial 3", block[3])
    assert not any(line.startswith(("trials", "best 0", "ok")) for line in screen.text)


class Many:
    """An engine of so many slots, whose children never end."""

    free = slots = 20

    def submit(self, job):
        self.free -= 1


def test_what_it_says_of_many_children_of_the_time_left_and_of_an_earlier_run(tmp_path, monkeypatch):
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 60, 0, 0))
    journal, space, told = Journal(tmp_path / "j"), NASNetSpace(1), []
    for number, reward in enumerate((0.5, 0.75, None, 0.75)):
        proposal = Proposal.chosen(number, (0,) * 10)
        journal.propose(proposal)
        journal.finish(Trial(proposal, Outcome.OK if reward else Outcome.NAN, reward, 1.0))
    engine = RetryingEngine(Many(), journal)  # type: ignore[arg-type]
    search = Search(space, RandomSearch(space.decisions, 0), journal, engine, 40, report=told.append)
    block = _Block(search)

    def lines():
        said = io.StringIO()
        Console(file=said, width=60).print(block.drawn())
        return [line.rstrip() for line in said.getvalue().splitlines()]

    with os.fdopen(follower, "w") as terminal, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", terminal)
        first, *rest = lines()
        assert re.fullmatch("trials 4/40 [━╺╸]+", first)
        assert rest == ["best 0.7500 (trial 1)", "ok 3  nan 1", "        20 of 20 workers wait"]
        for number in range(4, 14):
            engine.submit(Job(number, None))
        best = Trial(Proposal.chosen(3, (0,) * 10), Outcome.OK, 0.875, 1.0)
        search.report(SearchProgress(best, best, 4, 40, 200.0))
        assert [progress.best for progress in told] == [best]
        block._left = 200.0, time.monotonic() - 60.5  # that time has gone by
        first, *rest = lines()
        assert re.fullmatch("trials 4/40 [━╺╸]+ +2:1[89] left", first)
        assert first.index(" 2:1") == len("trials 4/40 ") + 26, "the bar's columns"
        assert rest[0] == "best 0.8750 (trial 3)"
        assert [line.split("  ")[-1] for line in rest[2:10]] == [f"trial {number}" for number in range(4, 12)]
        assert rest[10:] == ["        and 2 more", "        10 of 20 workers wait"]
        search.report(SearchProgress(best, best, 4, 40, None))  # nothing new is known of it
        block._left = 200.0, time.monotonic() - 300
        assert lines()[0].endswith(" 0:00 left")
    os.close(leader)


@pytest.mark.slow
@pytest.mark.parametrize("columns", [40, 20, 80])
def test_on_a_narrow_terminal(tmp_path, columns):
    looks, screen, _, code, same, complaint = shown(tmp_path, columns=columns)
    assert (code, complaint, same) == (0, "", True)
    assert any(line.startswith("trials 2/8") for look in looks for line in look)
    same_lines(screen.text, lines_of(tmp_path, 8), columns)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_stopped_by_a_signal_it_leaves_the_terminal_in_order(tmp_path, number):
    _, screen, _, code, same, complaint = shown(tmp_path, trials=40, until="trials 3/40", send=number)
    assert (same, screen.hidden, complaint) == (True, False, "")
    if number == signal.SIGKILL:
        assert code == -number
        return
    assert code == 128 + number
    assert "the same command goes on from here" in [line for line in screen.text if line][-1]
    assert not any(line.startswith(("trials ", "best 0")) for line in screen.text)


@pytest.mark.slow
def test_an_error_takes_the_block_away(tmp_path):
    _, screen, _, code, _, complaint = shown(tmp_path, kind="crash")
    assert code == 1
    assert complaint.splitlines()[-1] == "ZeroDivisionError: crashed"
    assert not any(line.startswith(("trials ", "best 0")) for line in screen.text)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "environment"), [("whole", {"TERM": "dumb"}), ("quiet", {}), ("whole", {"NO_COLOR": "1"})]
)
def test_where_there_is_to_be_none_there_is_none(tmp_path, kind, environment):
    _, screen, whole, code, _, complaint = shown(tmp_path, kind=kind, trials=3, **environment)
    assert (code, complaint) == (0, "")
    if kind == "quiet":
        assert whole == b""
        return
    same_lines(screen.text, lines_of(tmp_path, 3), 100)
    if "TERM" in environment:
        assert b"\x1b" not in whole
    else:
        colours = {number for number, kind in STEP.findall(whole.decode()) if kind == "m"}
        assert not any(part.startswith(("3", "4")) and len(part) > 1 for of in colours for part in of.split(";"))
