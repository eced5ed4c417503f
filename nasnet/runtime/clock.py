"""Time as a person and a file read it, and never a long silence."""

from __future__ import annotations

import contextlib
import datetime
import threading
import time
from collections.abc import Callable, Iterator

from nasnet.runtime.console import say, silent_seconds
from nasnet.runtime.errors import RunError

SILENT_SECONDS = 60.0
"""The longest silence while something is being done."""

_doing: list[tuple[Callable[[], str], float, float]] = []


def clock(seconds: float) -> str:
    """Minutes and seconds, or hours, minutes and seconds."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def utc_text(moment: datetime.datetime) -> str:
    """A moment as files have it: UTC, ISO 8601, to the millisecond, such as 2026-11-27T09:46:01.123Z."""
    return f"{moment.astimezone(datetime.UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def read_utc(text: object) -> datetime.datetime:
    """The moment that `utc_text` wrote. Raises ValueError for what is no moment, or is not said to be of UTC."""
    try:
        moment = datetime.datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.utcoffset() != datetime.timedelta(0):
        raise ValueError(f"its time is {text!r}; expected UTC, such as 2026-11-27T09:46:01.123Z")
    return moment


@contextlib.contextmanager
def doing(what: str | Callable[[], str], every: float = SILENT_SECONDS) -> Iterator[None]:
    """While it is entered, says what is being done and for how long whenever nothing was said for `every` seconds.

    Where one is entered inside another, the inner one speaks. What is called is called by another thread.
    """
    text = (lambda: what) if isinstance(what, str) else what
    _doing.append((text, time.monotonic(), every))
    over = threading.Event()
    if len(_doing) == 1:
        threading.Thread(target=_speak_up, args=(over, every / 20), daemon=True).start()
    try:
        yield
    finally:
        _doing.pop()
        over.set()


def _speak_up(over: threading.Event, look_every: float) -> None:
    while not over.wait(look_every):
        with contextlib.suppress(IndexError, OSError, RunError):  # it ended just now, or nobody reads on
            text, since, silent = _doing[-1]
            if silent_seconds() > silent:
                say(f"still {text()}, for {clock(time.monotonic() - since)} now")
