"""Never a long silence: what is being done is said when nothing else was."""

from __future__ import annotations

import threading

import pytest

from nasnet.runtime import clock as module
from nasnet.runtime.clock import clock, doing
from nasnet.runtime.console import say


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0:00"), (59.9, "0:59"), (3599, "59:59"), (93784, "26:03:04")])
def test_time_as_a_person_reads_it(seconds, shown):
    assert clock(seconds) == shown


def test_the_innermost_thing_is_said_in_a_silence(monkeypatch):
    lines, heard = [], {"reading": threading.Event(), "training": threading.Event()}

    def note(line: str) -> None:
        lines.append(line.split()[1].rstrip(","))
        assert line.startswith(("still reading, for 0:0", "still training 3 children, for 0:0"))
        heard[lines[-1]].set()

    monkeypatch.setattr(module, "say", note)
    with doing("reading", every=0.01):
        assert heard["reading"].wait(10)
        with doing(lambda: "training 3 children", every=0.01):
            assert heard["training"].wait(10)
            said = list(lines)  # here, since the outer thing goes on as soon as the inner one is left
    assert set(said[said.index("training") :]) == {"training"}
    assert not module._doing


def test_nothing_is_said_where_lines_come(monkeypatch, capsys):
    with doing("reading", every=60):
        say("a line")
    assert capsys.readouterr().out == "a line\n"
