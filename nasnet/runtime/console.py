"""The standard streams: one line, at once; and what a process does where they take none."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import IO

from nasnet.runtime.errors import RunError

_STDERR = 2
_said_at = time.monotonic()
_muted = False
_above: list[Callable[[str], None]] = []


def say(line: str, end: str = "\n") -> None:
    """One line, at once; none where it is to be quiet.

    Raises:
        BrokenPipeError: where nobody reads the standard output any more.
        RunError: where it cannot be written to, as on a full disk.
    """
    global _said_at
    _said_at = time.monotonic()
    if _muted:
        return
    try:
        if _above:
            _above[-1](line)
        else:
            print(line, end=end, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise RunError(f"standard output: cannot be written to ({error.strerror})") from error


@contextlib.contextmanager
def muted() -> Iterator[None]:
    """While it is entered, `say` says nothing."""
    global _muted
    before, _muted = _muted, True
    try:
        yield
    finally:
        _muted = before


def be_quiet(quiet: bool = True) -> None:
    """From here on `say` says nothing. What is wrong is complained about as ever."""
    global _muted
    _muted = quiet


def is_quiet() -> bool:
    """Whether nothing is said."""
    return _muted


@contextlib.contextmanager
def said_above(print_line: Callable[[str], None]) -> Iterator[None]:
    """While it is entered, `print_line` prints what `say` says, above something that it draws at the bottom."""
    _above.append(print_line)
    try:
        yield
    finally:
        _above.pop()


def silent_seconds() -> float:
    """How long ago `say` was called, or this process began."""
    return time.monotonic() - _said_at


def complain(line: str) -> None:
    """One line to the standard error, if that takes it."""
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def open_streams() -> None:
    """Makes the standard streams such that a process can write to them. The first thing that it does.

    One that is closed (`>&-`) becomes one that goes nowhere: the next file to be opened would take its number, and what
    libraries write would go into that file. A pipe that some other process set not to wait for its reader waits again.
    A character that the stream's encoding does not have is written as an escape.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it gets the lowest number that is free
        os.set_blocking(number, True)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - it stays open
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def close_output() -> None:
    """Lets go of what the standard output did not take: Python would try it once more at exit, and complain."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def stderr_to(file: IO[bytes]) -> Iterator[None]:
    """While it is entered, what anything in this process, or in one that it starts, writes to stderr goes to a file."""
    kept = os.dup(_STDERR)
    os.dup2(file.fileno(), _STDERR)
    try:
        yield
    finally:
        os.dup2(kept, _STDERR)
        os.close(kept)
